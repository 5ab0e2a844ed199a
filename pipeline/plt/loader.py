"""Batches of training straight from the memory-mapped shards: numpy views, no object per token, one thread ahead.

Every rank reads its own rows of a step and, from the row metadata alone, the counts of the whole step, so that no
message between ranks is needed to weigh the loss. A batch depends on (step, rank, world) only: a resumed run reads
the same bytes. On the way out ids widen to int64, piece numbers are a running sum of piece starts, and targets are
the ids one place on where the piece goes on.

Cost: some 10 ns a token on one core; `tests/bench/bench_train.py --loader` measures it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from pipeline.errors import SchemaError
from pipeline.plt.attention import PADDING
from pipeline.plt.data import Batch, PackedRun, Split
from pipeline.plt.head import NO_TARGET
from pipeline.schema import POOLS

Ints = npt.NDArray[np.int64]
_AHEAD = 2  # batches that may wait for the step
_COUNTED = 256  # rows counted at once


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one Arrow block as numpy arrays; `starts` and `ends` are flat over all pieces."""

    token_ids: npt.NDArray[np.uint32]  # (rows, L), a view of the map
    n_real: Ints
    n_pieces: Ints
    starts: Ints
    ends: Ints
    pools: tuple[str, ...]


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
        parts = tuple(
            replace(
                part,
                tokens_BT=part.tokens_BT.pin_memory(),
                doc_index_BT=part.doc_index_BT.pin_memory(),
                targets_BT=part.targets_BT.pin_memory(),
            )
            for part in self.parts
        )
        return replace(self, parts=parts)


def read_rows(run: PackedRun, start: int, *, stop: int) -> Iterator[Rows]:
    """Rows start .. stop - 1 of the stream, a piece per block touched. Raises SchemaError for impossible rows."""
    while start < stop:
        number = int(np.searchsorted(run.block_starts, start, side="right")) - 1
        block, first = run.blocks[number], int(run.block_starts[number])
        end = min(stop, first + block.num_rows)
        yield _rows(block.slice(start - first, end - start), seq_len=run.seq_len, where=f"{run.folder}: rows {start}+")
        start = end


def _rows(block: pa.RecordBatch, *, seq_len: int, where: str) -> Rows:
    bounds = block.column("cu_seqlens")
    flat = bounds.flatten().to_numpy().astype(np.int64)
    n_bounds = np.diff(bounds.offsets.to_numpy()).astype(np.int64)
    n_real = block.column("n_real").to_numpy().astype(np.int64)
    firsts = np.cumsum(n_bounds) - n_bounds
    lasts = firsts + n_bounds - 1
    sound = (n_bounds >= 1).all() and (n_real <= seq_len).all()
    if sound:
        inner = np.ones(len(flat), dtype=bool)
        inner[firsts] = False
        starts, ends = flat[np.flatnonzero(inner) - 1], flat[inner]
        sound = (flat[firsts] == 0).all() and (flat[lasts] == n_real).all() and (ends > starts).all()
    if not sound:
        raise SchemaError(f"{where}: cu_seqlens do not rise from 0 to n_real in each row; run `loopmix curate` again")
    pools = tuple(block.column("pool").to_pylist())
    odd = sorted(set(pools) - set(POOLS))
    if odd:
        raise SchemaError(f"{where}: pools {odd}, expected {POOLS}")
    token_ids = block.column("token_ids").flatten().to_numpy().reshape(-1, seq_len)
    return Rows(token_ids, n_real, n_bounds - 1, starts, ends, pools)


def batch_of(rows: list[Rows]) -> Batch:
    """Tensors of these rows. Targets: the next id of the same piece."""
    tokens_BT = np.concatenate([r.token_ids for r in rows]).astype(np.int64)
    n_rows, seq_len = tokens_BT.shape
    n_real, n_pieces, starts, ends = (
        np.concatenate([getattr(r, name) for r in rows]) for name in ("n_real", "n_pieces", "starts", "ends")
    )
    base = np.repeat(np.arange(n_rows) * seq_len, n_pieces)
    marks = np.zeros(n_rows * seq_len, dtype=np.int32)
    marks[base + starts] = 1
    doc_index_BT = (np.cumsum(marks.reshape(n_rows, seq_len), axis=1) - 1).astype(np.int64)
    targets_BT = np.empty_like(tokens_BT)
    targets_BT.reshape(-1)[:-1] = tokens_BT.reshape(-1)[1:]
    targets_BT.reshape(-1)[base + ends - 1] = NO_TARGET
    for row, n in enumerate(n_real.tolist()):
        if n < seq_len:
            doc_index_BT[row, n:] = PADDING
            targets_BT[row, n:] = NO_TARGET
    pools = tuple(pool for r in rows for pool in r.pools)
    return Batch(
        torch.from_numpy(tokens_BT),
        torch.from_numpy(doc_index_BT),
        torch.from_numpy(targets_BT),
        pools,
        tuple(n_real.tolist()),
    )


def read_step(split: Split, *, step: int, n_sequences: int, n_rows: int, rank: int = 0, world: int = 1) -> StepBatch:
    """Update `step` (from 0) of the stream, round and round: this rank's rows in parts of `n_rows`."""
    per_rank = n_sequences // world
    n_tokens, n_targets, n_pairs = dict.fromkeys(POOLS, 0), dict.fromkeys(POOLS, 0), 0
    for rows in _around(split, start=step * n_sequences, count=n_sequences):
        of_targets = rows.n_real - rows.n_pieces
        lengths = rows.ends - rows.starts
        n_pairs += int((lengths * (lengths + 1) // 2).sum())
        for pool, real, targets in zip(rows.pools, rows.n_real.tolist(), of_targets.tolist(), strict=True):
            n_tokens[pool] += real
            n_targets[pool] += targets
    mine = step * n_sequences + rank * per_rank
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
        yield from read_rows(split.run, place, stop=place + n)
        start, count = start + n, count - n


def token_counts(split: Split, *, n_sequences: int, vocab_size: int) -> dict[str, Ints]:
    """How often each id occurs in each pool's real tokens, over the first `n_sequences` of the training part."""
    counts = {pool: np.zeros(vocab_size, dtype=np.int64) for pool in POOLS}
    stop = min(n_sequences, split.n_train)
    for start in range(0, stop, _COUNTED):
        for rows in read_rows(split.run, start, stop=min(start + _COUNTED, stop)):
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
