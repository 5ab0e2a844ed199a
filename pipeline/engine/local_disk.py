"""The local disk under the names that fsspec has for what a `Store` asks: no command on a local run loads fsspec, which
takes a tenth of a second to import."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


def local_path(root: str) -> str:
    """An absolute path for one without a scheme or with `file://`."""
    return str(Path(root.removeprefix("file://")).expanduser().absolute())


class LocalDisk:
    """What `fsspec.AbstractFileSystem` does, with its errors: OSErrors."""

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def size(self, path: str) -> int:
        return Path(path).stat().st_size

    def open(self, path: str, mode: str) -> IO[Any]:
        return Path(path).open(mode)

    def cat_file(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:
        """Name, size and type of what lies right inside a folder. A link is neither a file nor a directory."""
        assert detail
        return list(_entries(path))

    def rm(self, path: str, *, recursive: bool) -> None:
        assert recursive
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink()


def _entries(folder: str) -> Iterator[dict[str, Any]]:
    with os.scandir(folder) as found:
        for entry in found:
            kind = "directory" if entry.is_dir(follow_symlinks=False) else "other"
            kind = "file" if entry.is_file(follow_symlinks=False) else kind
            try:
                size = entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # removed meanwhile
                continue
            yield {"name": entry.path, "size": size, "type": kind}
