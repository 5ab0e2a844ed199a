"""The packed run as the trainer reads it: sequences in stream order, batches of tensors, the held-out tail.

Stream order is shards by name, then rows. Step k takes the next sequences of the training part and starts again at its
beginning when it ends. The last sequences of the stream are held out; pieces of documents that training reads too
(repeated or split documents) are masked out of the held-out loss, or it would measure memory.

Shards are memory-mapped: a step reads only its own rows. Opening reads every shard once, for its hash and largest id.
"""

# ruff: noqa: N815 (shape suffixes)

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from pipeline.errors import ConfigError, SchemaError, StoreError
from pipeline.plt.attention import PADDING
from pipeline.plt.head import NO_TARGET
from pipeline.schema import POOLS, check, packed_schema

_SHARD_NAME = re.compile(r"^part-\d{5}-of-\d{5}\.arrow$")


@dataclass(frozen=True)
class Sequence:
    """One packed row. Piece j is token_ids[cu_seqlens[j]:cu_seqlens[j + 1]]; the rest is padding."""

    token_ids: npt.NDArray[np.int64]
    n_real: int
    cu_seqlens: npt.NDArray[np.int64]
    doc_ids: tuple[str, ...]
    pool: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """Tensors of some sequences. `pools` names each row's pool, `n_real` its tokens without padding."""

    tokens_BT: Tensor
    doc_index_BT: Tensor
    targets_BT: Tensor
    pools: tuple[str, ...]
    n_real: tuple[int, ...]

    def to(self, device: torch.device) -> Batch:
        return Batch(
            self.tokens_BT.to(device, non_blocking=True),
            self.doc_index_BT.to(device, non_blocking=True),
            self.targets_BT.to(device, non_blocking=True),
            self.pools,
            self.n_real,
        )


@dataclass(frozen=True)
class PackedRun:
    """An opened `RUN/packed`. Sequence i is row i of the concatenated shards."""

    folder: Path
    seq_len: int
    n_sequences: int
    max_token_id: int
    hashes: dict[str, str]  # shard name -> sha256
    blocks: tuple[pa.RecordBatch, ...]
    block_starts: npt.NDArray[np.int64]  # first sequence of each block


@dataclass(frozen=True)
class Split:
    """Training part 0 .. n_train - 1 and the held-out tail; `seen` are those of its documents that training reads."""

    run: PackedRun
    n_train: int
    seen: frozenset[str]

    @property
    def held_out(self) -> range:
        return range(self.n_train, self.run.n_sequences)


def open_packed(data: Path) -> PackedRun:
    """Map the shards of `data`/packed. Raises StoreError for missing or damaged files, SchemaError for columns."""
    folder = data / "packed"
    paths = _shard_paths(folder)
    hashes, blocks = {}, []
    for path in paths:
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        blocks += _map_shard(path)
    blocks = [b for b in blocks if b.num_rows]
    if not blocks:
        raise StoreError(f"{folder}: the packed run has no sequence, expected at least one; see its report for why")
    seq_len = blocks[0].schema.field("token_ids").type.list_size
    for block in blocks:
        check(pa.Table.from_batches([block]), packed_schema(seq_len), name=str(folder))
    starts = np.cumsum([0] + [b.num_rows for b in blocks])
    return PackedRun(
        folder=folder,
        seq_len=seq_len,
        n_sequences=int(starts[-1]),
        max_token_id=max(int(pc.max(b.column("token_ids").flatten()).as_py()) for b in blocks),
        hashes=hashes,
        blocks=tuple(blocks),
        block_starts=starts[:-1],
    )


def _shard_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such folder; expected the output of `loopmix curate`, run that first")
    names = sorted(path.name for path in folder.iterdir() if _SHARD_NAME.match(path.name))
    if not names:
        raise StoreError(f"{folder}: holds no part-*.arrow; finish `loopmix curate` first")
    expected = [f"part-{i:05d}-of-{len(names):05d}.arrow" for i in range(len(names))]
    if names != expected:
        raise StoreError(f"{folder}: shards {names} are not one complete set {expected}; run `loopmix curate` again")
    return [folder / name for name in names]


def _map_shard(path: Path) -> list[Any]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        blocks = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{path}: is no readable Arrow file ({error}); delete it and run `loopmix curate` again"
        ) from error
    kind = reader.schema.field("token_ids").type if "token_ids" in reader.schema.names else None
    if not isinstance(kind, pa.FixedSizeListType):
        raise SchemaError(f"{path}: column token_ids has type {kind}, expected a fixed-size list of uint32")
    return blocks


def read_sequence(run: PackedRun, index: int) -> Sequence:
    """Copy one row out of the map."""
    number = int(np.searchsorted(run.block_starts, index, side="right")) - 1
    row = run.blocks[number].slice(index - int(run.block_starts[number]), 1)
    sequence = Sequence(
        token_ids=row.column("token_ids").flatten().to_numpy().astype(np.int64),
        n_real=row.column("n_real")[0].as_py(),
        cu_seqlens=row.column("cu_seqlens").flatten().to_numpy().astype(np.int64),
        doc_ids=tuple(row.column("doc_ids").flatten().to_pylist()),
        pool=row.column("pool")[0].as_py(),
        groups=tuple(row.column("groups").flatten().to_pylist()),
    )
    _check_sequence(sequence, where=f"{run.folder}: sequence {index}")
    return sequence


def _check_sequence(sequence: Sequence, *, where: str) -> None:
    bounds = sequence.cu_seqlens
    inside = len(bounds) and bounds[0] == 0 and bounds[-1] == sequence.n_real <= len(sequence.token_ids)
    if not inside or (np.diff(bounds) <= 0).any():
        raise SchemaError(f"{where}: cu_seqlens {bounds.tolist()} do not rise from 0 to n_real = {sequence.n_real}")
    if not len(bounds) - 1 == len(sequence.doc_ids) == len(sequence.groups):
        raise SchemaError(
            f"{where}: {len(bounds) - 1} pieces, {len(sequence.doc_ids)} doc_ids and {len(sequence.groups)} groups"
        )
    if sequence.pool not in POOLS:
        raise SchemaError(f"{where}: pool {sequence.pool!r}, expected one of {POOLS}")


def split_run(run: PackedRun, *, n_held_out: int, n_read: int | None = None, trained: PackedRun | None = None) -> Split:
    """Divide the stream. Training will read its first `n_read` sequences (None: all); their documents are `seen`.

    With `trained` that other run is what training reads: `seen` are the documents of this tail among its first ones.
    """
    n_train = run.n_sequences - n_held_out
    if n_train < 1:
        raise ConfigError(
            f"data.n_held_out_sequences is {n_held_out} but {run.folder} holds {run.n_sequences} sequences; "
            "lower it, or curate more data"
        )
    source = trained or run
    n_read = n_train if n_read is None else min(n_read, n_train if trained is None else trained.n_sequences)
    tail = {d for i in range(n_train, run.n_sequences) for d in read_sequence(run, i).doc_ids}
    wanted = pa.array(sorted(tail), pa.string())
    seen: set[str] = set()
    for start, block in zip(source.block_starts, source.blocks, strict=True):
        if start >= n_read:
            break
        ids = block.column("doc_ids").slice(0, n_read - int(start)).flatten()
        seen.update(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())
    return Split(run=run, n_train=n_train, seen=frozenset(seen))


def make_batch(sequences: list[Sequence], *, unscored: frozenset[str] = frozenset()) -> Batch:
    """Stack sequences. The target of a token is the next one of its piece; pieces of `unscored` documents have none."""
    rows = [_row(s, unscored) for s in sequences]
    tokens_BT, doc_index_BT, targets_BT = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
    pools = tuple(s.pool for s in sequences)
    return Batch(tokens_BT, doc_index_BT, targets_BT, pools, tuple(s.n_real for s in sequences))


def _row(sequence: Sequence, unscored: frozenset[str]) -> tuple[npt.NDArray[np.int64], ...]:
    tokens_T = sequence.token_ids
    doc_index_T = piece_numbers(sequence)
    targets_T = np.full_like(tokens_T, NO_TARGET)
    inner_T = (doc_index_T[1:] == doc_index_T[:-1]) & (doc_index_T[1:] != PADDING)
    targets_T[:-1][inner_T] = tokens_T[1:][inner_T]
    for (start, end), doc_id in zip(pairwise(sequence.cu_seqlens), sequence.doc_ids, strict=True):
        if doc_id in unscored:
            targets_T[start:end] = NO_TARGET
    return tokens_T, doc_index_T, targets_T


def piece_numbers(sequence: Sequence) -> npt.NDArray[np.int64]:
    """Each token's piece within its row; -1 for padding."""
    numbers_T = np.full(len(sequence.token_ids), PADDING, dtype=np.int64)
    lengths = np.diff(sequence.cu_seqlens)
    numbers_T[: sequence.n_real] = np.repeat(np.arange(len(lengths)), lengths)
    return numbers_T


def unigram_entropies(counts: dict[str, npt.NDArray[np.int64]]) -> dict[str, float]:
    """Entropy in nats of each pool's token frequencies, for pools that have any.

    It is the loss of a model that knows frequencies and nothing else: what a trained model must undercut.
    """
    return {pool: _entropy(count) for pool, count in counts.items() if count.any()}


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def batches(
    split: Split, *, indexes: range, size: int, unscored: frozenset[str]
) -> Iterator[tuple[Batch, list[Sequence]]]:
    """Batches of consecutive sequences with the rows they come from."""
    for start in indexes[::size]:
        sequences = [read_sequence(split.run, i) for i in range(start, min(start + size, indexes.stop))]
        yield make_batch(sequences, unscored=unscored), sequences
