"""Where a source lies: a folder, a file or a glob, on this machine or on any file system that fsspec knows."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pipeline.config import Source
from pipeline.errors import ConfigError, LoopmixError, StoreError, no_file
from pipeline.globs import BRACES, chooser, pruner
from pipeline.sources.hidden import is_hidden, shown_by
from pipeline.sources.local import Walked, open_below, walk
from pipeline.sources.names import is_safe, to_text
from pipeline.sources.slices import InputFile

T = TypeVar("T")
# What file systems call the state of a file's content, the surest first; a time is only as fine as the store's clock.
_VERSION_KEYS = ("ETag", "etag", "blob_id", "md5Hash", "checksum", "LastModified", "last_modified", "mtime")


@dataclass(frozen=True)
class Root:
    """The folder that all paths of a source hang on, and what the mixture's `path` says about the files in it."""

    path: str  # absolute; in the terms of `fs`
    fs: Any = None  # an fsspec file system; None: this machine, read without fsspec
    only: str | None = None  # `path` named this one file
    glob: str | None = None  # `path` was a glob; this is its part below the folder

    def join(self, path: str) -> str:
        """`path` in the terms of `fs`."""
        return f"{self.path.rstrip('/')}/{path}"

    def names(self, path: str) -> bool:
        """Whether the mixture's `path` means `path`, which lies below this folder. Only a glob is choosy."""
        return self.glob is None or _expression(self.glob).match(path) is not None

    @property
    def takes_links(self) -> bool:
        """Whether the mixture named the files itself, links included."""
        return self.only is not None or self.glob is not None


@lru_cache(maxsize=64)
def _expression(glob: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate

    return re.compile(glob_translate(glob))


def locate(source: Source) -> Root:
    """Find out what `source.path` is. Raises ConfigError if nothing lies there."""
    where = f"sources.{source.name}.path: {source.path}"
    fs, path = None, source.path
    if "://" in path:
        import fsspec  # late: what lies on this machine needs none of it
        from fsspec.implementations.local import LocalFileSystem

        with store_errors(f"{where}: cannot be reached"):
            fs, path = fsspec.core.url_to_fs(path)
        if isinstance(fs, LocalFileSystem):
            fs = None
    if fs is None:
        path = str(Path(path).absolute())
        is_folder, is_file = Path(path).is_dir(), Path(path).is_file()
    else:
        path = path.rstrip("/") or "/"
        with store_errors(f"{where}: cannot be reached"):
            is_folder, is_file = fs.isdir(path), fs.isfile(path)
    if is_folder:
        return Root(path, fs)
    if is_file:
        folder, _, name = path.rpartition("/")
        return Root(folder or "/", fs, only=name)
    if has_magic(path):
        folder, pattern = split_glob(path, is_folder=os.path.isdir if fs is None else fs.isdir)
        if any("**" in part and part != "**" for part in pattern.split("/")):
            raise ConfigError(f"{where}: `**` must stand alone between two slashes")
        if pattern and (fs is not None or Path(folder).is_dir()):
            return Root(folder, fs, glob=pattern)
    if fs is None and (said := no_file(Path(path))):
        raise ConfigError(f"{where} {said}")
    raise ConfigError(f"{where} does not exist; expected a folder, a file or a glob{_of_braces(source)}")


def split_glob(path: str, *, is_folder: Callable[[str], bool]) -> tuple[str, str]:
    """The folder above the first part that is a pattern, and the pattern below it.

    A part with a wildcard is a pattern only where no folder bears that very name: `/data/[2024] set/*.jsonl` looks
    into the folder `[2024] set`, wherever the mixture lies. No pattern is left where all such parts are folders.
    """
    parts = path.split("/")
    magic = [i for i, part in enumerate(parts) if has_magic(part)]
    last = len(parts) - 1  # never taken for a folder: a path that exists as a whole is no glob
    first = next((i for i in magic if i == last or not is_folder("/".join(parts[: i + 1]))), len(parts))
    return "/".join(parts[:first]) or "/" * path.startswith("/"), "/".join(parts[first:])


def list_files(source: Source, *, root: Root, suffixes: tuple[str, ...] = ()) -> list[InputFile]:
    """The source's files, sorted by path. Below a folder only those with one of `suffixes`, if any are given.

    A glob of the mixture is read from its folder down, and include and exclude apply to the path from there. With
    `suffixes` the files hold rows, and hidden ones are left out (`hidden.py`).
    ConfigError if none is left, because a source without files is a slip.
    """
    listed, n_links, _ = list_below(root, exclude=source.exclude)
    files = _chosen(source, listed, root=root, suffixes=suffixes)
    hidden = hides(source, root=root) if suffixes else lambda path: False
    kept = [file for file in files if not hidden(file.path)]
    if not kept:
        said = _none_left(source, n_files=len(listed), n_links=n_links, n_hidden=len(files), suffixes=suffixes)
        raise ConfigError(said)
    unsafe = [file.path for file in kept if not is_safe(file.path)]
    if unsafe:
        raise ConfigError(f"sources.{source.name}: the name {unsafe[0]!r} leads out of its folder; exclude it")
    return kept


def hidden_files(source: Source, *, root: Root, suffixes: tuple[str, ...]) -> list[str]:
    """Paths of the files that `list_files` leaves out for their signs, and that seem to hold rows, the largest first.

    Markers and checksums beside them (`_SUCCESS`, `.crc`) are not among them.
    """
    listed = list_below(root, exclude=source.exclude).files
    hidden = hides(source, root=root)
    found = [file for file in _chosen(source, listed, root=root, suffixes=suffixes) if hidden(file.path)]
    is_any = root.glob is not None and not root.glob.endswith("*")  # else `*` would mean markers too
    paths = [file.path for file in sorted(found, key=lambda file: (-(file.size or 0), file.path))]
    return [path for path in paths if is_any or path.lower().endswith(suffixes)]


def hides(source: Source, *, root: Root) -> Callable[[str], bool]:
    """A test for paths of a source of rows: whether they are hidden. One file that is named whole never is."""
    shown = shown_by((root.glob or "", *source.include))
    return lambda path: root.only is None and is_hidden(path, shown=shown)


def _chosen(source: Source, listed: list[InputFile], *, root: Root, suffixes: tuple[str, ...]) -> list[InputFile]:
    """Those that the mixture's path and patterns mean, hidden ones among them."""
    chosen, any_name = chooser(source.include, source.exclude), root.takes_links or not suffixes
    files = (file for file in listed if chosen(file.path) and root.names(file.path))
    return [file for file in files if any_name or file.path.lower().endswith(suffixes)]


def _none_left(source: Source, *, n_files: int, n_links: int, n_hidden: int, suffixes: tuple[str, ...]) -> str:
    said = f"sources.{source.name}.path: no file of {source.path} matches; looked at {n_files} files"
    if suffixes:
        said += f", expected names that end in {' or '.join(suffixes)}"
    if (source.include, source.exclude) != (("*",), ()):
        said += f", with include {list(source.include)} and exclude {list(source.exclude)}"
    if n_links:
        said += f"; {n_links} links were not followed (a glob as `path` takes them)"
    if n_hidden:
        said += f"; {n_hidden} left out for `.` or `_` in front of a name ('_*' among `include` takes them)"
    return f"{said}; correct the path{_of_braces(source)}"


def _of_braces(source: Source) -> str:
    """Why a path with braces finds nothing."""
    return "; a glob knows no braces: write a source for each" * bool(BRACES.search(source.path))


_LISTED: ContextVar[dict[Any, Any] | None] = ContextVar("listed", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """Keep what folders hold while the block lasts: a large one, or one on a server, is listed once for all who ask."""
    token = _LISTED.set({})
    try:
        yield
    finally:
        _LISTED.reset(token)


def kept_listing(key: tuple[Root, object], list_it: Callable[[], T]) -> T:
    """What was listed under this key within `listed_once`, else what is listed now."""
    kept = _LISTED.get()
    if kept is None:
        return list_it()
    if key not in kept:
        kept[key] = list_it()
    found: T = kept[key]
    return found


def list_below(root: Root, *, exclude: tuple[str, ...]) -> Walked:
    """What lies below a root, but for folders that are excluded."""
    return kept_listing((root, exclude), lambda: _walk(root, exclude=exclude))


def _walk(root: Root, *, exclude: tuple[str, ...]) -> Walked:
    if root.only is not None:
        return Walked([_one_file(root, name=root.only)])
    max_depth = None if root.glob is None or "**" in root.glob else root.glob.count("/")
    if root.fs is not None:
        return Walked(_list_remote(root, max_depth=max_depth))
    return walk(root.path, prunes=pruner(exclude), max_depth=max_depth, take_links=root.takes_links)


def _one_file(root: Root, *, name: str) -> InputFile:
    if root.fs is None:
        found = (Path(root.path) / name).stat()
        return InputFile(to_text(os.fsencode(name)), found.st_size, str(found.st_mtime_ns))
    with store_errors(f"{root.path}/{name}: cannot be read"):
        return _describe(name, info=root.fs.info(root.join(name)))


def _list_remote(root: Root, *, max_depth: int | None) -> list[InputFile]:
    above = root.join("")
    with store_errors(f"{root.path}: cannot be listed"):
        root.fs.invalidate_cache()
        depth = None if max_depth is None else max_depth + 1
        found = root.fs.find(root.path, maxdepth=depth, withdirs=False, detail=True)
        # web servers list names without sizes
        sized = {name: info if info.get("size") is not None else root.fs.info(name) for name, info in found.items()}
    files = [_describe(name.removeprefix(above), info=info) for name, info in sized.items()]
    return sorted(files, key=lambda f: f.path)


def _describe(path: str, *, info: dict[str, Any]) -> InputFile:
    version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key) is not None), "")
    return InputFile(path, int(info.get("size") or 0), version)


def open_file(root: Root, file: InputFile) -> BinaryIO:
    """Open one planned file. StoreError if it left, changed, or cannot be read."""
    where = root.join(file.path)
    if root.fs is None:
        try:
            return open_below(root.path, file, take_links=root.takes_links)
        except OSError as error:
            raise StoreError(f"{where}: cannot be read: {error.strerror}; make it readable or exclude it") from error
    with store_errors(f"{where}: cannot be read"):
        now = _describe(file.path, info=root.fs.info(where))
        if now.size != file.size or (file.version and now.version != file.version):
            raise StoreError(f"{where}: is {now}, planned was {file}; run again, which plans anew")
        opened: BinaryIO = root.fs.open(where, "rb")
        return opened


DAMAGED = "is damaged, cut short or cannot be read; fetch it again or exclude it"


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn whatever a file system raises into a StoreError; each has its own exceptions, not all of them OSErrors."""
    try:
        yield
    except LoopmixError:
        raise
    except ImportError as error:
        raise ConfigError(f"{what}: {error}; install the package that it names") from error
    except Exception as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "  # those are our own words
        raise StoreError(f"{what}: {kind}{error}") from error
