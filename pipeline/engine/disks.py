"""Which kind of disk a root lies on, and where a path of this machine leads."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pipeline.engine.disk import Disk
from pipeline.engine.local_disk import LocalDisk
from pipeline.errors import StoreError
from pipeline.globs import is_text

SERVED = ("s3://", "s3a://", "gs://", "az://", "azure://", "adl://", "abfs://", "abfss://")
_SETTINGS = ("AWS_", "GOOGLE_", "AZURE_")  # of the environment: where the servers are and who asks


def disk_of(root: str) -> Disk:
    """The disk of a path or a URL. ConfigError where the package that speaks to it is not installed."""
    if "://" not in root or root.startswith("file://"):
        return LocalDisk(root)
    # Part of the key, so that a changed environment is not answered with connections of the one before.
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_SETTINGS)))
    return _server(root, settings)


@lru_cache(maxsize=16)
def _server(root: str, settings: tuple[tuple[str, str], ...]) -> Disk:
    """Kept for the life of the process, with its open connections: a task would pay for new ones each time."""
    if root.startswith(SERVED):
        from pipeline.engine.object_disk import ObjectDisk  # late: a run on a local disk needs neither

        return ObjectDisk.at(root)
    from pipeline.engine.other_disk import OtherDisk

    return OtherDisk(root)


def local_root(path: str) -> str:
    """The absolute path of a folder of this machine that is there or can be made; StoreError where a file is above."""
    root = Path(path).expanduser().resolve()
    above = next(place for place in (root, *root.parents) if os.path.lexists(place))
    if not above.is_dir():
        said = "is no folder" if above == root else f"{above} is no folder"
        raise StoreError(f"{root}: {said}; name another one for the run")
    if not is_text(str(root)):
        raise StoreError(f"{root}: a byte of this name is no UTF-8, and a run says where it lies; name another folder")
    return str(root)
