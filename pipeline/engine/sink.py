"""Writing a file of a run in pieces: hashed on the way, and there only when it is whole.

A shard that were first built in memory would be held two or three times while it is written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

TEMPORARY: Final = ".tmp"


class HashingFile:
    """The writing half of a binary file; keeps size and SHA-256 of what went through."""

    closed = False  # Arrow asks; who opened the file beneath closes it

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.n_bytes = 0

    def write(self, data: Any) -> int:
        """Append bytes, or anything with a buffer."""
        view = memoryview(data)
        self._digest.update(view)
        self._file.write(view)
        self.n_bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.n_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Nothing: the file is committed by whoever opened it."""

    def sha256(self) -> str:
        return self._digest.hexdigest()


Fill = Callable[[HashingFile], object]


def write_local(target: Path, fill: Fill) -> HashingFile:
    """Let `fill` write the file `target`: a temporary name beside it, fsync, rename, fsync of the folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            hashing = HashingFile(file)
            fill(hashing)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:  # Ctrl-C too leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return hashing


def sync_folder(path: Path) -> None:
    """Make names in a folder last: a rename is durable only then."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
