"""A run on a file system that fsspec knows and `object_disk.py` does not speak to."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.engine.disk import Entries, Held, hash_whole, read_each, remove_each
from pipeline.engine.sink import Fill, HashingFile
from pipeline.errors import ConfigError, why


@dataclass(frozen=True)
class OtherDisk:
    """See `disk.Disk`. A write is one call of the file system; whether it is atomic is its own affair."""

    root: str

    is_local = False

    @cached_property
    def _found(self) -> tuple[Any, str]:
        import fsspec  # late: it takes a tenth of a second

        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(self.root)
        except (ValueError, ImportError) as error:  # no such protocol, or one whose package is not here
            raise ConfigError(f"{self.root}: cannot be opened: {why(error)}; correct the URL, or install it") from error
        return found

    @property
    def _fs(self) -> Any:
        return self._found[0]

    def _uncached(self) -> Any:
        """The file system without what it remembers of folders: tasks elsewhere write into them too."""
        self._fs.invalidate_cache()
        return self._fs

    def full(self, path: str) -> str:
        return posixpath.join(self._found[1], path)

    def read(self, path: str) -> bytes:
        return bytes(self._fs.cat_file(self.full(path)))

    def read_many(self, paths: Sequence[str]) -> dict[str, bytes]:
        return read_each(self, paths)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[pa.Buffer]:
        target = self.full(path)
        return [pa.py_buffer(self._fs.cat_file(target, start=start, end=start + n)) for start, n in ranges]

    def open(self, path: str, *, whole: bool = False) -> Any:
        return self._fs.open(self.full(path), "rb")

    def size(self, path: str) -> int:
        return int(self._uncached().size(self.full(path)))

    def sha256(self, path: str, n_bytes: int) -> str | None:
        return hash_whole(self, path, n_bytes)

    def exists(self, path: str) -> bool:
        return bool(self._uncached().exists(self.full(path)))

    def entries(self, folder: str) -> Entries:
        try:
            found = self._uncached().ls(self.full(folder), detail=True)
        except FileNotFoundError:
            return Entries({}, [])
        files = {posixpath.basename(f["name"]): int(f["size"]) for f in found if f["type"] == "file"}
        folders = [posixpath.basename(f["name"].rstrip("/")) for f in found if f["type"] == "directory"]
        return Entries(dict(sorted(files.items())), sorted(folders))

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            found = self._uncached().find(self.full(folder), detail=True)
        except FileNotFoundError:
            return {}
        base = self._found[1].rstrip("/")
        return {name.removeprefix(base).lstrip("/"): int(entry["size"]) for name, entry in found.items()}

    def write(self, path: str, fill: Fill, *, held: Held) -> HashingFile:
        with tempfile.NamedTemporaryFile(prefix="loopmix-") as file:
            hashing = HashingFile(file)
            fill(hashing)
            file.flush()
            self._make_folder(path)
            if held is not None:
                held()
            self._fs.put_file(file.name, self.full(path))
        return hashing

    def put(self, path: str, data: memoryview, *, held: Held) -> None:
        self._make_folder(path)
        if held is not None:
            held()
        self._fs.pipe_file(self.full(path), bytes(data))

    def create(self, path: str, data: bytes) -> bool:
        self._make_folder(path)
        try:
            with self._fs.open(self.full(path), "xb") as file:
                file.write(data)
        except FileExistsError:
            return False
        except (NotImplementedError, ValueError) as error:
            raise OSError(f"cannot create a file only where there is none: {error}") from error
        return True

    def move(self, path: str, other: str, *, held: Held) -> None:
        self._make_folder(other)
        if held is not None:
            held()
        self._fs.mv(self.full(path), self.full(other))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm(self.full(path), recursive=True)

    def remove_below(self, folder: str, *, but: str) -> None:
        remove_each(self, folder, but=but)

    def remove_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.remove(path)

    def _make_folder(self, path: str) -> None:
        self._fs.makedirs(posixpath.dirname(self.full(path)), exist_ok=True)
