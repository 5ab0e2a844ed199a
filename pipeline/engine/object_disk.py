"""A run on an object store: S3 and what speaks like it, Google Cloud Storage, Azure.

What it rests on: a PUT is there whole or not at all, a GET after it finds it, and a PUT can be made to depend on what
stands under the name. There are no folders and no renames, and every request is paid for; so nothing is asked that the
answer to another request says. A listing may be old: it only ever makes work, because what must be there is named by
markers and the manifest.

Names that drivers share are written so that a driver which was taken for dead cannot wake up and overwrite its
successor's files: the PUT is bound to what stood there (nothing, or an e-tag) *before* the lease was asked. A file that
the successor wrote since makes it fail.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import posixpath
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from pipeline.engine.disk import Entries, Held
from pipeline.engine.ends import kept_end
from pipeline.engine.ranged import RangedFile, aligned
from pipeline.engine.sink import Fill, HashingFile
from pipeline.errors import ConfigError

try:
    import obstore
    from obstore import exceptions
    from obstore.store import from_url
except ModuleNotFoundError as error:
    raise ConfigError("object stores need the package obstore: pip install 'loopmix[cloud]'") from error

# Of a file that is opened: holds its footer, and most tables but `documents` and `tokens` whole. It takes about a
# millisecond to send, and a request more takes twenty.
TAIL_BYTES = 128 << 10
WHOLE_BYTES = 1 << 20  # the same of a file of which most is wanted: some ten milliseconds
# Ranges are one request where no more lies between them, or no more than this part of all that is wanted.
_NEAR_BYTES = 16 << 10
_NEAR_SHARE = 40
_BLOCK_BYTES = 4 << 20  # of a file that is hashed
_SPOOLED_BYTES = 8 << 20  # of a file that is being made, in memory; a larger one lies in the temporary folder
_PART_BYTES = 64 << 20  # larger files are uploaded in parts of this size, where they are not bound to what stood there
_MAX_BOUND_BYTES = 4 << 30  # S3 takes no more in one PUT, and only one PUT can be bound
_SIDE_BY_SIDE = 16  # small files that are read at once
_ROUNDS = 5  # of a PUT that finds another file than it was bound to
_TRIES = 6  # of a request whose answer broke off, each with the retries below
_RETRIES: Any = {
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=10), "base": 2},
    "retry_timeout": timedelta(minutes=3),
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class ObjectDisk:
    """See `disk.Disk`."""

    root: str
    reads: Any  # the same place twice: a read that stands still for a while is asked again, a PUT may take its time
    writes: Any

    is_local = False

    @classmethod
    def at(cls, root: str) -> ObjectDisk:
        """Of a URL; where the servers are and who asks is said by the environment. ConfigError for a wrong one."""
        is_plain = _plain_http()
        reading: Any = {"timeout": "10min", "read_timeout": "20s", "connect_timeout": "10s", "allow_http": is_plain}
        writing: Any = {"timeout": "5min", "connect_timeout": "10s", "allow_http": is_plain}
        more: Any = {"retry_config": _RETRIES}
        if root.startswith("s3") and "AWS_COPY_IF_NOT_EXISTS" not in os.environ:
            more["config"] = {"copy_if_not_exists": "multipart"}  # how S3 itself does it; the others have one way
        try:
            reads, writes = (from_url(root, client_options=options, **more) for options in (reading, writing))
        except (exceptions.BaseError, ValueError) as error:
            raise ConfigError(f"{root}: cannot be opened: {_short(error)}") from error
        return cls(root.rstrip("/"), reads, writes)

    def full(self, path: str) -> str:
        return posixpath.join(self.root, path)

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        return _asked(lambda: obstore.get(self.reads, path).bytes().to_bytes())

    def read_many(self, paths: Sequence[str]) -> dict[str, bytes]:
        def one(path: str) -> tuple[str, bytes | None]:
            try:
                return path, self.read(path)
            except FileNotFoundError:
                return path, None

        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            return {path: data for path, data in pool.map(one, paths) if data is not None}

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[pa.Buffer]:
        wanted = [(start, n) for start, n in ranges if n > 0]
        if not wanted:
            return [pa.py_buffer(b"") for _ in ranges]
        starts, lengths = zip(*wanted, strict=True)
        near = max(_NEAR_BYTES, sum(lengths) // _NEAR_SHARE)
        ask = partial(obstore.get_ranges, self.reads, path, starts=starts, lengths=lengths, coalesce=near)
        found = iter(_asked(ask))
        return [aligned(next(found), start) if n > 0 else pa.py_buffer(b"") for start, n in ranges]

    def open(self, path: str, *, whole: bool = False) -> RangedFile:
        n_bytes = WHOLE_BYTES if whole else TAIL_BYTES
        size, tail = kept_end(f"{self.root}/{path}", lambda: _asked(lambda: self._end(path, n_bytes)), n_bytes=n_bytes)
        return RangedFile(partial(self.read_ranges, path), size=size, tail=tail)

    def _end(self, path: str, n_bytes: int) -> tuple[int, pa.Buffer]:
        """Size and last bytes of an object, in one request where the store takes a range from the end."""
        try:
            found = obstore.get(self.reads, path, options={"range": {"suffix": n_bytes}})
            size = found.meta["size"]
            return size, aligned(found.bytes(), max(0, size - n_bytes))
        except exceptions.NotSupportedError:  # Azure
            size = self.size(path)
            n = min(size, n_bytes)
            return size, self.read_ranges(path, [(size - n, n)])[0]

    def size(self, path: str) -> int:
        return _asked(lambda: obstore.head(self.reads, path)["size"])

    def sha256(self, path: str, n_bytes: int) -> str | None:
        # One GET: its answer says the size before the body comes.
        def digest() -> str | None:
            found = obstore.get(self.reads, path)
            if found.meta["size"] != n_bytes:
                return None
            made = hashlib.sha256()
            for block in found.stream(_BLOCK_BYTES):
                made.update(block)
            return made.hexdigest()

        return _asked(digest)

    def exists(self, path: str) -> bool:
        try:
            return self.size(path) >= 0
        except FileNotFoundError:
            found = _asked(lambda: obstore.list_with_delimiter(self.reads, path))
            return bool(found["objects"] or found["common_prefixes"])

    def entries(self, folder: str) -> Entries:
        found = _asked(lambda: obstore.list_with_delimiter(self.reads, folder or None))
        files = {posixpath.basename(o["path"]): o["size"] for o in found["objects"]}
        return Entries(dict(sorted(files.items())), sorted(posixpath.basename(p) for p in found["common_prefixes"]))

    def sizes(self, folder: str) -> dict[str, int]:
        found = _asked(lambda: obstore.list(self.reads, folder or None, chunk_size=1000).collect())
        return {o["path"]: o["size"] for o in found}

    # --- writing -------------------------------------------------------------------------------------------------

    def write(self, path: str, fill: Fill, *, held: Held) -> HashingFile:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES, prefix="loopmix-") as file:
            hashing = HashingFile(file)
            fill(hashing)
            file.flush()
            file.seek(0)
            if hashing.n_bytes <= _SPOOLED_BYTES:
                self.put(path, memoryview(file.read()), held=held)
            else:
                self.put(path, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), held=held)
        return hashing

    def put(self, path: str, data: memoryview, *, held: Held) -> None:
        if held is None:
            _asked(lambda: obstore.put(self.writes, path, data, chunk_size=_PART_BYTES))
            return
        if data.nbytes > _MAX_BOUND_BYTES:
            held()
            _asked(lambda: obstore.put(self.writes, path, data, chunk_size=_PART_BYTES))
            return
        # A shard is new, most often; what has another name is written again and again.
        is_new = posixpath.basename(path).startswith("part-")
        mode: Any = "create" if is_new else self._standing(path)
        for _ in range(_ROUNDS):
            held(now=mode != "create")  # what takes nobody's place may be late
            try:
                _asked(partial(obstore.put, self.writes, path, data, mode=mode, use_multipart=False))
                return
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError):
                mode = self._standing(path)
        raise OSError("others write it at the same moment")

    def _standing(self, path: str) -> Any:
        """What a PUT is bound to, if it may replace what stands there now. Comes before the lease is asked again."""
        try:
            meta = _asked(lambda: obstore.head(self.reads, path))
        except FileNotFoundError:
            return "create"
        return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}

    def create(self, path: str, data: bytes) -> bool:
        try:
            _asked(lambda: obstore.put(self.writes, path, data, mode="create"))
        except exceptions.AlreadyExistsError:
            # Ours, if the first answer was lost and the PUT was sent again.
            with suppress(FileNotFoundError):
                return self.read(path) == data
            return False
        return True

    def move(self, path: str, other: str, *, held: Held) -> None:
        """A copy inside the store, then a delete: a stop in between leaves both. The copy replaces nothing, so that it
        never takes the place of what the next driver wrote."""
        for _ in range(_ROUNDS):
            if held is not None:
                held()
            try:
                _asked(lambda: obstore.copy(self.writes, path, other, overwrite=False))
                break
            except exceptions.AlreadyExistsError:
                if held is not None:
                    held()
                self.remove_files([other])
        else:
            raise OSError("others write it at the same moment")
        if held is not None:
            held()
        self.remove_files([path])

    def remove(self, path: str) -> None:
        self.remove_files(list(self.sizes(path)) or [path])

    def remove_below(self, folder: str, *, but: str) -> None:
        self.remove_files([path for path in self.sizes(folder) if not path.startswith(f"{folder}/{but}/")])

    def remove_files(self, paths: Sequence[str]) -> None:
        try:
            if paths:
                _asked(lambda: obstore.delete(self.writes, list(paths)))
        except FileNotFoundError:  # not of S3; and then others of them may not have been asked for
            for path in paths if len(paths) > 1 else ():
                self.remove_files([path])


def _asked(ask: Callable[[], Result]) -> Result:
    """The answer to a request. The client repeats what was refused or cut off, with growing pauses; what it does not
    repeat, an answer to a LIST, COPY or DELETE that broke off, is asked again here. Errors become OSErrors, but for
    those of a PUT that was bound to something else than stands there."""
    for left in reversed(range(_TRIES)):
        try:
            return ask()
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except FileNotFoundError as error:
            raise FileNotFoundError(_short(error)) from error
        except exceptions.GenericError as error:
            if not left or f"after {_RETRIES['max_retries']} retries" in str(error):  # all were in vain
                raise OSError(_short(error)) from error
            time.sleep(random.uniform(0.0, 0.05 * 2 ** (_TRIES - left)))  # noqa: S311 - a pause is no secret
        except exceptions.BaseError as error:
            raise OSError(_short(error)) from error
    raise AssertionError


def _short(error: BaseException) -> str:
    """One line of what the client says: its second part repeats the first for programmers, the body is XML."""
    return " ".join(str(error).partition("Debug source")[0].split())[:300]


def _plain_http() -> bool:
    """Whether the environment names a server without TLS; without that, nothing is sent in the clear."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)
