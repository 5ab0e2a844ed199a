"""Tables as Parquet: the one place that says how they are written."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_table(table: pa.Table, file: Any) -> None:
    """Write a table to a binary file, with lz4 and page checksums."""
    schema = table.schema
    # Statistics and dictionaries help readers to skip; on contents, token ids and doc_ids they only cost.
    bulky = [f.name for f in schema if pa.types.is_large_binary(f.type) or pa.types.is_large_list(f.type)]
    dictionary = [f.name for f in schema if pa.types.is_string(f.type) and f.name not in ("doc_id", "path")]
    settings: dict[str, Any] = {
        # 149 MB of text are written once and read three times; CPU-seconds to write and to read them once, and MB
        # (AVX2): zstd 1 .81 .34 42, lz4 .64 .18 62, none .21 .25 151 (then the page checksums are most of it).
        "compression": "lz4",
        "use_dictionary": dictionary or False,
        "write_statistics": [f.name for f in schema if f.name not in bulky],
        "write_page_checksum": True,
        "row_group_size": 16_384,  # a plain choice: some megabytes of most tables, so one row costs little to read
    }
    pq.write_table(table, file, **settings)
