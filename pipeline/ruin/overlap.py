"""Which runs of tokens of held-out text stand in the text that is trained on: what a model may know by heart."""

import numpy as np
import numpy.typing as npt

from pipeline.arrays.compiled import compiled

GRAM = 13  # tokens, the length at which contamination of test sets is usually counted (Brown et al., 2020, section 4)
_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@compiled
def _fill(tokens: npt.NDArray[np.uint32], starts: Ints, lengths: Ints, size: int, hashes: Hashes, owners: Ints) -> int:
    n = 0
    for piece in range(len(starts)):
        for i in range(lengths[piece] - size + 1):
            h = np.uint64(5)
            for j in range(size):
                h = (h ^ np.uint64(tokens[starts[piece] + i + j])) * _MULTIPLY
                h ^= h >> np.uint64(29)
            hashes[n] = h
            owners[n] = piece
            n += 1
    return n


def grams(tokens: npt.NDArray[np.uint32], starts: Ints, lengths: Ints) -> tuple[Hashes, Ints]:
    """Hash of every GRAM tokens in a row inside a piece, and the number of its piece."""
    room = int(np.maximum(0, lengths - GRAM + 1).sum())
    hashes, owners = np.empty(room, np.uint64), np.empty(room, np.int64)
    _fill(tokens, starts, lengths, GRAM, hashes, owners)
    return hashes, owners


class Seen:
    """Held-out runs of tokens, and which of them have been met in what was shown since."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes, self._place = np.unique(hashes, return_inverse=True)
        self._met = np.zeros(len(self.hashes), dtype=bool)

    def show(self, hashes: Hashes) -> None:
        """Mark every held-out run that is among `hashes`."""
        if len(self.hashes):
            at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            self._met[at[self.hashes[at] == hashes]] = True

    @property
    def met(self) -> npt.NDArray[np.bool_]:
        """For each of the hashes given at the start whether it was met."""
        return self._met[self._place]
