"""The run folder: tables, exchange files and packed shards on any fsspec filesystem.

    RUN/manifest.json                      what is done, written last
    RUN/tables/<table>/part-00000-of-00016.parquet
    RUN/tokenizer.json                     what made the token ids
    RUN/README.md                          where `datasets` finds the packed shards
    RUN/packed/part-00000-of-00004.arrow   Arrow IPC files, memory-mappable
    RUN/state/<stage>/<fingerprint>/       one marker per finished piece of work: its files and their hashes
    RUN/work/<stage>/<fingerprint>/        what an exchange passes on; removed when its stage is done
    RUN/lease.json                         who works on the run

A write is atomic. On a local disk: a temporary name beside the target, fsync, rename, fsync of the folder. On object
storage: one PUT. Whoever writes the same name twice writes the same bytes, so a repeated task is harmless. Every
parquet page carries a checksum that is verified on read: without it one flipped bit in a page reads as wrong data.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.local_disk import LocalDisk, local_path
from pipeline.engine.mapped import read_mapped, write_mapped
from pipeline.engine.sink import TEMPORARY, Fill, HashingFile, sync_folder, write_local, write_remote
from pipeline.errors import SchemaError, StoreError
from pipeline.schema import check

LEASE = "lease.json"
FORGOTTEN = "forgotten.json"  # which documents were taken back and stay out: see `forgotten.py`
_CURATE = "curate the run again, which makes anew what is missing or damaged"
# Names that all configurations share.
FENCED = ("tables/", "packed/", "manifest.json", "tokenizer.json", "README.md", FORGOTTEN)


@dataclass(frozen=True)
class Block:
    """A range of a file and the XXH3-64 of its bytes."""

    start: int
    n_bytes: int
    xxh3: str


@dataclass(frozen=True)
class FileEntry:
    """A committed file: where it is inside the run, its size, its SHA-256, and the ranges that are read alone."""

    path: str
    n_bytes: int
    sha256: str
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

    @cached_property
    def _fs(self) -> Any:
        return LocalDisk() if self.is_local else _remote(self.root)[0]

    @cached_property
    def _base(self) -> str:
        return local_path(self.root) if self.is_local else str(_remote(self.root)[1])

    @property
    def is_local(self) -> bool:
        """True where files can be renamed, fsynced and memory-mapped."""
        return "://" not in self.root or self.root.startswith("file://")

    def full(self, path: str) -> str:
        """The filesystem's own name of a path inside the run. StoreError for one that leads out of it."""
        if posixpath.isabs(path) or ".." in path.split("/"):
            raise StoreError(f"{self.root}: {path!r} leads out of the run; its manifest or a marker was tampered with")
        return posixpath.join(self._base, path)

    # --- bytes ---------------------------------------------------------------------------------------------------

    def write_bytes(
        self, path: str, data: bytes | memoryview | pa.Buffer, *, blocks: Sequence[Block] = ()
    ) -> FileEntry:
        """Commit `data` under `path` atomically. Raises StoreError where the place cannot be written."""
        view = memoryview(data)
        if self.is_local:
            return replace(self.write_stream(path, lambda file: file.write(view)), blocks=tuple(blocks))
        target = self.full(path)
        self._must_hold_lease(path)
        try:
            self._fs.makedirs(posixpath.dirname(target), exist_ok=True)
            self._fs.pipe_file(target, bytes(view))
        except OSError as error:
            raise _unwritable(target, error) from error
        return FileEntry(path, view.nbytes, hashlib.sha256(view).hexdigest(), tuple(blocks))

    def write_stream(self, path: str, fill: Fill) -> FileEntry:
        """Commit what `fill` writes to the file that it is given, atomically, without ever holding it in memory."""
        target = self.full(path)

        def whole(file: HashingFile) -> None:
            fill(file)
            self._must_hold_lease(path)  # as late as can be: a shard takes its time

        try:
            if self.is_local:
                made = write_local(Path(target), whole)
            else:
                self._fs.makedirs(posixpath.dirname(target), exist_ok=True)
                made = write_remote(self._fs, target, whole)
        except OSError as error:
            raise _unwritable(target, error) from error
        return FileEntry(path, made.n_bytes, made.sha256())

    def _must_hold_lease(self, path: str) -> None:
        """Where there is a lease, names that all configurations share are written by its holder alone."""
        if not self.driver or not path.startswith(FENCED):
            return
        try:
            holder = json.loads(self.read_bytes(LEASE)).get("driver")
        except (StoreError, ValueError, AttributeError):
            raise StoreError(f"{self.full(LEASE)}: was removed or overwritten; run the same command again") from None
        if holder != self.driver:
            raise StoreError(
                f"{self.root}: another driver has taken this run over; nothing more is written by this one"
            )

    def create(self, path: str, data: bytes) -> bool:
        """Write `data` under `path` if there is no such file; False if there is one. One of several callers wins where
        the disk is local or shared; on object storage the last does, unless they keep some distance."""
        target = self.full(path)
        if not self.is_local:
            if self._fs.exists(target):
                return False
            self.write_bytes(path, data)
            return True
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            whole = Path(f"{target}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
            whole.write_bytes(data)
            try:
                _link(whole, Path(target))
            finally:
                whole.unlink()
        except FileExistsError:
            return False
        except OSError as error:
            raise _unwritable(target, error) from error
        return True

    def read_bytes(self, path: str) -> bytes:
        """The whole file; StoreError if it is missing or unreadable."""
        try:
            return bytes(self._fs.cat_file(self.full(path)))
        except OSError as error:
            raise StoreError(f"{self.full(path)}: cannot be read: {error}; {_CURATE}") from error

    def read_range(self, path: str, start: int, n_bytes: int) -> pa.Buffer:
        """Some bytes of a file, memory-mapped where the disk is local; StoreError if they are not there."""
        target = self.full(path)
        try:
            if self.is_local:
                with pa.memory_map(target) as file:
                    file.seek(start)
                    data = file.read_buffer(n_bytes)
            else:
                data = pa.py_buffer(self._fs.cat_file(target, start=start, end=start + n_bytes))
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{target}: cannot be read: {error}; {_CURATE}") from error
        if data.size != n_bytes:
            raise StoreError(f"{target}: ends before byte {start + n_bytes}; {_CURATE}")
        return data

    def exists(self, path: str) -> bool:
        """True if there is a file or folder of that name."""
        return bool(self._fs.exists(self.full(path)))

    def files(self, folder: str) -> dict[str, int]:
        """Names and sizes of the files right inside `folder`, sorted; empty if there is no such folder."""
        try:
            found = self._fs.ls(self.full(folder), detail=True)
        except FileNotFoundError:
            return {}
        files = [(posixpath.basename(f["name"]), int(f["size"])) for f in found if f["type"] == "file"]
        return dict(sorted(files))

    def folders(self, folder: str) -> list[str]:
        """Names of the folders right inside `folder`, sorted; empty if there is no such folder."""
        try:
            found = self._fs.ls(self.full(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(f["name"].rstrip("/")) for f in found if f["type"] == "directory")

    def rename(self, path: str, other: str) -> None:
        """Give the file `path` the name `other`, without reading it; atomic on a local disk."""
        source, target = self.full(path), self.full(other)
        self._must_hold_lease(other)
        try:
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(source).replace(target)
                sync_folder(Path(target).parent)
            else:
                self._fs.mv(source, target)
        except OSError as error:
            raise _unwritable(target, error) from error

    def remove(self, path: str) -> None:
        """Remove a file or a folder of this run; nothing happens if it is gone already."""
        try:
            self._fs.rm(self.full(path), recursive=True)
        except FileNotFoundError:
            return

    def is_intact(self, entry: FileEntry, *, by_hash: bool) -> bool:
        """True if the file stands with the size, and with `by_hash` the content, that its entry says."""
        target = self.full(entry.path)
        try:
            if self._fs.size(target) != entry.n_bytes:
                return False
            if not by_hash:
                return True
            digest = hashlib.sha256()
            with self._fs.open(target, "rb") as file:
                while block := file.read(1 << 22):
                    digest.update(block)
        except OSError:
            return False
        return digest.hexdigest() == entry.sha256

    # --- tables --------------------------------------------------------------------------------------------------

    def write_parquet(self, path: str, table: pa.Table, *, schema: pa.Schema) -> FileEntry:
        """Check `table` against `schema` and commit it as parquet with lz4 and page checksums."""
        table = check(table, schema, name=path)
        return self.write_stream(path, lambda file: write_table(table, file))

    def read_parquet(self, path: str, *, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        """Read and check a shard, or some of its columns. StoreError if damaged, SchemaError if it is another table."""
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        target = self.full(path)
        try:
            with self._fs.open(target, "rb") as file:
                source: Any = pa.memory_map(target) if self.is_local else file
                table = pq.ParquetFile(source, page_checksum_verification=True).read(columns=wanted.names)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(target, error) from error
        return check(table, wanted, name=path)

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
        target = self.full(path)
        try:
            if self.is_local:
                table = read_mapped(pa.memory_map(target), wanted.names, is_checked=is_checked)
            else:
                with self._fs.open(target, "rb") as file:
                    table = read_mapped(file, wanted.names, is_checked=is_checked)
        except (OSError, KeyError, ValueError, SystemError, pa.ArrowException) as error:
            # Damage in Arrow's own headers: names that are no UTF-8 are ValueErrors, or SystemErrors without a text.
            raise _damaged(target, error) from error
        return check(table, wanted, name=path)

    def write_ipc(self, path: str, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> FileEntry:
        """Commit record batches as an Arrow IPC file; batch k stays addressable as batch k."""

        def fill(file: HashingFile) -> None:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    if batch.schema != schema:
                        raise SchemaError(f"{path}: a batch has columns {batch.schema.names}, expected {schema.names}")
                    writer.write_batch(batch)

        return self.write_stream(path, fill)

    def open_ipc(self, path: str) -> pa.ipc.RecordBatchFileReader:
        """Open an Arrow IPC file, memory-mapped where the disk is local. StoreError if missing or damaged."""
        target = self.full(path)
        try:
            source = pa.memory_map(target) if self.is_local else pa.BufferReader(self.read_bytes(path))
            return pa.ipc.open_file(source)
        except (OSError, pa.ArrowException) as error:
            raise _damaged(target, error) from error


def write_table(table: pa.Table, file: Any) -> None:
    """Write a table as Parquet: the one place that says how."""
    schema = table.schema
    # Statistics and dictionaries help readers to skip; on contents, token ids and doc_ids they only cost.
    bulky = [f.name for f in schema if pa.types.is_large_binary(f.type) or pa.types.is_large_list(f.type)]
    dictionary = [f.name for f in schema if pa.types.is_string(f.type) and f.name not in ("doc_id", "path")]
    settings: dict[str, Any] = {
        # 149 MB of text are written once and read three times; CPU-seconds to write and to read them once, and MB
        # (AVX2): zstd 1 .81 .34 42, lz4 .64 .18 62, none .21 .25 151 (then the page checksums are most of it).
        "compression": "lz4",
        "use_dictionary": dictionary or False,
        "write_statistics": [f.name for f in schema if f.name not in bulky],
        "write_page_checksum": True,
        "row_group_size": 16_384,  # a plain choice: some megabytes of most tables, so one row costs little to read
    }
    pq.write_table(table, file, **settings)


def open_store(path: str) -> Store:
    """A store at a local path (made absolute) or an fsspec URL."""
    return Store(path if "://" in path else str(Path(path).expanduser().resolve()))


def _remote(root: str) -> tuple[Any, str]:
    """The file system of a URL, and its own name of the place."""
    import fsspec  # late: a run on a local disk needs none of it

    found: tuple[Any, str] = fsspec.core.url_to_fs(root)
    return found


def _damaged(target: str, error: BaseException) -> StoreError:
    return StoreError(f"{target}: is missing or damaged: {' '.join(str(error).split())[:200]}; {_CURATE}")


def _unwritable(target: str, error: OSError) -> StoreError:
    return StoreError(f"{target}: cannot be written: {error}; free space or choose another --out")


def _link(whole: Path, target: Path) -> None:
    """Give a whole file a second name; FileExistsError if it is taken. So nobody ever sees half a file."""
    try:
        target.hardlink_to(whole)
    except FileExistsError:
        raise
    except OSError:  # a disk without links: then there is a moment in which the new file is empty
        with target.open("xb") as file:
            file.write(whole.read_bytes())
