"""The lexer of comments: worked examples by language, and a plain implementation by regular expressions."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality.comment_syntax import OF_LANGUAGE, SYNTAXES
from pipeline.quality.comments import MAX_CHAR_BYTES, count_chars, split, tables
from pipeline.quality.opencoder_code import ALL_CODE, BY_HAND, PERL, all_syntaxes, code_of, reading_of, syntax_of

NAMES = list(SYNTAXES)
TABLES = tables(list(SYNTAXES.values()))


def pack(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), offsets


def parts(text: str, kind: str) -> tuple[str, str]:
    """Code and comments of one document of a syntax, and nothing of its neighbours."""
    data, offsets = pack([b"'", text.encode(), b'"'])
    found = split(data, offsets, np.array([-1, NAMES.index(kind), -1]), TABLES)
    code = found.code[found.code_offsets[1] : found.code_offsets[2]].tobytes().decode()
    comments = found.comments[found.comment_offsets[1] : found.comment_offsets[2]].tobytes().decode()
    n_chars = count_chars(data, offsets, np.array([-1, NAMES.index(kind), -1]), TABLES)
    assert n_chars.tolist() == [0, len(comments), 0]
    return code, comments


@pytest.mark.parametrize(
    ("language", "text", "comments"),
    [
        ("C", "a // b\nc /* d\n */ e", "// b\n/* d\n */"),
        ("C", 'x = "// no"; y = \'"\'; // yes', "// yes"),
        ("C", '"a\\"// no"', ""),
        ("C", '"open\n// yes', "// yes"),  # a string of a line ends with it
        ("C", "/* never closed", "/* never closed"),
        ("C", "/* no /* nesting */ b */", "/* no /* nesting */"),
        ("Rust", "/* a /* b */ c */ d", "/* a /* b */ c */"),
        ("Rust", "fn f<'a>(x: &'a str) // é", "// é"),
        ("Rust", "'\"' '\\u{10ffff}' // c", "// c"),
        ("Go", "`// no\n` // yes\n", "// yes"),
        ("JavaScript", "`a\n// no ${x}` // yes", "// yes"),
        ("Java", '"""\n// no "\n""" // yes', "// yes"),
        ("Python", 'x = """# no"""  # yes\n"""doc\nstring"""\ny', '# yes"""doc\nstring"""'),
        ("Python", "def f():\n    '''doc'''\n    return ''", "'''doc'''"),
        ("Python", "r'''\n'''", ""),  # a string with a prefix does not begin its line
        ("Shell", "echo a#b $# ${x#y} # yes\n", "# yes\n"),
        ("Shell", "echo 'a\n# no' \\# no; # yes", "# yes"),
        ("YAML", "url: a#b # yes", "# yes"),
        ("YAML", "it's # yes", "# yes"),
        ("SQL", "select 'it''s -- no' -- yes\n", "-- yes\n"),
        ("VHDL", "a <= '\"'; -- yes", "-- yes"),
        ("Verilog", "a = 8'hff; // yes", "// yes"),
        ("Haskell", "f' x = {- a {- b -} c -} x -- yes", "{- a {- b -} c -}-- yes"),
        ("OCaml", "(* a (* b *) c *) let x = '\"' (* d *)", "(* a (* b *) c *)(* d *)"),
        ("Lua", "a --[[ b\nc ]] d -- e", "--[[ b\nc ]]-- e"),
        ("Ruby", "=begin\na\n=end\nx=begin", "=begin\na\n=end"),
        ("Perl", "$x = 1;\n=head1 A\ntext\n=cut\n$y", "=head1 A\ntext\n=cut"),
        ("TeX", "50\\% no % yes", "% yes"),
        ("Scheme", '#\\; no "; no" ; yes', "; yes"),
        ("Racket", "#| a #| b |# c |# d", "#| a #| b |# c |#"),
        ("Fortran", "x = '!' ! yes", "! yes"),
        ("Vim script", 'let a = "no"\n  " yes', '" yes'),
        ("HTML", "<p> it's <!-- a\n --> b", "<!-- a\n -->"),
        ("Batchfile", "echo REM no\nREM yes\n:: too", "REM yes:: too"),
        ("INI", "a = b ; no\n; yes\n# yes", "; yes# yes"),
        ("Roff", '.\\" yes\ntext \\" too', '.\\" yes\\" too'),
        ("Pascal", "{ a } (* b *) 'it''s { no }' // c", "{ a }(* b *)// c"),
        ("CMake", "#[[ a\nb ]] c # d", "#[[ a\nb ]]# d"),
        ("Assembly", "mov r0, #12 @ yes", "@ yes"),
        ("Texinfo", "@code{a}\n@c yes", "@c yes"),
    ],
)
def test_comments_of_a_language(language: str, text: str, comments: str) -> None:
    code, found = parts(text, OF_LANGUAGE[language])
    assert found == comments
    assert len(code) + len(found) == len(text)


def test_every_syntax_serves_a_language_and_fits_the_tables() -> None:
    assert set(OF_LANGUAGE.values()) == set(SYNTAXES)
    for name, syntax in SYNTAXES.items():
        assert len(syntax.lines) <= 4, name
        assert len(syntax.blocks) <= 3, name


PIECES = st.sampled_from(
    [
        "//",
        "/*",
        "*/",
        "#",
        "--",
        "'",
        '"',
        "`",
        "\\",
        "\n",
        " ",
        "a",
        "é",
        "'''",
        '"""',
        "0",
        "''",
        "\t",
        "x'",
        "/",
        "*",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)
BLOCK = r"/\*(?s:.*?)(?:\*/|\Z)"
STRING = r"{q}(?:\\(?s:.)|[^\\\n{q}])*(?:{q}|(?=\n)|\Z|\\\Z)"
TRIPLE = r"(?:{q}{{3}}(?:\\(?s:.)|(?s:.))*?(?:{q}{{3}}|\Z))"
QUOTED = STRING.format(q='"'), STRING.format(q="'")
# Comments in group 1, strings without a group, in the order in which the lexer asks.
PLAIN = {
    "c": rf"(//[^\n]*\n?|{BLOCK})|" + "|".join(QUOTED),
    "go": rf"(//[^\n]*|{BLOCK})|" + "|".join(QUOTED) + r"|`[^`]*(?:`|\Z)",
    "css": rf"({BLOCK})|" + "|".join(QUOTED),
    "sql": rf"(--[^\n]*\n?|{BLOCK})|\"[^\"\n]*(?:\"|(?=\n)|\Z)|'[^'\n]*(?:'|(?=\n)|\Z)",
    "hash": r"(#[^\n]*)|" + "|".join(QUOTED),
    "java": rf"(//[^\n]*|{BLOCK})|" + "|".join((TRIPLE.format(q='"'), TRIPLE.format(q="'"), *QUOTED)),
    "config": r"((?:(?<=[\s&();{|}])|\A)#[^\n]*)",
    "python": r"(#[^\n]*|(?:(?<=\n)|\A)[ \t]*(?:" + TRIPLE.format(q='"') + "|" + TRIPLE.format(q="'") + "))|"
    + "|".join((TRIPLE.format(q='"'), TRIPLE.format(q="'"), *QUOTED)),
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(sorted(PLAIN)))
def test_it_finds_what_regular_expressions_find(text: str, kind: str) -> None:
    found = [m.group(1) for m in re.finditer(PLAIN[kind], text) if m.group(1)]
    if kind == "python":  # the indentation of a docstring is code
        found = [f if f.startswith("#") else f.lstrip(" \t") for f in found]
    assert parts(text, kind)[1] == "".join(found)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(NAMES))
def test_every_byte_is_code_or_comment_whatever_the_bytes(raw: bytes, kind: str) -> None:
    data, offsets = pack([raw, raw])
    found = split(data, offsets, np.full(2, NAMES.index(kind)), TABLES)
    code, comments = found.code.tobytes(), found.comments.tobytes()
    assert sorted(code + comments) == sorted(raw + raw)
    assert found.code_offsets[1] * 2 == len(code)


def test_a_quote_opens_a_character_only_where_one_closes_soon() -> None:
    assert parts("'\\" + "u" * (MAX_CHAR_BYTES - 2) + "' // c", "rust")[1] == "// c"
    assert parts("'\\" + "u" * MAX_CHAR_BYTES + "'// c'", "rust")[1] == "// c'"
    assert parts("'ab'// c", "rust")[1] == "// c"


def test_a_language_has_its_own_comments_and_those_of_the_published_code() -> None:
    readings = {name: reading_of(name) for name in ("Perl", "CMake", "Dune", "Batchfile", "Java")}
    assert readings == {
        "Perl": PERL,
        "CMake": ALL_CODE,
        "Dune": BY_HAND,
        "Batchfile": BY_HAND,
        "Java": syntax_of("Java"),
    }
    assert reading_of("no such language") == BY_HAND
    assert syntax_of("no such language") == -1
    assert syntax_of("CMake") >= 0
    assert reading_of("Jsonnet") == len(NAMES) != syntax_of("Jsonnet")  # whose blocks its highlighter does not know
    assert read("a /* b */ // c\n", reading_of("Jsonnet")) == ("a /* b */ ", "// c\n")
    assert read("a /* b */ // c\n", reading_of("Thrift")) == ("a  // c\n", "/* b */")
    assert len(all_syntaxes().flags) == len(NAMES) + 2


def read(text: str, reading: int) -> tuple[str, str]:
    data, offsets = pack([b"a // b\n", text.encode(), b"c"])
    found = code_of(data, offsets, np.array([NAMES.index("c"), reading, ALL_CODE]))
    code, comments = found.code.tobytes().decode(), found.comments.tobytes().decode()
    assert code.startswith("a ") and code.endswith("c") and comments.startswith("// b\n")
    return code[2:-1], comments[5:]


def test_by_hand_a_line_comment_goes_on_until_a_block_marker() -> None:
    assert read("x\n# a\ny\n/* b */\nz\n", BY_HAND) == ("x\nz\n", "# a\ny\n/* b */\n")
    assert read("x # a\n-- b\n", BY_HAND) == ("x # a\n", "-- b\n")
    assert read('"""\na\n"""\nb\n', BY_HAND) == ("b\n", '"""\na\n"""\n')
    assert read("  // a\nb", BY_HAND) == ("", "  // a\nb")
    assert read("a\n\n-\n", BY_HAND) == ("a\n\n-\n", "")


def test_in_perl_whole_lines_are_comments_and_documentation_ends_with_cut() -> None:
    assert read("x # a\n# b\n=pod\nc\n=cut\ny\n", PERL) == ("x # a\ny\n", "# b\n=pod\nc\n=cut\n")
    assert read("=over\nx", PERL) == ("", "=over\nx")


@pytest.mark.parametrize(
    "text", ["/*" * 30_000, '"' * 60_000, "'" * 60_001, "#\\" * 30_000, "(*" * 30_000, '"""' * 20_000]
)
def test_no_document_takes_more_than_a_walk(text: str) -> None:
    data, offsets = pack([text.encode()])
    for kind in range(len(NAMES)):
        found = split(data, offsets, np.array([kind]), TABLES)
        assert found.code.size + found.comments.size == len(text)
