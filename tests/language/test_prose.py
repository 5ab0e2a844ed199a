# ruff: noqa: RUF001 (other alphabets are the point)
import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_snippets import HASKELL, JAVA, PROSE, PYTHON, RUST, SHELL, SQL, YAML, C

from pipeline.language.prose import count, is_markdown, is_prose, symbol_frac

GERMAN = """Die Lampe brannte schon seit einer Stunde, als der Nebel vom Meer hereinkam. Niemand im Haus sprach davon,
denn alle hatten ihn schon gesehen, und sie wussten, dass er am Morgen wieder fort sein würde. Der alte Mann legte noch
ein Scheit auf das Feuer und nahm sein Buch."""
TURKISH = """Lamba bir saattir yanıyordu ve sis denizden geldi. Evdeki hiç kimse bunun için konuşmadı, çünkü onu hepsi
daha önce görmüştü ve sabaha kadar gideceğini biliyorlardı. Yaşlı adam ateşe bir odun daha attı, sonra
kitabına döndü."""
RUSSIAN = "Лампа горела уже час, когда с моря пришёл туман. Никто в доме не говорил о нём, все видели его и раньше."
CHINESE = "雾从海上来的时候，灯已经亮了一个小时。屋里没有人谈起它，因为大家以前都见过，也知道到了早晨它就会散去。"
LATVIAN = """Lampa dega jau stundu, kad no jūras atnāca migla. Neviens mājā par to nerunāja, jo visi to bija redzējuši
agrāk, turklāt zināja, ka rītā miglas vairs nebūs. Vecais vīrs pielika ugunij vēl vienu pagali, apsēdās, atvēra grāmatu.
Ārpusē klusi šalca jūra. Kaķis gulēja zem krēsla, pulkstenis tikšķēja, un neviens nesteidzās. Tad kāds pieklauvēja.
Vecais vīrs piecēlās, paņēma lampu, piegāja pie durvīm. Ārā stāvēja kaimiņš, slapjš, noguris, bet priecīgs."""


@pytest.mark.parametrize("text", [PROSE.decode(), GERMAN, TURKISH, RUSSIAN, CHINESE, LATVIAN], ids=range(6))
def test_is_prose_when_people_would_read_it_aloud(text: str) -> None:
    assert is_prose(text.encode())
    assert is_prose(text.encode()[:-1])  # cut inside a character


@pytest.mark.parametrize("content", [PYTHON, C, RUST, JAVA, SHELL, SQL, HASKELL, YAML], ids=range(8))
def test_is_not_prose_when_a_machine_would_read_it(content: bytes) -> None:
    assert not is_prose(content)


def test_is_not_prose_when_code_only_speaks_much() -> None:
    assert not is_prose(
        b"tell application to get the name of every folder in the home folder of the user as text\n" * 5
    )
    assert not is_prose(b"MOVE THE-TOTAL TO THE-LINE OF THE-REPORT AND THE-PAGE.\n" * 8)


def test_is_not_prose_when_there_are_hardly_any_words() -> None:
    assert (
        not is_prose(b"")
        and not is_prose(b"Hello, world.")
        and not is_prose(b"1, 2. 3, 4. 5")
        and not is_prose(b"\xff")
    )


def test_count_measures_shares_of_letters_symbols_and_stop_words() -> None:
    found = count(b"The end, and so on; {x}")
    assert (found.n_words, found.stop_word_frac) == (6, pytest.approx(3 / 6))  # the, and, on
    assert found.letter_frac == pytest.approx(14 / 18)
    assert found.symbol_frac == symbol_frac(b"The end, and so on; {x}") == pytest.approx(3 / 18)
    assert found.pauses_per_word == pytest.approx(1 / 6)
    assert count(b"") == (0, 0, 0, 0, 0, 0, 0)


def test_is_markdown_needs_more_marks_where_comments_could_have_them() -> None:
    assert is_markdown(b"# Lamps\n\nSee [the list](lamps.md).\n", prose=False)
    assert not is_markdown(b"# Lamps, `dim` and `bright`\nx = 1\n", prose=False)
    assert is_markdown(b"# Lamps\n\n- one\n- two\n", prose=True)
    assert not is_markdown(b"Lamps\n-----\n\n- one\n- two\n", prose=True)


@given(st.binary(max_size=500))
def test_prose_rules_never_raise_whatever_the_bytes(head: bytes) -> None:
    assert all(value >= 0 for value in count(head))
    assert is_prose(head) in (True, False)
    assert is_markdown(head, prose=True) or not is_markdown(head, prose=False)
