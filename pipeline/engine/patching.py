"""Writing into files that stand: some bytes of a shard change, and nothing else of it is written.

A write in place is not atomic. Whoever uses it has written down before what it is about to do, so that after a stop it
does all of it again, and has said in the manifest that the run is not whole meanwhile. On object storage there is no
writing in place: the object is read, changed and put as a whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.arrow_files import refuse_bombs
from pipeline.engine.store import FileEntry, Store
from pipeline.engine.store_errors import damaged
from pipeline.errors import StoreError, why

_GAP = 16  # bytes that stay between two that change: a write of its own costs more
Patch = tuple[int, bytes]  # where in the file, and what stands there afterwards


def patch(store: Store, path: str, patches: Sequence[Patch], *, n_bytes: int | None = None) -> int:
    """Put bytes into a file of the run, durably; returns how many were written. Its size stays, or becomes `n_bytes`.

    StoreError where the file is missing or shorter than a patch wants, or cannot be written.
    """
    if not store.is_local:
        return _put_whole(store, path, patches)
    target = store.local_file(path, writes=True)
    try:
        with Path(target).open("r+b") as file:
            size = os.fstat(file.fileno()).st_size if n_bytes is None else n_bytes
            for start, data in patches:
                if start < 0 or start + len(data) > size:
                    raise StoreError(f"{target}: has {size:,} bytes, and a change of {start + len(data):,} was planned")
                os.pwrite(file.fileno(), data, start)
            if n_bytes is not None:
                os.ftruncate(file.fileno(), n_bytes)
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error}; run the same line again") from error
    return sum(len(data) for _, data in patches)


def differences(old: np.ndarray, new: np.ndarray) -> list[Patch]:
    """What to write into a file of bytes `old` (uint8) so that it begins with `new`, few and long rather than short."""
    n = min(old.size, new.size)
    places = np.flatnonzero(old[:n] != new[:n])
    patches: list[Patch] = []
    if places.size:
        breaks = np.flatnonzero(np.diff(places) > _GAP)
        firsts = places[np.concatenate(([0], breaks + 1))].tolist()
        lasts = places[np.concatenate((breaks, [places.size - 1]))].tolist()
        patches = [(a, new[a : b + 1].tobytes()) for a, b in zip(firsts, lasts, strict=True)]
    return patches if new.size <= n else [*patches, (n, new[n:].tobytes())]


def _put_whole(store: Store, path: str, patches: Sequence[Patch]) -> int:
    data = bytearray(store.read_bytes(path))
    for start, new in patches:
        if start < 0 or start + len(new) > len(data):
            raise StoreError(f"{store.full(path)}: has {len(data):,} bytes, and a change behind them was planned")
        data[start : start + len(new)] = new
    return store.write_bytes(path, bytes(data)).n_bytes


def entry_of(store: Store, path: str) -> FileEntry:
    """Size and SHA-256 of a file as it stands."""
    digest, n_bytes = hashlib.sha256(), 0
    if not store.is_local:
        data = store.read_bytes(path)
        return FileEntry(path, len(data), hashlib.sha256(data).hexdigest())
    try:
        with Path(store.local_file(path)).open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
                n_bytes += len(block)
    except OSError as error:
        raise StoreError(f"{store.full(path)}: cannot be read: {why(error)}") from error
    return FileEntry(path, n_bytes, digest.hexdigest())


@dataclass(frozen=True)
class Placed:
    """An Arrow file and where in it its buffers lie."""

    batch: pa.RecordBatch
    base: int  # address of the file's first byte
    n_bytes: int
    whole: pa.Buffer  # keeps the map
    metadata: dict[bytes, bytes]  # the batch's own

    def start(self, buffer: pa.Buffer) -> int:
        """Where in the file a buffer begins. StoreError for one that is no part of it: it was compressed."""
        start = buffer.address - self.base
        if not 0 <= start <= start + buffer.size <= self.n_bytes:
            raise StoreError("the columns of an Arrow file are compressed; it was not written by this version")
        return int(start)


def place(store: Store, path: str) -> Placed:
    """Open an Arrow file of one batch for finding places in it."""
    if store.is_local:
        source = pa.memory_map(store.local_file(path))
        whole = source.read_buffer(source.size())
    else:
        whole = pa.py_buffer(store.read_bytes(path))
    try:
        refuse_bombs(pa.BufferReader(whole))
        reader = pa.ipc.open_file(pa.BufferReader(whole))
        if reader.num_record_batches != 1:
            raise StoreError(f"{store.full(path)}: holds {reader.num_record_batches} batches, expected one")
        batch, metadata = reader.get_batch_with_custom_metadata(0)
        batch.validate()  # not what nulls are counted: of a forget that was stopped, their number comes later
    except (ValueError, SystemError, MemoryError, pa.ArrowException) as error:
        raise damaged(store.full(path), error) from error
    return Placed(batch, whole.address, whole.size, whole, dict(metadata or {}))
