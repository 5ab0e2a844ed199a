"""Tables that are mapped instead of decoded: one plain Arrow record batch, with a hash of each of its columns.

Parquet has page checksums; Arrow files have nothing like it, and one flipped bit would read as wrong data. So the batch
carries the XXH3-64 of what each column holds, and whoever reads a column compares. At some 10 GB/s that costs a tenth
of what decoding the same column from Parquet does, and no copy of it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.arrow_files import refuse_bombs, refuse_unsound

_PREFIX = "xxh3:"  # before the column's name, in the batch's own metadata


def write_mapped(sink: Any, table: pa.Table) -> None:
    """Write `table` to a binary file as one batch, and the hashes of its columns beside it."""
    whole = table.combine_chunks()
    batch = whole.to_batches()[0] if whole.num_rows else pa.RecordBatch.from_pylist([], schema=table.schema)
    hashes = {f"{_PREFIX}{name}": content_hash(batch.column(name)) for name in batch.schema.names}
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(batch, custom_metadata=hashes)


def read_mapped(source: Any, names: Sequence[str] | None = None, *, is_checked: bool = True) -> pa.Table:
    """The columns `names` of such a file, views of `source` where that is mapped.

    Raises pa.ArrowException for what is no such file or holds other bytes than were written, KeyError for a column that
    is not there.
    """
    is_mapped = isinstance(source, pa.MemoryMappedFile)
    if is_mapped:
        refuse_bombs(source)
    schema = pa.ipc.open_file(source).schema
    wanted = list(schema.names if names is None else names)
    fields = [schema.names.index(name) if name in schema.names else _missing(name, schema) for name in wanted]
    # Only these are fetched where the file lies on a server. Of a mapped file Arrow would copy them.
    fetched = [] if is_mapped else sorted(fields)
    options = pa.ipc.IpcReadOptions(included_fields=fetched, use_threads=False)
    reader = pa.ipc.open_file(source, options=options)
    if reader.num_record_batches != 1:
        raise pa.ArrowInvalid(f"holds {reader.num_record_batches} batches, expected one")
    batch, metadata = reader.get_batch_with_custom_metadata(0)
    batch.validate()  # lengths, and that buffers and offsets fit them: a hash may follow them from here on
    table = pa.Table.from_batches([batch]).select(wanted)
    if is_checked:
        refuse_unsound(table)
    for name in wanted if is_checked else ():
        expected = (metadata or {}).get(f"{_PREFIX}{name}".encode())
        if expected is None or content_hash(batch.column(name)).encode() != expected:
            raise pa.ArrowInvalid(f"column {name!r} is not what was written")
    return table


def _missing(name: str, schema: pa.Schema) -> int:
    raise KeyError(f"no column {name!r}, found {schema.names}")


def content_hash(array: pa.Array) -> str:
    """XXH3-64 of what an array holds, hex: of lengths, nulls and values, not of padding or of where a slice begins.

    ArrowInvalid for an array whose offsets lead out of its values: nothing may follow them before this was asked.
    """
    digest = xxhash.xxh3_64()
    for part in _parts(array):
        digest.update(part)
    return digest.hexdigest()


def _parts(array: pa.Array) -> Iterator[bytes | memoryview]:
    kind, n = array.type, len(array)
    yield f"{kind} {n} {array.null_count}".encode()
    if array.null_count:
        yield np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).data
    if not n:
        return
    if pa.types.is_boolean(kind):
        yield np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).data
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _parts(field)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        first, last = yield from _offsets(array, len(array.values), is_large=pa.types.is_large_list(kind))
        yield from _parts(array.values.slice(first, last - first))
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        data = array.buffers()[2]
        size = 0 if data is None else data.size
        first, last = yield from _offsets(array, size, is_large=pa.types.is_large_binary(kind))
        yield memoryview(data)[first:last] if size else b""
    else:
        width = kind.byte_width  # ValueError for a type that has none: no table holds one
        yield _slice(array.buffers()[1], array.offset * width, n * width)


def _offsets(array: pa.Array, size: int, *, is_large: bool) -> Any:
    """Yield the offsets, counted from the first; returns the first and the last."""
    width = 8 if is_large else 4
    raw = _slice(array.buffers()[1], array.offset * width, (len(array) + 1) * width)
    offsets = np.frombuffer(raw, np.int64 if is_large else np.int32)
    first, last = int(offsets[0]), int(offsets[-1])
    if first < 0 or last > size or (np.diff(offsets) < 0).any():
        raise pa.ArrowInvalid("offsets lead out of the values")
    yield (offsets - offsets[0]).data
    return first, last


def _slice(buffer: pa.Buffer | None, start: int, n_bytes: int) -> memoryview:
    if buffer is None or buffer.size < start + n_bytes:
        raise pa.ArrowInvalid("a buffer ends before its values")
    return memoryview(buffer)[start : start + n_bytes]
