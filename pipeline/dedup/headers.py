"""Where a licence header ends: the comment block at the start of a file, if it speaks of rights.

A file whose header alone differs is the same file; two files that share little but a long header are not.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

_MAX_HEADER_BYTES = 16_384  # a longer one is no header: the whole text of the Apache licence has 11,358 bytes
# What nearly every notice of rights holds; compared without case.
_RIGHTS = tuple(np.frombuffer(word, np.uint8) for word in (b"copyright", b"licen", b"spdx"))


@compiled
def _is_comment(data: np.ndarray, place: int, stop: int) -> bool:
    """Whether a line whose first visible byte stands at `place` is a comment in some widespread language."""
    byte = data[place]
    after = data[place + 1] if place + 1 < stop else np.uint8(10)
    if byte == 35:  # '#', but no directive such as #include
        return not (97 <= (after | 0x20) <= 122)
    if byte == 47:  # '/': // or /*
        return bool(after == 47 or after == 42)
    if byte == 45:  # '-': --
        return bool(after == 45)
    if byte == 60:  # '<': <!-- or <#
        return bool(after == 33 or after == 35)
    if byte == 40:  # '(': (*
        return bool(after == 42)
    return bool(byte == 59 or byte == 37 or byte == 42 or byte == 33)  # ; % * !


@compiled
def _speaks_of(data: np.ndarray, start: int, stop: int, word: np.ndarray) -> bool:
    for i in range(start, stop - word.size + 1):
        k = 0
        while k < word.size and data[i + k] | 0x20 == word[k]:
            k += 1
        if k == word.size:
            return True
    return False


@compiled
def _header_end(data: np.ndarray, start: int, stop: int) -> int:
    """The first byte after the leading comments and blank lines."""
    place = start
    in_block = False
    while place < stop:
        line = place
        while place < stop and data[place] != 10:
            place += 1
        end, place = place, min(place + 1, stop)
        first = line
        while first < end and data[first] <= 32:
            first += 1
        if first == end:
            continue
        opens = data[first] == 47 and first + 1 < end and data[first + 1] == 42
        if not in_block and not _is_comment(data, first, end):
            return line
        if in_block or opens:
            in_block = True
            for i in range(first + 2 if opens else first, end - 1):
                if data[i] == 42 and data[i + 1] == 47:
                    in_block = False
    return stop


@compiled
def _skip_all(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, words: tuple[np.ndarray, ...]) -> np.ndarray:
    out = starts.copy()
    for d in range(starts.size):
        end = _header_end(data, starts[d], min(stops[d], starts[d] + _MAX_HEADER_BYTES))
        speaks = False
        for word in words:
            speaks = speaks or _speaks_of(data, starts[d], end, word)
        if speaks:
            out[d] = end
    return out


def skip_headers(data: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Where each document data[starts[d]:stops[d]] begins without its licence header, int64 [n]."""
    return _skip_all(data, starts, stops, _RIGHTS)
