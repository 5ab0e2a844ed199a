"""Take programs apart into code and comments, compiled: a lexer that knows markers and strings, no grammar.

A comment is what stands behind a line marker or between a pair of block markers, outside strings. What each language
has of them stands in `comment_syntax.py`. Where a file does not keep to its language (a quote in a here-document or in
a regular expression), most strings end with their line, so that a mistake stays in its line.

Every byte is visited a bounded number of times, whatever the file holds. What may begin or end something is looked for
64 bytes at a time as bits (`arrays/bits.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays.bits import BLOCK, NONE, block, equal, lowest, tail_room
from pipeline.arrays.compiled import compiled

# What a quote opens. A string of a LINE ends at its quote or with the line, one of a SPAN goes on over lines, in both a
# backslash takes the next character along; RAW spans lines without escapes; CHAR is one character or escape in quotes,
# and a quote without such is none (Rust's 'a, Verilog's 8'd1); DOUBLED ends with the line and writes its quote twice.
LINE, SPAN, RAW, CHAR, DOUBLED = 1, 2, 3, 4, 5
MAX_CHAR_BYTES = 12  # of what CHAR takes: '\u{10ffff}' is the longest

# Where a line marker counts.
ANYWHERE, AFTER_SPACE, LINE_START, FIRST_COLUMN = 0, 1, 2, 3


@dataclass(frozen=True)
class Syntax:
    """Comments and strings of some languages."""

    lines: tuple[str, ...] = ()  # at most four, of one to four bytes
    blocks: tuple[tuple[str, str], ...] = ()  # at most three
    strings: tuple[tuple[str, int], ...] = ()  # a quote and what it opens
    where: int = ANYWHERE  # for `lines`
    nested: bool = False  # blocks hold blocks
    blocks_at_line_start: bool = False
    triple: bool = False  # three quotes open a string that ends with three
    doc: bool = False  # such a string that begins its line is a comment: Python's docstrings
    escapes: bool = False  # a backslash outside strings takes the next character along
    # Whether the line end behind a line comment goes with it; decides only how lines are counted.
    takes_line_end: bool = False


_N_LINES, _N_BLOCKS, _MARK_BYTES = 4, 3, 9  # places in a table; a marker has at most eight bytes
_MOST_STARTS = _N_LINES + _N_BLOCKS + 4  # bytes that may begin something: three kinds of quotes and the backslash too
_MARK, _OPEN, _QUOTE, _ESCAPE = 1, 2, 4, 8  # what a byte may begin
_LF, _BACKSLASH = np.uint8(10), np.uint8(92)  # of one type with the bytes that they are looked for with
(_WHERE, _NESTED, _AT_START, _TRIPLE, _DOC, _TAKES) = range(6)


@dataclass(frozen=True)
class SyntaxTables:
    """Syntaxes as arrays, one entry each."""

    begins: np.ndarray  # uint8 [n, 256]: what a byte may begin
    starts: np.ndarray  # uint8 [n, 1 + bytes]: how many bytes may begin something, and which
    quotes: np.ndarray  # uint8 [n, 256]: what a quote opens
    marks: np.ndarray  # uint8 [n, lines + opens + closes, 1 + bytes], the length first
    flags: np.ndarray  # int64 [n, 6]


def tables(syntaxes: Sequence[Syntax]) -> SyntaxTables:
    n = len(syntaxes)
    begins, quotes = np.zeros((n, 256), np.uint8), np.zeros((n, 256), np.uint8)
    marks = np.zeros((n, _N_LINES + 2 * _N_BLOCKS, _MARK_BYTES), np.uint8)
    flags = np.zeros((n, 6), np.int64)
    starts = np.zeros((n, 1 + _MOST_STARTS), np.uint8)
    for k, syntax in enumerate(syntaxes):
        opens, closes = [pair[0] for pair in syntax.blocks], [pair[1] for pair in syntax.blocks]
        for first, texts in ((0, syntax.lines), (_N_LINES, opens), (_N_LINES + _N_BLOCKS, closes)):
            for place, text in enumerate(texts, start=first):
                marks[k, place, 0] = len(text)
                marks[k, place, 1 : 1 + len(text)] = list(text.encode())
        for bit, texts in ((_MARK, syntax.lines), (_OPEN, opens)):
            for text in texts:
                begins[k, ord(text[0])] |= bit
        for quote, opened in syntax.strings:
            begins[k, ord(quote)] |= _QUOTE
            quotes[k, ord(quote)] = opened
        begins[k, _BACKSLASH] |= _ESCAPE * syntax.escapes
        some = np.flatnonzero(begins[k])
        starts[k, : 1 + some.size] = [some.size, *some]
        flags[k] = (
            syntax.where,
            syntax.nested,
            syntax.blocks_at_line_start,
            syntax.triple,
            syntax.doc,
            syntax.takes_line_end,
        )
    return SyntaxTables(begins, starts, quotes, marks, flags)


@dataclass(frozen=True)
class Parts:
    """Code and comments of documents, each end to end as bytes with the offsets of its documents."""

    code: np.ndarray
    code_offsets: np.ndarray
    comments: np.ndarray
    comment_offsets: np.ndarray


def split(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray, syntaxes: SyntaxTables) -> Parts:
    """Take data[offsets[k]:offsets[k + 1]] apart by syntax number kinds[k] (int64; -1: all of it is code)."""
    code, comments = np.empty(data.size, np.uint8), np.empty(data.size, np.uint8)
    ends = np.zeros((2, offsets.size), np.int64)
    _split(data, offsets, kinds, _arrays(syntaxes), tail_room(), code, comments, ends)
    return Parts(code[: ends[0, -1]], ends[0], comments[: ends[1, -1]], ends[1])


def count_chars(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray, syntaxes: SyntaxTables) -> np.ndarray:
    """Characters in comments, int64 [n], of documents of syntax kinds[k]; 0 for kind -1."""
    return _count_chars(data, offsets, kinds, _arrays(syntaxes), tail_room())


_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # of a `SyntaxTables`


def _arrays(syntaxes: SyntaxTables) -> _Arrays:
    return syntaxes.begins, syntaxes.starts, syntaxes.quotes, syntaxes.marks, syntaxes.flags


@compiled
def _count_chars(
    data: np.ndarray,
    offsets: np.ndarray,
    kinds: np.ndarray,
    arrays: _Arrays,
    room: np.ndarray,
) -> np.ndarray:
    counts = np.zeros(offsets.size - 1, np.int64)
    for k in range(offsets.size - 1):
        start, end, kind = offsets[k], offsets[k + 1], kinds[k]
        i = start if kind >= 0 else end
        n = 0
        while i < end:
            at, i = _next(data, start, i, end, kind, arrays, room)
            for place in range(at, i):
                n += data[place] & 0xC0 != 0x80
        counts[k] = n
    return counts


@compiled
def _split(
    data: np.ndarray,
    offsets: np.ndarray,
    kinds: np.ndarray,
    arrays: _Arrays,
    room: np.ndarray,
    code: np.ndarray,
    comments: np.ndarray,
    ends: np.ndarray,
) -> None:
    n_code = n_comments = 0
    for k in range(offsets.size - 1):
        start, end, kind = offsets[k], offsets[k + 1], kinds[k]
        i = start
        while i < end:
            at = end if kind < 0 else 0
            to = end
            if kind >= 0:
                at, to = _next(data, start, i, end, kind, arrays, room)
            code[n_code : n_code + at - i] = data[i:at]
            n_code += at - i
            comments[n_comments : n_comments + to - at] = data[at:to]
            n_comments += to - at
            i = to
        ends[0, k + 1], ends[1, k + 1] = n_code, n_comments


@compiled
def _next(
    data: np.ndarray, start: int, i: int, end: int, kind: int, arrays: _Arrays, room: np.ndarray
) -> tuple[int, int]:
    """The next comment at or behind i, as the bytes that it has; (end, end) if there is none."""
    begins, starts, quotes, marks, flags = arrays
    while True:
        i = _start(data, i, end, starts[kind], room)
        if i >= end:
            return end, end
        may = begins[kind, data[i]]
        # Blocks first: Lua's begin with the marker of a line.
        if may & _OPEN and (not flags[kind, _AT_START] or _counts(data, start, i, FIRST_COLUMN)):
            pair = _mark_at(data, i, end, marks[kind], _N_LINES, _N_BLOCKS)
            if pair >= 0:
                return i, _block_end(data, i, end, marks[kind], pair, flags[kind, _NESTED], room)
        is_line = may & _MARK and _counts(data, start, i, flags[kind, _WHERE])
        if is_line and _mark_at(data, i, end, marks[kind], 0, _N_LINES) >= 0:
            return i, min(end, _find(data, i, end, (_LF, _LF, _LF), room) + flags[kind, _TAKES])
        if may & _QUOTE:
            is_triple = flags[kind, _TRIPLE] != 0 and _is_triple(data, i, end)
            if is_triple:
                to = _triple_end(data, i, end, room)
            else:
                to = _string_end(data, i, end, quotes[kind, data[i]], room)
            if is_triple and flags[kind, _DOC] and _counts(data, start, i, LINE_START):
                return i, to
            i = to
            continue
        i += 2 if may & _ESCAPE else 1


@compiled
def _start(data: np.ndarray, i: int, end: int, starts: np.ndarray, room: np.ndarray) -> int:
    """The first byte at or behind i that may begin something; end or more if there is none."""
    while i < end:
        at = block(data, i, room)
        found = NONE
        for k in range(1, 1 + starts[0]):
            found |= equal(at, starts[k])
        if found != NONE:
            return int(i + lowest(found))
        i += BLOCK
    return end


@compiled
def _find(data: np.ndarray, i: int, end: int, wanted: tuple[np.uint8, np.uint8, np.uint8], room: np.ndarray) -> int:
    """The first of three bytes at or behind i; end if there is none."""
    while i < end:
        at = block(data, i, room)
        found = equal(at, wanted[0]) | equal(at, wanted[1]) | equal(at, wanted[2])
        if found != NONE:
            return int(min(end, i + lowest(found)))
        i += BLOCK
    return end


@compiled
def _counts(data: np.ndarray, start: int, i: int, where: int) -> bool:
    """Whether a marker at i stands where it must."""
    if where == ANYWHERE or i == start:
        return True
    before = data[i - 1]
    if where == AFTER_SPACE:
        return bool(before <= 32 or before in (38, 40, 41, 59, 123, 124, 125))  # & ( ) ; { | }
    if where == FIRST_COLUMN:
        return bool(before == _LF)
    k = i
    while k > start and (data[k - 1] == 32 or data[k - 1] == 9):
        k -= 1
    return bool(k == start or data[k - 1] == _LF)


@compiled
def _mark_at(data: np.ndarray, i: int, end: int, marks: np.ndarray, first: int, n: int) -> int:
    """Which of the marks first .. first + n stands at i; -1: none."""
    for place in range(first, first + n):
        length = marks[place, 0]
        if 0 < length <= end - i:
            k = 0
            while k < length and data[i + k] == marks[place, 1 + k]:
                k += 1
            if k == length:
                return place
    return -1


@compiled
def _block_end(
    data: np.ndarray, i: int, end: int, marks: np.ndarray, opened: int, nested: int, room: np.ndarray
) -> int:
    closed = opened + _N_BLOCKS
    open_length, close_length = marks[opened, 0], marks[closed, 0]
    first_open, first_close = marks[opened, 1], marks[closed, 1]
    wanted = (first_close, first_close, first_open if nested else first_close)
    depth = 1
    i = _find(data, i + open_length, end, wanted, room)
    while i < end:
        if data[i] == first_close and _mark_at(data, i, end, marks, closed, 1) >= 0:
            i += close_length
            depth -= 1
            if depth == 0:
                return i
        elif nested and data[i] == first_open and _mark_at(data, i, end, marks, opened, 1) >= 0:
            i += open_length
            depth += 1
        else:
            i += 1
        i = _find(data, i, end, wanted, room)
    return end


@compiled
def _is_triple(data: np.ndarray, i: int, end: int) -> bool:
    return i + 2 < end and data[i + 1] == data[i] and data[i + 2] == data[i]


@compiled
def _triple_end(data: np.ndarray, i: int, end: int, room: np.ndarray) -> int:
    quote = data[i]
    i += 3
    while i < end:
        i = _find(data, i, end, (quote, quote, _BACKSLASH), room)
        if i < end and data[i] == quote and _is_triple(data, i, end):
            return i + 3
        i += 2 if i < end and data[i] == _BACKSLASH else 1
    return end


@compiled
def _string_end(data: np.ndarray, i: int, end: int, opened: int, room: np.ndarray) -> int:
    """Behind the string that opens at i; behind the quote alone where it opens none."""
    quote, start = data[i], i
    i += 1
    if opened == CHAR:
        limit = min(end, i + MAX_CHAR_BYTES)
        i += 2 if i < end and data[i] == _BACKSLASH else 1
        while i < limit and data[i] != quote and (data[start + 1] == _BACKSLASH or data[i] & 0xC0 == 0x80):
            i += 1
        return i + 1 if i < limit and data[i] == quote else start + 1
    wanted = (quote, _LF if opened in (LINE, DOUBLED) else quote, _BACKSLASH if opened <= SPAN else quote)
    while i < end:
        i = _find(data, i, end, wanted, room)
        if i < end and data[i] != _BACKSLASH:
            return i + 1 if data[i] == quote else i
        i += 2
    return end
