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
        return _kinds(np.array([_counted(b"".join(pieces[i : i + 2])) for i in range(0, len(pieces), 2)]))
    ends = np.cumsum([0, *map(len, pieces)])
    bounds = np.stack((ends[:-1], ends[1:]), axis=1).reshape(-1, 4)
    return _kinds_at(np.frombuffer(b"".join(pieces), np.uint8), bounds)


def kinds_in(data: np.ndarray, offsets: np.ndarray) -> list[int]:
    """The kind of each content data[offsets[k]:offsets[k + 1]], none of which is copied; uint8 and int64."""
    starts, sizes = offsets[:-1], np.diff(offsets)
    middle = np.minimum(np.maximum(MAX_PIECE_BYTES, sizes // 2), sizes)
    ends = np.minimum(MAX_PIECE_BYTES, sizes), np.minimum(middle + MAX_PIECE_BYTES, sizes)
    bounds = np.stack((starts, starts + ends[0], starts + middle, starts + ends[1]), axis=1)
    return _kinds_at(data, bounds)


def _kinds_at(data: np.ndarray, pieces: np.ndarray) -> list[int]:
    from pipeline.language.tokens import count_bytes

    return _kinds(count_bytes(data, pieces, CLASSES))


def _counted(data: bytes) -> list[int]:
    found: list[int] = np.bincount(CLASSES[np.frombuffer(data, np.uint8)], minlength=N_CLASSES).tolist()
    return found


def _kinds(counts: np.ndarray) -> list[int]:
    """The kinds by counts of shape (contents, N_CLASSES)."""
    counts = counts.reshape(-1, N_CLASSES)
    solid = counts.sum(axis=1) - counts[:, BLANK]
    numbers = (counts[:, DIGIT] >= MIN_DIGIT_FRAC * solid) & (counts[:, LETTER] <= MAX_LETTER_FRAC * solid)
    tests = (
        solid == 0,
        counts[:, NUL] > 0,
        (solid >= MIN_DATA_BYTES) & numbers,
        counts[:, SYMBOL] <= MAX_SYMBOL_FRAC * solid,
    )
    return np.select(tests, (EMPTY, BINARY, DATA, WORDS), CODE).tolist()  # type: ignore[no-any-return]
