"""Where the ids of pieces come from: slices of mapped shards of `tokens`, or, on a server's disk, what was routed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.engine.exchange import Channel, row_of
from pipeline.engine.markers import Outcome
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.mix.packing import copy_slices
from pipeline.schema import TOKENS

Slices = tuple[np.ndarray, np.ndarray]  # ids, uint32, and where in them each piece begins, int64 [n_pieces]


class ShardIds(Protocol):
    """Finds ids for one packed shard."""

    def slices(self, shard: int, row: np.ndarray, offset: np.ndarray, length: np.ndarray) -> Slices:
        """The ids of all pieces of shard `shard` of `tokens`, which stand in the order of their packed shard. Shards
        are asked in ascending order."""
        ...


class PieceIds(Protocol):
    """Finds ids for all packed shards."""

    def of(self, packed: int) -> ShardIds: ...


@dataclass(frozen=True)
class MappedIds:
    """Ids where they lie."""

    tables: Tables

    def check(self, shard: int, n_tokens: np.ndarray) -> None:
        """Read a shard whole and compare its hashes, and its lengths with what was planned, before slices of it are
        believed: each packed shard takes some of them, and none could afford to read all."""
        lists = one_chunk(self.tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
        held = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        if held.size != n_tokens.size or (held != n_tokens).any():
            raise self._damaged(shard)

    def of(self, packed: int) -> ShardIds:
        return self  # any packed shard may take any slice

    def slices(self, shard: int, row: np.ndarray, offset: np.ndarray, length: np.ndarray) -> Slices:
        lists = one_chunk(self.tables.map(TOKENS, shard, columns=["token_ids"])["token_ids"])
        values, ends = np.asarray(lists.values), np.asarray(lists.offsets, np.int64)
        # `check` has read it; but a kernel that follows a false offset reads memory that is not ours.
        if row.max(initial=0) + 1 >= ends.size:
            raise self._damaged(shard)
        first = ends[row] + offset
        if (first < 0).any() or (first + length > ends[row + 1]).any() or (ends[row + 1] > values.size).any():
            raise self._damaged(shard)
        return values, first

    def _damaged(self, shard: int) -> StoreError:
        where = self.tables.store.full(self.tables.path(TOKENS, shard))
        return StoreError(f"{where}: does not hold the documents that were planned; run the same command again")


@dataclass(frozen=True)
class RoutedIds:
    """Ids that `route` has sent to the packed shard."""

    routed: Channel

    def of(self, packed: int) -> ShardIds:
        return _Arrived(self.routed, packed)


class _Arrived:
    """What has arrived at one packed shard: ids of pieces, shard by shard."""

    def __init__(self, routed: Channel, packed: int) -> None:
        self._where = f"{routed.step.label}, packed shard {packed}"
        self._lists = routed.gather(packed)["ids"]
        self._n_taken = 0

    def slices(self, shard: int, row: np.ndarray, offset: np.ndarray, length: np.ndarray) -> Slices:
        lists = one_chunk(self._lists.slice(self._n_taken, length.size))
        self._n_taken += length.size
        # A kernel that copies more than there is reads memory that is not ours.
        if len(lists) != length.size or (pc.list_value_length(lists).to_numpy() != length).any():
            raise StoreError(f"{self._where}: ids of shard {shard} are not those asked for; run the same command again")
        return np.asarray(lists.values), np.asarray(lists.offsets, np.int64)[:-1]


def route(tables: Tables, asked: Channel, out: Channel, per_shard: int, shard: int, _: None) -> Outcome:
    """Send the ids of each piece that is asked of a shard to its packed shard, in the order of the pieces there."""
    rows = asked.gather(shard)
    order = np.lexsort((rows["start"].to_numpy(), rows["number"].to_numpy()))
    number, position, offset, length = (c[order] for c in columns(rows, "number", "position", "offset", "length"))
    lists = one_chunk(tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
    first = np.asarray(lists.offsets, np.int64)[row_of(position)] + offset
    ends = np.concatenate(([0], np.cumsum(length)))
    ids = np.empty(ends[-1], np.uint32)
    copy_slices(np.asarray(lists.values), first, length, ids, ends[:-1])
    table = pa.table({"ids": pa.LargeListArray.from_arrays(pa.array(ends), pa.array(ids))})
    return Outcome((out.scatter(shard, table, partition=number // per_shard),), {"n_tokens": int(length.sum())})
