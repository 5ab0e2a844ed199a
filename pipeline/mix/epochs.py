"""Where in the stream each copy of a document stands: copy c of n in the c-th of n equal parts, far from the others.

A pool's stream is cut into segments of equal time, each a packing problem of its own. A document keeps its place
within each part, so two copies are a part apart, which for a document that is read n times is an epoch; only the order
within a segment is another each time.
"""

import numpy as np

# Segments of one part. Two copies come nearer to each other than a part by at most one segment in the shuffle of
# sequences and by PATIENCE segments where sequences that are not full wait for more (`rest.py`). Three quarters are
# left, and half a part although segments hold unequal numbers of tokens, as long as an epoch is not a few large
# documents (`reading/verify_epochs.py` says how few). With eight segments and a patience of two a third of small
# mixtures fell below a half; with more patience sequences are hardly fuller.
SEGMENTS = 16
PATIENCE = 3


def n_segments(n_partitions: int, max_copies: int) -> int:
    """How many segments a pool has whose documents are read up to `max_copies` times; at least `n_partitions`."""
    return n_partitions if max_copies == 1 else max(n_partitions, SEGMENTS * max_copies)


def patience(n_segments: int, max_copies: int) -> int:
    """How many of a pool's segments a sequence may wait to be filled; all, where no document is read twice."""
    return n_segments if max_copies == 1 else PATIENCE * n_segments // (SEGMENTS * max_copies)


def segment_of(keys: np.ndarray, copy: np.ndarray, n_copies: np.ndarray, *, of: int) -> np.ndarray:
    """The segment 0 .. `of` - 1 in which copy `copy` of `n_copies` stands, int64 [n]; `keys` are the documents'."""
    # In whole numbers, so that no rounding moves a copy into another part: with 32 bits of the key, copies times
    # segments may be 2 ** 31.
    place = (copy.astype(np.uint64) << np.uint64(32)) + (keys >> np.uint64(32))
    return (place * np.uint64(of) // (n_copies.astype(np.uint64) << np.uint64(32))).astype(np.int64)
