"""The shape of a document's lines, counted in one compiled walk: numbers, records, sums, single words.

A line counts by its bytes alone, which are asked 64 at a time as bits (`arrays/bits.py`). Of a long document the
beginning and a piece from the middle are walked: a table is one there too, and a header of comments is not the whole.
"""

from typing import NamedTuple

import numpy as np

from pipeline.arrays.bits import ALL, BLOCK, NONE, ONE, between, block, count_ones, tail_room
from pipeline.arrays.compiled import compiled

PIECE_BYTES = 8_192  # of the beginning and of the middle: some 250 lines each
MAX_WORD_LINE_BYTES = 48  # a few short words, or a long one with a flag of hunspell's
MAX_WORDS = 3
MIN_SUM_BYTES = (
    32  # the doubling in `_block` is made for it: hexadecimal digits of an MD5 sum, the shortest that is used
)
# What is counted of a line, int64. Blanks before its first byte above them are indentation and no columns.
_DIGITS, _HEXES, _LETTERS, _SIGNS, _COMMAS, _SEMICOLONS, _BARS, _TABS, _WORDS, _SLASHES, _ODD, _HAS_SUM = range(12)
_BEFORE = 12  # and behind it the columns of the line before
# What a block leaves to the next, as bits: whether a word goes on, whether the line has begun, which of its bytes are
# hexadecimal digits.
_IN_WORD, _BEGUN, _HEX_RUN = range(3)
_LF = 10


class Shapes(NamedTuple):
    """int64, one entry per document; lines that are blank are none."""

    n_lines: np.ndarray
    n_number_lines: np.ndarray  # mostly digits, hexadecimal digits and signs between them
    n_record_lines: np.ndarray  # with as many commas, semicolons, bars (two at least) or tabs as the line before
    n_sum_lines: np.ndarray  # with a run of 32 hexadecimal digits or more
    n_word_lines: np.ndarray  # one to three words and nothing else
    n_digits: np.ndarray
    n_visible: np.ndarray


def shapes_of(data: np.ndarray, offsets: np.ndarray) -> Shapes:
    """The shapes of the documents data[offsets[k]:offsets[k + 1]]; uint8 data."""
    out = np.zeros((len(offsets) - 1, len(Shapes._fields)), np.int64)
    _walk(data, offsets, tail_room(), out)
    return Shapes(*out.T)


@compiled
def _walk(data: np.ndarray, offsets: np.ndarray, room: np.ndarray, out: np.ndarray) -> None:
    line, open_ = np.zeros(_BEFORE + 4, np.int64), np.zeros(3, np.uint64)
    for d in range(offsets.size - 1):
        begin, end = offsets[d], offsets[d + 1]
        line[:] = 0
        stop = min(end, begin + PIECE_BYTES)
        _piece(data, begin, stop, room, line, open_, out[d])
        place = max(stop, begin + (end - begin) // 2)
        stop = min(end, place + PIECE_BYTES)
        while place < stop and data[place] != _LF:  # the rest of a line
            place += 1
        _piece(data, place, stop, room, line, open_, out[d])


@compiled
def _piece(
    data: np.ndarray, i: int, stop: int, room: np.ndarray, line: np.ndarray, open_: np.ndarray, out: np.ndarray
) -> None:
    """Count the lines of data[i:stop], the last one whether it ends or not."""
    open_[:] = NONE
    for at in range(i, stop, BLOCK):
        address = block(data, at, room)
        live = ALL if stop - at >= BLOCK else (ONE << np.uint64(stop - at)) - ONE
        _block(address, live, line, open_, out)
    _end_line(line, out)


@compiled
def _block(at: np.uint64, live: np.uint64, line: np.ndarray, open_: np.ndarray, out: np.ndarray) -> None:
    """Count the lines that end in a block, and add what is left of it to the open one."""
    digits = between(at, 48, 57) & live
    hex_letters = (between(at, 65, 70) | between(at, 97, 102)) & live
    hexes = hex_letters | (between(at, 88, 88) | between(at, 120, 120)) & live  # x, as in 0x1F
    letters = (between(at, 65, 90) | between(at, 97, 122) | between(at, 128, 255)) & live & ~hexes
    visible = between(at, 33, 255) & live
    slashes = between(at, 47, 47) & live
    words = digits | hexes | letters | slashes
    words |= (between(at, 39, 39) | between(at, 45, 46) | between(at, 95, 95)) & live  # ' - . _
    commas, semicolons = between(at, 44, 44) & live, between(at, 59, 59) & live
    bars, tabs = between(at, 124, 124) & live, between(at, 9, 9) & live
    starts = words & ~(words << ONE | open_[_IN_WORD])
    long, before = digits | hex_letters, open_[_HEX_RUN]  # where MIN_SUM_BYTES that end here are all of a run
    open_[_HEX_RUN] = long
    for n in (1, 2, 4, 8, 16):  # to MIN_SUM_BYTES by doubling
        long, before = long & (long << np.uint64(n) | before >> np.uint64(BLOCK - n)), before & before << np.uint64(n)
    ends, rest = between(at, _LF, _LF) & live, ALL
    while True:
        mine = rest & ((ends & (~ends + ONE)) - ONE)  # all of it where no line ends
        here = visible & mine
        columns = tabs & mine
        if open_[_BEGUN] == NONE:
            columns &= ~((here & (~here + ONE)) - ONE)  # those behind the first visible byte, none if there is none
        open_[_BEGUN] |= np.uint64(here != NONE)
        line[_DIGITS] += count_ones(digits & mine)
        line[_HEXES] += count_ones(hexes & mine)
        line[_LETTERS] += count_ones(letters & mine)
        line[_SIGNS] += count_ones(here & ~(digits | hexes | letters))
        line[_COMMAS] += count_ones(commas & mine)
        line[_SEMICOLONS] += count_ones(semicolons & mine)
        line[_BARS] += count_ones(bars & mine)
        line[_TABS] += count_ones(columns)
        line[_WORDS] += count_ones(starts & mine)
        line[_SLASHES] += count_ones(slashes & mine)
        line[_ODD] |= here & ~words != NONE
        line[_HAS_SUM] |= long & mine != NONE
        if ends == NONE:
            break
        _end_line(line, out)
        open_[_BEGUN] = NONE
        rest &= ~mine
        ends &= ends - ONE
    open_[_IN_WORD] = words >> np.uint64(BLOCK - 1)


@compiled
def _end_line(line: np.ndarray, out: np.ndarray) -> None:
    """Add the open line and begin another; a blank one is none."""
    n_visible = line[_DIGITS] + line[_HEXES] + line[_LETTERS] + line[_SIGNS]
    if n_visible > 0:
        out[0] += 1
        # A tenth of other letters may be units or suffixes of a type; a fifth of digits leaves room for signs.
        out[1] += line[_DIGITS] >= 2 and 10 * line[_LETTERS] <= n_visible and 5 * line[_DIGITS] >= n_visible
        equal = False
        for k in range(4):
            n = line[_COMMAS + k]
            equal |= n == line[_BEFORE + k] and n >= (1 if _COMMAS + k == _TABS else 2)
            line[_BEFORE + k] = n
        out[2] += equal
        out[3] += line[_HAS_SUM]
        out[4] += (
            line[_ODD] == 0
            and n_visible <= MAX_WORD_LINE_BYTES
            and line[_WORDS] <= MAX_WORDS
            and line[_SLASHES] <= 1
            and line[_HEXES] + line[_LETTERS] > line[_DIGITS]
        )
        out[5] += line[_DIGITS]
        out[6] += n_visible
    line[:_BEFORE] = 0
