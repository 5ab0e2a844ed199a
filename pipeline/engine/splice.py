"""Other columns for a Parquet file that stands: their pages go behind its end, with a new footer that leads to them.

All other columns, most of the file, are not written again. What the old footer led to stays inside as bytes that
nothing leads to; the old footer stays whole, so that a stop half-way is undone by cutting the file to its old size.
Layout and field numbers: `parquet.thrift` of Apache Parquet.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.store import Store
from pipeline.engine.thrift import Reader, Struct, get, put, written
from pipeline.errors import StoreError

_MAGIC = b"PAR1"
_TAIL = 8  # length of the footer, and the magic
# Fields: of FileMetaData, of RowGroup, of ColumnChunk, of ColumnMetaData.
_ROW_GROUPS, _COLUMNS, _ROWS, _BYTES, _META = 4, 1, 3, 2, 3
_FILE_OFFSET, _PATH = 2, 3
_PLACES = (9, 10, 11)  # data, index and dictionary page
_INDEXES = (
    4,
    6,
    14,
)  # of ColumnChunk (offset and column index) and of ColumnMetaData (bloom filter): not written by us
_GROUP_OFFSET, _GROUP_COMPRESSED = 5, 6
_UNCOMPRESSED, _COMPRESSED = 6, 7


def footer_of(data: Any) -> tuple[Struct, int]:
    """The metadata of a Parquet file, and where its footer begins. ValueError for anything else."""
    view = memoryview(data)
    if len(view) < 12 or bytes(view[-4:]) != _MAGIC:
        raise ValueError("does not end like a Parquet file")
    start = len(view) - _TAIL - int.from_bytes(view[-_TAIL:-4], "little")
    if start < 4:
        raise ValueError("its footer is longer than the file")
    return Reader(view, start).struct(), start


def spliced(data: Any, columns: pa.Table, write: Callable[[pa.Table, Any], object]) -> bytes:
    """What to put behind a Parquet file `data` so that it holds these columns instead of its own of these names.

    `write(table, file)` writes a table as the file was written. ValueError where the file is not as this version
    writes it: then it must be written anew.
    """
    metadata, _ = footer_of(data)
    out, base = bytearray(), len(memoryview(data))
    groups: list[Struct] = []
    first = 0
    for group in get(metadata, _ROW_GROUPS)[1]:
        n = get(group, _ROWS)
        sink = io.BytesIO()
        write(columns.slice(first, n).combine_chunks(), sink)
        first += n
        groups.append(_with_columns(group, sink.getvalue(), out, base))
    if first != columns.num_rows:
        raise ValueError(f"holds {first} rows, expected {columns.num_rows}")
    footer = written(put(metadata, _ROW_GROUPS, (12, groups)))
    return bytes(out) + footer + len(footer).to_bytes(4, "little") + _MAGIC


def _with_columns(group: Struct, made: bytes, out: bytearray, base: int) -> Struct:
    """A row group with the columns of the file `made`, whose pages are appended to `out`, `base` bytes further on."""
    metadata, _ = footer_of(made)
    of_made = get(metadata, _ROW_GROUPS)[1]
    if len(of_made) != 1:
        raise ValueError("a row group became several")
    new = {tuple(get(get(c, _META), _PATH)[1]): c for c in get(of_made[0], _COLUMNS)[1]}
    chunks: list[Struct] = []
    for chunk in get(group, _COLUMNS)[1]:
        path = tuple(get(get(chunk, _META), _PATH)[1])
        if path in new:
            chunk = _moved(new.pop(path), made, out, base)
        chunks.append(chunk)
    if new:
        raise ValueError(f"has no column {next(iter(new))}")
    metas = [get(chunk, _META) for chunk in chunks]
    group = put(group, _COLUMNS, (12, chunks))
    group = put(group, _BYTES, sum(get(meta, _UNCOMPRESSED) for meta in metas))
    return put(group, _GROUP_COMPRESSED, sum(get(meta, _COMPRESSED) for meta in metas))


def _moved(chunk: Struct, made: bytes, out: bytearray, base: int) -> Struct:
    meta = get(chunk, _META)
    if any(get(chunk, n) is not None for n in _INDEXES[:2]) or get(meta, _INDEXES[2]) is not None:
        raise ValueError("a column has an index, which would have to move with it")
    places = [p for p in (get(meta, n) for n in _PLACES) if p]
    start, n = min(places), get(meta, _COMPRESSED)
    shift = base + len(out) - start
    out += made[start : start + n]
    for number in _PLACES:
        if get(meta, number):
            meta = put(meta, number, get(meta, number) + shift)
    file_offset = get(chunk, _FILE_OFFSET)
    return put(put(chunk, _META, meta), _FILE_OFFSET, file_offset + shift if file_offset else file_offset)


def append(store: Store, path: str, data: bytes) -> None:
    """Put bytes behind a file that stands, durably."""
    target = Path(store.local_file(path, writes=True))
    try:
        with target.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error}; run the same line again") from error


def cut_back(store: Store, path: str, n_bytes: int) -> None:
    """Take off what a stop may have left behind the first `n_bytes`, if these end like a Parquet file: a file that was
    written anew does not, but by a chance of one in four billion."""
    target = Path(store.local_file(path, writes=True))
    with target.open("r+b") as file:
        if os.fstat(file.fileno()).st_size <= n_bytes:
            return
        if os.pread(file.fileno(), 4, n_bytes - 4) != _MAGIC:
            return
        start = n_bytes - _TAIL - int.from_bytes(os.pread(file.fileno(), 4, n_bytes - _TAIL), "little")
        try:
            Reader(os.pread(file.fileno(), max(0, n_bytes - _TAIL - start), max(0, start))).struct()
        except ValueError:
            return
        os.ftruncate(file.fileno(), n_bytes)
        os.fsync(file.fileno())
