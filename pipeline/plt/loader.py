"""Batches of training straight from the memory-mapped shards: numpy views, no object per token, one thread ahead.

Every rank reads its own rows of a step and, from the row metadata alone, the counts of the whole step, so that no
message between ranks is needed to weigh the loss. A batch depends on its place in the stream and on the rank only: a
resumed run reads the same bytes. On the way out ids widen to int64, piece numbers are a running sum of piece starts,
and targets are the ids one place on where the piece goes on.

Cost: some 10 ns a token on one core; `tests/bench/bench_train.py --loader` measures it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pipeline.plt.attention import PADDING
from pipeline.plt.data import Batch, Split, batch_of, read_sequences
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.plt.head import NO_TARGET
from pipeline.schema import POOLS
from pipeline.sequences import Ints, Rows

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


def read_step(split: Split, *, start: int, n_sequences: int, n_rows: int, ranks: Ranks = ALONE) -> StepBatch:
    """The update that begins at sequence `start` of the endless stream: this rank's rows in parts of `n_rows`.

    Every rank gets equally many parts, because with weights divided all must take part in each pass. A rank that has
    no row left for one passes an empty row through, which has no target and so no gradient.
    """
    n_tokens, n_targets, n_pairs = dict.fromkeys(POOLS, 0), dict.fromkeys(POOLS, 0), 0
    for rows in _around(split, start=start, count=n_sequences):
        of_targets = rows.n_real - rows.n_spans
        lengths = rows.span_ends - rows.span_starts
        n_pairs += int((lengths * (lengths + 1) // 2).sum())
        for pool, real, targets in zip(rows.pools, rows.n_real.tolist(), of_targets.tolist(), strict=True):
            n_tokens[pool] += real
            n_targets[pool] += targets
    mine = rows_of_rank(n_sequences, ranks=ranks)
    n_most = -(-n_sequences // ranks.size)  # rows of the rank that has most
    parts = tuple(
        batch_of(list(_around(split, start=start + first, count=min(n_rows, mine.stop - first))))
        if first < mine.stop
        else _empty_batch(split.run.seq_len)
        for first in range(mine.start, mine.start + n_most, n_rows)
    )
    context = n_pairs / max(1, sum(n_tokens.values()))
    return StepBatch(parts, max(1, sum(n_targets.values())), n_tokens, n_targets, context)


def rows_of_rank(n_sequences: int, *, ranks: Ranks) -> range:
    """Which rows of a step a rank reads: together the ranks read each once, and no two differ by more than one row."""
    return range(ranks.rank * n_sequences // ranks.size, (ranks.rank + 1) * n_sequences // ranks.size)


def _empty_batch(seq_len: int) -> Batch:
    """One row of padding."""
    row_BT = torch.zeros((1, seq_len), dtype=torch.int64)
    return Batch(row_BT, torch.full_like(row_BT, PADDING), torch.full_like(row_BT, NO_TARGET), POOLS[:1], (0,))


def _around(split: Split, *, start: int, count: int) -> Iterator[Rows]:
    """`count` rows from place `start` of the endlessly repeated training part."""
    while count:
        place = start % split.n_train
        n = min(count, split.n_train - place)
        yield from read_sequences(split.run, split.train[place : place + n])
        start, count = start + n, count - n


def token_counts(split: Split, *, n_sequences: int, vocab_size: int, ranks: Ranks = ALONE) -> dict[str, Ints]:
    """How often each id occurs in each pool's real tokens, over the first `n_sequences` of the training part.

    A collective call: every rank counts its share.
    """
    counts = {pool: np.zeros(vocab_size, dtype=np.int64) for pool in POOLS}
    read = split.train[:n_sequences]
    read = read if isinstance(read, range) else np.sort(read)  # in stream order fewer stretches are read
    for start in range(ranks.rank * _COUNTED, len(read), ranks.size * _COUNTED):
        for rows in read_sequences(split.run, read[start : start + _COUNTED]):
            real_BT = np.arange(split.run.seq_len) < rows.n_real[:, None]
            for pool in POOLS:
                mine_B = np.array([p == pool for p in rows.pools])
                ids = rows.token_ids[mine_B][real_BT[mine_B]]
                counts[pool] += np.bincount(ids, minlength=vocab_size)
    return {pool: ranks.add_up_numbers(count) for pool, count in counts.items()}


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
