"""A run on a local or shared POSIX disk. No command on one loads fsspec, which takes a tenth of a second to import."""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.engine.disk import Entries, Held, NoFileError, hash_whole, read_each, remove_each
from pipeline.engine.sink import TEMPORARY, Fill, HashingFile, sync_folder, write_local

# Markers, logs and the like are read whole. The largest, a year's log with a line every ten seconds, has some of this;
# what lists input files or documents one by one may have more.
_MOST_NOTES_BYTES = 1 << 30
_NOTES = (".json", ".jsonl", ".beat")
_IN_RUNS_OF_OTHERS = "report/"  # what is written into a run that somebody else may have made
_ANY_LENGTH = ("state/documents/plan.json", "forgotten.json")


def local_path(root: str) -> str:
    """An absolute path for one without a scheme or with `file://`."""
    return str(Path(root.removeprefix("file://")).expanduser().absolute())


@dataclass(frozen=True)
class LocalDisk:
    """See `disk.Disk`. A write is a temporary name beside the target, fsync, rename, fsync of the folder."""

    root: str

    is_local = True

    def full(self, path: str) -> str:
        return posixpath.join(local_path(self.root), path)

    def file(self, path: str, *, writes: bool = False) -> str:
        """Where a file is opened. OSError for a pipe or a device: opening one waits for a writer that never comes; and
        for a link, if the file `writes`: what it leads to may be anybody's."""
        full = self.full(path)
        mode = (Path(full).lstat() if writes else Path(full).stat()).st_mode
        if stat.S_ISLNK(mode):
            raise NoFileError(errno.EINVAL, "is a link, and what it leads to is no part of the run", full)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # the system refuses to read a folder by itself
            raise NoFileError(errno.EINVAL, "is no file, but a pipe or a device", full)
        return full

    def read(self, path: str) -> bytes:
        full = self.file(path)
        n_bytes = Path(full).stat().st_size
        if n_bytes > _MOST_NOTES_BYTES and path.endswith(_NOTES) and path not in _ANY_LENGTH:
            said = f"has {n_bytes:,} bytes, expected at most {_MOST_NOTES_BYTES:,}"
            raise NoFileError(errno.EFBIG, said, full)
        try:
            return Path(full).read_bytes()
        except MemoryError:
            raise NoFileError(errno.EFBIG, f"has {n_bytes:,} bytes, more than memory holds", full) from None

    def read_many(self, paths: Sequence[str]) -> dict[str, bytes]:
        return read_each(self, paths)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[pa.Buffer]:
        with pa.memory_map(self.file(path)) as file:
            found = []
            for start, n_bytes in ranges:
                file.seek(start)
                found.append(file.read_buffer(n_bytes))
            return found

    def open(self, path: str, *, whole: bool = False) -> Any:
        return pa.memory_map(self.file(path))

    def size(self, path: str) -> int:
        return Path(self.full(path)).stat().st_size

    def sha256(self, path: str, n_bytes: int) -> str | None:
        return hash_whole(self, path, n_bytes)

    def exists(self, path: str) -> bool:
        return Path(self.full(path)).exists()

    def entries(self, folder: str) -> Entries:
        files: dict[str, int] = {}
        folders: list[str] = []
        try:
            with os.scandir(self.full(folder)) as found:
                for entry in found:  # a link is neither a file nor a folder of a run
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):  # removed meanwhile
                            files[entry.name] = entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            return Entries({}, [])
        return Entries(dict(sorted(files.items())), sorted(folders))

    def sizes(self, folder: str) -> dict[str, int]:
        sizes: dict[str, int] = {}
        waiting = [folder]  # a list, as folders may be nested deeper than functions can
        while waiting:
            here = waiting.pop()
            found = self.entries(here)
            sizes |= {posixpath.join(here, name): size for name, size in found.files.items()}
            waiting += [posixpath.join(here, name) for name in found.folders]
        return dict(sorted(sizes.items()))

    def write(self, path: str, fill: Fill, *, held: Held) -> HashingFile:
        if path.startswith(_IN_RUNS_OF_OTHERS):
            self._refuse_links(path)

        def whole(file: HashingFile) -> None:
            fill(file)
            if held is not None:
                held()  # as late as can be: a shard takes its time

        return write_local(Path(self.full(path)), whole)

    def put(self, path: str, data: memoryview, *, held: Held) -> None:
        self.write(path, lambda file: file.write(data), held=held)

    def create(self, path: str, data: bytes) -> bool:
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        whole = Path(f"{target}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
        whole.write_bytes(data)
        try:
            _link(whole, target)
        except FileExistsError:
            return False
        finally:
            whole.unlink()
        return True

    def move(self, path: str, other: str, *, held: Held) -> None:
        if held is not None:
            held()
        target = Path(self.full(other))
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(self.full(path)).replace(target)
        sync_folder(target.parent)

    def _refuse_links(self, path: str) -> None:
        for folder in PurePosixPath(path).parents[:-1]:
            if (full := Path(self.full(str(folder)))).is_symlink():
                raise NoFileError(errno.EINVAL, f"{full} is a link, and what it leads to is no part of the run")

    def remove(self, path: str) -> None:
        target = Path(self.full(path))
        with suppress(FileNotFoundError):
            if target.is_dir() and not target.is_symlink():  # of a link what it leads to is not ours
                shutil.rmtree(target)
            else:
                target.unlink()

    def remove_below(self, folder: str, *, but: str) -> None:
        remove_each(self, folder, but=but)

    def remove_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            Path(self.full(path)).unlink(missing_ok=True)


def _link(whole: Path, target: Path) -> None:
    """Give a whole file a second name; FileExistsError if it is taken. So nobody ever sees half a file."""
    try:
        target.hardlink_to(whole)
    except FileExistsError:
        raise
    except OSError:  # a disk without links: then there is a moment in which the new file is empty
        with target.open("xb") as file:
            file.write(whole.read_bytes())
