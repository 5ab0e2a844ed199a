"""Where a run lies: a local disk, an object store, or another file system that fsspec knows, under one small face.

    local_disk.py     a path: files are mapped, renamed and fsynced
    object_disk.py    s3://, gs://, az:// and their relatives: requests are counted money, a PUT is atomic
    other_disk.py     every other URL, as fsspec does it

Paths are relative to the run. Errors are OSErrors, FileNotFoundError for what is not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipeline.engine.sink import Fill, HashingFile


class Holds(Protocol):
    """What is asked before a name is written that drivers share: raises StoreError where another one has taken the run
    over. Unless `now`, an answer of the last seconds will do."""

    def __call__(self, *, now: bool = True) -> None: ...


Held = Holds | None  # None: no name that drivers share


@dataclass(frozen=True)
class Entries:
    """What lies right inside a folder: sizes of files by name, and names of folders, both sorted."""

    files: dict[str, int]
    folders: list[str]


class NoFileError(OSError):
    """Something that is no file stands under the name of one."""


class Disk(Protocol):
    """What a `Store` asks of the place where it lies."""

    @property
    def is_local(self) -> bool:
        """True where files can be memory-mapped and changed in place."""
        ...

    def full(self, path: str) -> str:
        """The whole name of a path, for people; on a local disk the path itself."""
        ...

    def read(self, path: str) -> bytes: ...

    def read_many(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Whole small files, side by side where that is faster; those that are not there are left out."""
        ...

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[pa.Buffer]:
        """For each (start, n_bytes) what is there of it: less where the file ends before."""
        ...

    def open(self, path: str, *, whole: bool = False) -> Any:
        """What Arrow reads from, to be closed: a memory map, or a file that fetches only what is asked. `whole`: that
        is most of it, so that a small one may come at once."""
        ...

    def size(self, path: str) -> int: ...

    def sha256(self, path: str, n_bytes: int) -> str | None:
        """Of a file's content, hex; None for a file of another size."""
        ...

    def exists(self, path: str) -> bool:
        """True for a file or a folder."""
        ...

    def entries(self, folder: str) -> Entries:
        """What lies right inside; nothing for a folder that is not there."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """The size of every file inside and below, by path; nothing for a folder that is not there."""
        ...

    def write(self, path: str, fill: Fill, *, held: Held) -> HashingFile:
        """Commit what `fill` writes, atomically; `held` is asked as late as can be."""
        ...

    def put(self, path: str, data: memoryview, *, held: Held) -> None:
        """Commit bytes, atomically."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Commit bytes unless the name is taken; False if it is. One of several callers wins."""
        ...

    def move(self, path: str, other: str, *, held: Held) -> None:
        """Give a file another name. A stop may leave it under both."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, or a folder and what is in it; nothing happens where there is none."""
        ...

    def remove_below(self, folder: str, *, but: str) -> None:
        """Remove the folders right inside a folder but one; nothing happens where there are none."""
        ...

    def remove_files(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone already do no harm."""
        ...


# What all but object stores do alike: one file after another.


def read_each(disk: Disk, paths: Sequence[str]) -> dict[str, bytes]:
    """See `Disk.read_many`."""
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path] = disk.read(path)
    return found


def remove_each(disk: Disk, folder: str, *, but: str) -> None:
    """See `Disk.remove_below`."""
    for name in disk.entries(folder).folders:
        if name != but:
            disk.remove(f"{folder}/{name}")


def hash_whole(disk: Disk, path: str, n_bytes: int) -> str | None:
    """See `Disk.sha256`."""
    if disk.size(path) != n_bytes:
        return None
    digest = hashlib.sha256()
    with disk.open(path) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
