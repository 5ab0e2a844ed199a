"""Packed shards: one Arrow file that both kinds of reader open and memory-map.

`datasets.Dataset.from_file` wants Arrow's stream format, `pyarrow.ipc.open_file` (and Hugging Face's, Ray's and most
loaders' random access) the file format. The file format is a stream between a leading magic and a footer, and Arrow's
file reader finds everything through the footer. So a shard is the stream, followed by the file format's own footer
whose block offsets count from the stream's first byte. Readers that insist on the leading magic read it as a stream.
"""

import struct
from collections.abc import Iterable
from typing import Any, Protocol

import pyarrow as pa

_MAGIC = b"ARROW1"
_HEAD = 8  # leading magic and its padding, which a stream does not have
_TAIL = 4 + len(_MAGIC)  # footer length and trailing magic
_RECORD_BATCHES = 3  # field number in the footer's flatbuffer table (format/File.fbs)
_BLOCK = 24  # bytes of a Block: int64 offset, int32 metadata length, padding, int64 body length


class _Writable(Protocol):
    def write(self, data: Any, /) -> int: ...


class _Sink:
    """What Arrow writes a file into: passes it on without its head, and holds back what comes once `tail` is set."""

    closed = False

    def __init__(self, file: _Writable) -> None:
        self._file = file
        self._at = 0
        self.tail: bytearray | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data)
        skipped = max(0, _HEAD - self._at)
        self._at += view.nbytes
        if self.tail is None:
            self._file.write(view[skipped:])
        else:
            self.tail += view[skipped:]
        return view.nbytes

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """Nothing: what it writes to is another's."""


def write(file: _Writable, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> None:
    """Write the batches to a binary file as a stream with a footer. None is copied or held back."""
    sink = _Sink(file)
    with pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
        sink.tail = bytearray()  # closing writes the end of the stream and the footer
    tail = memoryview(sink.tail)
    (length,) = struct.unpack_from("<i", tail, len(tail) - _TAIL)
    _shift_blocks(tail[len(tail) - _TAIL - length : len(tail) - _TAIL])
    file.write(tail)


def _shift_blocks(footer: memoryview) -> None:
    """Move every record batch's offset from the file's first byte to the stream's."""
    (table,) = struct.unpack_from("<I", footer, 0)
    (to_vtable,) = struct.unpack_from("<i", footer, table)
    vtable = table - to_vtable
    (vtable_bytes,) = struct.unpack_from("<H", footer, vtable)
    slot = 4 + 2 * _RECORD_BATCHES
    field = struct.unpack_from("<H", footer, vtable + slot)[0] if slot < vtable_bytes else 0
    if not field:
        return
    place = table + field
    vector = place + struct.unpack_from("<I", footer, place)[0]
    (n,) = struct.unpack_from("<I", footer, vector)
    for i in range(n):
        at = vector + 4 + i * _BLOCK
        (offset,) = struct.unpack_from("<q", footer, at)
        struct.pack_into("<q", footer, at, offset - _HEAD)
