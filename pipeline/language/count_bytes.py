"""Bytes of each class in many contents at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays.compiled import compiled


def count_bytes(pieces: Sequence[bytes | memoryview], classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Shape (contents, classes), where two neighbouring pieces are one content."""
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)[1::2]
    counts = np.zeros((ends.size, int(classes.max()) + 1), np.int64)
    _count(np.frombuffer(b"".join(pieces), np.uint8), ends, classes, counts)
    return counts


@compiled
def _count(
    data: NDArray[np.uint8], ends: NDArray[np.int64], classes: NDArray[np.uint8], counts: NDArray[np.int64]
) -> None:
    start = 0
    for d in range(ends.size):
        row = counts[d]
        for i in range(start, ends[d]):
            row[classes[data[i]]] += 1
        start = ends[d]
