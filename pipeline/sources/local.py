"""Files on this machine: list them, and open one without leaving the source's folder.

Links inside a folder are never followed, whether they lead out or not: a linked file is read where it really lies, or
not at all. Only a path or a glob of the mixture that names a link itself is taken at its word (a hub cache is made of
links). Every open walks down from the root part by part and refuses a link on the way, so that a folder swapped for a
link between planning and reading leads nowhere.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.errors import StoreError
from pipeline.sources.names import to_bytes, to_text
from pipeline.sources.slices import InputFile

# What version control and Python write for themselves; no one's work.
SKIPPED_FOLDERS = (b".git", b".hg", b".svn", b"__pycache__")
_RUN_AGAIN = "the input changed while it was read; run again, which plans anew"


class Walked(NamedTuple):
    """What was found below a folder."""

    files: list[InputFile]
    n_links: int = 0  # passed over
    pruned: Sequence[str] = ()  # folders that were not opened, for their names; each ends in a slash


def walk(root: str, *, prunes: Callable[[str], bool], max_depth: int | None, take_links: bool) -> Walked:
    """All regular files below `root`, at most `max_depth` folders down, sorted by path. Sockets, pipes and devices are
    no documents."""
    files: list[InputFile] = []
    pruned: list[str] = []
    n_links = 0
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.fsencode(root) + b"/" + to_bytes(folder)) as entries:
                for entry in entries:
                    path = folder + to_text(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        deep = max_depth is not None and path.count("/") >= max_depth
                        if not deep and entry.name not in SKIPPED_FOLDERS:
                            (pruned if prunes(path) else pending).append(path + "/")
                    elif entry.is_symlink() and not take_links:
                        n_links += 1
                    elif entry.is_file() and entry.name != b".git":  # a worktree's or submodule's pointer
                        found = entry.stat()
                        files.append(InputFile(path, found.st_size, str(found.st_mtime_ns)))
        except OSError as error:
            remedy = f"make it readable or exclude {folder}**" if folder else "make it readable"
            raise StoreError(f"{root}/{folder}: cannot be listed: {error.strerror}; {remedy}") from error
    return Walked(sorted(files, key=lambda f: f.path), n_links, pruned)


def open_below(root: str, file: InputFile, *, take_links: bool) -> BinaryIO:
    """Open `file` for reading. StoreError if it is gone, swapped or changed; OSError if it cannot be read."""
    where = f"{root}/{file.path}"
    try:
        handle = _descend(root, to_bytes(file.path), take_links=take_links)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise StoreError(f"{where}: is gone or has become a link since planning; {_RUN_AGAIN}") from error
        raise
    opened = os.fdopen(handle, "rb")
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or (found.st_size, str(found.st_mtime_ns)) != (file.size, file.version):
        opened.close()
        raise StoreError(
            f"{where}: now {found.st_size} bytes, changed at {found.st_mtime_ns} ns; planned {file.size} bytes, "
            f"changed at {file.version} ns; {_RUN_AGAIN}"
        )
    return opened


def _descend(root: str, path: bytes, *, take_links: bool) -> int:
    """A descriptor of `path` below `root`. Never waits, not even on a pipe."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    if take_links:
        return os.open(os.fsencode(root) + b"/" + path, flags)
    *folders, name = path.split(b"/")
    here = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, flags | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def read_plain(file: Path, *, most: int) -> bytes:
    """The bytes of a file that is no link, pipe or device. OSError if it is one, or is larger than `most` bytes."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise OSError(errno.EFBIG, f"is no plain file of at most {most:,} bytes")
        return opened.read(most)
