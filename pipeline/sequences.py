"""Rows of packed shards as arrays, checked: the one place that knows how a sequence is laid out.

Whoever reads packed shards reads them through this: the trainer, the exports, and loaders of your own. It needs rows,
and neither torch nor a run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import SchemaError
from pipeline.schema import POOLS

Ints = npt.NDArray[np.int64]
NO_LABEL = -100  # what cross entropies of torch and transformers leave out


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one Arrow block as numpy arrays; `starts` and `ends` are flat over all pieces.

    Piece j of a row is its tokens starts[j] .. ends[j] - 1; behind the last one is padding.
    """

    block: pa.RecordBatch
    token_ids: npt.NDArray[np.uint32]  # (rows, L), a view of the map
    n_real: Ints
    n_pieces: Ints
    starts: Ints
    ends: Ints
    pools: tuple[str, ...]

    # Of all pieces; training needs neither, so they become objects only here.
    @property
    def doc_ids(self) -> list[str]:
        return list(self.block.column("doc_ids").flatten().to_pylist())

    @property
    def groups(self) -> list[tuple[str, str]]:
        """(pool, group)"""
        pools = np.repeat(self.pools, self.n_pieces).tolist()
        return list(zip(pools, self.block.column("groups").flatten().to_pylist(), strict=True))

    @property
    def real_ids(self) -> npt.NDArray[np.uint32]:
        """The ids of all rows one after another, without their padding."""
        if not len(self.token_ids):
            return np.zeros(0, np.uint32)
        # Row by row: a mask over all ids would cost four times as much.
        return np.concatenate([ids[:n] for ids, n in zip(self.token_ids, self.n_real.tolist(), strict=True)])


def rows_of(block: pa.RecordBatch, *, where: object, first: int = 0) -> Rows:
    """The rows of a block of `packed_schema`, whose first one is sequence `first` of `where`, which errors name.

    Raises SchemaError for rows that cannot be.
    """
    seq_len = int(block.schema.field("token_ids").type.list_size)
    bounds = block.column("cu_seqlens")
    flat = bounds.flatten().to_numpy().astype(np.int64)
    n_bounds = _lengths(bounds)
    n_real = block.column("n_real").to_numpy().astype(np.int64)
    pools = tuple(block.column("pool").to_pylist())
    firsts = np.cumsum(n_bounds) - n_bounds
    lasts = firsts + n_bounds - 1
    sound = (n_bounds >= 1).all() and (n_real <= seq_len).all() and set(pools) <= set(POOLS)
    sound = sound and all((_lengths(block.column(name)) == n_bounds - 1).all() for name in ("doc_ids", "groups"))
    if sound:
        inner = np.ones(len(flat), dtype=bool)
        inner[firsts] = False
        starts, ends = flat[np.flatnonzero(inner) - 1], flat[inner]
        sound = (flat[firsts] == 0).all() and (flat[lasts] == n_real).all() and (ends > starts).all()
    if not sound:
        problem = _problem(block, seq_len=seq_len, first=first)
        raise SchemaError(f"{where}: {problem}; run `loopmix curate` again")
    token_ids = block.column("token_ids").flatten().to_numpy().reshape(-1, seq_len)
    return Rows(block, token_ids, n_real, n_bounds - 1, starts, ends, pools)


def _lengths(lists: Any) -> Ints:
    lengths: Ints = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return lengths


def _problem(block: pa.RecordBatch, *, seq_len: int, first: int) -> str:
    """What is wrong with the first bad row of a block that holds one; its first row is sequence `first`."""
    for number, row in enumerate(block.to_pylist(), start=first):
        bounds, n_real, n_pieces = row["cu_seqlens"], row["n_real"], len(row["cu_seqlens"]) - 1
        rises = bounds[:1] == [0] and bounds[-1:] == [n_real] and all(a < b for a, b in pairwise(bounds))
        if not rises or n_real > seq_len:
            return f"sequence {number}: cu_seqlens do not rise from 0 to n_real = {n_real} <= {seq_len}: {bounds}"
        if not n_pieces == len(row["doc_ids"]) == len(row["groups"]):
            n_ids, n_groups = len(row["doc_ids"]), len(row["groups"])
            return f"sequence {number}: {n_pieces} pieces, {n_ids} doc_ids and {n_groups} groups"
        if row["pool"] not in POOLS:
            return f"sequence {number}: pool {row['pool']!r}, expected one of {POOLS}"
    raise AssertionError("every row is sound")


def flatten(rows: Sequence[dict[str, Any]], *, shifted: bool = False) -> dict[str, Any]:
    """Sequences laid end to end, as variable-length attention wants them: a collator, up to `torch.as_tensor`.

    `rows` are rows of packed shards or of their exports (`mds` calls the ids `tokens`). Returns, for N = rows * L:

        input_ids     int64 [1, N]
        labels        int64 [1, N], -100 at the first token of each piece and in padding: no piece predicts the next;
                      `shifted`: the next ids instead, -100 at the last token of each piece and in padding
        position_ids  int64 [1, N], from 0 in each piece
        cu_seqlens    int32 [pieces + 1], from 0 to N; the padding of a sequence is a piece of its own
        max_seqlen    int, the longest piece

    `cu_seqlens` of a row ends at n_real; kernels want it to end where the tokens do, so padding becomes a segment that
    nothing is scored on. Shapes depend on the rows and their length alone.
    """
    found = [np.asarray(row["token_ids" if "token_ids" in row else "tokens"], dtype=np.int64) for row in rows]
    ids = np.concatenate(found)
    bounds, padded, start = [0], [], 0
    for row, own in zip(rows, found, strict=True):
        seq_len, n_real = own.size, int(row["n_real"])
        bounds += [start + int(bound) for bound in row["cu_seqlens"][1:]]
        if n_real < seq_len:
            padded.append((start + n_real, start + seq_len))
            bounds.append(start + seq_len)
        start += seq_len
    cu_seqlens = np.array(bounds, dtype=np.int32)
    lengths = np.diff(cu_seqlens)
    labels = np.roll(ids, -1) if shifted else ids.copy()
    labels[cu_seqlens[1:] - 1 if shifted else cu_seqlens[:-1]] = NO_LABEL
    for begin, end in padded:
        labels[begin:end] = NO_LABEL
    positions = np.arange(ids.size) - np.repeat(cu_seqlens[:-1].astype(np.int64), lengths)
    return {
        "input_ids": ids[None],
        "labels": labels[None],
        "position_ids": positions[None],
        "cu_seqlens": cu_seqlens,
        "max_seqlen": int(lengths.max()),
    }
