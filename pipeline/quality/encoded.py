r"""Encoded data by the three patterns of StarCoder2 (arXiv 2402.19173, appendix), which OpenCoder took over, compiled.

    [a-zA-Z0-9+/\n=]{64,}   (?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}   (?:\\u[0-9a-fA-F]{4}){8,}

The first takes words on lines of their own for base64, as it does there; `scan.encoded_frac` is our own reading, which
does not. A character that two patterns take counts twice, as it does there.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

MIN_BASE64_CHARS, MIN_ESCAPES = 64, 8

MIN_PAIRS_CHARS = 23  # of the second pattern, eight pairs with one character between them; the third has more

_SPACE, _WORD, _HEX, _BASE64, _ESCAPED = 1, 2, 4, 8, 16


def _classes() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    for byte in range(128):
        char = chr(byte)
        table[byte] = (
            _SPACE * char.isspace()
            | _WORD * (char.isalnum() or char == "_")
            | _HEX * (char in "0123456789abcdefABCDEF")
            | _BASE64 * (char.isalnum() or char in "+/=\n")
            | _ESCAPED * (char.isspace() or char in "0123456789abcdefABCDEFx\\u,")
        )
    table[128:] = _WORD  # letters, nearly always
    return table


_CLASSES = _classes()


@compiled
def count(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters in all matches and in the longest, int64 [n, 2], of each document data[offsets[k]:offsets[k + 1]]."""
    counts = np.zeros((offsets.size - 1, 2), np.int64)
    for k in range(offsets.size - 1):
        for wanted, least in ((_BASE64, MIN_BASE64_CHARS), (_ESCAPED, MIN_PAIRS_CHARS)):
            _runs(data, offsets[k], offsets[k + 1], wanted, least, counts[k])
    return counts


@compiled
def _add(n_chars: int, row: np.ndarray) -> None:
    row[0] += n_chars
    row[1] = max(row[1], n_chars)


@compiled
def _runs(data: np.ndarray, start: int, end: int, wanted: int, least: int, row: np.ndarray) -> None:
    """Count runs of `least` or more bytes of a class; those that escapes are made of are searched for such.

    Runs are looked for in steps of `least`: one that holds no byte of the steps is too short.
    """
    done, at = start, start + least - 1
    while at < end:
        if not _CLASSES[data[at]] & wanted:
            done = at + 1
            at += least
            continue
        first, to = at, at + 1
        while first > done and _CLASSES[data[first - 1]] & wanted:
            first -= 1
        while to < end and _CLASSES[data[to]] & wanted:
            to += 1
        if to - first >= least:
            if wanted == _BASE64:
                _add(to - first, row)
            else:
                _escapes(data, start, first, to, end, row)
        done = to
        at = to + least


@compiled
def _escapes(data: np.ndarray, start: int, i: int, to: int, end: int, row: np.ndarray) -> None:
    """Count matches of the two other patterns in data[i:to]; neither can begin in the middle of the other's."""
    while i < to:
        byte = data[i]
        kind = _CLASSES[byte]
        if byte == 92 and i + 1 < end and data[i + 1] == 117:
            behind = _wide_end(data, i, end)
            if behind - i >= 6 * MIN_ESCAPES:
                _add(behind - i, row)
            i = max(behind, i + 1)
        elif kind & _HEX or byte == 92:
            behind, n = _pairs_end(data, start, i, end)
            if n >= MIN_ESCAPES:
                _add(behind - i, row)
                i = behind
            elif kind & _WORD:  # no pair begins inside the rest of this word
                i += 1
                while i < to and _CLASSES[data[i]] & _WORD:
                    i += 1
            else:
                i += 1
        else:
            i += 1


@compiled
def _wide_end(data: np.ndarray, i: int, end: int) -> int:
    r"""Behind the run of \uHHHH at i."""
    while i + 6 <= end and data[i] == 92 and data[i + 1] == 117:
        for k in range(i + 2, i + 6):
            if not _CLASSES[data[k]] & _HEX:
                return i
        i += 6
    return i


@compiled
def _is_edge(data: np.ndarray, start: int, i: int, end: int) -> bool:
    before = i > start and _CLASSES[data[i - 1]] & _WORD != 0
    return before != (i < end and _CLASSES[data[i]] & _WORD != 0)


@compiled
def _pairs_end(data: np.ndarray, start: int, i: int, end: int) -> tuple[int, int]:
    """Behind the run of hexadecimal pairs at i, and how many they are."""
    n = 0
    while i < end and _is_edge(data, start, i, end):
        k = i
        if k + 1 < end and data[k + 1] == 120 and (data[k] == 48 or data[k] == 92):
            k += 2
        if k + 2 > end or not (_CLASSES[data[k]] & _HEX and _CLASSES[data[k + 1]] & _HEX):
            break
        k += 2
        if k < end and data[k] == 44:
            k += 1
        elif _is_edge(data, start, k, end):
            while k < end and _CLASSES[data[k]] & _SPACE:
                k += 1
        else:
            break
        i = k
        n += 1
    return i, n
