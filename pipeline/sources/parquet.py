"""Parquet, cut at row groups, with any mapping of columns.

Footers are read at planning, so a column that no file has stops the run before any work. A file whose footer is
damaged, that lacks the contents or has a name twice becomes a slice all the same and fails when it is read: then it is
one bad shard with a name, not a lost file.
A slice never spans two files. It is open: a footer says how large row groups are as they are written, where a text that
is repeated stands once. A row group larger than a shard is read once, in batches, for all the shards that it makes:
pyarrow enters a row group at its start only, and of 2 GB every shard would unpack 1 GB that belongs to others.

A row's number is its place in the file. Page checksums are verified where the writer stored them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Source
from pipeline.errors import StoreError
from pipeline.sources.arrow_rows import (
    BATCH_BYTES,
    all_names,
    check_content,
    check_types,
    fields_missing,
    is_sound,
    names_read,
    rows_at_once,
    rows_of,
)
from pipeline.sources.caps import InputCaps, refuse_bytes, refuse_rows
from pipeline.sources.foreign import HEAD_BYTES, looks_like, refuse_fruitless
from pipeline.sources.raw import RawDocument
from pipeline.sources.roots import DAMAGED, Root, list_files, locate, open_file, store_errors
from pipeline.sources.slices import ROW_BYTES, InputFile, Slice

SUFFIXES = (".parquet", ".pq")
_ROWS = 64  # read at once, where they are not large; by Arrow that takes no longer than a thousand
_BUFFER_BYTES = 1 << 20  # about a page; a plain choice
_FOOTER_THREADS = 8  # reading footers is waiting, mostly on remote stores
_MAGIC = (b"PAR1", b"PARE")  # plain, and with an encrypted footer, which the library names


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Neighbouring row groups of a file together, up to `shard_bytes` of uncompressed columns."""
    root = locate(source)
    files = list_files(source, root=root, suffixes=SUFFIXES)
    with ThreadPoolExecutor(_FOOTER_THREADS) as threads:
        footers = list(threads.map(lambda file: _footer(root, file), files))
    schemas = [footer and footer.schema.to_arrow_schema() for footer in footers]
    check_types([(root.join(f.path), s) for f, s in zip(files, schemas, strict=True) if s is not None], source=source)
    slices: list[Slice] = []
    for file, footer, schema in zip(files, footers, schemas, strict=True):
        if footer is None or not is_sound(schema, source=source):
            slices.append(Slice(source.name, (file,), n_bytes=file.size, is_open=True))
        else:
            slices.extend(_cut(source, file=file, footer=footer, shard_bytes=shard_bytes))
    return slices


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The rows of one slice."""
    root = locate(source)
    for file in piece.files:
        where = root.join(file.path)
        with open_file(root, file) as opened:
            parquet = _open(opened, where=where)
            _refuse_declared(parquet.metadata, file=file, caps=caps, where=where)
            check_content(parquet.schema_arrow, source=source, where=where)
            n_groups = parquet.metadata.num_row_groups
            groups = range(piece.first, n_groups if piece.last < 0 else piece.last)
            if groups.stop > n_groups:
                raise StoreError(f"{where}: has {n_groups} row groups, planned were {groups.stop}; run again")
            rows = _rows(parquet, source=source, groups=groups, file=file, where=where)
            if parquet.metadata.num_rows:  # a file may say that it has no rows
                is_whole = len(groups) == n_groups
                rows = refuse_fruitless(rows, where=where, is_whole=is_whole, about=lambda: _about(source))
            yield from rows


def column_names(source: Source, file: InputFile) -> list[str]:
    """What `columns` could map; nothing of a file whose footer is damaged."""
    root = locate(source)
    footer = _footer(root, file)
    return (
        [] if footer is None else all_names(footer.schema.to_arrow_schema(), source=source, where=root.join(file.path))
    )


def missing_fields(source: Source, file: InputFile, *, root: Root) -> list[str] | None:
    """The mapped fields whose column the file lacks; None where its footer is damaged."""
    footer = _footer(root, file)
    if footer is None:
        return None
    return fields_missing(footer.schema.to_arrow_schema(), source=source, where=root.join(file.path))


def _open(opened: BinaryIO, *, where: str) -> pq.ParquetFile:
    head = opened.read(HEAD_BYTES)
    opened.seek(0)
    with store_errors(f"{where}: {DAMAGED}"):
        if not head.startswith(_MAGIC):
            raise StoreError(f"{where}: it is not parquet; it looks like {looks_like(head)}")
        # A buffer makes pyarrow read a column chunk page by page; without, a chunk of gigabytes is loaded as a whole.
        return pq.ParquetFile(opened, page_checksum_verification=True, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _refuse_declared(footer: pq.FileMetaData, *, file: InputFile, caps: InputCaps, where: str) -> None:
    """StoreError where the footer itself says too much. What it hides is counted row by row."""
    refuse_rows(footer.num_rows, caps=caps, where=where)
    sizes = (footer.row_group(k).total_byte_size for k in range(footer.num_row_groups))
    n_bytes = sum(max(0, size) for size in sizes)
    refuse_bytes(max(n_bytes, ROW_BYTES * footer.num_rows), file=file, caps=caps, where=where)


def _about(source: Source) -> str:
    return f"the column {source.columns.content!r} holds nothing but nulls; say which one holds the text: columns"


def _rows(
    parquet: pq.ParquetFile, *, source: Source, groups: range, file: InputFile, where: str
) -> Iterator[RawDocument]:
    row = sum(parquet.metadata.row_group(k).num_rows for k in range(groups.start))
    for batch in _batches(parquet, source=source, groups=groups, where=where):
        yield from rows_of(batch, input_file=file.path, first_row=row, source=source)
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
            yield Slice(source.name, (file,), first, k, n_bytes, is_open=True)
            first, n_bytes = k, 0
        n_bytes += size
    yield Slice(source.name, (file,), first, footer.num_row_groups, n_bytes, is_open=True)


def _batches(parquet: pq.ParquetFile, *, source: Source, groups: range, where: str) -> Iterator[pa.RecordBatch]:
    names = names_read(parquet.schema_arrow, source=source)
    with store_errors(f"{where}: {DAMAGED}"):
        expected = sum(parquet.metadata.row_group(k).num_rows for k in groups)
        found = 0
        for group in groups:
            for batch in _of_group(parquet, names=names, group=group, source=source):
                found += batch.num_rows
                yield batch
        if found != expected:
            raise StoreError(f"{where}: gave {found} rows, its footer says {expected}; fetch it again or exclude it")


def _of_group(parquet: pq.ParquetFile, *, names: list[str], group: int, source: Source) -> Iterator[pa.RecordBatch]:
    """Batches of rows, fewer where they are large. Their size must be set before they are read, and footers do not say
    how large rows become; so where the first ones are too large, the row group is begun anew."""
    read = partial(parquet.iter_batches, row_groups=[group], columns=names, use_threads=False)
    about = parquet.metadata.row_group(group)
    by_footer = max(0, about.total_byte_size) // max(1, about.num_rows)
    n_rows = min(_ROWS, rows_at_once(None, source=source), max(1, BATCH_BYTES // max(1, by_footer)))
    batches = iter(read(n_rows))
    first = next(batches, None)
    if first is None:
        return
    fitting = rows_at_once(first, source=source)
    if fitting < n_rows:
        yield from read(fitting)
        return
    yield first
    yield from batches
