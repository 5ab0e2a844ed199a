"""Files that are whole or absent, whatever is cut short, and their hashes."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO


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
