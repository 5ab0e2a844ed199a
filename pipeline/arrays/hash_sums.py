"""Sums by a 64-bit key over many shards: memory grows with the number of distinct keys, not with that of rows."""

import numpy as np

# Rows held before they are added up: some hundred megabytes, and seldom enough that sorting them costs little.
MAX_PENDING = 4_000_000


class HashSums:
    """Adds rows of counts to their keys."""

    def __init__(self, *, n_values: int) -> None:
        self._keys = [np.zeros(0, np.uint64)]
        self._values = [np.zeros((0, n_values), np.int64)]
        self._n_pending = 0

    def add(self, keys: np.ndarray, *values: np.ndarray) -> None:
        """Add a row of values to each key; keys may repeat. All have shape [n], uint64 and int64."""
        self._keys.append(keys)
        self._values.append(np.stack([v.astype(np.int64) for v in values], axis=1))
        self._n_pending += keys.size
        if self._n_pending > MAX_PENDING:
            self._add_up()

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct keys in order, uint64 [n], and the sums of their values, int64 [n, n_values]."""
        self._add_up()
        return self._keys[0], self._values[0]

    def _add_up(self) -> None:
        keys, place = np.unique(np.concatenate(self._keys), return_inverse=True)
        values = np.concatenate(self._values)
        sums = np.zeros((keys.size, values.shape[1]), np.int64)
        np.add.at(sums, place, values)
        self._keys, self._values, self._n_pending = [keys], [sums], 0
