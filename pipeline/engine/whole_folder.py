"""A folder that appears whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.engine.local_disk import local_path
from pipeline.engine.sink import sync_folder
from pipeline.engine.store import Store, open_store
from pipeline.errors import ConfigError, StoreError


def folder_beside(run: Store, suffix: str, *, out: Path | None) -> Path:
    """`out`, or a folder beside the run named after it and `suffix`. ConfigError for a place inside the run, which
    holds nothing but what it made."""
    if not run.is_local:
        if out is None:
            raise ConfigError(f"{run.root}: is no local folder, so say where to write: --out DIR")
        return out
    own = Path(local_path(run.root)).resolve()
    chosen = (out or own.with_name(f"{own.name}-{suffix}")).expanduser().resolve()
    if chosen == own or own in chosen.parents or chosen in own.parents:
        raise ConfigError(f"--out {chosen}: lies inside the run {own}, or the run in it; choose a folder of its own")
    return chosen


@contextmanager
def whole_folder(out: Path) -> Iterator[Store]:
    """A store to write into, which gets the name `out` when all of it is written.

    StoreError, before anything is written, where `out` is no place for a new folder.
    """
    out = out.expanduser().resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out}: is not an empty folder; remove it, or choose another --out")
    # One name for all, so that what a killed export left is found by the next one and removed.
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        held = os.open(partial, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(partial, error) from error
    try:
        _lock(held, out)
        _empty(partial)
        try:
            yield open_store(str(partial))
            sync_folder(partial)
            partial.rename(out)
            sync_folder(out.parent)
        except OSError as error:
            _empty(partial)
            partial.rmdir()
            raise _unwritable(out, error) from error
        except BaseException:  # Ctrl-C too leaves nothing behind
            _empty(partial)
            partial.rmdir()
            raise
    finally:
        os.close(held)


def _lock(held: int, out: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"{out}: another export writes there; wait for it or choose another --out") from error


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: cannot be written: {error}; free space or choose another --out")
