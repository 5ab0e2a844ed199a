"""Running text taken apart for what is measured of it: batches of documents, and every line as a row of numbers.

What is measured of prose (`repetition.py`, `prose_lines.py`, `web_text.py`) works on these rows and on the words of
`prose_words.py`, and looks at bytes no more than it must. A line ends with LF, CR LF, CR or the document. Lines are
found by bits of blocks, and one of sound characters is otherwise looked at from both ends, as far as needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.arrays.bits import BLOCK, bits_within, eight, lowest
from pipeline.arrays.compiled import compiled, inlined
from pipeline.quality.prose_bytes import decode, hash_of
from pipeline.quality.scan import DIGIT, LETTER, SPACE, character_classes

# Documents are taken apart in groups of so many bytes, which bounds the arrays and keeps them in the cache: a word of
# two bytes costs twelve.
BATCH_BYTES = 1 << 18
_LF, _CR = 10, 13
_HIGHS = np.uint64(0x8080808080808080)
_NONE, _ONE, _ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
MAX_RUNS = 3  # no rule asks for more
# Columns of a line.
(
    START,  # of its first byte
    END,  # behind its last byte, without the line end
    CHARS,
    RUNS,  # pieces between spaces, as `str.split` has them; of more than MAX_RUNS as many
    FIRST,  # code point of the first visible character; -1 in a blank line
    FIRST_AT,  # byte of that character
    LAST_AT,  # byte of the last visible character, START in a blank line
    LAST,  # code point of the last character, -1 in an empty line
    HAS_ALNUM,  # whether it has a letter or digit
) = range(9)
N_LINE_COLUMNS = 9


@dataclass(frozen=True)
class TextLines:
    """The lines of documents; those of document k are [offsets[k], offsets[k + 1])."""

    rows: np.ndarray  # int64 [lines, N_LINE_COLUMNS]
    hashes: np.ndarray  # uint64, of all bytes of a line
    offsets: np.ndarray  # int64 [documents + 1]


def batches(offsets: np.ndarray) -> Iterator[slice]:
    """Neighbouring documents of BATCH_BYTES or less together; a larger one stands alone."""
    first, n = 0, offsets.size - 1
    while first < n:
        last = int(np.searchsorted(offsets, offsets[first] + BATCH_BYTES, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield slice(first, last)
        first = last


def lines(data: np.ndarray, offsets: np.ndarray) -> TextLines:
    return TextLines(*_lines(data, offsets, character_classes()))


@compiled
def _lines(data: np.ndarray, offsets: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    most = offsets.size + _n_breaks(data, offsets[0], offsets[-1])
    rows, hashes = np.empty((most, N_LINE_COLUMNS), np.int64), np.empty(most, np.uint64)
    ends = np.zeros(offsets.size, np.int64)
    for k in range(offsets.size - 1):
        ends[k + 1] = _lines_of(data, offsets[k], offsets[k + 1], classes, rows, hashes, ends[k])
    return rows[: ends[-1]], hashes[: ends[-1]], ends


@compiled
def _lines_of(
    data: np.ndarray,
    start: int,
    end: int,
    classes: np.ndarray,
    rows: np.ndarray,
    hashes: np.ndarray,
    n: int,
) -> int:
    """Append the lines of data[start:end] at place n; the place behind them."""
    has_highs = _NONE  # beyond ASCII, in the open line
    for i in range(start, end, BLOCK):
        breaks, highs = _breaks_at(data, i, end - i)
        rest = _ALL
        while breaks:
            stop = i + lowest(breaks)
            mine = rest & (breaks - _ONE & ~breaks)
            rest ^= mine
            breaks &= breaks - _ONE
            if stop < start:  # the LF of a CR LF
                continue
            hashes[n], _ = hash_of(data, start, stop)
            _fill_row(data, start, stop, has_highs | highs & mine != 0, classes, rows[n])
            n += 1
            start, has_highs = _next_line(data, stop, end), _NONE
        has_highs |= highs & rest
    if start < end:
        hashes[n], _ = hash_of(data, start, end)
        _fill_row(data, start, end, has_highs != 0, classes, rows[n])
        n += 1
    return n


@inlined
def _breaks_of(data: np.ndarray, i: int, n: int) -> tuple[np.uint64, np.uint64]:
    """Of the first `n` bytes of the block at i a bit each: LF and CR, bytes beyond ASCII."""
    breaks = bits_within(data, i, _LF, _LF) | bits_within(data, i, _CR, _CR)
    mine = _ALL if n >= BLOCK else (_ONE << np.uint64(n)) - _ONE
    return breaks & mine, bits_within(data, i, 128, 255) & mine


@compiled
def _breaks_at(data: np.ndarray, i: int, n: int) -> tuple[np.uint64, np.uint64]:
    """The same near the end of all bytes too."""
    if i + BLOCK <= data.size:
        return _breaks_of(data, i, n)
    return _breaks_of(np.concatenate((data[i:], np.zeros(BLOCK, np.uint8))), 0, n)


@compiled
def _n_breaks(data: np.ndarray, start: int, end: int) -> int:
    """Bytes that are LF or CR."""
    n = 0
    for i in range(start, end):
        n += data[i] == _LF or data[i] == _CR
    return n


@compiled
def _next_line(data: np.ndarray, i: int, end: int) -> int:
    """Behind the line end at i."""
    return i + 2 if data[i] == _CR and i + 1 < end and data[i + 1] == _LF else i + 1


@compiled
def _fill_row(data: np.ndarray, start: int, end: int, has_highs: bool, classes: np.ndarray, row: np.ndarray) -> None:
    """Fill the row of the line data[start:end]. Where its bytes are characters it is looked at from both ends, as far
    as needed."""
    row[START], row[END], row[CHARS] = start, end, end - start
    if has_highs:
        row[CHARS] = _n_chars(data, start, end)
        if row[CHARS] < 0:
            _fill_damaged_row(data, start, end, classes, row)
            return
    row[FIRST] = row[LAST] = -1
    row[FIRST_AT] = row[LAST_AT] = start
    row[RUNS] = row[HAS_ALNUM] = 0
    if end > start:
        row[LAST], _ = decode(data, _char_at(data, end - 1), end)
        _look_from_start(data, start, end, classes, row)
    if row[FIRST] >= 0:
        at = _char_at(data, end - 1)
        while classes[decode(data, at, end)[0]] & SPACE:
            at = _char_at(data, at - 1)
        row[LAST_AT] = at


@inlined
def _char_at(data: np.ndarray, i: int) -> int:
    """Where the character begins that byte i belongs to."""
    while data[i] & 0xC0 == 0x80:
        i -= 1
    return i


@compiled
def _look_from_start(data: np.ndarray, i: int, end: int, classes: np.ndarray, row: np.ndarray) -> None:
    """The first visible character, runs, and whether there is a letter or digit."""
    n_runs, has_alnum, in_run = 0, False, False
    while i < end and not (has_alnum and n_runs >= MAX_RUNS):
        code, size = data[i] & 0xFF, 1
        if code >= 0x80:
            code, size = decode(data, i, end)
        flags = classes[code]
        if flags & SPACE:
            in_run = False
        else:
            if n_runs == 0:
                row[FIRST], row[FIRST_AT] = code, i
            n_runs += not in_run
            in_run = True
            has_alnum |= flags & (LETTER | DIGIT) != 0
        i += size
    row[RUNS], row[HAS_ALNUM] = min(n_runs, MAX_RUNS), has_alnum


@compiled
def _n_chars(data: np.ndarray, i: int, end: int) -> int:
    """Characters of data[i:end]; -1 where it has bytes that are none."""
    n = 0
    while i < end:
        if i + 8 <= end:
            ahead = lowest(eight(data, i) & _HIGHS) >> 3
            i += ahead
            n += ahead
            if ahead == 8:
                continue
        byte = data[i]
        code, size = decode(data, i, end)
        if code == 0xFFFD and not (size == 3 and byte == 0xEF):  # U+FFFD itself is a character
            return -1
        i += size
        n += 1
    return n


@compiled
def _fill_damaged_row(data: np.ndarray, start: int, end: int, classes: np.ndarray, row: np.ndarray) -> None:
    """The same for bytes of any kind, one by one."""
    n_chars = n_runs = 0
    first = last = -1
    first_at = last_at = i = start
    in_run = has_alnum = False
    while i < end:
        code, size = decode(data, i, end)
        flags = classes[code]
        has_alnum |= flags & (LETTER | DIGIT) != 0
        if flags & SPACE:
            in_run = False
        else:
            n_runs += not in_run
            in_run = True
            if first < 0:
                first, first_at = code, i
            last_at = i
        last = code
        n_chars += 1
        i += size
    row[CHARS], row[RUNS], row[HAS_ALNUM] = n_chars, min(n_runs, MAX_RUNS), has_alnum
    row[FIRST], row[FIRST_AT], row[LAST_AT], row[LAST] = first, first_at, last_at, last
