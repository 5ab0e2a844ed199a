"""One exchange file: pieces of a table in the order of their partitions, and behind them an index of where they lie.

    Arrow stream    the schema, then for each partition its batch; none where the piece is empty
    index           numbers of partitions and entries, the schema again, then for each batch its partition, its length
                    and the XXH3-64 of its bytes

The marker of whoever wrote the file names the index alone, by its place and hash; the index vouches for the batches. So
a marker is as small for ten thousand partitions as for one, and a piece costs its reader two ranges of the file.
"""

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import Block, FileEntry, Store
from pipeline.errors import StoreError

_HEAD = struct.Struct("<QQQ")  # partitions, entries, bytes of the schema
_ENTRY = np.dtype([("partition", "<u8"), ("n_bytes", "<u8"), ("xxh3", "<u8")])
# A file on a server that is no larger is fetched whole, with its index: one request instead of two.
WHOLE_BYTES = 131_072
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"  # Arrow's own, so that the file opens as a stream


@dataclass(frozen=True)
class ExchangeIndex:
    """Where the batches of one file lie: entry i is of partition[i] and fills bytes start[i] to start[i + 1]."""

    path: str
    schema: pa.Schema
    partition: np.ndarray  # ascending, int64 [n]
    start: np.ndarray  # int64 [n + 1]
    xxh3: np.ndarray  # uint64 [n]
    whole: pa.Buffer | None = None  # the file, where it came with the index

    def entries(self, first: int, last: int) -> range:
        """The entries of partitions from `first` to before `last`."""
        begin, end = np.searchsorted(self.partition, [first, last]).tolist()
        return range(begin, end)


def write_pieces(
    store: Store, path: str, pieces: Iterable[tuple[int, pa.Table]], *, schema: pa.Schema, n_partitions: int
) -> FileEntry:
    """Commit a file of (partition, rows), which come in ascending order of their partitions."""
    made: list[Block] = []

    def fill(file: HashingFile) -> None:
        head = schema.serialize()
        file.write(head)
        entries = []
        for partition, table in pieces:
            # One batch, unless it has text of more than 2 GB, which no single column of text can hold.
            for batch in table.combine_chunks().to_batches():
                if batch.num_rows:
                    data = batch.serialize()
                    entries.append((partition, data.size, xxhash.xxh3_64_intdigest(data)))
                    file.write(data)
        file.write(_END_OF_STREAM)
        table_of = np.array(entries, _ENTRY)
        index = _HEAD.pack(n_partitions, len(entries), head.size) + head.to_pybytes() + table_of.tobytes()
        made.append(Block(file.tell(), len(index), xxhash.xxh3_64_hexdigest(index)))
        file.write(index)

    entry = store.write_stream(path, fill)
    return replace(entry, blocks=(made[-1],))


def read_index(store: Store, entry: FileEntry, *, n_partitions: int) -> ExchangeIndex:
    """The index of a file. StoreError if it is not what the file's marker says, or cut for other partitions."""
    (block,) = entry.blocks
    is_fetched = not store.is_local and entry.n_bytes <= WHOLE_BYTES
    whole = store.read_range(entry.path, 0, entry.n_bytes) if is_fetched else None
    data = (
        whole.slice(block.start, block.n_bytes) if whole else store.read_range(entry.path, block.start, block.n_bytes)
    )
    if xxhash.xxh3_64_hexdigest(data) != block.xxh3:
        raise _other(store, entry.path)
    try:
        found, n_entries, n_schema = _HEAD.unpack_from(data)
        schema = pa.ipc.read_schema(data.slice(_HEAD.size, n_schema))
        entries = np.frombuffer(data, _ENTRY, n_entries, _HEAD.size + n_schema)
    except (struct.error, ValueError, OverflowError, MemoryError, pa.ArrowException) as error:  # of a version unknown
        raise _other(store, entry.path) from error
    rises = np.all(entries["partition"][1:] >= entries["partition"][:-1])
    fits = not n_entries or (entries["partition"][-1] < n_partitions and entries["n_bytes"].max() <= entry.n_bytes)
    if found != n_partitions or not (rises and fits):
        raise _other(store, entry.path)
    # Copied, or every reader of a piece would keep the file mapped.
    start = np.cumsum(np.concatenate(([n_schema], entries["n_bytes"]))).astype(np.int64)
    return ExchangeIndex(
        entry.path, schema, entries["partition"].astype(np.int64), start, entries["xxh3"].copy(), whole
    )


def read_pieces(store: Store, index: ExchangeIndex, first: int, last: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(partition, batch) of partitions from `first` to before `last`, from one range of the file. StoreError if a batch
    is not what the index says."""
    entries = index.entries(first, last)
    if not entries:
        return
    begin = int(index.start[entries.start])
    n_bytes = int(index.start[entries.stop]) - begin
    data = index.whole.slice(begin, n_bytes) if index.whole else store.read_range(index.path, begin, n_bytes)
    bounds = index.start[entries.start : entries.stop + 1] - begin
    for entry, (a, b) in zip(entries, itertools.pairwise(bounds.tolist()), strict=True):
        piece = data.slice(a, b - a)
        if xxhash.xxh3_64_intdigest(piece) != int(index.xxh3[entry]):
            raise _other(store, index.path)
        try:
            batch = pa.ipc.read_record_batch(piece, index.schema)
            batch.validate(full=True)  # a hash says who wrote it to nobody but its writer
        except (ValueError, OSError, MemoryError, pa.ArrowException) as error:
            raise _other(store, index.path) from error
        yield int(index.partition[entry]), batch


def _other(store: Store, path: str) -> StoreError:
    return StoreError(f"{store.full(path)}: is not what its marker says; run the same command again")
