"""Files that are whole or absent, whatever is cut short, and their hashes; and small ones that a stranger may have
made."""

import errno
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

_MOST_BYTES = 1 << 28  # of a manifest or a tokenizer file, of which the largest have a tenth


def read_small(path: Path) -> bytes:
    """A small file, whole. OSError for what is no file, as reading a pipe waits for ever, and for a large one."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file", str(path))
    if (n_bytes := path.stat().st_size) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"has {n_bytes:,} bytes, expected at most {_MOST_BYTES:,}", str(path))
    return path.read_bytes()


def write_file(path: Path, text: str) -> None:
    """Write beside the place, flush to disk, rename: the file is whole or absent."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(text.encode())
        sync(file)
    partial.rename(path)
    sync_path(path.parent)


def sync(file: BinaryIO) -> None:
    """Bring what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """The same for a file that is closed, or for the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hex, of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
