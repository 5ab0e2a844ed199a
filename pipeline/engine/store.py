"""The run folder: tables, exchange files and packed shards, on any disk of `disk.py`.

    RUN/manifest.json                      what is done, written last
    RUN/tables/<table>/part-00000-of-00016.parquet
    RUN/tokenizer.json                     what made the token ids
    RUN/README.md                          where `datasets` finds the packed shards
    RUN/packed/part-00000-of-00004.arrow   Arrow IPC files, memory-mappable
    RUN/state/<stage>/<fingerprint>/       one marker per finished piece of work: its files and their hashes
    RUN/work/<stage>/<fingerprint>/        what an exchange passes on; removed when its stage is done
    RUN/lease.json                         who works on the run

A write is atomic (`local_disk.py`, `object_disk.py`), and whoever writes a name twice writes the same bytes: a repeated
task is harmless. Every parquet page has a checksum that is verified on read, or a flipped bit would be wrong data.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.arrow_files import read_arrow
from pipeline.engine.disk import Disk, Entries, Held
from pipeline.engine.disks import disk_of, local_root
from pipeline.engine.local_disk import LocalDisk
from pipeline.engine.mapped import read_mapped, write_mapped
from pipeline.engine.parquet import write_table
from pipeline.engine.ranged import RangedFile, column_ranges, is_most
from pipeline.engine.said import Sha256, Size
from pipeline.engine.sink import Fill, HashingFile
from pipeline.engine.store_errors import CURATE, damaged, unreadable, unwritable
from pipeline.errors import SchemaError, StoreError
from pipeline.schema import check

LEASE = "lease.json"
ATTEMPTS = "state/attempts.json"  # see `attempts.py`
FORGOTTEN = "forgotten.json"  # which documents were taken back and stay out: see `forgotten.py`
_BELIEVED_SECONDS = 5.0  # after which an object store is asked again whose the lease is
_SEEN: dict[tuple[str, str], float] = {}  # root and driver: when its lease was last seen, by this process's clock
# Names that all configurations share.
FENCED = (
    "tables/",
    "packed/",
    "manifest/",
    "manifest.json",
    "state/manifest.json",
    ATTEMPTS,
    "tokenizer.json",
    "README.md",
    FORGOTTEN,
)


@dataclass(frozen=True)
class Block:
    """A range of a file and the XXH3-64 of its bytes."""

    start: Size
    n_bytes: Size
    xxh3: str


@dataclass(frozen=True)
class FileEntry:
    """A committed file: where it is inside the run, its size, its SHA-256, and the ranges that are read alone."""

    path: str
    n_bytes: Size
    sha256: Sha256
    blocks: tuple[Block, ...] = ()

    def summary(self) -> dict[str, str | int]:
        """What the manifest says of it."""
        return {"path": self.path, "n_bytes": self.n_bytes, "sha256": self.sha256}


def part(index: int, total: int, *, suffix: str = "parquet") -> str:
    """The name of shard `index` of `total`, for instance part-00000-of-00016.parquet."""
    return f"part-{index:05d}-of-{total:05d}.{suffix}"


_PART = re.compile(r"part-(\d{5,})-of-(\d{5,})\.(?:parquet|arrow)")


def total_of(name: str) -> int | None:
    """How many shards there are by the name of one; None for a name that `part` does not give."""
    found = _PART.fullmatch(name)
    return int(found[2]) if found and int(found[1]) < int(found[2]) else None


@dataclass(frozen=True)
class Store:
    """Reads and writes inside one run folder. Cheap to pickle; `root` is an absolute path or an fsspec URL.

    `driver` is who writes, where a lease is held: tables are committed only while the lease names it.
    """

    root: str
    driver: str = ""

    @property
    def disk(self) -> Disk:
        """Where the files lie."""
        return disk_of(self.root)

    @property
    def is_local(self) -> bool:
        """True where files can be renamed, fsynced and memory-mapped."""
        return self.disk.is_local

    def full(self, path: str) -> str:
        """The whole name of a path inside the run. StoreError for one that leads out of it."""
        return self.disk.full(self._inside(path))

    def local_file(self, path: str, *, writes: bool = False) -> str:
        """The whole name of a file on a local disk that is about to be opened, read or, if it `writes`, changed in
        place. StoreError for what is missing or no file, and where it writes, for a link."""
        disk = self.disk
        assert isinstance(disk, LocalDisk), self.root
        try:
            return disk.file(self._inside(path), writes=writes)
        except OSError as error:
            raise unreadable(self.full(path), error) from error

    def _inside(self, path: str) -> str:
        if posixpath.isabs(path) or ".." in path.split("/"):
            raise StoreError(f"{self.root}: {path!r} leads out of the run; its manifest or a marker was tampered with")
        if "\0" in path or path.encode(errors="ignore").decode() != path:  # lone surrogates, as JSON may spell them
            raise StoreError(f"{self.root}: {path!a} names no file; its manifest or a marker was tampered with")
        return path

    # --- bytes ---------------------------------------------------------------------------------------------------

    def write_bytes(
        self, path: str, data: bytes | memoryview | pa.Buffer, *, blocks: Sequence[Block] = ()
    ) -> FileEntry:
        """Commit `data` under `path` atomically. Raises StoreError where the place cannot be written."""
        view = memoryview(data).cast("B")
        try:
            self.disk.put(self._inside(path), view, held=self._held(path))
        except OSError as error:
            raise unwritable(self.full(path), error) from error
        return FileEntry(path, view.nbytes, hashlib.sha256(view).hexdigest(), tuple(blocks))

    def write_stream(self, path: str, fill: Fill) -> FileEntry:
        """Commit what `fill` writes to the file that it is given, atomically, without ever holding it in memory."""
        try:
            made = self.disk.write(self._inside(path), fill, held=self._held(path))
        except OSError as error:
            raise unwritable(self.full(path), error) from error
        return FileEntry(path, made.n_bytes, made.sha256())

    def _held(self, path: str) -> Held:
        """What a write asks. Where there is a lease, names that all configurations share are its holder's alone."""
        return self._must_hold_lease if self.driver and path.startswith(FENCED) else None

    def _must_hold_lease(self, *, now: bool = True) -> None:
        asked = time.monotonic()
        if not now and asked - _SEEN.get((self.root, self.driver), -_BELIEVED_SECONDS) < _BELIEVED_SECONDS:
            return
        try:
            holder = json.loads(self.read_bytes(LEASE)).get("driver")
        except (StoreError, ValueError, AttributeError, RecursionError):
            raise StoreError(f"{self.full(LEASE)}: was removed or overwritten; run the same command again") from None
        if holder != self.driver:
            raise StoreError(
                f"{self.root}: another driver has taken this run over; nothing more is written by this one"
            )
        _SEEN[self.root, self.driver] = asked

    def create(self, path: str, data: bytes) -> bool:
        """Write `data` under `path` if there is no such file; False if there is one. One of several callers wins."""
        try:
            return self.disk.create(self._inside(path), data)
        except OSError as error:
            raise unwritable(self.full(path), error) from error

    def read_bytes(self, path: str) -> bytes:
        """The whole file; StoreError if it is missing or unreadable."""
        found = self.find(path)
        if found is None:
            raise unreadable(self.full(path), FileNotFoundError("there is no such file"))
        return found

    def find(self, path: str) -> bytes | None:
        """The whole file; None if there is none. StoreError if it is unreadable."""
        try:
            return self.disk.read(self._inside(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(self.full(path), error) from error

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Small files, whole, by path; those that are not there are left out. On object storage many at once."""
        try:
            return self.disk.read_many([self._inside(path) for path in paths])
        except OSError as error:
            raise unreadable(error.filename or self.root, error) from error

    def read_range(self, path: str, start: int, n_bytes: int) -> pa.Buffer:
        """Some bytes of a file, memory-mapped where the disk is local; StoreError if they are not there."""
        return self.read_ranges(path, [(start, n_bytes)])[0]

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[pa.Buffer]:
        """The bytes of each (start, n_bytes), in as few requests as that takes; StoreError if any are not there."""
        try:
            found = self.disk.read_ranges(self._inside(path), ranges)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.full(path), error) from error
        for (start, n_bytes), data in zip(ranges, found, strict=True):
            if data.size != n_bytes:
                raise StoreError(f"{self.full(path)}: ends before byte {start + n_bytes}; {CURATE}")
        return found

    def exists(self, path: str) -> bool:
        """True if there is a file or folder of that name. `find` reads in the same request."""
        with self._asking(path):
            return self.disk.exists(self._inside(path))

    def files(self, folder: str) -> dict[str, int]:
        """Names and sizes of the files right inside `folder`, sorted; empty if there is no such folder."""
        return self.entries(folder).files

    def folders(self, folder: str) -> list[str]:
        """Names of the folders right inside `folder`, sorted; empty if there is no such folder."""
        return self.entries(folder).folders

    def entries(self, folder: str) -> Entries:
        """Files and folders right inside `folder`, in one request."""
        with self._asking(folder):
            return self.disk.entries(self._inside(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes of all files inside and below `folder`, by their paths in the run; empty if there is no such folder."""
        with self._asking(folder):
            return self.disk.sizes(self._inside(folder))

    def rename(self, path: str, other: str) -> None:
        """Give the file `path` the name `other`, without reading it; atomic on a local disk, elsewhere a stop may leave
        it under both names."""
        try:
            self.disk.move(self._inside(path), self._inside(other), held=self._held(other))
        except OSError as error:
            raise unwritable(self.full(other), error) from error

    def remove(self, path: str) -> None:
        """Remove a file or a folder of this run; nothing happens if it is gone already."""
        self._before_removing()
        with self._asking(path):
            self.disk.remove(self._inside(path))

    def remove_below(self, folder: str, *, but: str) -> None:
        """Remove the folders right inside `folder` but one."""
        self._before_removing()
        with self._asking(folder):
            self.disk.remove_below(self._inside(folder), but=but)

    def remove_files(self, paths: Iterable[str]) -> None:
        """Remove files of this run; nothing happens to those that are gone already."""
        self._before_removing()
        with self._asking(""):
            self.disk.remove_files([self._inside(path) for path in paths])

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """What a server does not answer, or a disk refuses, is a StoreError; and so are folders nested without end."""
        try:
            yield
        except (OSError, RecursionError) as error:
            raise unreadable(self.full(path), error) from error

    def _before_removing(self) -> None:
        """A driver that was taken for dead would remove what its successor has made."""
        if self.driver:
            self._must_hold_lease()

    def is_intact(self, entry: FileEntry, *, by_hash: bool) -> bool:
        """True if the file stands with the size, and with `by_hash` the content, that its entry says."""
        try:
            if not by_hash:
                return self.disk.size(self._inside(entry.path)) == entry.n_bytes
            return self.disk.sha256(self._inside(entry.path), entry.n_bytes) == entry.sha256
        except FileNotFoundError:
            return False
        except OSError as error:
            if self.is_local:  # a sick sector: the file is made anew
                return False
            # A server that does not answer says nothing of the file; all would be made anew.
            raise unreadable(self.full(entry.path), error) from error

    def intact(self, entries: Sequence[FileEntry], *, by_hash: bool) -> list[bool]:
        """`is_intact` of many: by size with one listing of each folder, where several lie in it."""
        if by_hash or self.is_local:
            return [self.is_intact(entry, by_hash=by_hash) for entry in entries]
        n_in = Counter(posixpath.dirname(entry.path) for entry in entries)
        listed = {folder: self.files(folder) for folder, n in n_in.items() if n > 1}
        found = []
        for entry in entries:
            folder, _, name = entry.path.rpartition("/")
            stands = folder in listed and listed[folder].get(name) == entry.n_bytes
            found.append(stands or (folder not in listed and self.is_intact(entry, by_hash=False)))
        return found

    # --- tables --------------------------------------------------------------------------------------------------

    def write_parquet(self, path: str, table: pa.Table, *, schema: pa.Schema) -> FileEntry:
        """Check `table` against `schema` and commit it as parquet with lz4 and page checksums."""
        table = check(table, schema, name=path)
        return self.write_stream(path, lambda file: write_table(table, file))

    def read_parquet(self, path: str, *, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        """Read and check a shard, or some of its columns. StoreError if damaged, SchemaError if it is another table."""
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        try:
            with self.disk.open(self._inside(path), whole=is_most(wanted)) as source:
                known = source.parquet_metadata() if isinstance(source, RangedFile) else None
                file = pq.ParquetFile(source, metadata=known, page_checksum_verification=True)
                if isinstance(source, RangedFile):
                    source.prefetch(column_ranges(file.metadata, wanted.names))
                table = file.read(columns=wanted.names)
        except (OSError, MemoryError, pa.ArrowException) as error:
            raise damaged(self.full(path), error) from error
        return check(table, wanted, name=self.full(path))

    def write_mapped(self, path: str, table: pa.Table, *, schema: pa.Schema) -> FileEntry:
        """Check `table` against `schema` and commit it as a plain Arrow file with a hash of each column."""
        table = check(table, schema, name=path)
        return self.write_stream(path, lambda file: write_mapped(file, table))

    def read_mapped(
        self, path: str, *, schema: pa.Schema, columns: Sequence[str] | None = None, is_checked: bool = True
    ) -> pa.Table:
        """A shard that `write_mapped` made, or some of its columns; memory-mapped, read-only, where the disk is local.

        StoreError if damaged, SchemaError if it is another table.
        """
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        try:
            with self.disk.open(self._inside(path), whole=is_most(wanted)) as source:
                table = read_mapped(source, wanted.names, is_checked=is_checked)
        except (OSError, KeyError, ValueError, SystemError, MemoryError, pa.ArrowException) as error:
            # Damage in Arrow's own headers: names that are no UTF-8 are ValueErrors, or SystemErrors without a text.
            raise damaged(self.full(path), error) from error
        return check(table, wanted, name=self.full(path))

    def write_ipc(self, path: str, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> FileEntry:
        """Commit record batches as an Arrow IPC file; batch k stays addressable as batch k."""

        def fill(file: HashingFile) -> None:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    if batch.schema != schema:
                        raise SchemaError(f"{path}: a batch has columns {batch.schema.names}, expected {schema.names}")
                    writer.write_batch(batch)

        return self.write_stream(path, fill)

    def read_ipc_whole(self, path: str, *, schema: pa.Schema | None = None) -> pa.Table:
        """An Arrow IPC file, memory-mapped where the disk is local; nothing in it leads out of the file. StoreError if
        missing or damaged, SchemaError if it is another table than one of `schema`."""
        return self._read_ipc(path, None, schema=schema)

    def read_ipc(self, path: str, *, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
        """Some columns of an Arrow IPC file, in all its batches; of a file on a server only these are fetched.

        StoreError if missing or damaged, SchemaError if it is another table.
        """
        return self._read_ipc(path, columns, schema=schema)

    def _read_ipc(self, path: str, columns: Sequence[str] | None, *, schema: pa.Schema | None) -> pa.Table:
        try:
            if self.is_local or columns is not None:
                with self.disk.open(self._inside(path)) as file:
                    table = read_arrow(file, columns, fetches=not self.is_local)
                    if self.is_local and schema is not None:  # of columns that nobody asked for, the types
                        check(pa.ipc.open_file(file).schema.empty_table(), schema, name=self.full(path))
            else:
                table = read_arrow(pa.BufferReader(self.read_bytes(path)))
        except (OSError, pa.ArrowException) as error:
            raise damaged(self.full(path), error) from error
        if schema is None:
            return table
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        return check(table, wanted, name=self.full(path))


def open_store(path: str) -> Store:
    """A store at a local path (made absolute) or an fsspec URL."""
    return Store(path if "://" in path else local_root(path))
