"""Language of prose, misread encodings, text of web pages, and all of it in one go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import mojibake, prose, prose_language, prose_markup, prose_scan

ENGLISH = "The ferry left at six and the last lorry came aboard with its lights still on, as it did every evening. "
FRENCH = "Le bateau est parti à six heures, et le dernier camion est monté à bord avec ses phares encore allumés. "
GERMAN = "Die Fähre legte um sechs Uhr ab, und der letzte Lastwagen kam mit noch brennenden Lichtern an Bord. "
PROGRAM = "for (int wert = 0; wert < größe; ++wert) { summe += zahlen[wert]; ausgabe(summe, datei, fehler); }\n"


def measure(*documents: str | bytes) -> dict[str, list]:
    raw = [d.encode() if isinstance(d, str) else d for d in documents]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int64)
    found = prose.measure(np.frombuffer(b"".join(raw), np.uint8), offsets)
    return {name: values.tolist() for name, values in found.items()}


def heads_of(document: str, max_bytes: int = 4096) -> str:
    raw = np.frombuffer(document.encode(), np.uint8)
    lines = prose_scan.lines(raw, np.array([0, raw.size]))
    found, ends = prose_markup.heads(raw, lines, prose_markup.prose(raw, lines), max_bytes=max_bytes)
    assert ends.tolist() == [0, found.size]
    return found.tobytes().decode("utf-8", "ignore")


# ---------------------------------------------------------------- language


def test_language_is_that_of_the_prose():
    found = measure(ENGLISH * 3, FRENCH * 3, GERMAN * 3, "这是一个很长的句子,说的是渡轮在六点钟离开。" * 5)
    assert found["prose_language"] == ["en", "fr", "de", "zh"]
    assert all(0.9 <= share <= 1 for share in found["prose_confidence"])


@pytest.mark.parametrize("document", ["", "\n", "x = 1", "17 38 29\n" * 30, "|---|---|\n"])
def test_language_is_null_where_nothing_can_be_said(document):
    found = measure(document)
    assert found["prose_language"] == [None] and np.isnan(found["prose_confidence"][0])


def test_language_of_a_page_in_two_languages_is_the_larger_one():
    found = measure(FRENCH * 9 + "\n" + ENGLISH * 3)
    assert found["prose_language"] == ["fr"] and found["prose_confidence"][0] < 0.9


def test_programs_do_not_say_the_language():
    assert measure(f"{ENGLISH * 2}\n```\n{PROGRAM * 30}```\n")["prose_language"] == ["en"]


def test_only_the_beginning_is_read():
    assert measure(ENGLISH * 60 + "\n" + GERMAN * 900)["prose_language"] == ["en"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_have_a_language_or_none(document):
    assert prose_language.language_of(document) is None or len(document) > 0


def test_characters_that_the_detector_refuses_are_passed_over():
    for refused in ("\x01", "\x7f", "\ufdd0", "\uffff", "\U0002fffe"):
        assert prose_language.language_of((ENGLISH + refused + ENGLISH).encode())[0] == "en"


def test_heads_leave_out_what_is_no_prose():
    document = (
        "Take `a_name` and <b class='x'>this</b>, see https://a.example/b?c for more.\n"
        "```\ncode\n```\n| a | b |\n\n    set in\n\nEnd `of\n"
    )
    assert heads_of(document) == "Take   and  this , see https  for more.\nEnd `of\n"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=50), st.integers(0, 60))
def test_heads_are_no_longer_than_asked(document, max_bytes):
    assert len(heads_of(document.encode("utf-8", "replace").decode(), max_bytes).encode()) <= max_bytes


# ---------------------------------------------------------------- mojibake


def misread(text: str, encoding: str) -> str:
    return text.encode().decode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(FRENCH, "cp1252"), (FRENCH, "latin-1"), ("So “it — yes… its", "cp1252"), ("Привет, как дела", "latin-1")],
)
def test_mojibake_is_the_share_of_characters_too_many(text, encoding):
    wrong = misread(text, encoding)
    found = measure(wrong)["mojibake_frac"][0]
    assert found == (len(wrong) - len(text)) / len(wrong) > 0


@pytest.mark.parametrize(
    "text",
    [ENGLISH, FRENCH, GERMAN, "NÃO, É ASSIM. «\u00a0Déjà\u00a0»", "ESPAÑA Â", "Привет", "你好。", "â\u00a0b", "Ñandú"],
)
def test_mojibake_is_nothing_in_sound_text(text):
    assert measure(text)["mojibake_frac"] == [0]


def test_mojibake_of_many_lines_is_reckoned_from_some(monkeypatch):
    wrong = misread(FRENCH, "cp1252") + "\n"
    whole = measure(wrong * 50)["mojibake_frac"][0]
    monkeypatch.setattr(mojibake, "MAX_LINES", 5)
    assert measure(wrong * 50)["mojibake_frac"][0] == pytest.approx(whole)


# ---------------------------------------------------------------- web pages


@pytest.mark.parametrize(
    ("line", "is_link"),
    [
        ("[Home](/)", True),
        ("* [Home](/a_(b))", True),
        ("12. [A [nested] one](https://x.example)", True),
        ("![A picture](a.png)", True),
        ("https://x.example/y", True),
        ("- see https://x.example/y", False),
        ("[Home](/) and [more](/x)", False),
        ("[Home](/) is there", False),
        ("[Home] (/)", False),
        ("[Home](/", False),
        ("[x]", False),
        ("-", False),
        ("Words.", False),
    ],
)
def test_a_line_that_is_a_link_is_told_from_one_that_has_one(line, is_link):
    assert measure(f"{line}\n\nWords of a text.\n")["link_line_frac"] == [is_link / 2]


def test_lines_of_menus_and_shops_are_counted():
    found = measure(
        "Skip to content\nAccept all cookies\nRead more\nAdd to cart\nWords.\n" + "It says: read more. " * 9
    )
    assert found["web_phrase_line_frac"] == [3 / 6]
    assert found["selling_line_frac"] == [1 / 6]


# ---------------------------------------------------------------- together


def test_measure_is_equal_when_documents_fall_into_several_batches(monkeypatch):
    documents = [ENGLISH * 2, "", FRENCH + "\n[a](b)\n", misread(GERMAN, "cp1252"), "x\n" * 20, b"\xff\xc3"]
    whole = measure(*documents)
    monkeypatch.setattr(prose_scan, "BATCH_BYTES", 50)
    assert repr(measure(*documents)) == repr(whole)


def test_measure_reads_a_slice_and_nothing():
    raw = [text.encode() for text in (ENGLISH, FRENCH, GERMAN)]
    data, offsets = np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]).astype(np.int64)
    whole, part = prose.measure(data, offsets), prose.measure(data, offsets[1:])
    assert all(repr(part[name].tolist()) == repr(whole[name][1:].tolist()) for name in whole)
    assert all(values.shape == (0,) for values in prose.measure(data, offsets[:1]).values())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_measure_takes_any_bytes(documents):
    found = measure(*documents)
    assert all(len(values) == len(documents) for values in found.values())
    # Of n-grams that overlap themselves each counts in full, so those shares have no bound.
    shares = {name: values for name, values in found.items() if name.endswith("_frac") and not name.startswith("top_")}
    assert len(shares) == 20
    assert all(0 <= share <= 1 for values in shares.values() for share in values)
