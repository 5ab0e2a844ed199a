"""How a stage runs: skip what is done, do the rest, commit atomically, remember it in the manifest.

A *step* is one map over numbered items. Each item's task writes its files and then a marker with their hashes and the
step's fingerprint; the marker makes the item done. A *stage* is one or more steps and one entry in the manifest. Its
fingerprint is derived from its name, its code version, its configuration and the fingerprints of the stages it reads,
so a changed threshold redoes exactly what depends on it.

Two kinds: a MapStage is a pure function on one shard (neighbouring ones run fused, so the text is read once); an
ExchangeStage gets a Job and moves keys between shards through files. State lies in files, never in the executor.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import pyarrow as pa

from pipeline.config import Frozen, Mixture
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import Executor
from pipeline.engine.progress import Progress
from pipeline.engine.store import TEMPORARY, FileEntry, Store, Tables
from pipeline.errors import StageError, StoreError
from pipeline.schema import DOCUMENTS, Table

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Run:
    """One run: where its files are, what it shall make and where the work is done."""

    store: Store
    mixture: Mixture
    executor: Executor
    progress: Progress
    on_bad_shard: Literal["stop", "skip"] = "stop"
    check: Literal["hash", "size"] = "hash"


@dataclass(frozen=True)
class Outcome:
    """What one task made: its files, and counts that add up over items."""

    files: tuple[FileEntry, ...]
    counts: dict[str, int]
    problem: str | None = None


@dataclass(frozen=True)
class Marker:
    """Proof that an item is done."""

    fingerprint: str
    files: tuple[FileEntry, ...]
    counts: dict[str, int]
    problem: str | None
    seconds: float


@dataclass(frozen=True)
class MapStage:
    """`annotate(documents, *inputs, config=config)` returns the rows of table `name` for one shard."""

    table: Table
    version: int
    annotate: Callable[..., pa.Table]
    config: Frozen
    inputs: tuple[tuple[Table, tuple[str, ...]], ...] = ()  # (table, its columns) given after documents, in order
    columns: tuple[str, ...] = ()  # columns of documents that the function reads
    key: str = ""  # what else decides the bytes, for instance the hash of a file that config names

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def after(self) -> tuple[str, ...]:
        return (DOCUMENTS.name, *(table.name for table, _ in self.inputs))


@dataclass(frozen=True)
class ExchangeStage:
    """`make(job, config=config)` runs the stage's steps and returns its table's markers."""

    name: str
    version: int
    make: Callable[..., list[Marker]]
    config: Frozen
    after: tuple[str, ...]
    key: str = ""


Stage = MapStage | ExchangeStage


@dataclass(frozen=True)
class Job:
    """What an exchange stage may use: its own steps, the run's tables, the seed."""

    run: Run
    stage: str
    fingerprint: str
    tables: Tables

    def step(self, name: str, task: Callable[..., Outcome], *, items: int | Sequence[Any]) -> list[Marker]:
        """Map `task(index, payload)` over items; a number stands for that many items without payload."""
        payloads = [None] * items if isinstance(items, int) else list(items)
        label = f"{self.stage}.{name}" if name else self.stage
        return run_step(self.run, label, task, fingerprint=self.fingerprint, payloads=payloads)

    def channel(self, step: str, *, n_sources: int, n_partitions: int) -> Channel:
        """The exchange files that `step` of this stage writes: one per source, one batch per partition."""
        return Channel(self.run.store, f"work/{self.stage}/{step}", n_sources, n_partitions)


def fingerprint(stage: Stage, *, known: dict[str, str]) -> str:
    """Hash of everything that decides the stage's bytes, given the fingerprints of the stages it reads."""
    after = {name: known[name] for name in stage.after if name in known}
    parts = [stage.name, stage.version, stage.config.model_dump(mode="json"), stage.key, after]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- steps -----------------------------------------------------------------------------------------------------------


def run_step(
    run: Run, step: str, task: Callable[..., Outcome], *, fingerprint: str, payloads: Sequence[Any]
) -> list[Marker]:
    """Do the items of `step` that are not done; return all markers in item order."""
    markers = intact_markers(run, step, fingerprint=fingerprint)
    todo = [(index, payload) for index, payload in enumerate(payloads) if index not in markers]
    work = partial(commit_item, task, run.store, step, fingerprint)
    with run.progress.step(step, n_items=len(payloads), n_done=len(payloads) - len(todo)) as advance:
        for (index, _), marker in run.executor.map(work, todo, name=step):
            markers[index] = marker
            advance(marker.counts)
    return [markers[index] for index in range(len(payloads))]


def commit_item(
    task: Callable[..., Outcome], store: Store, step: str, fingerprint: str, item: tuple[int, Any]
) -> Marker:
    """Run one task and write its marker; runs where the executor puts it."""
    index, payload = item
    started = time.perf_counter()
    outcome = task(index, payload)
    marker = Marker(
        fingerprint, outcome.files, outcome.counts, outcome.problem, round(time.perf_counter() - started, 4)
    )
    write_marker(store, step, index, marker=marker)
    return marker


def write_marker(store: Store, step: str, index: int, *, marker: Marker) -> None:
    """Commit an item's marker; the item is done from here on."""
    store.write_bytes(f"state/{step}/{index:05d}.json", json.dumps(asdict(marker), sort_keys=True).encode())


def read_markers(store: Store, step: str) -> dict[int, Marker]:
    """All readable markers of a step. One that cannot be parsed counts as missing: its item is done again."""
    markers = {}
    for name in store.files(f"state/{step}"):
        if not name.endswith(".json"):
            continue
        try:
            raw = json.loads(store.read_bytes(f"state/{step}/{name}"))
            files = tuple(FileEntry(**f) for f in raw.pop("files"))
            markers[int(name.removesuffix(".json"))] = Marker(files=files, **raw)
        except (ValueError, TypeError, KeyError):
            store.remove(f"state/{step}/{name}")
    return markers


def intact_markers(run: Run, step: str, *, fingerprint: str) -> dict[int, Marker]:
    """Markers of this fingerprint whose files stand undamaged. A skipped bad shard counts only while skipping."""
    by_hash = run.check == "hash"
    return {
        index: marker
        for index, marker in read_markers(run.store, step).items()
        if marker.fingerprint == fingerprint
        and (marker.problem is None or run.on_bad_shard == "skip")
        and all(run.store.is_intact(entry, by_hash=by_hash) for entry in marker.files)
    }


# --- stages ----------------------------------------------------------------------------------------------------------


def run_exchange(run: Run, stage: ExchangeStage, *, mark: str, n_shards: int) -> None:
    """Run an exchange stage unless all its files stand, record it, and remove its exchange files."""
    if is_recorded(run, stage.name, mark=mark):
        run.progress.skipped(stage.name)
        return
    job = Job(run, stage.name, mark, Tables(run.store, n_shards))
    markers = stage.make(job, config=stage.config)
    steps = [name for name in run.store.folders("state") if name.startswith(f"{stage.name}.")]
    inner = sum(m.seconds for name in steps for m in read_markers(run.store, name).values())
    record(run, stage.name, mark=mark, version=stage.version, markers=markers, inner_seconds=inner)
    run.store.remove(f"work/{stage.name}")
    for name in steps:
        run.store.remove(f"state/{name}")


def run_maps(run: Run, stages: Sequence[MapStage], *, marks: dict[str, str], n_shards: int) -> None:
    """Run neighbouring map stages fused, reading each shard's text once for all tables it still lacks; record them."""
    markers = {s.name: intact_markers(run, s.name, fingerprint=marks[s.name]) for s in stages}
    todo = []
    for shard in range(n_shards):
        lacking = tuple(s.name for s in stages if shard not in markers[s.name])
        if lacking:
            todo.append((shard, lacking))
    work = partial(_annotate_shard, tuple(stages), Tables(run.store, n_shards), marks)
    label = "+".join(s.name for s in stages)
    if not todo:
        run.progress.skipped(label)
    else:
        with run.progress.step(label, n_items=n_shards, n_done=n_shards - len(todo)) as advance:
            for (shard, _), made in run.executor.map(work, todo, name=label):
                for name, marker in made.items():
                    markers[name][shard] = marker
                advance(next(iter(made.values())).counts)
    for stage in stages:
        found = [markers[stage.name][shard] for shard in range(n_shards)]
        record(run, stage.name, mark=marks[stage.name], version=stage.version, markers=found)


def _annotate_shard(
    stages: tuple[MapStage, ...], tables: Tables, marks: dict[str, str], item: tuple[int, tuple[str, ...]]
) -> dict[str, Marker]:
    shard, lacking = item
    wanted = [s for s in stages if s.name in lacking]
    columns = sorted({"doc_id", "n_bytes"}.union(*(s.columns for s in wanted)))
    documents = tables.read(DOCUMENTS, shard, columns=columns)
    made: dict[Table, pa.Table] = {}
    markers: dict[str, Marker] = {}
    for stage in wanted:
        started = time.perf_counter()
        inputs = [
            made[table].select(list(names)) if table in made else tables.read(table, shard, columns=names)
            for table, names in stage.inputs
        ]
        table = stage.annotate(documents, *inputs, config=stage.config)
        if table.num_rows != documents.num_rows:
            raise StageError(f"{stage.name}: shard {shard} has {table.num_rows} rows, documents {documents.num_rows}")
        made[stage.table] = table
        entry = tables.write(stage.table, shard, data=table)
        counts = {"n_docs": documents.num_rows, "n_bytes": int(pa.compute.sum(documents["n_bytes"]).as_py() or 0)}
        markers[stage.name] = Marker(marks[stage.name], (entry,), counts, None, round(time.perf_counter() - started, 4))
        write_marker(tables.store, stage.name, shard, marker=markers[stage.name])
    return markers


# --- the manifest ----------------------------------------------------------------------------------------------------


def read_manifest(store: Store) -> dict[str, Any]:
    """The manifest, or an empty one. StoreError if it is damaged or of another format."""
    if not store.exists(MANIFEST):
        return {"format": FORMAT, "stages": {}}
    try:
        manifest = json.loads(store.read_bytes(MANIFEST))
        if manifest["format"] != FORMAT or not isinstance(manifest["stages"], dict):
            raise ValueError(f"format {manifest['format']!r}, expected {FORMAT}")
    except (ValueError, TypeError, KeyError) as error:
        where = store.full(MANIFEST)
        raise StoreError(f"{where}: is damaged: {error}; remove it and run again") from error
    return dict(manifest)


def _write_manifest(store: Store, manifest: dict[str, Any]) -> None:
    store.write_bytes(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())


def record(
    run: Run, name: str, *, mark: str, version: int, markers: Sequence[Marker], inner_seconds: float = 0.0
) -> None:
    """Enter a finished stage into the manifest, written after everything that it names.

    `seconds` adds up over all tasks of all steps: work, not time on the clock.
    """
    manifest = read_manifest(run.store)
    counts: dict[str, int] = {}
    for marker in markers:
        for key, value in marker.counts.items():
            counts[key] = counts.get(key, 0) + value
    manifest |= {"name": run.mixture.name, "mixture": run.mixture.model_dump(mode="json")}
    manifest["stages"][name] = {
        "fingerprint": mark,
        "version": version,
        "files": [asdict(f) for m in markers for f in m.files],
        "counts": dict(sorted(counts.items())),
        "problems": {str(i): m.problem for i, m in enumerate(markers) if m.problem},
        "seconds": round(inner_seconds + sum(m.seconds for m in markers), 3),
    }
    _write_manifest(run.store, manifest)


def add_counts(markers: list[Marker], *steps: list[Marker]) -> list[Marker]:
    """`markers` with the counts of inner steps added to the first, so that the manifest shows them too."""
    if not markers:
        return markers
    counts = dict(markers[0].counts)
    for marker in (m for step in steps for m in step):
        for key, value in marker.counts.items():
            counts[key] = counts.get(key, 0) + value
    return [replace(markers[0], counts=counts), *markers[1:]]


def forget_others(run: Run, marks: dict[str, str]) -> None:
    """Drop manifest entries that this configuration would not make, so that no mixed run can look finished."""
    manifest = read_manifest(run.store)
    current = {name: e for name, e in manifest["stages"].items() if e["fingerprint"] == marks.get(name)}
    if current != manifest["stages"]:
        manifest["stages"] = current
        _write_manifest(run.store, manifest)


def is_recorded(run: Run, name: str, *, mark: str) -> bool:
    """True if the manifest has the stage under this fingerprint and all its files stand undamaged.

    A stage with skipped bad shards counts only while bad shards are skipped.
    """
    entry = read_manifest(run.store)["stages"].get(name)
    if entry is None or entry["fingerprint"] != mark or (entry["problems"] and run.on_bad_shard != "skip"):
        return False
    return all(run.store.is_intact(FileEntry(**f), by_hash=run.check == "hash") for f in entry["files"])


def refuse_foreign(run: Run, folder: str, *, stage: str, expected: set[str]) -> None:
    """Remove what an earlier configuration of this run left in `folder`; raise StoreError for files it never wrote."""
    strange = [name for name in run.store.files(folder) if name not in expected]
    if not strange:
        return
    known = {f["path"] for f in read_manifest(run.store)["stages"].get(stage, {}).get("files", [])}
    known |= {entry.path for marker in read_markers(run.store, stage).values() for entry in marker.files}
    for name in strange:
        path = f"{folder}/{name}"
        if path not in known and not name.endswith(TEMPORARY):
            raise StoreError(f"{run.store.full(path)}: was not written by this run; move it away or use another --out")
        run.store.remove(path)


def sweep(run: Run) -> None:
    """Remove temporary files that tasks left beside their markers when they were killed."""
    for step in run.store.folders("state"):
        for name in run.store.files(f"state/{step}"):
            if name.endswith(TEMPORARY):
                run.store.remove(f"state/{step}/{name}")
