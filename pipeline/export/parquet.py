"""Plain Parquet: the columns of the packed shards as they are, a file for each shard."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.export.finished import Finished

_ROW_GROUP_TOKENS = 1 << 22  # 16 MB of ids: what a reader of one row has to unpack
# Ids of a real run: zstd 1 writes a third of their bytes at some 120 MB a CPU-second, lz4 .46 at 160, none at 260.
SETTINGS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "write_statistics": False,  # of ids they mean nothing
    "write_page_checksum": True,
}


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write all shards."""
    return write_shards(source, out, name="part")


def write_shards(source: Finished, out: Store, *, name: str) -> list[FileEntry]:
    """Write the shards that hold any sequence under names like `name`-00000.parquet."""
    schema = source.schema
    made: list[FileEntry] = []
    for file in source.files:
        shard = source.shard(file)
        first = next(shard, None)
        if first is None:  # `datasets` cannot load a file without rows beside others
            continue
        blocks = (rows.block for rows in chain((first,), shard))
        fill = partial(_fill, blocks=blocks, schema=schema, n_rows=max(1, _ROW_GROUP_TOKENS // source.seq_len))
        made.append(out.write_stream(f"{name}-{len(made):05d}.parquet", fill))
    return made


def _fill(file: HashingFile, *, blocks: Iterator[pa.RecordBatch], schema: pa.Schema, n_rows: int) -> None:
    # A dictionary pays where values repeat: ids and doc_ids do not.
    settings = {**SETTINGS, "use_dictionary": ["pool", "groups.list.element"]}
    with pq.ParquetWriter(file, schema, **settings) as writer:
        for block in blocks:
            writer.write_batch(block, row_group_size=n_rows)
