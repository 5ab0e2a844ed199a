"""What OpenCoder's filter code takes for the code of a file (arXiv 2411.04905): its shares are of that.

It asks a highlighter for comments, and reads by hand what the highlighter does not know. Three habits decide a share
and are kept here: the highlighter of some languages has another name for comments, so that they stay code; by hand, a
line that begins with #, // or -- makes all that follows a comment, up to a line that begins or ends with a block
marker; in Perl only whole lines are comments.
"""

from functools import cache

import numpy as np

from pipeline.arrays.bits import BLOCK, NONE, between, block, lowest, tail_room
from pipeline.arrays.compiled import compiled
from pipeline.quality.comment_syntax import OF_LANGUAGE, SYNTAXES
from pipeline.quality.comments import LINE, Parts, Syntax, SyntaxTables, split, tables

BY_HAND, PERL, ALL_CODE = -3, -2, -1  # readings beside the numbers of syntaxes

# Of these the highlighter knows some kinds of comments only.
_IN_PART = {
    "Jsonnet": Syntax(("//", "#"), (), (('"', LINE), ("'", LINE)), takes_line_end=True),
    "Thrift": Syntax((), (("/*", "*/"),), (('"', LINE), ("'", LINE))),
}
_ORDER = [*SYNTAXES, *_IN_PART]


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split(","))


# Whose comments stay code.
_STAYS = _names(
    "ANTLR,ApacheConf,BibTeX,CMake,COBOL,CSS,Dockerfile,Erlang,Fortran,Gherkin,Gnuplot,GraphQL,Haml,Isabelle,Julia,LLVM,"
    "Less,Makefile,Markdown,NSIS,Nim,OCaml,PowerShell,Puppet,Rebol,Slim,Tcl,TeX,Text,Turtle,YANG,fish,reStructuredText,"
    "Diff,Twig,MATLAB,Smarty,Jinja,Stata,Raku,GAP"
)
# Whom the highlighter does not know, of those that we have a syntax for.
_UNKNOWN = _names(
    "Ant Build System,Apex,Assembly,BibTeX Style,Batchfile,Cabal Config,Cap'n Proto,Common Lisp,DTrace,Dotenv,Dune,"
    "Emacs Lisp,FlatBuffers,Fortran Free Form,G-code,GDB,Genie,Gettext Catalog,Git Attributes,Gradle,Gradle Kotlin DSL,"
    "HOCON,Hack,Ignore List,JSON with Comments,Java Properties,Java Server Pages,Lex,Linker Script,Literate Haskell,M4,"
    "M4Sugar,Maven POM,MiniYAML,Pod,Pro*C,Proguard,Protocol Buffer,Protocol Buffer Text Format,QMake,RPM Spec,"
    "RMarkdown,Rocq Prover,Roff,Roff Manpage,SMT,SVG,ShellSession,Standard ML,Stylus,Svelte,TSX,Texinfo,Unix Assembly,"
    "Vim script,Vue,WebAssembly,XML Property List,Yacc,pkg-config"
)


def reading_of(language: str) -> int:
    """How OpenCoder reads a language: a syntax's number, or one of the three above."""
    if language == "Perl":
        return PERL
    if language in _IN_PART:
        return _ORDER.index(language)
    if language in _STAYS:
        return ALL_CODE
    if language in _UNKNOWN or language not in OF_LANGUAGE:
        return BY_HAND
    return _ORDER.index(OF_LANGUAGE[language])


def syntax_of(language: str) -> int:
    """The number of a language's syntax; -1 if none is known."""
    kind = OF_LANGUAGE.get(language)
    return -1 if kind is None else _ORDER.index(kind)


@cache
def all_syntaxes() -> SyntaxTables:
    return tables([*SYNTAXES.values(), *_IN_PART.values()])


def code_of(data: np.ndarray, offsets: np.ndarray, readings: np.ndarray) -> Parts:
    """Code and comments of the documents as OpenCoder sees them."""
    parts = split(data, offsets, np.maximum(readings, ALL_CODE), all_syntaxes())
    if (readings < ALL_CODE).any():
        return _reread(data, offsets, readings, parts)
    return parts


def _reread(data: np.ndarray, offsets: np.ndarray, readings: np.ndarray, parts: Parts) -> Parts:
    code, comments = np.empty(data.size, np.uint8), np.empty(data.size, np.uint8)
    ends = np.zeros((2, offsets.size), np.int64)
    _by_hand(
        data,
        offsets,
        readings,
        (parts.code, parts.comments),
        (parts.code_offsets, parts.comment_offsets),
        (code, comments),
        ends,
        tail_room(),
    )
    return Parts(code[: ends[0, -1]], ends[0], comments[: ends[1, -1]], ends[1])


@compiled
def _by_hand(
    data: np.ndarray,
    offsets: np.ndarray,
    readings: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    part_offsets: tuple[np.ndarray, np.ndarray],
    out: tuple[np.ndarray, np.ndarray],
    ends: np.ndarray,
    room: np.ndarray,
) -> None:
    """Copy the parts of all documents to `out`, those that are read by hand anew."""
    for k in range(offsets.size - 1):
        n_code, n_comments = ends[0, k], ends[1, k]
        if readings[k] >= ALL_CODE:
            a, b = part_offsets[0][k], part_offsets[0][k + 1]
            out[0][n_code : n_code + b - a] = parts[0][a:b]
            n_code += b - a
            a, b = part_offsets[1][k], part_offsets[1][k + 1]
            out[1][n_comments : n_comments + b - a] = parts[1][a:b]
            n_comments += b - a
        else:
            in_comment = False
            i, end = offsets[k], offsets[k + 1]
            while i < end:
                to = _line_end(data, i, end, room)
                first, last = _visible(data, i, to)
                if readings[k] == PERL:
                    is_comment, in_comment = _perl_line(data, first, last, in_comment)
                else:
                    is_comment, in_comment = _line(data, first, last, in_comment)
                if is_comment:
                    out[1][n_comments : n_comments + to - i] = data[i:to]
                    n_comments += to - i
                else:
                    out[0][n_code : n_code + to - i] = data[i:to]
                    n_code += to - i
                i = to
        ends[0, k + 1], ends[1, k + 1] = n_code, n_comments


@compiled
def _line_end(data: np.ndarray, i: int, end: int, room: np.ndarray) -> int:
    """Behind the line that i is in."""
    while i < end:
        feeds = between(block(data, i, room), 10, 10)
        if feeds != NONE:
            return int(min(end, i + lowest(feeds) + 1))
        i += BLOCK
    return end


@compiled
def _visible(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    while i < end and (data[i] == 32 or 9 <= data[i] <= 13):
        i += 1
    while end > i and (data[end - 1] == 32 or 9 <= data[end - 1] <= 13):
        end -= 1
    return i, end


@compiled
def _line(data: np.ndarray, i: int, end: int, in_comment: bool) -> tuple[bool, bool]:
    """Whether a line is a comment, and whether the next one is in one."""
    if end - i >= 2:
        a, b, y, z = data[i], data[i + 1], data[end - 2], data[end - 1]
        quotes = end - i >= 3 and (
            (a == 34 and b == 34 and data[i + 2] == 34) or (y == 34 and z == 34 and data[end - 3] == 34)
        )
        if quotes or (a == 47 and b == 42) or (y == 42 and z == 47):
            return True, not in_comment
        if (a == 47 and b == 47) or (a == 45 and b == 45):
            return True, True
    if end > i and data[i] == 35:
        return True, True
    return in_comment, in_comment


@compiled
def _perl_line(data: np.ndarray, i: int, end: int, in_comment: bool) -> tuple[bool, bool]:
    if end > i and data[i] == 61:
        is_cut = end - i >= 4 and data[i + 1] == 99 and data[i + 2] == 117 and data[i + 3] == 116
        return True, not is_cut
    return in_comment or (end > i and data[i] == 35), in_comment
