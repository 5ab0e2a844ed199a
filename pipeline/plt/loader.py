"""Batches of training straight from the memory-mapped shards: numpy views, no object per token, one thread ahead.

Every rank reads its own rows of a step and, from the row metadata alone, the counts of the whole step, so that no
message between ranks is needed to weigh the loss. A batch depends on step and rank only: a resumed run reads the
same bytes. On the way out ids widen to int64, piece numbers are a running sum of piece starts, and targets are
the ids one place on where the piece goes on.

Cost: some 10 ns a token on one core; `tests/bench/bench_train.py --loader` measures it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from pipeline.plt.data import Batch, Ints, Rows, Split, batch_of, read_sequences
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.schema import POOLS

# Batches that may wait for the step: one hides the reading, a second evens it out; more would only hold memory.
_AHEAD = 2
_COUNTED = 256  # rows counted at once, so that counting a long stream needs the memory of a few


@dataclass(frozen=True)
class StepBatch:
    """One rank's part of an update, cut into forward passes, and what the whole update holds."""

    parts: tuple[Batch, ...]
    n_targets: int  # of all ranks
    n_tokens: dict[str, int]  # real ones per pool, of all ranks
    n_pool_targets: dict[str, int]
    mean_context: float  # keys that a token sees in its document, on average: what attention costs

    def pinned(self) -> StepBatch:
        """The same in page-locked memory, from which copies to CUDA overlap with work."""
        return replace(self, parts=tuple(part.each(Tensor.pin_memory) for part in self.parts))


def read_step(split: Split, *, step: int, n_sequences: int, n_rows: int, ranks: Ranks = ALONE) -> StepBatch:
    """Update `step` (from 0) of the stream, round and round: this rank's rows in parts of `n_rows`."""
    per_rank = n_sequences // ranks.size
    n_tokens, n_targets, n_pairs = dict.fromkeys(POOLS, 0), dict.fromkeys(POOLS, 0), 0
    for rows in _around(split, start=step * n_sequences, count=n_sequences):
        of_targets = rows.n_real - rows.n_pieces
        lengths = rows.ends - rows.starts
        n_pairs += int((lengths * (lengths + 1) // 2).sum())
        for pool, real, targets in zip(rows.pools, rows.n_real.tolist(), of_targets.tolist(), strict=True):
            n_tokens[pool] += real
            n_targets[pool] += targets
    mine = step * n_sequences + ranks.rank * per_rank
    parts = tuple(
        batch_of(list(_around(split, start=mine + done, count=min(n_rows, per_rank - done))))
        for done in range(0, per_rank, n_rows)
    )
    context = n_pairs / max(1, sum(n_tokens.values()))
    return StepBatch(parts, max(1, sum(n_targets.values())), n_tokens, n_targets, context)


def _around(split: Split, *, start: int, count: int) -> Iterator[Rows]:
    """`count` rows from place `start` of the endlessly repeated training part."""
    while count:
        place = start % split.n_train
        n = min(count, split.n_train - place)
        yield from read_sequences(split.run, split.train[place : place + n])
        start, count = start + n, count - n


def token_counts(split: Split, *, n_sequences: int, vocab_size: int) -> dict[str, Ints]:
    """How often each id occurs in each pool's real tokens, over the first `n_sequences` of the training part."""
    counts = {pool: np.zeros(vocab_size, dtype=np.int64) for pool in POOLS}
    read = split.train[:n_sequences]
    read = read if isinstance(read, range) else np.sort(read)  # in stream order fewer stretches are read
    for start in range(0, len(read), _COUNTED):
        for rows in read_sequences(split.run, read[start : start + _COUNTED]):
            real_BT = np.arange(split.run.seq_len) < rows.n_real[:, None]
            for pool in POOLS:
                mine_B = np.array([p == pool for p in rows.pools])
                ids = rows.token_ids[mine_B][real_BT[mine_B]]
                counts[pool] += np.bincount(ids, minlength=vocab_size)
    return counts


class Loader:
    """Steps in order, read one thread ahead of the one that trains. Use as a context manager.

    `wait_seconds` of `next` is how long the step had to wait: near zero unless reading is the bottleneck.
    """

    def __init__(self, read: Callable[[int], StepBatch], *, first_step: int, n_steps: int) -> None:
        self._read, self._n_steps = read, n_steps
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader")
        self._waiting: list[Future[StepBatch]] = []
        self._next = first_step
        self._fill()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def next(self) -> tuple[StepBatch, float]:
        """The next step's batch and the seconds it was waited for. Errors of the reading thread are raised here."""
        started = time.perf_counter()
        batch = self._waiting.pop(0).result()
        waited = time.perf_counter() - started
        self._fill()
        return batch, waited

    def _fill(self) -> None:
        while len(self._waiting) < _AHEAD and self._next < self._n_steps:
            self._waiting.append(self._pool.submit(self._read, self._next))
            self._next += 1
