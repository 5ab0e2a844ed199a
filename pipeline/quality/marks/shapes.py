"""The shape of a document's lines, counted in one compiled walk: numbers, records, sums, single words.

A line counts by its bytes alone. Of a long document the beginning and a piece from the middle are walked: a table is
one there too, and a header of comments is not the whole.
"""

from typing import NamedTuple

import numpy as np

from pipeline.arrays.compiled import compiled

PIECE_BYTES = 8_192  # of the beginning and of the middle: some 250 lines each
MAX_WORD_LINE_BYTES = 48  # a few short words, or a long one with a flag of hunspell's
MAX_WORDS = 3
MIN_SUM_BYTES = 32  # hexadecimal digits of an MD5 sum, the shortest that is used
# The kinds of bytes that a line is made of, one lane of eight bits each.
_DIGIT, _HEX, _LETTER, _SIGN, _COMMA, _SEMICOLON, _BAR, _TAB = (1 << 8 * lane for lane in range(8))
_LANE_BYTES = 128  # after so many bytes the lanes are emptied: none can overflow
_IS_WORD, _IS_HEX, _IS_SLASH, _IS_ODD = 1, 2, 4, 8  # odd: a sign that no word of a word list has


class Shapes(NamedTuple):
    """int64, one entry per document; lines that are blank are none."""

    n_lines: np.ndarray
    n_number_lines: np.ndarray  # mostly digits, hexadecimal digits and signs between them
    n_record_lines: np.ndarray  # with as many commas, semicolons, bars (two at least) or tabs as the line before
    n_sum_lines: np.ndarray  # with a run of 32 hexadecimal digits or more
    n_word_lines: np.ndarray  # one to three words and nothing else
    n_sentence_lines: np.ndarray  # with eight words or more
    n_digits: np.ndarray
    n_visible: np.ndarray
    max_line_bytes: np.ndarray


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """What each byte adds to the lanes, and what it is."""
    lanes, flags = np.full(256, _SIGN, np.int64), np.full(256, _IS_ODD, np.uint8)
    lanes[:33], flags[:33] = 0, 0
    for byte in range(256):
        char = chr(byte)
        if byte >= 128 or char.isalpha():
            lanes[byte] = _HEX if char in "abcdefABCDEFxX" else _LETTER
            flags[byte] = _IS_WORD | (_IS_HEX if char in "abcdefABCDEF" else 0)
    lanes[48:58], flags[48:58] = _DIGIT, _IS_WORD | _IS_HEX
    flags[list(b"-'._")] = _IS_WORD
    flags[ord("/")] = _IS_WORD | _IS_SLASH
    for byte, lane in zip(b",;|", (_COMMA, _SEMICOLON, _BAR), strict=True):
        lanes[byte] += lane
    lanes[9] = _TAB
    return lanes, flags


_LANES, _FLAGS = _tables()


def shapes_of(data: np.ndarray, offsets: np.ndarray) -> Shapes:
    """The shapes of the documents data[offsets[k]:offsets[k + 1]]; uint8 data."""
    out = np.zeros((len(offsets) - 1, len(Shapes._fields)), np.int64)
    _walk(data, offsets, _LANES, _FLAGS, out)
    return Shapes(*out.T)


@compiled
def _walk(data: np.ndarray, offsets: np.ndarray, lanes: np.ndarray, flags: np.ndarray, out: np.ndarray) -> None:
    now, before = np.zeros(8, np.int64), np.zeros(8, np.int64)
    for d in range(offsets.size - 1):
        begin, end = offsets[d], offsets[d + 1]
        before[:] = 0
        place, stop = begin, min(end, begin + PIECE_BYTES)
        while place < stop:
            place = _line(data, place, stop, lanes, flags, now, before, out[d])
        place, stop = max(stop, begin + (end - begin) // 2), end
        if place == stop:
            continue
        stop = min(stop, place + PIECE_BYTES)
        while place < stop and data[place] != 10:  # the rest of a line
            place += 1
        while place < stop:
            place = _line(data, place, stop, lanes, flags, now, before, out[d])


@compiled
def _line(
    data: np.ndarray,
    place: int,
    stop: int,
    lanes: np.ndarray,
    flags: np.ndarray,
    now: np.ndarray,
    before: np.ndarray,
    out: np.ndarray,
) -> int:
    """Count the line that begins at `place`; the place behind it."""
    begin = place
    while place < stop and data[place] <= 32 and data[place] != 10:  # indentation is no column
        place += 1
    now[:] = 0
    n_words = n_slashes = n_odd = run = longest = was_word = 0
    while place < stop and data[place] != 10:
        lane, until = np.int64(0), min(stop, place + _LANE_BYTES)
        while place < until:
            byte = data[place]
            if byte == 10:
                break
            lane += lanes[byte]
            flag = flags[byte]
            is_word = flag & _IS_WORD
            n_words += is_word & ~was_word
            was_word = is_word
            run = run + 1 if flag & _IS_HEX else 0
            longest = max(longest, run)
            n_slashes += (flag & _IS_SLASH) != 0
            n_odd += (flag & _IS_ODD) != 0
            place += 1
        for k in range(8):
            now[k] += (lane >> (8 * k)) & 0xFF
    if now[0] + now[1] + now[2] + now[3] > 0:
        _count(now, before, n_words, n_slashes, n_odd, longest, out)
        out[8] = max(out[8], place - begin)
    return place + 1


@compiled
def _count(
    now: np.ndarray, before: np.ndarray, n_words: int, n_slashes: int, n_odd: int, longest_hex: int, out: np.ndarray
) -> None:
    """Add a line with `now` bytes of each lane; `before` are those of the line before."""
    n_visible = now[0] + now[1] + now[2] + now[3]
    out[0] += 1
    # A tenth of other letters may be units or suffixes of a type; a fifth of digits leaves room for signs.
    out[1] += now[0] >= 2 and 10 * now[2] <= n_visible and 5 * now[0] >= n_visible
    equal = False
    for k in range(4, 8):
        equal |= now[k] == before[k] and now[k] >= (1 if k == 7 else 2)
        before[k] = now[k]
    out[2] += equal
    out[3] += longest_hex >= MIN_SUM_BYTES
    out[4] += (
        n_odd == 0
        and n_visible <= MAX_WORD_LINE_BYTES
        and n_words <= MAX_WORDS
        and n_slashes <= 1
        and now[1] + now[2] > now[0]
    )
    out[5] += n_words >= 8
    out[6] += now[0]
    out[7] += n_visible
