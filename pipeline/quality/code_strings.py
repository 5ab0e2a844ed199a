"""Strings of programs without their comments, compiled: what they hold.

The counts follow OpenCoder's filter code (arXiv 2411.04905), which takes for a string the text between two equal
quotes; a backslash escapes nothing. A character is a code point of valid UTF-8.
"""

import numpy as np

from pipeline.arrays.bits import ALL, BLOCK, NONE, ONE, between, block, count_ones, lowest, tail_room
from pipeline.arrays.compiled import compiled
from pipeline.quality.program_bytes import is_space, is_word

# Columns of a row of counts.
(
    N_CHARS,
    N_LONG_WORD_CHARS,  # in words of more than 20 characters that are no URL
    N_LONG_LINES,  # lines of strings with more than 20 words
) = range(3)
N_COUNTS = 3

MAX_WORD_CHARS, MAX_STRING_WORDS = 20, 20  # OpenCoder's

_LF, _QUOTE, _APOSTROPHE = 10, 34, 39


def count(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]]."""
    return _count(data, offsets, tail_room())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, room: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        start, end = offsets[k], offsets[k + 1]
        n_quotes = 0
        for i in range(start, end, BLOCK):
            n_quotes += count_ones(_quotes_of(block(data, i, room), end - i))
        quotes, at_line = np.empty(n_quotes, np.int64), np.empty(n_quotes, np.int64)
        _find_quotes(data, start, end, room, quotes, at_line)
        _count_strings(data, end, quotes, at_line, counts[k])
    return counts


@compiled
def _quotes_of(at: np.uint64, n: int) -> np.uint64:
    """Which of the first n bytes of the block at an address are quotes."""
    found: np.uint64 = between(at, _QUOTE, _QUOTE) | between(at, _APOSTROPHE, _APOSTROPHE)
    return found if n >= BLOCK else found & ((ONE << np.uint64(n)) - ONE)


@compiled
def _find_quotes(
    data: np.ndarray, start: int, end: int, room: np.ndarray, quotes: np.ndarray, at_line: np.ndarray
) -> None:
    """Note where quotes are, and in which lines."""
    n_quotes = line = 0
    for i in range(start, end, BLOCK):
        at = block(data, i, room)
        some, feeds = _quotes_of(at, end - i), between(at, _LF, _LF)
        while some != NONE:
            place = lowest(some)
            some &= some - ONE
            quotes[n_quotes] = i + place
            at_line[n_quotes] = line + count_ones(feeds & ~(ALL << np.uint64(place)))
            n_quotes += 1
        line += count_ones(feeds)  # of a last block that is not whole nothing is asked any more


@compiled
def _count_strings(data: np.ndarray, end: int, quotes: np.ndarray, at_line: np.ndarray, row: np.ndarray) -> None:
    """Strings as two patterns of OpenCoder find them: to one a string of single quotes stays in its line, which decides
    characters; to the other it goes on over lines, which decides lines with many words."""
    for stays in (True, False):
        open_triples, open_quotes = 3, 3  # bits of the quotes that may still be closed
        k = 0
        while k < quotes.size:
            i = quotes[k]
            byte = data[i]
            bit = 1 if byte == _QUOTE else 2
            if open_triples & bit and _is_triple(data, quotes, k):
                close = k + 3
                while close < quotes.size and not (data[quotes[close]] == byte and _is_triple(data, quotes, close)):
                    close += 1
                if close < quotes.size:
                    _count_string(data, i + 3, quotes[close], stays, row)
                    k = close + 3
                    continue
                open_triples &= ~bit
            if stays or open_quotes & bit:
                close = k + 1
                while close < quotes.size and data[quotes[close]] != byte:
                    if stays and at_line[close] != at_line[k]:
                        break
                    close += 1
                if close < quotes.size and data[quotes[close]] == byte and not (stays and at_line[close] != at_line[k]):
                    _count_string(data, i + 1, quotes[close], stays, row)
                    k = close
                elif not stays:
                    open_quotes &= ~bit
            k += 1


@compiled
def _is_triple(data: np.ndarray, quotes: np.ndarray, k: int) -> bool:
    """Whether three equal quotes stand side by side from the k-th on."""
    if k + 2 >= quotes.size or quotes[k + 2] != quotes[k] + 2:
        return False
    i = quotes[k]
    return bool(data[i + 1] == data[i] and data[i + 2] == data[i])


@compiled
def _count_string(data: np.ndarray, i: int, end: int, stays: bool, row: np.ndarray) -> None:
    if stays:
        _count_chars(data, i, end, row)
    elif end - i > MAX_STRING_WORDS:
        row[N_LONG_LINES] += _long_lines(data, i, end)


@compiled
def _count_chars(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    word, n_chars = i, 0
    for k in range(i, end + 1):
        if k == end or is_space(data[k]):
            if n_chars > MAX_WORD_CHARS and not _has_url(data, word, k):
                row[N_LONG_WORD_CHARS] += n_chars
            row[N_CHARS] += n_chars + (k < end)
            word, n_chars = k + 1, 0
        else:
            n_chars += data[k] & 0xC0 != 0x80


@compiled
def _has_url(data: np.ndarray, i: int, end: int) -> bool:
    """Whether a word holds http:// or https:// and something behind it."""
    for k in range(i + 4, end - 3):
        if data[k] == 58 and data[k + 1] == 47 and data[k + 2] == 47:
            at = k - 1 if data[k - 1] == 115 else k
            is_http = at - 4 >= i and data[at - 4] == 104 and data[at - 3] == 116
            if is_http and data[at - 2] == 116 and data[at - 1] == 112:
                return True
    return False


@compiled
def _long_lines(data: np.ndarray, i: int, end: int) -> int:
    """Lines with more than MAX_STRING_WORDS words; a word is a run of letters and digits or of other signs."""
    n_lines = n_words = before = 0  # before: 0 after white space, 1 after a letter, 2 after another sign
    for k in range(i, end + 1):
        if k == end or data[k] == _LF:
            n_lines += n_words > MAX_STRING_WORDS
            n_words = before = 0
            continue
        now = 0 if is_space(data[k]) else 1 if is_word(data[k]) else 2
        n_words += now != 0 and now != before
        before = now
    return n_lines
