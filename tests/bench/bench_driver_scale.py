"""What the driver of a run costs as its number of shards grows: memory, CPU seconds, requests and files.

    python tests/bench/bench_driver_scale.py [--shards 10000 100000] [--partitions 64] [--folder /tmp]

The engine is the real one, from the lease to the manifest: shards that stand under keys, three fused map stages, an
exchange whose markers name a block for each partition. Tasks are stubs that write a few bytes, in this process, into a
database instead of a million files; their CPU seconds and requests are not counted, so what is left is what grows in a
driver while the tasks run elsewhere. Each line is a process of its own: `peak` is its largest memory, with imports
(`idle`).
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow as pa

from pipeline.config import Mixture, Source
from pipeline.engine import store as engine_store
from pipeline.engine.disk import Entries, Held
from pipeline.engine.local_disk import LocalDisk
from pipeline.engine.manifest import files_of, read_manifest
from pipeline.engine.markers import Outcome
from pipeline.engine.names import ShardNames
from pipeline.engine.progress import silent
from pipeline.engine.run import Layout, Run, work_off
from pipeline.engine.sink import Fill, HashingFile
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage
from pipeline.engine.store import Block, FileEntry, Store, open_store, part
from pipeline.engine.tables import Tables
from pipeline.fields import Frozen
from pipeline.reading import verify
from pipeline.reading.work import working
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, OVERLAPS, QUALITY, Table

MAPS = (LANGUAGES, QUALITY, OVERLAPS)
PHASES = ("idle", "first", "again by size", "again by hash", "1 % missing, by hash", "read manifest", "verify files")
TOKENIZER = b"{}"


class Config(Frozen):
    """Of every stub."""

    n_partitions: int = 64


@dataclass
class Meter:
    """What the driver asked of its storage, and what it used beside its tasks."""

    requests: Counter[str] = field(default_factory=Counter)
    task_seconds: float = 0.0
    is_task: bool = False

    def watch(self, of: type, *names: str) -> None:
        """Count calls of methods that no task makes."""
        for name in names:
            if hasattr(of, name):
                setattr(of, name, self._counted(name, getattr(of, name)))

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.requests[name] += not self.is_task
            return method(*args, **kwargs)

        return call


@dataclass(frozen=True)
class StubExecutor:
    """Runs tasks here and takes their cost out of the account, as if they ran elsewhere."""

    meter: Meter

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            started, self.meter.is_task = time.process_time(), True
            result = task(item)
            self.meter.is_task = False
            self.meter.task_seconds += time.process_time() - started
            yield item, result

    def describe(self) -> str:
        return "in stubs"


# --- a run of stubs --------------------------------------------------------------------------------------------------


def read_table(tables: Tables, table: Table, shard: int, *, columns: Sequence[str] | None = None, **_: Any) -> pa.Table:
    """One row, whatever is asked for."""
    names = table.schema.names if columns is None else columns
    return pa.table({n: _one(table.schema.field(n).type) for n in names})


def _one(kind: pa.DataType) -> pa.Array:
    return pa.array([1], kind) if pa.types.is_integer(kind) else pa.nulls(1, kind)


def write_table(tables: Tables, table: Table, shard: int, *, data: Any, **_: Any) -> Any:
    """A file of the shard's name that holds its number."""
    return tables.store.write_bytes(tables.path(table, shard), f"{table.name} {shard}".encode())


def annotate(documents: pa.Table, *, config: Config) -> pa.Table:
    return documents


def documents(job: Job, *, config: Config) -> Any:
    n = job.tables.n_shards
    return job.shards(DOCUMENTS, partial(_shard, job.tables, DOCUMENTS), items=range(n), parts=range(n))


def exact_dups(job: Job, *, config: Config) -> Any:
    """An exchange without its exchange: `n_partitions` blocks named by each marker of a scatter, and few gathers."""
    n = config.n_partitions
    work = f"work/{job.stage}/{job.mark}/hash"
    job.step("hash", partial(_scatter, job.tables.store, work, n), items=job.tables.n_shards)
    job.step("group", _nothing, items=n)
    return job.step("", partial(_shard, job.tables, EXACT_DUPS), items=job.tables.n_shards)


def _shard(tables: Tables, table: Table, shard: int, _: Any) -> Outcome:
    return Outcome((write_table(tables, table, shard, data=None),), {"n_docs": 1, "n_bytes": 10})


def _scatter(store: Store, work: str, n_partitions: int, shard: int, _: None) -> Outcome:
    blocks = [Block(k * 100, 100, f"{shard * n_partitions + k:016x}") for k in range(n_partitions + 1)]
    return Outcome((store.write_bytes(f"{work}/{shard:05d}.arrow", b"x", blocks=blocks),), {"n_docs": 1})


def _nothing(_: int, __: None) -> Outcome:
    return Outcome((), {"n_docs": 1})


def stages(config: Config) -> list[Stage]:
    return [
        ExchangeStage(DOCUMENTS.name, 1, documents, config),
        ExchangeStage(EXACT_DUPS.name, 1, exact_dups, config, (DOCUMENTS,)),
        *(MapStage(table, 1, annotate, config, ("doc_id",)) for table in MAPS),
    ]


def lay(run: Run, config: Config, n_shards: int, store: Store) -> tuple[list[Stage], Layout]:
    laid = stages(config)
    files = {s.name: (f"tables/{s.name}", ShardNames((("", n_shards, "parquet"),))) for s in laid}
    return laid, Layout(n_shards, files, frozenset({n_shards}), lambda: (b"{}",))


class Database(LocalDisk):
    """A local disk whose tables, markers and work are rows of a database: a million small files cost seconds. What lies
    right in the run's folder, and the parts of its manifest, are files."""

    rows: sqlite3.Connection

    @classmethod
    def at(cls, root: Path) -> Database:
        root.mkdir(parents=True, exist_ok=True)
        disk = cls(str(root))
        rows = sqlite3.connect(root.with_suffix(".sqlite"), isolation_level=None)
        for line in ("pragma journal_mode=off", "pragma synchronous=off", "begin"):
            rows.execute(line)
        rows.execute("create table if not exists folders (folder text primary key) without rowid")
        columns = "folder text, name text, data blob, primary key (folder, name)"
        rows.execute(f"create table if not exists files ({columns}) without rowid")
        object.__setattr__(disk, "rows", rows)  # frozen, as every disk is
        return disk

    def _found(self, path: str, what: str) -> Any:
        folder, _, name = path.rpartition("/")
        found = self.rows.execute(f"select {what} from files where folder = ? and name = ?", (folder, name)).fetchone()
        if found is None:
            raise FileNotFoundError(path)
        return found[0]

    def read(self, path: str) -> bytes:
        return bytes(self._found(path, "data")) if _is_row(path) else super().read(path)

    def open(self, path: str, *, whole: bool = False) -> Any:
        return io.BytesIO(self.read(path)) if _is_row(path) else super().open(path, whole=whole)

    def size(self, path: str) -> int:
        return int(self._found(path, "length(data)")) if _is_row(path) else super().size(path)

    def exists(self, path: str) -> bool:
        if not _is_row(path):
            return super().exists(path)
        folder, _, name = path.rpartition("/")
        asked = "select 1 from files where folder = ? and name = ? union select 1 from folders where folder = ?"
        return self.rows.execute(asked, (folder, name, path)).fetchone() is not None

    def entries(self, folder: str) -> Entries:
        if not _is_row(f"{folder}/"):
            return super().entries(folder)
        files = self.rows.execute("select name, length(data) from files where folder = ? order by name", (folder,))
        below = (name for (name,) in self.rows.execute("select folder from folders") if name.startswith(f"{folder}/"))
        inner = sorted({name[len(folder) + 1 :].partition("/")[0] for name in below})
        return Entries(dict(files.fetchall()), inner)

    def write(self, path: str, fill: Fill, *, held: Held) -> HashingFile:
        if not _is_row(path):
            return super().write(path, fill, held=held)
        data = io.BytesIO()
        hashing = HashingFile(data)
        fill(hashing)
        if held is not None:
            held()
        folder, _, name = path.rpartition("/")
        self.rows.execute("insert or ignore into folders values (?)", (folder,))
        self.rows.execute("insert or replace into files values (?, ?, ?)", (folder, name, data.getvalue()))
        return hashing

    def create(self, path: str, data: bytes) -> bool:
        if not _is_row(path):
            return super().create(path, data)
        if is_free := not self.exists(path):
            self.put(path, memoryview(data), held=None)
        return is_free

    def remove(self, path: str) -> None:
        if not _is_row(f"{path}/"):
            super().remove(path)
            return
        self.remove_files([path])
        for (inner,) in self.rows.execute("select folder from folders").fetchall():
            if inner == path or inner.startswith(f"{path}/"):
                self.rows.execute("delete from files where folder = ?", (inner,))
                self.rows.execute("delete from folders where folder = ?", (inner,))

    def remove_files(self, paths: Sequence[str]) -> None:
        super().remove_files([path for path in paths if not _is_row(path)])
        for path in filter(_is_row, paths):
            folder, _, name = path.rpartition("/")
            self.rows.execute("delete from files where folder = ? and name = ?", (folder, name))


def _is_row(path: str) -> bool:
    return path.startswith(("tables/", "state/", "work/"))


def _in_rows(meter: Meter, database: Database) -> None:
    """Let stores write into the database; and tasks not look at the lease, as their time is not asked for."""
    held = Store._must_hold_lease

    def must_hold_lease(self: Store, *, now: bool = True) -> None:
        if not meter.is_task:
            held(self, now=now)

    disk_of = engine_store.disk_of
    engine_store.disk_of = lambda root: database if root == database.root else disk_of(root)
    Store._must_hold_lease = must_hold_lease  # type: ignore[method-assign]


# --- what is measured ------------------------------------------------------------------------------------------------


def phase(name: str, folder: Path, *, n_shards: int, n_partitions: int) -> dict[str, Any]:
    """Run one phase in this process; returns its costs."""
    meter = Meter()
    database = Database.at(folder)
    _in_rows(meter, database)
    Tables.read, Tables.write = read_table, write_table  # type: ignore[assignment, method-assign]
    meter.watch(Database, "exists", "size", "open", "read", "entries", "remove", "remove_files")
    meter.watch(Store, "write_stream", "create", "rename", "read_range", "is_intact", "read_many")
    mixture = Mixture(name="bench", sources=(Source(name="stubs", kind="directory", path="/nowhere"),))
    started, cpu = time.monotonic(), time.process_time()
    check = "size" if name.endswith("size") else "hash"
    store, config = open_store(str(folder)), Config(n_partitions=n_partitions)
    run = Run(store, mixture, StubExecutor(meter), silent(), check=check)  # type: ignore[arg-type]
    if name == "1 % missing, by hash":
        for table in (DOCUMENTS, EXACT_DUPS, *MAPS):
            for shard in range(0, n_shards, 100):
                database.remove_files([f"tables/{table.name}/{part(shard, n_shards)}"])
        meter.requests.clear()
    if name == "first" or "again" in name or "missing" in name:
        work_off(run, partial(lay, run, config, n_shards), tokenizer=TOKENIZER)
    elif name == "read manifest":
        read_manifest(store)
    elif name == "verify files":
        _verify(store)
    database.rows.execute("commit")
    return {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "cpu": time.process_time() - cpu - meter.task_seconds,
        "tasks": meter.task_seconds,
        "wall": time.monotonic() - started,
        "requests": dict(meter.requests),
    }


@dataclass(frozen=True)
class _Files:
    """As much of a finished run as the check of its files asks for."""

    store: Store
    manifest: dict[str, Any]

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(self.manifest["stages"])

    def files(self, stage: str) -> Iterator[FileEntry]:
        return files_of(self.store, self.manifest["stages"][stage])


def _verify(store: Store) -> None:
    with working() as work:
        kept, said = verify._stand(_Files(store, read_manifest(store)), work, by_hash=True)  # type: ignore[arg-type]
    assert kept, said


@contextmanager
def _run_folder(parent: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="driver-scale-", dir=parent))
    try:
        yield folder / "run"
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--folder", help="where the run is made; some 10 kB a shard")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        (n_shards,) = options.shards
        cost = phase(options.phase, Path(options.folder), n_shards=n_shards, n_partitions=options.partitions)
        print(json.dumps(cost))
        return
    print(
        "| shards | phase | peak MB | CPU s | wall s | requests | manifest kB |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for n_shards in options.shards:
        with _run_folder(options.folder) as folder:
            for name in PHASES:
                _line(name, folder, n_shards=n_shards, n_partitions=options.partitions)


def _line(name: str, folder: Path, *, n_shards: int, n_partitions: int) -> None:
    more = ("--shards", str(n_shards), "--partitions", str(n_partitions), "--folder", str(folder))
    command = [sys.executable, __file__, "--phase", name, *more]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cost = json.loads(done.stdout)
    asked = ", ".join(f"{n} {what}" for what, n in sorted(cost["requests"].items(), key=lambda x: -x[1])[:5])
    manifest = folder / "manifest.json"
    kilobytes = manifest.stat().st_size / 1e3 if manifest.exists() else 0
    print(
        f"| {n_shards:,} | {name} | {cost['peak']:.0f} | {cost['cpu']:.1f} | {cost['wall']:.1f} | {asked} | "
        f"{kilobytes:,.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
