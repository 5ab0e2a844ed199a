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
from pipeline.schema import PIECE_BOUNDS, POOLS, bounds_of_pieces

Ints = npt.NDArray[np.int64]
NO_LABEL = -100  # what cross entropies of torch and transformers leave out


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one Arrow block as numpy arrays; `starts`, `ends` and `joins` are flat over all pieces.

    Piece j of a row is its tokens starts[j] .. ends[j] - 1; behind the last one is padding. A span is what attends to
    itself: a piece, with all behind it that join it.
    """

    block: pa.RecordBatch
    token_ids: npt.NDArray[np.uint32]  # (rows, L), a view of the map
    n_real: Ints
    n_pieces: Ints
    starts: Ints
    ends: Ints
    joins: npt.NDArray[np.bool_]  # whether a piece goes on where the one before it ends, and attends to it
    pools: tuple[str, ...]

    @property
    def n_spans(self) -> Ints:
        """Of each row."""
        before = np.concatenate(([0], np.cumsum(~self.joins)))
        last = np.cumsum(self.n_pieces)
        return np.asarray(before[last] - before[last - self.n_pieces], dtype=np.int64)

    @property
    def span_starts(self) -> Ints:
        """Of all spans, as `starts`."""
        return self.starts[~self.joins]

    @property
    def span_ends(self) -> Ints:
        return self.ends[self.closes]

    @property
    def closes(self) -> npt.NDArray[np.bool_]:
        """Whether no piece joins this one: it is the last of its span."""
        return np.append(~self.joins[1:], True)[: self.joins.size]

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
    bounds = block.column(bounds_of_pieces(block.schema.names))
    flat = bounds.flatten().to_numpy().astype(np.int64)
    n_bounds = _lengths(bounds)
    n_real = block.column("n_real").to_numpy().astype(np.int64)
    pools = tuple(block.column("pool").to_pylist())
    firsts = np.cumsum(n_bounds) - n_bounds
    lasts = firsts + n_bounds - 1
    sound = (n_bounds >= 1).all() and (n_real <= seq_len).all() and set(pools) <= set(POOLS)
    lists = ("doc_ids", "groups", "doc_offsets")
    sound = sound and all((_lengths(block.column(name)) == n_bounds - 1).all() for name in lists)
    sound = sound and (block.column("doc_offsets").flatten().to_numpy() >= 0).all()
    if sound:
        inner = np.ones(len(flat), dtype=bool)
        inner[firsts] = False
        starts, ends = flat[np.flatnonzero(inner) - 1], flat[inner]
        sound = (flat[firsts] == 0).all() and (flat[lasts] == n_real).all() and (ends > starts).all()
    joins = np.zeros(0, dtype=bool)
    if sound:
        joins, sound = _joins(block, starts, n_bounds - 1, n_real)
    if not sound:
        problem = _problem(block, seq_len=seq_len, first=first)
        raise SchemaError(f"{where}: {problem}; run `loopmix curate` again")
    token_ids = block.column("token_ids").flatten().to_numpy().reshape(-1, seq_len)
    return Rows(block, token_ids, n_real, n_bounds - 1, starts, ends, joins, pools)


def _joins(block: pa.RecordBatch, starts: Ints, n_pieces: Ints, n_real: Ints) -> tuple[npt.NDArray[np.bool_], bool]:
    """Whether each piece joins the one before it, and whether the bounds of spans are bounds of pieces."""
    if PIECE_BOUNDS not in block.schema.names:
        return np.zeros(len(starts), dtype=bool), True
    spans = block.column("cu_seqlens")
    n_spans = _lengths(spans) - 1
    if (n_spans < 0).any():
        return np.zeros(len(starts), dtype=bool), False
    # One number for a place in a row, so that both lists can be compared at once; rows rise, and so do their bounds.
    width = int(n_real.max(initial=0)) + 1
    of_span = spans.flatten().to_numpy().astype(np.int64)
    rises = np.diff(of_span) > 0
    last = np.cumsum(n_spans + 1) - 1
    sound = (of_span[last] == n_real).all() and (of_span[last - n_spans] == 0).all()
    sound = sound and np.delete(rises, last[:-1]).all()
    opened = np.delete(of_span, last) + np.repeat(np.arange(len(n_spans)) * width, n_spans)
    placed = starts + np.repeat(np.arange(len(n_pieces)) * width, n_pieces)
    opens = np.isin(placed, opened)
    return ~opens, bool(sound and int(opens.sum()) == len(opened))


def _lengths(lists: Any) -> Ints:
    lengths: Ints = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return lengths


def _problem(block: pa.RecordBatch, *, seq_len: int, first: int) -> str:
    """What is wrong with the first bad row of a block that holds one; its first row is sequence `first`."""
    for number, row in enumerate(block.to_pylist(), start=first):
        n_real, names = row["n_real"], [name for name in ("cu_seqlens", PIECE_BOUNDS) if name in row]
        for name in names:
            bounds = row[name]
            rises = bounds[:1] == [0] and bounds[-1:] == [n_real] and all(a < b for a, b in pairwise(bounds))
            if not rises or n_real > seq_len:
                return f"sequence {number}: {name} do not rise from 0 to n_real = {n_real} <= {seq_len}: {bounds}"
        if not set(row["cu_seqlens"]) <= set(bounds):
            return f"sequence {number}: cu_seqlens {row['cu_seqlens']} are not all among its bounds of pieces {bounds}"
        n_pieces = len(bounds) - 1
        n_each = {name: len(row[name]) for name in ("doc_ids", "doc_offsets", "groups")}
        if set(n_each.values()) != {n_pieces}:
            return f"sequence {number}: {n_pieces} pieces, {', '.join(f'{n} {name}' for name, n in n_each.items())}"
        if min(row["doc_offsets"], default=0) < 0:
            return f"sequence {number}: doc_offsets below zero: {row['doc_offsets']}"
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
