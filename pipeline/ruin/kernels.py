"""Compiled loops over the bytes of one document: its words, how often they repeat, how its lines follow each other."""

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays.compiled import compiled

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
GRAM = 8  # words in a row: more than an idiom, less than a sentence
MAX_LINES = 160  # of a document that are compared with each other


@compiled
def words(data: NDArray[np.uint8], plain: NDArray[np.uint64], masked: NDArray[np.uint64]) -> int:
    """Hashes of the words of `data` and of the same with every digit as zero and runs of digits as one; their number.

    A word is a run of letters, digits, underscores and bytes above 127; any other mark is a word by itself; blanks
    are none.
    """
    n = 0
    i = 0
    while i < len(data):
        b = data[i]
        if b <= 32:
            i += 1
            continue
        h = np.uint64(7)
        m = np.uint64(7)
        digit = False
        first = i
        while i < len(data):
            b = data[i]
            is_digit = 48 <= b <= 57
            if not (is_digit or 65 <= b <= 90 or 97 <= b <= 122 or b == 95 or b >= 128):
                break
            h = (h ^ np.uint64(b)) * _MULTIPLY
            h ^= h >> np.uint64(29)
            if not (is_digit and digit):
                m = (m ^ np.uint64(48 if is_digit else b)) * _MULTIPLY
                m ^= m >> np.uint64(29)
            digit = is_digit
            i += 1
        if i == first:
            h = (h ^ np.uint64(b)) * _MULTIPLY
            m = h
            i += 1
        plain[n] = h
        masked[n] = m
        n += 1
    return n


@compiled
def grams(hashes: NDArray[np.uint64], size: int, out: NDArray[np.uint64]) -> int:
    """Hash of every `size` words in a row; their number."""
    n = len(hashes) - size + 1
    for i in range(max(0, n)):
        h = np.uint64(11)
        for j in range(size):
            h = (h ^ hashes[i + j]) * _MULTIPLY
            h ^= h >> np.uint64(31)
        out[i] = h
    return max(0, n)


@compiled
def repeated(hashes: NDArray[np.uint64]) -> float:
    """Share of values that occurred before."""
    if len(hashes) == 0:
        return 0.0
    ordered = np.sort(hashes)
    n = 0
    for i in range(1, len(ordered)):
        n += ordered[i] == ordered[i - 1]
    return n / len(ordered)


@compiled
def _bits(x: np.uint64) -> int:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _lines(data: NDArray[np.uint8], sets: NDArray[np.uint64], indents: NDArray[np.int64]) -> int:
    """Of each line with a word: its words as bits, and its indentation with a tab as four; the number of such lines."""
    n = 0
    indent = 0
    inside = False
    h = np.uint64(7)
    length = 0
    for i in range(len(data) + 1):
        b = data[i] if i < len(data) else np.uint8(10)
        if 48 <= b <= 57 or 65 <= b <= 90 or 97 <= b <= 122 or b == 95 or b >= 128:
            h = (h ^ np.uint64(b)) * _MULTIPLY
            h ^= h >> np.uint64(29)
            length += 1
        else:
            if length >= 2:  # a single letter says nothing
                sets[n] |= np.uint64(1) << (h >> np.uint64(58))
            h = np.uint64(7)
            length = 0
        if b == 10:
            if sets[n] != 0:
                indents[n] = indent
                n += 1
                if n == MAX_LINES:
                    break
            indent = 0
            inside = False
        elif not inside:
            inside = b not in (32, 9)
            indent += 1 if b == 32 else 4 if b == 9 else 0
    return n


@compiled
def line_order(data: NDArray[np.uint8]) -> tuple[int, float]:
    """Lines with a word, and how many deviations neighbours are more alike than any two lines.

    Alike: words in common, by the smaller of the two, and the same indentation. Where lines stand in any order it is
    about 0 with a deviation of 1, whatever the text.
    """
    sets = np.zeros(MAX_LINES, dtype=np.uint64)
    indents = np.zeros(MAX_LINES, dtype=np.int64)
    n = _lines(data, sets, indents)
    if n < 3:
        return n, 0.0
    total = 0.0
    square = 0.0
    near = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            common = _bits(sets[i] & sets[j]) / min(_bits(sets[i]), _bits(sets[j]))
            alike = common + (0.5 if indents[i] == indents[j] else 0.0)
            total += alike
            square += alike * alike
            if j == i + 1:
                near += alike
    n_pairs = n * (n - 1) / 2
    mean = total / n_pairs
    variance = square / n_pairs - mean * mean
    if variance <= 1e-9:  # all lines are alike: their order cannot be seen
        return n, 0.0
    return n, (near / (n - 1) - mean) / np.sqrt(variance / (n - 1))
