"""Where a rights comment stands at the beginning of a file: what is said there of copyright and licence, in any style.

A file whose header alone differs is the same file; two files that share little but a long header are not. A header is
told by its bytes alone: a comment block, or lines of comments without a blank line between, before anything but the
preludes that a file must begin with (`#!`, `<?xml ...?>`, a package line), which speaks of rights. Where several such
comments follow one another, the header ends with the last that does.
"""

import numpy as np

from pipeline.arrays.columns import read_only
from pipeline.arrays.compiled import compiled

_MAX_HEADER_BYTES = 16_384  # a longer one is no header: the whole text of the Apache licence has 11,358 bytes
# What nearly every notice of rights holds, in small letters. `(c) 19..`, because `(c)` alone also numbers a list.
_RIGHTS = (
    "copyright", "copyleft", "licen", "lizenz", "spdx", "all rights", "warranty", "public domain", "permission is",
    "warranties", "this notice",
    "(c) 1", "(c) 2", "©", "лиценз", "авторск", "版权", "版權", "著作权", "著作權", "저작권", "許可",
)  # fmt: skip
# Marks that make a line a comment. Of C-like, shell, SQL and Haskell, Lisp and assembler, TeX and Erlang, Fortran,
# COBOL, Visual Basic, Vim, Batch, m4, Forth, troff, APL, J, reStructuredText and Texinfo. A space at the end of a mark
# stands for any white space, the end of the line too: a bare `dnl` goes on with the comment.
_LINES = (
    "//", "#", "--", ";", "%", "!", "*", "'", '"', "rem ", "@rem ", "::", "dnl ", "\\ ", '.\\"', "'\\\"", "⍝",
    "nb.", ".. ", "@c ", "@comment ", "c ", "c*", "c-", "c=",
)  # fmt: skip
# C, XML, Haskell, OCaml, Lua, Lisp, Julia, JSP, FreeMarker, Jinja, Handlebars, Go templates, PowerShell, Python, Ruby,
# Perl, CoffeeScript, MATLAB, D, WebAssembly, Razor, Lean, Smarty, Pascal, PlantUML, XQuery, ERB, HEEx, Django, LaTeX,
# CMake, Nim and AsciiDoc
_BLOCKS = (
    ("/*", "*/"), ("<!--", "-->"), ("{-", "-}"), ("(*", "*)"), ("--[[", "]]"), ("--[=[", "]=]"), ("#|", "|#"),
    ("#=", "=#"), ("<%--", "--%>"), ("<#--", "-->"), ("{#", "#}"), ("{{!--", "--}}"), ("{{!", "}}"),
    ("{{/*", "*/}}"), ("{{- /*", "*/ -}}"), ("<#", "#>"), ('"""', '"""'), ("'''", "'''"), ('r"""', '"""'),
    ("=begin", "\n=end"), ("=pod", "\n=cut"), ("=head", "\n=cut"), ("###\n", "\n###"), ("%{\n", "%}"), ("/+", "+/"),
    ("(;", ";)"), ("@*", "*@"), ("/-", "-/"), ("{*", "*}"), ("{ ", "}"), ("{\n", "}"), ("/'", "'/"), ("(:", ":)"),
    ("<%#", "%>"), ("<%!--", "--%>"), ("{% comment %}", "{% endcomment %}"), ("\\begin{comment}", "\\end{comment}"),
    ("#[[", "]]"), ("#[ ", "]#"), ("////\n", "\n////"),
)  # fmt: skip
# What may stand before the header, and where it ends; "" ends at once. It counts like the rest of the file.
_PRELUDES = (
    ("\ufeff", ""), ("#!", "\n"), ("<?php", ""), ("<?hh", ""), ("<?xml", "?>"), ("<?", "?>"), ("<!doctype", ">"),
    ("<html", ">"), ("<svg", ">"), ("<%@", "%>"), ("package ", "\n"), ("namespace ", "\n"), ("declare(", "\n"),
    ("syntax", "\n"), ("%yaml", "\n"), ("---\n", ""), ("'use strict'", "\n"), ('"use strict"', "\n"),
    ("use strict", "\n"), ("@charset", "\n"), ("@echo off", "\n"), ("option explicit", "\n"), ("#lang", "\n"),
    ("#pragma", "\n"), ("#ifndef", "\n"), ("#define", "\n"), ("%!ps", "\n"), ("`timescale", "\n"),
    ("`default_nettype", "\n"), ("`ifndef", "\n"), ("`define", "\n"),
)  # fmt: skip
# A `#` before a letter is a comment unless it begins one of these.
_DIRECTIVES = (
    "include",
    "import",
    "if",
    "elif",
    "else",
    "endif",
    "undef",
    "error",
    "warning",
    "using",
    "region",
    "line",
)
_LINE, _BLOCK, _PRELUDE, _CODE = range(4)


def _packed(words: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The words one after another, and where each begins."""
    ends = np.concatenate(([0], np.cumsum([len(w) for w in words]))).astype(np.int64)
    return np.frombuffer(b"".join(words), np.uint8), ends


def _patterns() -> tuple[np.ndarray, ...]:
    """Where each first byte's marks begin, the longest first; their kinds, the marks, and what ends them."""
    found = [(mark, "\n", _LINE) for mark in _LINES] + [(a, b, _BLOCK) for a, b in _BLOCKS]
    found += [(a, b, _PRELUDE) for a, b in _PRELUDES] + [("#" + word, "\n", _CODE) for word in _DIRECTIVES]
    found.sort(key=lambda p: (p[0].encode()[0], -len(p[0]), p[2]))
    first = np.searchsorted([mark.encode()[0] for mark, _, _ in found], np.arange(257)).astype(np.int64)
    kinds = np.array([kind for _, _, kind in found], np.int64)
    marks, mark_ends = _packed([mark.encode() for mark, _, _ in found])
    closes, close_ends = _packed([close.encode() for _, close, _ in found])
    return first, kinds, marks, mark_ends, closes, close_ends


_PATTERNS = _patterns()
_RIGHTS_PACKED = _packed([word.encode() for word in _RIGHTS])


def _begins_right() -> np.ndarray:
    """Which bytes may begin a word of rights."""
    table = np.zeros(256, np.bool_)
    for word in _RIGHTS:
        table[[word.encode()[0], word.upper().encode()[0]]] = True
    return table


_BEGINS_RIGHT = _begins_right()


@compiled
def _stands(data: np.ndarray, place: int, stop: int, words: np.ndarray, begin: int, end: int) -> bool:
    """Whether words[begin:end] stands at `place`, ASCII letters without case."""
    if place + end - begin > stop:
        return False
    for k in range(end - begin):
        here, wanted = data[place + k], words[begin + k]
        is_letter = 97 <= wanted <= 122
        if (here | 0x20 if is_letter else here) != wanted:
            return False
    return True


@compiled
def _find(data: np.ndarray, place: int, stop: int, words: np.ndarray, begin: int, end: int) -> int:
    """The place behind the first words[begin:end] from `place` on; -1 if there is none."""
    for i in range(place, stop):
        if data[i] == words[begin] and _stands(data, i, stop, words, begin, end):
            return i + end - begin
    return -1


@compiled
def _line_end(data: np.ndarray, place: int, stop: int) -> int:
    while place < stop and data[place] != 10:
        place += 1
    return place


@compiled
def _speaks(data: np.ndarray, start: int, stop: int, rights: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether data[start:stop] speaks of rights."""
    words, ends = rights
    for i in range(start, stop):
        if _BEGINS_RIGHT[data[i]]:
            for w in range(ends.size - 1):
                if _stands(data, i, stop, words, ends[w], ends[w + 1]):
                    return True
    return False


@compiled
def _is_meant(data: np.ndarray, place: int, stop: int, at_margin: bool) -> bool:
    """Whether a mark that also means something else is a comment here."""
    byte = data[place] | 0x20 if 65 <= data[place] <= 90 else data[place]
    if byte == 99:  # C in the first column of Fortran
        return at_margin
    if byte == 123 and data[place + 1] <= 32:  # { of Pascal, not of JSON
        while place + 1 < stop and data[place + 1] <= 32:
            place += 1
        return place + 1 < stop and (97 <= data[place + 1] | 0x20 <= 122 or data[place + 1] == 40)
    if byte == 34 or byte == 39:  # a quote of Vim and Visual Basic, not of a string that ends in its line
        end = _line_end(data, place, stop)
        while end > place + 1 and (data[end - 1] <= 32 or data[end - 1] == 59):
            end -= 1
        return end == place + 1 or data[end - 1] != byte
    return True


@compiled
def _match(data: np.ndarray, place: int, stop: int, at_margin: bool, patterns: tuple[np.ndarray, ...]) -> int:
    """The number of the longest mark that stands at `place`; -1 if none does."""
    first, kinds, marks, mark_ends, _, _ = patterns
    byte = data[place] | 0x20 if 65 <= data[place] <= 90 else data[place]
    for p in range(first[byte], first[byte + 1]):
        end = mark_ends[p + 1]
        if kinds[p] == 0 and marks[end - 1] == 32:
            end -= 1
            behind = place + end - mark_ends[p]
            if behind < stop and data[behind] > 32:
                continue
        if _stands(data, place, stop, marks, mark_ends[p], end):
            is_long = mark_ends[p + 1] - mark_ends[p] > 2
            if is_long or kinds[p] > 1 or _is_meant(data, place, stop, at_margin):
                return p
    return -1


@compiled
def _says_little(data: np.ndarray, start: int, stop: int) -> bool:
    """Whether a line of a comment divides paragraphs: no letters and digits but those of a mark, of which `rem` and
    `dnl` have three."""
    n = 0
    for byte in data[start:stop]:
        n += 48 <= byte <= 57 or 97 <= byte | 0x20 <= 122 or byte >= 0x80
        if n > 3:
            return False
    return True


@compiled
def _rights_in(data: np.ndarray, start: int, stop: int, rights: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    """From the first to behind the last paragraph of the comment data[start:stop] that speaks of rights, with the marks
    around where no words stand before or behind; -1 and -1 if none does."""
    begin, end, paragraph, place = -1, -1, start, start
    is_first, is_last = True, True
    while place < stop:
        behind = min(_line_end(data, place, stop) + 1, stop)
        if _speaks(data, place, behind, rights):
            begin = begin if begin >= 0 else paragraph
            end, is_last = behind, True
        elif _says_little(data, place, behind):
            paragraph = paragraph if is_first else behind
        elif end >= 0 and end >= paragraph:
            end = behind
        else:
            is_last = False
        is_first = is_first and _says_little(data, place, behind)
        place = behind
    return begin, stop if is_last and begin >= 0 else end


@compiled
def _run_end(data: np.ndarray, place: int, stop: int, patterns: tuple[np.ndarray, ...]) -> int:
    """The end of the lines of comments that begin at `place`, without a blank line between."""
    end = _line_end(data, place, stop)
    while end < stop:
        line = end + 1
        place = line
        while place < stop and data[place] <= 32 and data[place] != 10:
            place += 1
        if place >= stop or data[place] == 10:
            break
        p = _match(data, place, stop, place == line, patterns)
        if p < 0 or patterns[1][p] != 0:
            break
        end = _line_end(data, place, stop)
    return end


@compiled
def _find_header(
    data: np.ndarray,
    start: int,
    stop: int,
    patterns: tuple[np.ndarray, ...],
    rights: tuple[np.ndarray, np.ndarray],
) -> tuple[int, int]:
    """Begin and end of the header of data[start:stop]; twice the start if there is none."""
    _, kinds, _, mark_ends, closes, close_ends = patterns
    begin, end, place = -1, -1, start
    at_margin = True
    while place < stop:
        if data[place] <= 32:
            at_margin = data[place] == 10
            place += 1
            continue
        p = _match(data, place, stop, at_margin, patterns)
        if p < 0 or kinds[p] == 3 or (kinds[p] == 2 and begin >= 0):
            break
        if kinds[p] == 0:
            behind = _run_end(data, place, stop, patterns)
        else:
            behind = place + mark_ends[p + 1] - mark_ends[p]
            if close_ends[p + 1] > close_ends[p]:
                behind = _find(data, behind, stop, closes, close_ends[p], close_ends[p + 1])
                if behind < 0:
                    break
        if kinds[p] < 2:
            first, last = _rights_in(data, place, behind, rights)
            if first >= 0:
                begin, end = begin if begin >= 0 else first, last
        place, at_margin = behind, False
    return (begin, end) if begin >= 0 else (start, start)


@compiled
def _find_all(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    patterns: tuple[np.ndarray, ...],
    rights: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    for d in range(starts.size):
        stop = min(stops[d], starts[d] + _MAX_HEADER_BYTES)
        out[d, 0], out[d, 1] = _find_header(data, starts[d], stop, patterns, rights)


def find_headers(data: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Where the rights comment of each document data[starts[d]:stops[d]] begins and ends, int64 [n, 2]; equal: none."""
    out = np.empty((starts.size, 2), np.int64)
    _find_all(read_only(data), starts, stops, _PATTERNS, _RIGHTS_PACKED, out)
    return out
