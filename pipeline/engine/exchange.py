"""Moving rows between shards through files: scatter writes one batch per partition, gather reads its own.

Each of `n_sources` scatter tasks writes one Arrow stream whose batch k belongs to partition k; gather task k reads
batch k of every file, in file order. So arrival order cannot matter, and a kill costs only pieces not yet committed.

    RUN/work/<stage>/<fingerprint>/<name>/part-00000-of-00016.arrow

The marker of a scatter task names where each batch lies in its file and what it hashes to. A gather reads just that
range and compares the hash, so it never takes a torn file, or one that another configuration wrote, for its own.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.engine.markers import Marker, WorkStep, read_marker
from pipeline.engine.store import Block, FileEntry, Store, part
from pipeline.errors import StoreError


@dataclass(frozen=True)
class Channel:
    """One exchange folder of a run: `n_sources` files of `n_partitions` batches, written by the items of `step`."""

    store: Store
    step: WorkStep
    name: str
    n_sources: int
    n_partitions: int
    from_one: bool = False  # item 0 of the step writes all files; else item i writes file i

    def _file(self, source: int) -> str:
        return (
            f"{work_folder(self.step.stage, self.step.mark)}/{self.name}/{part(source, self.n_sources, suffix='arrow')}"
        )

    def scatter(self, source: int, table: pa.Table, *, partition: np.ndarray) -> FileEntry:
        """Write `table` as file `source`, row r into batch partition[r]; rows of a batch keep their order."""
        if (partition[1:] < partition[:-1]).any():  # bulky tables come sorted, to save the copy
            order = np.argsort(partition, kind="stable")
            table, partition = table.take(pa.array(order)), partition[order]
        # Every partition gets a batch, empty or not: batch k must be partition k.
        bounds = np.searchsorted(partition, np.arange(self.n_partitions + 1))
        rows = table.combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            ends = [table.schema.serialize().size]  # the stream begins with it, written with the first batch
            for first, last in itertools.pairwise(bounds):
                writer.write_batch(_one_batch(rows.slice(first, last - first)))
                ends.append(sink.tell())
        data = sink.getvalue()
        # block 0 is the schema, block k + 1 the batch of partition k
        blocks = [Block(a, b - a, xxhash.xxh3_64_hexdigest(data[a:b])) for a, b in itertools.pairwise([0, *ends])]
        return self.store.write_bytes(self._file(source), data, blocks=blocks)

    def gather(self, partition: int) -> pa.Table:
        """Batch `partition` of all files, concatenated in file order."""
        return pa.concat_tables(self.gather_each(partition))

    def gather_each(self, partition: int) -> list[pa.Table]:
        """Batch `partition` of each file."""
        every = self._marker(0) if self.from_one else None
        return [self._read(source, every, [partition])[0] for source in range(self.n_sources)]

    def gather_from(self, source: int, partition: int) -> pa.Table:
        """Batch `partition` of file `source`."""
        return self._read(source, None, [partition])[0]

    def gather_source(self, source: int) -> list[pa.Table]:
        """Each batch of file `source`."""
        return self._read(source, None, range(self.n_partitions))

    def everything(self) -> pa.Table:
        """All batches of all files."""
        return pa.concat_tables(t for source in range(self.n_sources) for t in self.gather_source(source))

    def _read(self, source: int, marker: Marker | None, partitions: range | list[int]) -> list[pa.Table]:
        path = self._file(source)
        blocks = self._blocks(path, marker or self._marker(0 if self.from_one else source))
        schema = pa.ipc.read_schema(self._block(path, blocks[0]))
        batches = (pa.ipc.read_record_batch(self._block(path, blocks[k + 1]), schema) for k in partitions)
        return [pa.Table.from_batches([batch]) for batch in batches]

    def _marker(self, item: int) -> Marker:
        marker = read_marker(self.store, self.step, item)
        if marker is None:
            raise StoreError(
                f"{self.store.root}: item {item} of {self.step.label} is not done; run the same command again"
            )
        return marker

    def _blocks(self, path: str, marker: Marker) -> tuple[Block, ...]:
        for entry in marker.files:
            if entry.path == path and len(entry.blocks) == self.n_partitions + 1:
                return entry.blocks
        raise StoreError(
            f"{self.store.full(path)}: no marker of {self.step.label} names it; run the same command again"
        )

    def _block(self, path: str, block: Block) -> pa.Buffer:
        data = self.store.read_range(path, block.start, block.n_bytes)
        if xxhash.xxh3_64_hexdigest(data) != block.xxh3:
            raise StoreError(f"{self.store.full(path)}: is not what its marker says; run the same command again")
        return data


def work_folder(stage: str, mark: str) -> str:
    """Where the exchange files of a stage stand inside the run."""
    return f"work/{stage}/{mark}"


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def positions(shard: int, rows: np.ndarray) -> np.ndarray:
    """Positions (shard * 2**32 + row) of rows of one shard, uint64."""
    return (np.uint64(shard) << np.uint64(32)) | rows.astype(np.uint64)


def first_position(shard: int) -> np.uint64:
    """The smallest position of a shard.

    Shards of other runs are numbered after a run's own (`dedup/corpora.py`), so that of shard `n_shards` tells own
    documents from theirs.
    """
    return np.uint64(shard) << np.uint64(32)


def shard_of(position: np.ndarray) -> np.ndarray:
    """The shard numbers of positions, int64."""
    return (position >> np.uint64(32)).astype(np.int64)


def row_of(position: np.ndarray) -> np.ndarray:
    """The rows inside their shards, int64."""
    return (position & np.uint64(0xFFFFFFFF)).astype(np.int64)


def spread(keys: np.ndarray, n_partitions: int) -> np.ndarray:
    """Partition numbers of well-mixed 64-bit keys, from their high bits, int64; equal keys meet."""
    return ((keys >> np.uint64(32)) * np.uint64(n_partitions) >> np.uint64(32)).astype(np.int64)
