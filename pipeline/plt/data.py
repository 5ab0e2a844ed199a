"""The packed run as the trainer reads it: sequences, batches of tensors, what is held out.

Stream order is shards by name, then rows. Step k takes the next sequences of the training part and starts again at its
beginning when it ends. `train` holds the last sequences of the stream out; pieces of documents that training reads too
(repeated or split documents) are masked out of the held-out loss, or it would measure memory. `validate` draws what it
holds out and the order of the rest (see `draw.py`).

Shards are memory-mapped: a step reads only its own rows, as numpy views. Opening reads every shard once, for its hash
and largest id (see `shards.py`).
"""

# ruff: noqa: N815 (shape suffixes)

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.plt.attention import PADDING
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.plt.head import NO_TARGET
from pipeline.plt.shards import OpenShards, open_shards, seq_len_of
from pipeline.schema import PACKED
from pipeline.sequences import Ints, Rows, rows_of


@dataclass(frozen=True)
class Batch:
    """Tensors of some sequences. `pools` names each row's pool, `n_real` its tokens without padding."""

    tokens_BT: Tensor
    doc_index_BT: Tensor
    targets_BT: Tensor
    pools: tuple[str, ...]
    n_real: tuple[int, ...]

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed."""
        tokens_BT, doc_index_BT, targets_BT = map(change, (self.tokens_BT, self.doc_index_BT, self.targets_BT))
        return Batch(tokens_BT, doc_index_BT, targets_BT, self.pools, self.n_real)

    def to(self, device: torch.device) -> Batch:
        return self.each(lambda x_BT: x_BT.to(device, non_blocking=True))


@dataclass(frozen=True)
class PackedPhase:
    """A phase of an opened run: sequences start .. stop - 1 of the stream."""

    folder: str  # below `packed`; "" where the run has no phases
    seq_len: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return self.folder.partition("-")[2]


@dataclass(frozen=True)
class PackedRun:
    """An opened `RUN/packed`. Sequence i is row i of the concatenated shards."""

    folder: Path
    seq_len: int  # of the first phase, where `phases` differ
    phases: tuple[PackedPhase, ...]  # in the order of the stream
    n_sequences: int
    max_token_id: int
    hashes: dict[str, str]  # shard name -> sha256
    in_manifest: bool  # False: there was none to hold them against
    blocks: tuple[pa.RecordBatch, ...]
    block_starts: Ints  # first sequence of each block


@dataclass(frozen=True)
class Split:
    """Sequences of a run in the order of training, and the held-out ones, ascending.

    `seen` are held-out documents that training reads too; they are not scored.
    """

    run: PackedRun
    train: range | Ints
    held_out: range | Ints
    seen: frozenset[str]

    @property
    def n_train(self) -> int:
        return len(self.train)

    def digest(self) -> str:
        """SHA-256 of both lists: another one is another training."""
        lists = (np.asarray(numbers, dtype="<i8") for numbers in (self.train, self.held_out))
        return hashlib.sha256(b"|".join(numbers.tobytes() for numbers in lists)).hexdigest()


def open_packed(data: Path, *, ranks: Ranks = ALONE, walks: bool = False) -> PackedRun:
    """Map the shards of `data`/packed and hold them against the run's manifest, each read through by one process.

    Who does not say that it `walks` from phase to phase gets a run of one length of sequences only.
    Raises StoreError for missing, damaged and foreign files, SchemaError for columns, ConfigError for phases.
    """
    shards = open_shards(data, ranks=ranks)
    starts = np.cumsum([0] + [b.num_rows for b in shards.blocks])
    phases = _phases(shards, starts)
    if not walks and len({phase.seq_len for phase in phases}) > 1:
        said = ", ".join(f"{phase.name} of {phase.seq_len:,}" for phase in phases)
        raise ConfigError(
            f"{data / PACKED}: the phases have sequences of several lengths ({said}), which this command does not mix; "
            "read them with pipeline.plt.stream, or give it a run of one phase"
        )
    return PackedRun(
        folder=data / PACKED,
        seq_len=phases[0].seq_len,
        phases=phases,
        n_sequences=int(starts[-1]),
        max_token_id=shards.max_token_id,
        hashes=shards.hashes,
        in_manifest=shards.in_manifest,
        blocks=shards.blocks,
        block_starts=starts[:-1],
    )


def _phases(shards: OpenShards, starts: Ints) -> tuple[PackedPhase, ...]:
    """The phases of the opened shards; `starts` are the first sequences of the blocks and the end."""
    found = []
    for folder in dict.fromkeys(shards.folders):
        mine = [number for number, of in enumerate(shards.folders) if of == folder]
        seq_len = seq_len_of(shards.blocks[mine[0]])
        found.append(PackedPhase(folder, seq_len, int(starts[mine[0]]), int(starts[mine[-1] + 1])))
    return tuple(found)


def split_run(run: PackedRun, *, n_held_out: int, n_read: int | None = None, ranks: Ranks = ALONE) -> Split:
    """Hold the last `n_held_out` sequences out. Documents of the first `n_read` (None: of all the rest) are `seen`.

    A collective call: every rank looks through its share of the blocks.
    """
    n_train = run.n_sequences - n_held_out
    if n_train < 1:
        raise ConfigError(
            f"data.n_held_out_sequences is {n_held_out} but {run.folder} holds {run.n_sequences} sequences; "
            "lower it, or curate more data"
        )
    n_read = n_train if n_read is None else min(n_read, n_train)
    tail = {d for rows in read_rows(run, n_train, stop=run.n_sequences) for d in rows.doc_ids}
    wanted = pa.array(sorted(tail), pa.string())
    n_blocks_with = np.zeros(len(wanted), dtype=np.int64)
    for number in range(ranks.rank, len(run.blocks), ranks.size):
        start = int(run.block_starts[number])
        if start >= n_read:
            break
        ids = run.blocks[number].column("doc_ids").slice(0, n_read - start).flatten()
        n_blocks_with[pc.unique(pc.index_in(ids, value_set=wanted).drop_null()).to_numpy()] += 1
    seen = wanted.take(np.flatnonzero(ranks.add_up_numbers(n_blocks_with))).to_pylist()
    return Split(run, train=range(n_train), held_out=range(n_train, run.n_sequences), seen=frozenset(seen))


def read_rows(run: PackedRun, start: int, *, stop: int) -> Iterator[Rows]:
    """Rows start .. stop - 1 of the stream, a piece per block touched. Raises SchemaError for impossible rows."""
    while start < stop:
        number = int(np.searchsorted(run.block_starts, start, side="right")) - 1
        block, first = run.blocks[number], int(run.block_starts[number])
        end = min(stop, first + block.num_rows)
        yield rows_of(block.slice(start - first, end - start), where=run.folder, first=start)
        start = end


def read_sequences(run: PackedRun, numbers: range | Ints) -> Iterator[Rows]:
    """Rows of these sequences in their order, a piece for each stretch of the stream (a range has step 1)."""
    if isinstance(numbers, range):
        yield from read_rows(run, numbers.start, stop=numbers.stop)
        return
    for stretch in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
        if len(stretch):
            yield from read_rows(run, int(stretch[0]), stop=int(stretch[-1]) + 1)


def batch_of(rows: list[Rows]) -> Batch:
    """Tensors of these rows. Documents are spans: what attends to itself. Targets: the next id of the same span."""
    tokens_BT = np.concatenate([r.token_ids for r in rows]).astype(np.int64)
    n_rows, seq_len = tokens_BT.shape
    n_real, n_spans, starts, ends = (
        np.concatenate([getattr(r, name) for r in rows]) for name in ("n_real", "n_spans", "span_starts", "span_ends")
    )
    base = np.repeat(np.arange(n_rows) * seq_len, n_spans)
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


def unigram_entropies(counts: dict[str, Ints]) -> dict[str, float]:
    """Entropy in nats of each pool's token frequencies, for pools that have any.

    It is the loss of a model that knows frequencies and nothing else: what a trained model must undercut.
    """
    shares = {pool: count[count > 0] / count.sum() for pool, count in counts.items() if count.any()}
    return {pool: float(-(share * np.log(share)).sum()) for pool, share in shares.items()}
