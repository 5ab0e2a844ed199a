"""The share of syntax errors: sound files, broken files, and files that no parser should be let loose on."""

import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semble_grammars import available_languages

from pipeline.errors import StageError
from pipeline.syntax import parse
from pipeline.syntax.parse import GRAMMARS, node_span, parse_error_frac

SOUND = {
    "C": b"int twice(int n)\n{\n\treturn 2 * n;\n}\n",
    "Go": b"package tide\n\nfunc Twice(n int) int {\n\treturn 2 * n\n}\n",
    "Java": b"class Tide {\n    int twice(int n) { return 2 * n; }\n}\n",
    "JavaScript": b"const twice = (n) => 2 * n;\n",
    "Python": b"def twice(n):\n    return 2 * n\n",
    "Rust": b"fn twice(n: u32) -> u32 {\n    2 * n\n}\n",
    "Shell": b"twice() {\n  echo $((2 * $1))\n}\n",
    "XML": b"<tide><high at='6:10'/></tide>\n",
}
LETTER = b"Dear neighbour, the ferry will not run on Monday; please tell the others. Yours, the harbour office.\n" * 5


@pytest.mark.parametrize("language", sorted(SOUND))
def test_share_is_zero_when_a_file_is_sound(language):
    assert parse_error_frac(SOUND[language], language) == 0.0


@pytest.mark.parametrize("language", sorted(SOUND.keys() - {"Shell"}))  # to a shell, prose is a list of commands
def test_share_is_high_when_prose_poses_as_code(language):
    share = parse_error_frac(LETTER, language)
    assert share is not None
    assert share > 0.2


def test_share_is_small_when_one_line_of_many_is_broken():
    share = parse_error_frac(SOUND["Python"] * 20 + b"def (:\n" + SOUND["Python"] * 20, "Python")
    assert share is not None
    assert 0 < share < 0.05


def test_share_is_that_of_visible_bytes_and_at_most_all_of_them():
    assert parse_error_frac(b") ) )\t)\n\f\r\n", "C") == 1.0
    assert parse_error_frac(b"( // a b c d e f\n(", "C") == 1.0  # the comment lies in the error with its spaces


def test_sound_parts_do_not_count_when_an_error_stretches_over_them():
    share = parse_error_frac(b"{ {\n" + SOUND["C"] * 40, "C")  # never closed
    assert share is not None
    assert share < 0.05


@pytest.mark.parametrize("language", ["Brainfuck", "Text", "", "python"])
def test_nothing_is_parsed_when_there_is_no_grammar(language):
    assert parse_error_frac(b"int a;", language) is None


def test_share_is_zero_when_there_is_nothing_to_see():
    assert parse_error_frac(b"", "C") == 0.0
    assert parse_error_frac(b" \n\t\r\n", "C") == 0.0


def test_nothing_is_parsed_when_content_is_not_utf8():
    assert parse_error_frac(b"int a = 1; // \xff\xfe\n", "C") is None


def test_characters_above_ascii_are_letters_when_parsed():
    assert parse_error_frac("größe = '你好 \U000f0001'  # ≤\n".encode(), "Python") == 0.0
    assert parse_error_frac("{ \U000e701f; }\n".encode(), "Shell") == 0.0
    assert parse_error_frac("f(x, y) = x ∈ y && x ≤ y\n".encode(), "Julia") == 0.0


@pytest.mark.parametrize(("opening", "language"), [(b"(", "C"), (b"[", "JSON"), (b"{", "Java"), (b"a<", "C#")])
def test_nothing_is_parsed_when_brackets_nest_without_end(opening, language):
    assert parse_error_frac(opening * 30_000, language) is None


def test_nothing_is_parsed_when_brackets_close_before_they_nest():
    assert parse_error_frac(b")" * 600 + b"(" * (parse.MAX_DEPTH + 1), "C") is None


def test_a_deep_file_is_parsed_when_it_is_within_the_limit():
    depth = parse.MAX_DEPTH
    assert parse_error_frac(b"[" * depth + b"]" * depth, "JSON") == 0.0
    assert parse_error_frac(b"[" * (depth + 1) + b"]" * (depth + 1), "JSON") is None


def test_the_parser_is_stopped_when_its_steps_grow_with_the_square_of_the_length():
    assert parse_error_frac(b"<!--" * 1_000, "C") is None


def test_the_parser_is_stopped_when_it_looks_ahead_to_the_end_again_and_again():
    assert parse_error_frac(b"do " * 2_700, "Haskell") is None


# Of every grammar that was asked, what took it seconds or gigabytes for 64 kB, and no step or request showed.
@pytest.mark.parametrize(
    ("language", "repeated"),
    [("C", "a=>"), ("Java", "a=>"), ("Erlang", "a=>"), ("Haskell", "\\\n"), ("Haskell", "\\"), ("C#", "a;"),
     ("C#", '"a'), ("C#", "::a"), ("Java", "a!"), ("C++", "!a"), ("JavaScript", "a=a ")],
)  # fmt: skip
def test_what_repeats_a_few_bytes_is_not_parsed(monkeypatch, language, repeated):
    monkeypatch.setattr(parse, "_parse", None)  # nor begun
    content = (repeated * 64_000)[:64_000].encode()
    assert parse_error_frac(content, language) is None
    assert node_span(content, language, 7) is None


def test_code_that_repeats_itself_is_parsed():
    for language, text in SOUND.items():
        assert not parse.is_repetitive(text)
        assert not parse.is_repetitive(b"".join(text.replace(b"i", b"i%d" % n) for n in range(40))), language
    zeros = b"int a[] = {\n" + b"".join(b"  0, 0, 0, 0, /* %d */\n" % n for n in range(1_000)) + b"};\n"
    assert parse_error_frac(zeros, "C") == 0.0
    assert not parse.is_repetitive(b"ab" * 1_000)  # too short to cost anything


def test_a_parser_goes_on_afresh_when_the_one_before_was_stopped():
    before = parse_error_frac(SOUND["C"], "C")
    parse_error_frac(b"<!--" * 1_000, "C")
    assert parse_error_frac(SOUND["C"], "C") == before == 0.0


def test_every_grammar_is_in_the_package():
    assert set(GRAMMARS.values()) <= set(available_languages())


@pytest.mark.parametrize("language", sorted(GRAMMARS))
def test_every_grammar_loads_and_reads_garbage(language):
    share = parse_error_frac(b"\x00 )]}> if else \x7f <<< ''' \"\"\" */ --> \\\n" * 20, language)
    assert share is None or 0 <= share <= 1


@given(st.sampled_from(["C", "Python", "Shell", "JavaScript"]), st.binary(max_size=200) | st.text(max_size=200))
def test_share_stays_within_bounds_and_is_repeatable_when_given_anything(language, content):
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "ignore")
    share = parse_error_frac(raw, language)
    assert share is None or 0 <= share <= 1
    assert share == parse_error_frac(raw, language)


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout.strip()


PARSE = "from pipeline.syntax.parse import parse_error_frac as f; print(f(b'int a;', 'C'))"


def test_grammars_are_unpacked_where_the_variable_points_when_it_is_set(tmp_path):
    assert run_python(PARSE, SEMBLE_GRAMMARS_CACHE_DIR=str(tmp_path)) == "0.0"
    assert [p.name for p in tmp_path.rglob("*.so")] != []


def test_a_private_folder_is_used_when_the_cache_cannot_be_made(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    show = "; import os; d = os.environ['SEMBLE_GRAMMARS_CACHE_DIR']; print(d, os.stat(d).st_mode)"
    share, where = run_python(PARSE + show, SEMBLE_GRAMMARS_CACHE_DIR=str(blocked), TMPDIR=str(scratch)).split("\n")
    folder, mode = where.split()
    assert share == "0.0"
    assert folder.startswith(str(scratch))
    assert stat.S_IMODE(int(mode)) == 0o700
    assert list(scratch.iterdir()) == []  # gone with the process


def test_a_damaged_cache_is_passed_over_when_it_holds_no_library(tmp_path):
    run_python(PARSE, SEMBLE_GRAMMARS_CACHE_DIR=str(tmp_path))
    (library,) = tmp_path.rglob("*.so")
    library.write_bytes(b"not a library")
    assert run_python(PARSE, SEMBLE_GRAMMARS_CACHE_DIR=str(tmp_path)) == "0.0"


def test_processes_may_race_when_they_unpack_the_same_grammar(tmp_path):
    environment = os.environ | {"SEMBLE_GRAMMARS_CACHE_DIR": str(tmp_path)}
    racing = [
        subprocess.Popen([sys.executable, "-c", PARSE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [p.communicate(timeout=600)[0].strip() for p in racing] == ["0.0"] * 3
    assert len(list(tmp_path.rglob("*.so"))) == 1


def test_a_grammar_that_cannot_be_had_is_an_error_that_names_the_remedy(monkeypatch):
    def refuse(name: str) -> None:
        raise parse.UnsupportedPlatformError("Unsupported platform: system='plan9'")

    monkeypatch.setattr(parse, "get_language", refuse)
    parse._load.cache_clear()
    with pytest.raises(StageError, match=r"plan9.*quality\.parse"):
        parse_error_frac(b"int a;", "C")
    parse._load.cache_clear()


def spans(text: bytes) -> set[tuple[int, int]]:
    """Nodes of a Python file at many places, of two levels."""
    drawn = [place << 32 | level for place in range(0, 2**32, 2**26) for level in (0, 2**31)]
    return {span for one in drawn if (span := node_span(text, "Python", one)) is not None}


def test_a_node_is_an_expression_a_statement_or_a_function_and_never_all() -> None:
    text = SOUND["Python"] * 3
    found = spans(text)
    nodes = {text[a:b] for a, b in found}
    assert {b"def twice(n):\n    return 2 * n", b"return 2 * n"} <= nodes
    assert text not in nodes
    assert node_span(text, "Cobol", 7) is None
    assert node_span(b"(" * 5_000, "Python", 7) is None


def test_a_node_of_text_above_ascii_lies_where_the_bytes_do() -> None:
    text = "größe = 'ü'\nmaß = größe\n".encode()
    found = spans(text)
    assert "größe".encode() in {text[a:b] for a, b in found}
