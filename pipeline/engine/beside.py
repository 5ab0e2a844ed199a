"""The small columns of a lot's shards of one table, side by side in one object: a reader asks once for all of them.

    RUN/work/beside/<hash of the hashes of these shards' files>.bin

On object storage alone, and only while a run is made. The name says which files the columns are of, so an object is
never another configuration's, nor an older one's: who finds it need not ask whose it is. What it holds for each shard
is Parquet, written as the table's own file is, so that what is read of it is what would be read of the file.

    XXH3-64 of all that follows, length of the JSON, JSON: for each column names and for each shard its length, Parquet
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.engine.mapped import read_mapped
from pipeline.engine.parquet import write_table
from pipeline.engine.store import Store
from pipeline.errors import StoreError
from pipeline.schema import DOCUMENTS, TOKENS, Table

FOLDER = "work/beside"
_HEAD = struct.Struct("<QQ")
_FORMAT = 1
# What no other step than those that work on it shall move.
_LARGE = {DOCUMENTS.name: "content", TOKENS.name: "token_ids"}


def small_columns(table: Table) -> list[str]:
    """The columns that stand beside each other."""
    return [name for name in table.schema.names if name != _LARGE.get(table.name)]


def path_beside(hashes: Sequence[str]) -> str:
    """Where the columns of files with these SHA-256 stand."""
    return f"{FOLDER}/{hashlib.sha256(json.dumps([_FORMAT, *hashes]).encode()).hexdigest()[:32]}.bin"


@dataclass(frozen=True)
class Beside:
    """Columns of neighbouring shards; `data[k]` is those of shard k of the lot."""

    names: frozenset[str]
    data: tuple[memoryview, ...]

    def read(self, place: int, names: Sequence[str]) -> pa.Table:
        """Columns of one shard, as reading its file gives them."""
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(self.data[place])), page_checksum_verification=True)
        return file.read(columns=list(names))


def write_beside(store: Store, table: Table, shards: Sequence[pa.Table], *, hashes: Sequence[str]) -> Beside:
    """Put the small columns of shards where those who know the `hashes` of their files find them."""
    names, data = small_columns(table), []
    for shard in shards:
        sink = pa.BufferOutputStream()
        write_table(shard.select(names), sink)
        data.append(memoryview(sink.getvalue()))
    said = json.dumps([names, [one.nbytes for one in data]]).encode()
    body = b"".join((said, *data))
    digest = xxhash.xxh3_64_intdigest(len(said).to_bytes(8, "little") + body)
    store.write_bytes(path_beside(hashes), _HEAD.pack(digest, len(said)) + body)
    return Beside(frozenset(names), tuple(data))


def make_beside(store: Store, table: Table, paths: Sequence[str], *, hashes: Sequence[str]) -> Beside | None:
    """Put the columns of files that stand beside each other; None where a file is not, any more, what its hash says."""
    found = store.read_many(paths)
    if any(hashlib.sha256(found.get(path, b"")).hexdigest() != one for path, one in zip(paths, hashes, strict=True)):
        return None
    names = small_columns(table)
    sources = (pa.BufferReader(found[path]) for path in paths)
    if table.mapped:
        shards = [read_mapped(source, names) for source in sources]
    else:
        shards = [pq.ParquetFile(source, page_checksum_verification=True).read(columns=names) for source in sources]
    return write_beside(store, table, shards, hashes=hashes)


def read_beside(store: Store, hashes: Sequence[str]) -> Beside | None:
    """What stands for files with these hashes; None where nothing does. StoreError if it is damaged."""
    found = store.find(path_beside(hashes))
    if found is None:
        return None
    view = memoryview(found)
    if len(view) < _HEAD.size or xxhash.xxh3_64_intdigest(view[8:]) != _HEAD.unpack_from(view)[0]:
        raise StoreError(f"{store.full(path_beside(hashes))}: is damaged; remove it and run the same command again")
    start = _HEAD.size + _HEAD.unpack_from(view)[1]
    names, sizes = json.loads(bytes(view[_HEAD.size : start]))
    data = []
    for size in sizes:
        data.append(view[start : start + size])
        start += size
    return Beside(frozenset(names), tuple(data))
