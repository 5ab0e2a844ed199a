"""What a content looks like, whatever its name says: code, prose, data, binary or empty.

One pass over the bytes of a whole batch marks what deserves a closer look; only for those do the slower tests run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.text.compiled import compiled

EMPTY, BINARY, DATA, WORDS, CODE = range(5)  # WORDS: few symbols, so perhaps prose
NAMES = ("empty", "binary", "data", "prose", "code")

MAX_SYMBOL_FRAC = 0.025  # as in `prose.py`; among bytes that are not blank
MIN_DIGIT_FRAC, MAX_LETTER_FRAC = 0.2, 0.08  # of data: digits, and letters that no hexadecimal number has
MIN_DATA_BYTES = 1_024  # a short table of numbers is code like any other
MAX_PIECE_BYTES = 4_096  # read from the start and from the middle, as a dump often begins with a comment

_OTHER, _BLANK, _NUL, _SYMBOL, _DIGIT, _LETTER = range(6)


def byte_classes() -> NDArray[np.uint8]:
    """The class of every byte. Letters a to f and x stand in numbers, so they count as neither."""
    classes = np.full(256, _OTHER, np.uint8)
    classes[list(b" \t\r\n\f\v")] = _BLANK
    classes[0] = _NUL
    classes[list(b"{}[];=<>|\\_$#@^~+*/&")] = _SYMBOL
    classes[ord("0") : ord("9") + 1] = _DIGIT
    classes[[c for c in range(128) if chr(c).isalpha() and chr(c).lower() not in "abcdefx"]] = _LETTER
    return classes


CLASSES = byte_classes()


def kinds_of(contents: Sequence[bytes | memoryview]) -> NDArray[np.uint8]:
    """The kind of each content."""
    pieces: list[bytes | memoryview] = []
    for content in contents:
        middle = max(MAX_PIECE_BYTES, len(content) // 2)
        pieces += (content[:MAX_PIECE_BYTES], content[middle : middle + MAX_PIECE_BYTES])
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    kinds = np.empty(len(contents), np.uint8)
    _look(np.frombuffer(b"".join(pieces), np.uint8), ends[1::2], CLASSES, kinds)
    return kinds


@compiled
def _look(
    data: NDArray[np.uint8], ends: NDArray[np.int64], classes: NDArray[np.uint8], kinds: NDArray[np.uint8]
) -> None:
    counts = np.zeros(6, np.int64)
    start = 0
    for d in range(ends.size):
        counts[:] = 0
        for i in range(start, ends[d]):
            counts[classes[data[i]]] += 1
        solid = ends[d] - start - counts[_BLANK]
        if solid == 0:
            kinds[d] = EMPTY
        elif counts[_NUL] > 0:
            kinds[d] = BINARY
        elif (
            solid >= MIN_DATA_BYTES
            and counts[_DIGIT] >= MIN_DIGIT_FRAC * solid
            and counts[_LETTER] <= MAX_LETTER_FRAC * solid
        ):
            kinds[d] = DATA
        elif counts[_SYMBOL] <= MAX_SYMBOL_FRAC * solid:
            kinds[d] = WORDS
        else:
            kinds[d] = CODE
        start = ends[d]
