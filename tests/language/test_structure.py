# ruff: noqa: RUF001 (other alphabets are the point)
"""Program text whose strings are in any script, and running text under any name. All of it is made up here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.decide import classify_batch, classify_one
from pipeline.language.structure import MIN_FRAC, MIN_NAMED_FRAC, program_frac, structure_of

CHINESE = (
    "雾从海上来的时候，灯已经亮了一个小时，屋里没有人谈起它。",
    "大家以前都见过这样的雾，也知道到了早晨它就会自己散去。",
    "老人又往火里添了一根柴，然后拿起了那本一直没有读完的书。",
    "外面有人敲门，他提着灯走过去，门口站着浑身湿透的邻居。",
)
RUSSIAN = (
    "Лампа горела уже час, когда с моря пришёл туман и закрыл дорогу.",
    "Никто в доме не говорил о нём, потому что все видели его и раньше.",
    "Старик подбросил в огонь полено, сел в кресло и взял свою книгу.",
    "Потом кто-то постучал, и он пошёл открывать с лампой в руке.",
)
HINDI = (
    "समुद्र से कोहरा आया तब दीपक एक घंटे से जल रहा था और सब चुप थे।",
    "घर में किसी ने उसकी बात नहीं की क्योंकि सबने उसे पहले देखा था।",
    "बूढ़े ने आग में एक लकड़ी और डाली और अपनी किताब उठा ली।",
    "फिर किसी ने दरवाज़ा खटखटाया और वह दीपक लेकर बाहर गया।",
)
SCRIPTS = (CHINESE, RUSSIAN, HINDI)
# How one line of a translation looks: JavaScript, Ruby, Go, Python, PHP, properties, gettext, Swift, Dart, Java, YAML.
FORMS = {
    "zh.js": ("export default {{\n{}}}\n", "  line{n}: '{text}',\n"),
    "ru.rb": ("module Lamp\n  T = {{\n{}  }}\nend\n", "    'line{n}' => '{text}',\n"),
    "hi.go": ("package lamp\n\nvar t = map[string]string{{\n{}}}\n", '\t"{text}": "{text}",\n'),
    "texts.py": ("{}", 'LINE_{n} = "{text}"\n'),
    "zh.php": ("<?php\nreturn [\n{}];\n", "    '{n}' => '{text}',\n"),
    "ru.properties": ("{}", "lamp.line{n}={text}\n"),
    "hi.po": ("{}", 'msgid "line {n}"\nmsgstr "{text}"\n\n'),
    "zh.strings": ("{}", '"line{n}" = "{text}";\n'),
    "ru.dart": ("class T {{\n{}}}\n", "  String get line{n} => '{text}';\n"),
    "T.java": ("class T {{\n{}}}\n", '    {{"line{n}", "{text}"}},\n'),
    "hi.yml": ("hi:\n{}", "  line_{n}: {text}\n"),
    "one.js": ("t.add('zh',{{{}}})", '"line{n}":"{text}",'),
}
REFLOG = "".join(
    f"{n:040x} {n + 1:040x} 李明 <li@example.org> {1_700_000_000 + n} +0800\tcommit: {CHINESE[n % 4]}\n"
    for n in range(9)
)
MAILMAP = "".join(f"{name} <{n}@example.org> <old{n}@example.net>\n" for n, name in enumerate(("李明", "Ада Кирк") * 4))
API_DUMP = "".join(
    f"public final class lamp/Lamp{n} {{\n\tpublic fun <init> (I)V\n\tpublic final fun getLit ()Z\n}}\n\n"
    for n in range(3)
)


def translation(name: str, texts: tuple[str, ...]) -> bytes:
    frame, line = FORMS[name]
    return frame.format("".join(line.format(n=n, text=text) for n, text in enumerate(texts * 3))).encode()


@pytest.mark.parametrize("texts", SCRIPTS, ids=["Chinese", "Russian", "Hindi"])
@pytest.mark.parametrize("name", FORMS)
def test_a_table_of_strings_is_code_in_any_script(name: str, texts: tuple[str, ...]) -> None:
    content = translation(name, texts)
    named, nameless = classify_batch([name, ""], [content] * 2)
    assert (named.pool, nameless.pool) == ("code", "code")
    assert "Text" not in (named.language, nameless.language)


@pytest.mark.parametrize("texts", SCRIPTS, ids=["Chinese", "Russian", "Hindi"])
def test_running_text_is_text_under_a_name_of_code_and_without_a_name(texts: tuple[str, ...]) -> None:
    essay = "\n\n".join(texts * 4).encode()
    letter = "\n".join((*texts, *texts)).encode()
    names = ["notes.js", "notes.py", "notes.yaml", "", "notes", "notes.txt"]
    found = classify_batch(names * 2, [essay] * 6 + [letter] * 6)
    assert {(one.pool, one.language) for one in found} == {("text", "Text")}


@pytest.mark.parametrize(("name", "content"), [("logs/HEAD", REFLOG), (".mailmap", MAILMAP), ("lamp.api", API_DUMP)])
def test_lists_that_tools_write_are_no_text(name: str, content: str) -> None:
    assert {one.pool for one in classify_batch([name, ""], [content.encode()] * 2)} == {"code"}


def test_what_is_certainly_code_is_other_code_and_what_is_only_a_list_stays_unknown() -> None:
    dump, log = classify_batch(["", ""], [API_DUMP.encode(), REFLOG.encode()])
    assert (dump.language, dump.decided_by, dump.confidence) == ("Other code", "structure", 0.95)
    assert (log.language, log.decided_by, log.content_kind) == ("Unknown", "none", "data")
    circuit = classify_one("amplifier.cir", b"* an amplifier\nR1 1 2 10k\nC1 2 0 1u\n.tran 1n 1u\n.end\n")
    assert (circuit.pool, circuit.language, circuit.decided_by) == ("code", "Other code", "extension")


def test_the_two_shares_are_of_lines() -> None:
    prose = "The lamp burned.\nNobody spoke of it.\nThe fog came in.\n"
    assert structure_of(prose.encode()) == (0, 0)
    assert structure_of(b"") == structure_of(b" \n") == (0, 0)
    assert structure_of((prose + 'lit = "yes"\n').encode()) == (0, 0)  # one line may be chance
    assert structure_of((prose + 'lit = "yes"\n' * 3).encode()) == (0.5, 0.5)
    assert structure_of((prose + "Ada <ada@example.org>\n" * 3).encode()) == (0, 0.5)
    assert MIN_NAMED_FRAC < MIN_FRAC <= 0.5


def test_records_have_one_number_of_separators() -> None:
    rows = [f"{n};lamp {n};old, but it burns" for n in range(6)]
    assert structure_of("\n".join(rows).encode()).machine == 1
    assert structure_of("\n".join(rows[:3]).encode()).machine == 0  # three may be chance
    quoted = [f'{n},"lamp, {"old, " * n}dim",lit' for n in range(6)]
    assert structure_of("\n".join(quoted).encode()).machine == 1
    verse = "The lamp, the sea\nThe fog, the night\nThe man, his book\nThe fire, the light\n"
    assert structure_of(verse.encode()).machine == 0  # a comma in every line is verse


@given(st.binary(max_size=400))
def test_shares_lie_between_0_and_1_whatever_the_bytes(head: bytes) -> None:
    program, machine = structure_of(head)
    assert 0 <= program <= machine <= 1
    assert program_frac(head) == program
