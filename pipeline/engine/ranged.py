"""A file on a server for readers that seek: its end is fetched when it is opened, the rest when it is asked for.

Parquet and Arrow say in a file's end what lies where, so a reader of some columns fetches the end, then just these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_ALIGNED = 64
_PARQUET_END = 8  # length of the footer, and the magic
Range = tuple[int, int]  # start, n_bytes
Fetch = Callable[[Sequence[Range]], list[pa.Buffer]]


class RangedFile(io.RawIOBase):
    """Reads a file of `size` bytes, of which `tail` is here. `fetch` returns bytes of ranges, less where it ends."""

    def __init__(self, fetch: Fetch, *, size: int, tail: pa.Buffer) -> None:
        self._fetch = fetch
        self._size = size
        self._pieces = [(size - tail.size, tail)]
        self._at = 0

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Fetch ranges at once that are about to be read one after another."""
        missing = [(start, n) for start, n in ranges if self._held(start, n) is None]
        if missing:
            self._pieces += [(start, data) for (start, _), data in zip(missing, self._fetch(missing), strict=True)]

    def parquet_metadata(self) -> pq.FileMetaData:
        """What a Parquet file says of itself. Arrow itself would fetch 64 kB for it. ArrowInvalid for another file."""
        _, tail = self._pieces[0]
        end = tail.slice(max(0, tail.size - _PARQUET_END)).to_pybytes()
        n_bytes = min(int.from_bytes(end[:4], "little") + _PARQUET_END, self._size)
        footer = self._held(self._size - n_bytes, n_bytes) or self._fetch([(self._size - n_bytes, n_bytes)])[0]
        return pq.read_metadata(pa.BufferReader(footer))

    def read_buffer(self, size: int = -1) -> pa.Buffer:
        """What Arrow asks of a file that has it: the next bytes, without a copy."""
        n = self._size - self._at if size is None or size < 0 else min(size, self._size - self._at)
        if n <= 0:
            return pa.py_buffer(b"")
        found = self._held(self._at, n)
        if found is None:
            (found,) = self._fetch([(self._at, n)])
        self._at += found.size
        return found

    def read(self, size: int = -1) -> bytes:
        return bytes(self.read_buffer(size).to_pybytes())

    def readall(self) -> bytes:
        return self.read()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def _held(self, start: int, n_bytes: int) -> pa.Buffer | None:
        for first, data in self._pieces:
            if first <= start and start + n_bytes <= first + data.size:
                return data.slice(start - first, n_bytes)
        return None


def aligned(data: Any, start: int) -> pa.Buffer:
    """A copy of bytes that begin at `start` of a file, in which every place that Arrow has aligned to 64 bytes in the
    file is so in memory. Where a server's answer puts them, numbers would lie across words."""
    view = memoryview(data)
    room = pa.allocate_buffer(view.nbytes + 2 * _ALIGNED)
    shift = (start - room.address) % _ALIGNED
    np.frombuffer(room, np.uint8)[shift : shift + view.nbytes] = np.frombuffer(view, np.uint8)
    return room.slice(shift, view.nbytes)


def column_ranges(metadata: pq.FileMetaData, names: Sequence[str]) -> list[Range]:
    """Where the pages of columns lie in a Parquet file."""
    wanted, ranges = set(names), []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            if column.path_in_schema.partition(".")[0] in wanted:
                # A column without a dictionary has none, or 0 in files of others.
                start = column.dictionary_page_offset or column.data_page_offset
                ranges.append((start, column.total_compressed_size))
    return ranges


def is_most(wanted: pa.Schema) -> bool:
    """Whether columns are nearly all that a file of a table holds: texts or token ids."""
    return any(pa.types.is_large_binary(kind) or pa.types.is_large_list(kind) for kind in wanted.types)
