"""Lines and strings of programs against regular expressions and a dictionary, and worked examples."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import code_lines, code_strings


def count(text: str, language: str = "") -> np.ndarray:
    raw = text.encode()
    data = np.frombuffer(b"'a\n" + raw + b"assert '", np.uint8)  # neighbours must not count
    kind = code_lines.LANGUAGES.index(language) + 1 if language else 0
    return code_lines.count(data, np.array([0, 3, 3 + len(raw), data.size]), np.array([0, kind, 0]))[1]


def count_strings(text: str) -> np.ndarray:
    raw = text.encode()
    data = np.frombuffer(b"'a\n" + raw + b"'b'", np.uint8)
    return code_strings.count(data, np.array([0, 3, 3 + len(raw), data.size]))[1]


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


IN_LINE = re.compile(r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|'([^\n]*?)'|\"([^\n]*?)\"", re.DOTALL)
OVER_LINES = re.compile(r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|'(.*?)'|\"(.*?)\"", re.DOTALL)


def reference(text: str) -> dict[int, int]:
    lines = lines_of(text)
    bare = Counter(re.sub(r"\s", "", line) for line in lines)
    return {
        code_lines.N_CHARS: len(text),
        code_lines.N_LINES: len(lines),
        code_lines.N_REPEATED: sum(n for line, n in bare.items() if n > 1 and line != "}," and len(line) > 1),
        code_lines.N_HEX_CHARS: sum(map(len, re.findall(r"\b0[xX][0-9a-fA-F]+\b", text))),
        code_lines.N_ASSERT: sum("assert" in line.lower() for line in lines),
    }


def strings_reference(text: str) -> list[int]:
    strings = ["".join(groups) for groups in IN_LINE.findall(text)]
    words = [word for s in strings for word in s.split()]
    texts = ["".join(groups) for groups in OVER_LINES.findall(text)]
    n_long = sum(len(re.findall(r"\w+|[^\w\s]+", line)) > 20 for t in texts for line in t.split("\n"))
    n_long_chars = sum(len(w) for w in words if len(w) > 20 and not re.search(r"https?://.", w))
    return [sum(map(len, strings)), n_long_chars, n_long]


QUOTES = ["'", '"', "'''", '"""', "'\n", "\n", "\n\n", "\t", " "]
TEXTS = ["a", "Assert", "assert", "asse", "rt", "0x1F", "0xg", "0X", "},", "}", "é", "a b. " * 8, "x" * 11, "->", "1"]
PIECES = st.sampled_from([*QUOTES, *TEXTS, "http://", "https://a", "ß" * 21])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_counts_are_those_of_regular_expressions(text: str) -> None:
    row = count(text)
    assert {column: row[column].item() for column in reference(text)} == reference(text)
    assert count_strings(text).tolist() == strings_reference(text)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 70), st.lists(PIECES, max_size=12).map("".join))
def test_counts_do_not_depend_on_where_blocks_of_bytes_end(n: int, text: str) -> None:
    moved = " " * n + text + " " * 70
    row = count(moved)
    assert {column: row[column].item() for column in reference(moved)} == reference(moved)
    assert count_strings(moved).tolist() == strings_reference(moved)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["a", "bcdefgh", "i", " ", "\t", "\n", "a" * 8, "a" * 57]), max_size=30).map("".join))
def test_lines_are_equal_whose_visible_bytes_are(text: str) -> None:
    assert count(text)[code_lines.N_REPEATED] == reference(text)[code_lines.N_REPEATED]


def test_lines_of_other_lengths_differ_though_their_last_bytes_are_zero() -> None:
    assert count("ab\nab\0\nab\0\0\nabcdefgh\nabcdefgh\0")[code_lines.N_REPEATED] == 0
    assert count("ab\0\nab \0")[code_lines.N_REPEATED] == 2


@pytest.mark.parametrize(
    ("language", "column", "hit", "miss"),
    [
        ("C", code_lines.N_PRINT, "fprintf(f)", "print(f)"),
        ("C++", code_lines.N_PRINT, "std::cout << a", "cerr << a"),
        ("C++", code_lines.N_PRINT, "printf(a)", "Printf(a)"),
        ("C#", code_lines.N_PRINT, "Console.WriteLine(a)", "Console.Write(a)"),
        ("Go", code_lines.N_PRINT, "fmt.Println(a)", "fmt.print(a)"),
        ("Java", code_lines.N_PRINT, "System.out.println(a)", "System.err.println(a)"),
        ("JavaScript", code_lines.N_PRINT, "console.log(a)", "console.error(a)"),
        ("Python", code_lines.N_PRINT, "pprint(a)", "Print(a)"),
        ("Python", code_lines.N_IMPORT, "from a IMPORT b", "impart"),
        ("Python", code_lines.N_PASS, "bypass", "pas s"),
        ("Go", code_lines.N_IMPORT, "", 'import "fmt"'),
        ("C", code_lines.N_PREPROCESSOR, "  #  ifdef A", "# ident"),
        ("C++", code_lines.N_PREPROCESSOR, "using std::a;", "# 1"),
        ("C", code_lines.N_PREPROCESSOR, "mystruct a;", "union a;"),
        ("Java", code_lines.N_PREPROCESSOR, "", "#include struct using"),
        ("Java", code_lines.N_ASSERT, "AssertEquals(a)", "as sert"),
    ],
)
def test_what_a_line_says(language: str, column: int, hit: str, miss: str) -> None:
    assert count(f"x\n{hit} {hit}\n{miss}\n", language)[column] == (1 if hit else 0)


@pytest.mark.parametrize("n", range(56, 66))
def test_a_number_or_text_counts_whose_first_byte_ends_a_block(n: int) -> None:
    row = count(" " * n + "0x1F assert")
    assert row[[code_lines.N_HEX_CHARS, code_lines.N_ASSERT]].tolist() == [4, 1]
    assert count(" " * n + "print(a)", "Python")[code_lines.N_PRINT] == 1
    assert count(" " * n + "0y1F a\nssert p\nrint", "Python")[code_lines.N_HEX_CHARS :].any() == 0


def test_a_text_at_the_very_end_of_a_line_or_file_counts() -> None:
    assert count("a assert\nassert", "Python")[code_lines.N_ASSERT] == 2
    assert count("asser\nt", "Python")[code_lines.N_ASSERT] == 0


@pytest.mark.parametrize("n", [0, 59, 60, 61, 62, 130])
def test_a_string_ends_with_its_line_in_whatever_block_of_bytes_it_began(n: int) -> None:
    text = "'a\n" + " " * n + "b'"
    assert count_strings(text).tolist() == strings_reference(text) == [0, 0, 0]


@pytest.mark.parametrize("quote", ["'", '"', "'''", "\"'", "'\n"])
def test_many_quotes_take_one_walk(quote: str) -> None:
    assert count(quote * 50_000 + "x")[code_lines.N_LINES] >= 1
