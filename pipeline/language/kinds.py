"""What a content looks like, whatever its name says: code, prose, data, binary or empty.

One pass over the bytes of a whole batch marks what deserves a closer look; only for those do the slower tests run. The
kernel for batches stands apart, in `tokens.py`: a handful of documents is counted without loading numba, which takes
longer than all the rest of `loopmix classify FILE`.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.language.prose import MAX_SYMBOL_FRAC, SYMBOLS

EMPTY, BINARY, DATA, WORDS, CODE = range(5)  # WORDS: few symbols, so perhaps prose
NAMES = ("empty", "binary", "data", "prose", "code")

# The bounds are plain choices.
MIN_DIGIT_FRAC, MAX_LETTER_FRAC = 0.2, 0.08  # of data: digits, and letters that no hexadecimal number has
MIN_DATA_BYTES = 1_024  # a short table of numbers is code like any other
MAX_PIECE_BYTES = 4_096  # read from the start and from the middle, as a dump often begins with a comment

OTHER, BLANK, NUL, SYMBOL, DIGIT, LETTER = range(6)
N_CLASSES = 6
FEW = 64  # documents up to which numba stays unloaded: counting them without it takes less than loading it


# The class of every byte. Letters a to f and x stand in numbers, so they count as neither.
CLASSES = np.full(256, OTHER, np.uint8)
CLASSES[list(b" \t\r\n\f\v")] = BLANK
CLASSES[0] = NUL
CLASSES[list(SYMBOLS)] = SYMBOL
CLASSES[ord("0") : ord("9") + 1] = DIGIT
CLASSES[[c for c in range(128) if chr(c).isalpha() and chr(c).lower() not in "abcdefx"]] = LETTER


def kinds_of(contents: Sequence[bytes | memoryview]) -> list[int]:
    """The kind of each content."""
    pieces: list[bytes | memoryview] = []
    for content in contents:
        middle = max(MAX_PIECE_BYTES, len(content) // 2)
        pieces += (content[:MAX_PIECE_BYTES], content[middle : middle + MAX_PIECE_BYTES])
    if len(contents) <= FEW:
        counts = [_counted(b"".join(pieces[i : i + 2])) for i in range(0, len(pieces), 2)]
    else:
        from pipeline.language.tokens import count_bytes

        counts = count_bytes(pieces, CLASSES).tolist()
    return [_kind(row) for row in counts]


def _counted(data: bytes) -> list[int]:
    found: list[int] = np.bincount(CLASSES[np.frombuffer(data, np.uint8)], minlength=N_CLASSES).tolist()
    return found


def _kind(counts: list[int]) -> int:
    solid = sum(counts) - counts[BLANK]
    if solid == 0:
        return EMPTY
    if counts[NUL] > 0:
        return BINARY
    numbers = counts[DIGIT] >= MIN_DIGIT_FRAC * solid and counts[LETTER] <= MAX_LETTER_FRAC * solid
    if solid >= MIN_DATA_BYTES and numbers:
        return DATA
    return WORDS if counts[SYMBOL] <= MAX_SYMBOL_FRAC * solid else CODE
