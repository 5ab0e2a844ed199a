"""Megatron-LM's indexed dataset: `tokens.bin`, ids end to end, and `tokens.idx`, where pieces and sequences lie in it.

A piece of a document is what Megatron calls a sequence, a packed sequence what it calls a document. Integers are little
endian: the magic, uint64 version 1, uint8 code of the id type, uint64 number of pieces, uint64 number of bounds; then
int32 lengths of pieces, int64 byte offsets of pieces, int64 bounds of packed sequences, counted in pieces, from 0.
"""

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.export.finished import Finished
from pipeline.sequences import Rows

PREFIX = "tokens"
_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_INT32, _UINT16 = 4, 8  # codes of id types
# Megatron's own choice for vocabularies: two bytes below this many entries, else four with a sign.
_MAX_UINT16_ENTRIES = 65_500
_CHUNK = 1 << 20  # lengths that are held at once


class _Lengths:
    """Lengths that wait on the disk: the index says how many there are before the first one."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed at exit, and nameless)
        self.n = 0

    def __enter__(self) -> "_Lengths":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, lengths: np.ndarray) -> None:
        self._file.write(lengths.astype("<i4").tobytes())
        self.n += lengths.size

    def __iter__(self) -> Iterator[np.ndarray]:
        self._file.seek(0)
        while data := self._file.read(4 * _CHUNK):
            yield np.frombuffer(data, "<i4")

    def running(self, *, step: int, inclusive: bool) -> Iterator[np.ndarray]:
        """Running sums times `step`, with or without each one's own length, as int64."""
        start = 0
        for lengths in self:
            sums = np.cumsum(lengths.astype("<i8") * step) + start
            yield sums if inclusive else sums - lengths.astype("<i8") * step
            start = int(sums[-1])


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write both files of each stream."""
    return [file for prefix, stream in source.streams() for file in _write(source, out, stream, name=prefix + PREFIX)]


def _write(source: Finished, out: Store, stream: Iterator[Rows], *, name: str) -> list[FileEntry]:
    code = _UINT16 if source.vocab_size < _MAX_UINT16_ENTRIES else _INT32
    kind = np.dtype("<u2" if code == _UINT16 else "<i4")
    place = Path(out.root)
    with _Lengths(place) as pieces, _Lengths(place) as sequences:

        def fill(file: HashingFile) -> None:
            for rows in stream:
                file.write(rows.real_ids.astype(kind, copy=False).data)
                pieces.append(rows.span_ends - rows.span_starts)
                sequences.append(rows.n_spans)

        def index(file: HashingFile) -> None:
            file.write(_MAGIC + struct.pack("<QBQQ", _VERSION, code, pieces.n, sequences.n + 1))
            for lengths in pieces:
                file.write(lengths.data)
            for offsets in pieces.running(step=kind.itemsize, inclusive=False):
                file.write(offsets.data)
            file.write(np.zeros(1, "<i8").data)
            for bounds in sequences.running(step=1, inclusive=True):
                file.write(bounds.data)

        return [out.write_stream(f"{name}.bin", fill), out.write_stream(f"{name}.idx", index)]
