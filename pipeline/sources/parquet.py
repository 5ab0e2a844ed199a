"""Parquet, cut at row groups, with any mapping of columns.

Footers are read at planning, so a column that is not there stops the run before any work. A file whose footer is
damaged becomes a slice all the same and fails when it is read: then it is one bad shard with a name, not a lost file.
A slice never spans two files, and a row group is never divided: one of 4 GB makes one shard of 4 GB.

A row's number is its place in the file. Page checksums are verified where the writer stored them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.roots import Root, list_files, locate, open_file, store_errors
from pipeline.sources.rows import UNREADABLE, RawDocument
from pipeline.sources.slices import InputFile, Slice
from pipeline.sources.values import READERS, Metadata, micros_of

_SUFFIXES = (".parquet", ".pq")
_BATCH_ROWS = 1_024  # turned into Python objects at once; a row may be megabytes
_FOOTER_THREADS = 8  # reading footers is waiting, mostly on remote stores
_DAMAGED = "is damaged, cut short or cannot be read; fetch it again or exclude it"


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Neighbouring row groups of a file together, up to `shard_bytes` of uncompressed columns."""
    root = locate(source)
    files = list_files(source, root=root, suffixes=_SUFFIXES)
    with ThreadPoolExecutor(_FOOTER_THREADS) as threads:
        footers = list(threads.map(lambda file: _footer(root, file), files))
    slices: list[Slice] = []
    for file, footer in zip(files, footers, strict=True):
        if footer is None:
            slices.append(Slice(source.name, (file,), n_bytes=file.size))
            continue
        _check_columns(footer.schema.to_arrow_schema(), source=source, where=root.join(file.path))
        slices.extend(_cut(source, file=file, footer=footer, shard_bytes=shard_bytes))
    return slices


def read(source: Source, piece: Slice, *, max_document_bytes: int) -> Iterator[RawDocument]:
    """The rows of one slice."""
    root = locate(source)
    for file in piece.files:
        where = root.join(file.path)
        with open_file(root, file) as opened:
            with store_errors(f"{where}: {_DAMAGED}"):
                parquet = pq.ParquetFile(opened, page_checksum_verification=True)
            schema = parquet.schema_arrow
            _check_columns(schema, source=source, where=where)
            n_groups = parquet.metadata.num_row_groups
            groups = range(piece.first, n_groups if piece.last < 0 else piece.last)
            if groups.stop > n_groups:
                raise StoreError(f"{where}: has {n_groups} row groups, planned were {groups.stop}; run again")
            row = sum(parquet.metadata.row_group(k).num_rows for k in range(groups.start))
            for batch in _batches(parquet, source=source, groups=groups, where=where):
                yield from _rows(batch, file=file, first_row=row, columns=source.columns)
                row += batch.num_rows


def _footer(root: Root, file: InputFile) -> pq.FileMetaData | None:
    """The footer, or None if it is damaged. A file that cannot be read at all is an error at once."""
    with open_file(root, file) as opened, store_errors(f"{root.join(file.path)}: cannot be read"):
        try:
            return pq.read_metadata(opened)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the system's; Arrow's own bear no number
                raise
            return None


def _cut(source: Source, *, file: InputFile, footer: pq.FileMetaData, shard_bytes: int) -> Iterator[Slice]:
    """An empty file makes one empty slice: it was there, and the plan says so.

    Sizes are those of whole row groups. Asking for single columns would be closer where other columns are large, but
    some damaged footers then end the process: pyarrow 26 lets a C++ exception through `RowGroupMetaData.column`.
    """
    first, n_bytes = 0, 0
    for k in range(footer.num_row_groups):
        size = max(0, footer.row_group(k).total_byte_size)
        if k > first and n_bytes + size > shard_bytes:
            yield Slice(source.name, (file,), first, k, n_bytes)
            first, n_bytes = k, 0
        n_bytes += size
    yield Slice(source.name, (file,), first, footer.num_row_groups, n_bytes)


def _type_of(schema: pa.Schema, *, name: str) -> pa.DataType | None:
    """The type of a column as it is read, None if it is not there."""
    try:
        return _column(pa.RecordBatch.from_pylist([], schema=schema), name=name).type
    except (KeyError, pa.ArrowException):
        return None


def _check_columns(schema: pa.Schema, *, source: Source, where: str) -> None:
    """ConfigError if a mapped column is missing or of a type that cannot be meant."""
    for field, name in source.columns:
        if name is None:
            continue
        key = f"sources.{source.name}.columns.{field}"
        found = _type_of(schema, name=name)
        if found is None:
            raise ConfigError(f"{key}: {where} has no column {name!r}; found {schema.names}")
        if not _fits(found, field=field):
            raise ConfigError(
                f"{key}: column {name!r} of {where} is {found}, expected {_FITTING.get(field, _OTHERS)[0]}"
            )


_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
_BLOBS = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_OTHERS = ("text", (pa.types.is_integer, *_BLOBS))
# What a field expects, and the types that it takes beside text.
_FITTING = {
    "content": ("text or bytes", _BLOBS),
    "license": ("text or a list of text", _OTHERS[1]),
    "stars": ("a number", (pa.types.is_integer, pa.types.is_floating)),
    "revision_time": ("a timestamp or ISO 8601 text", (pa.types.is_timestamp, pa.types.is_date, *_BLOBS)),
}


def _fits(kind: pa.DataType, *, field: str) -> bool:
    if field == "license" and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return _fits(kind.value_type, field="repo")
    return any(test(kind) for test in (*_TEXTS, *_FITTING.get(field, _OTHERS)[1]))


def _batches(parquet: pq.ParquetFile, *, source: Source, groups: range, where: str) -> Iterator[pa.RecordBatch]:
    names = list(dict.fromkeys(name for _, name in source.columns if name is not None))
    with store_errors(f"{where}: {_DAMAGED}"):
        expected = sum(parquet.metadata.row_group(k).num_rows for k in groups)
        found = 0
        batches = parquet.iter_batches(_BATCH_ROWS, row_groups=list(groups), columns=names, use_threads=False)
        for batch in batches if groups else ():
            found += batch.num_rows
            yield batch
        if found != expected:
            raise StoreError(f"{where}: gave {found} rows, its footer says {expected}; fetch it again or exclude it")


def _rows(batch: pa.RecordBatch, *, file: InputFile, first_row: int, columns: Columns) -> Iterator[RawDocument]:
    # The cast from text copies nothing and checks nothing: parquet text may be no UTF-8.
    contents: list[bytes | None] = _column(batch, name=columns.content).cast(pa.large_binary()).to_pylist()
    fields: list[list[Any]] = []
    for field, read in READERS.items():
        name = getattr(columns, field)
        column = None if name is None else _column(batch, name=name)
        if column is None:
            fields.append([None] * batch.num_rows)
        else:
            fields.append(_micros(column) if read is micros_of else [read(value) for value in _values(column)])
    metadata = map(Metadata._make, zip(*fields, strict=True))
    for row, (content, one) in enumerate(zip(contents, metadata, strict=True), start=first_row):
        yield RawDocument(file.path, row, content, UNREADABLE if content is None else None, one)


def _column(batch: pa.RecordBatch, *, name: str) -> pa.Array:
    """One column without its dictionary. Dots step into structs (null where a parent is null) unless a column with that
    very spelling exists. KeyError or ArrowException if it does not."""
    if name in batch.schema.names:
        column = batch.column(name)
    else:
        head, *rest = name.split(".")
        column = batch.column(head)
        for part in rest:
            column = pa.compute.struct_field(column, part)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _values(column: pa.Array) -> list[Any]:
    """Python values for `values.py`; text as bytes where it is no UTF-8, which parquet does not rule out."""
    values: list[Any]
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        values = column.cast(pa.list_(pa.large_binary()) if is_list else pa.large_binary()).to_pylist()
    return values


def _micros(column: pa.Array) -> list[int | None]:
    """Microseconds since 1970; a timestamp without a zone is UTC."""
    kind = column.type
    if not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
        return [micros_of(value) for value in _values(column)]
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    values: list[int | None] = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64()).to_pylist()
    return values
