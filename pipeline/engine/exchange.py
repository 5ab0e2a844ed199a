"""Moving rows between shards through files: scatter writes one batch per partition, gather reads its own.

Each of `n_sources` scatter tasks writes one Arrow IPC file whose batch k belongs to partition k; gather task k reads
batch k of every file, in file order. So arrival order cannot matter, and a kill costs only pieces not yet committed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.engine.store import FileEntry, Store, part


@dataclass(frozen=True)
class Channel:
    """One exchange folder of a run: `n_sources` files of `n_partitions` batches each."""

    store: Store
    folder: str
    n_sources: int
    n_partitions: int

    def _name(self, source: int) -> str:
        return f"{self.folder}/{part(source, self.n_sources, suffix='arrow')}"

    def scatter(self, source: int, table: pa.Table, *, partition: np.ndarray) -> FileEntry:
        """Write `table` as file `source`, row r into batch partition[r]; rows of a batch keep their order."""
        if (partition[1:] < partition[:-1]).any():  # bulky tables come sorted, to save the copy
            order = np.argsort(partition, kind="stable")
            table, partition = table.take(pa.array(order)), partition[order]
        bounds = np.searchsorted(partition, np.arange(self.n_partitions + 1))
        rows = table.combine_chunks()
        batches = [_one_batch(rows.slice(a, b - a)) for a, b in itertools.pairwise(bounds)]
        return self.store.write_ipc(self._name(source), batches, schema=table.schema)

    def gather(self, partition: int) -> pa.Table:
        """Batch `partition` of all files, concatenated in file order."""
        readers = [self.store.open_ipc(self._name(i)) for i in range(self.n_sources)]
        return pa.Table.from_batches([r.get_batch(partition) for r in readers], schema=readers[0].schema)

    def gather_one(self, source: int, partition: int) -> pa.Table:
        """Batch `partition` of file `source` alone."""
        return pa.Table.from_batches([self.store.open_ipc(self._name(source)).get_batch(partition)])

    def everything(self) -> pa.Table:
        """All batches of all files."""
        return pa.concat_tables([self.store.open_ipc(self._name(i)).read_all() for i in range(self.n_sources)])


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def positions(shard: int, rows: np.ndarray) -> np.ndarray:
    """Positions (shard * 2**32 + row) of rows of one shard, uint64."""
    return (np.uint64(shard) << np.uint64(32)) | rows.astype(np.uint64)


def shard_of(position: np.ndarray) -> np.ndarray:
    """The shard numbers of positions, int64."""
    return (position >> np.uint64(32)).astype(np.int64)


def row_of(position: np.ndarray) -> np.ndarray:
    """The rows inside their shards, int64."""
    return (position & np.uint64(0xFFFFFFFF)).astype(np.int64)


def spread(keys: np.ndarray, n_partitions: int) -> np.ndarray:
    """Partition numbers of well-mixed 64-bit keys, from their high bits, int64; equal keys meet."""
    return ((keys >> np.uint64(32)) * np.uint64(n_partitions) >> np.uint64(32)).astype(np.int64)
