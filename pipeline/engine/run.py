"""How the stages of a run are worked off: skip what is done, do the rest, commit, remember it in the manifest."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

import pyarrow as pa

from pipeline.config import Mixture
from pipeline.engine.belonging import erase, refuse_other, refuse_strangers
from pipeline.engine.changes import what_changed
from pipeline.engine.executor import Executor
from pipeline.engine.lease import hold
from pipeline.engine.manifest import claim, forget_others, hold_tokenizer, is_recorded, read_manifest, record
from pipeline.engine.markers import FINAL, Marker, WorkStep, intact_markers, read_markers, state_folder, write_marker
from pipeline.engine.progress import Progress
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage, Workplace, fingerprint
from pipeline.engine.store import TEMPORARY, Store
from pipeline.engine.tables import Tables
from pipeline.errors import StageError, StoreError
from pipeline.schema import DOCUMENTS


@dataclass(frozen=True)
class Run:
    """One run: where its files are, what it shall make and where the work is done."""

    store: Store
    mixture: Mixture
    executor: Executor
    progress: Progress
    on_bad_shard: Literal["stop", "skip"] = "stop"
    check: Literal["hash", "size"] = "hash"
    replace: bool = False  # remove the run that stands in the folder first, whose ever it is

    @property
    def workplace(self) -> Workplace:
        return Workplace(self.executor, self.progress, self.on_bad_shard == "skip", self.check == "hash")


def work_off(
    run: Run, stages: Sequence[Stage], *, n_shards: int, files: dict[str, tuple[str, set[str]]], tokenizer: bytes
) -> None:
    """Make or complete the tables of all stages, in their order. Only one driver at a time may do that.

    `files` says for each stage in which folder its shards lie and how they are called; the run keeps `tokenizer`.
    """
    refuse_strangers(run.store)
    with hold(run.store) as store:
        if run.replace:
            erase(store)
        refuse_other(store, run.mixture)
        # The order matters: entries go before the files that they name are removed, so that a stop in between leaves an
        # unfinished run; foreign files are looked for while markers of other configurations can still say what is ours.
        marks: dict[str, str] = {}
        for stage in stages:
            marks[stage.name] = fingerprint(stage, marks=marks)
        if said := what_changed(read_manifest(store), run.mixture, stages, marks=marks):
            run.progress.say(said)
            run.progress.event("changed", message=said)
        forget_others(store, marks)
        claim(store, run.mixture)
        for name, (folder, expected) in files.items():
            refuse_foreign(store, folder, stage=name, expected=expected)
        _remove_others(store, marks)
        hold_tokenizer(store, tokenizer, by_hash=run.workplace.by_hash)
        for fused, block in groupby(stages, key=lambda s: isinstance(s, MapStage)):
            if fused:
                maps = [s for s in block if isinstance(s, MapStage)]
                run_maps(run, store, maps, marks=marks, n_shards=n_shards)
                continue
            for stage in block:
                if isinstance(stage, ExchangeStage):
                    run_exchange(run, store, stage, mark=marks[stage.name], n_shards=n_shards)
        store.remove("work")
        _sweep(store, marks)


def run_exchange(run: Run, store: Store, stage: ExchangeStage, *, mark: str, n_shards: int) -> None:
    """Run an exchange stage unless all its files stand, record it, and remove its exchange files."""
    place = run.workplace
    if is_recorded(store, stage.name, mark=mark, by_hash=place.by_hash, skip_bad=place.skip_bad):
        run.progress.skipped(stage.name)
        return
    tables = _tables(store, stage, n_shards)
    markers = stage.make(Job(place, tables, stage.name, mark, stage.seed), config=stage.config)
    state = state_folder(stage.name, mark)
    inner = [WorkStep(stage.name, mark, name) for name in store.folders(state) if name != FINAL]
    seconds = sum(m.seconds for step in inner for m in read_markers(store, step).values())
    record(store, run.mixture, stage.name, mark=mark, version=stage.version, markers=markers, inner_seconds=seconds)
    # Only now: until the manifest names the stage, a stop must find the exchange files that its markers promise.
    store.remove(f"work/{stage.name}")
    for step in inner:
        store.remove(step.folder)


def run_maps(run: Run, store: Store, stages: Sequence[MapStage], *, marks: dict[str, str], n_shards: int) -> None:
    """Run neighbouring map stages fused, reading each shard's text once for all tables it still lacks; record them."""
    place = run.workplace
    markers = {
        s.name: intact_markers(store, WorkStep(s.name, marks[s.name]), by_hash=place.by_hash, skip_bad=place.skip_bad)
        for s in stages
    }
    todo = []
    for shard in range(n_shards):
        lacking = tuple(s.name for s in stages if shard not in markers[s.name])
        if lacking:
            todo.append((shard, lacking))
    label = "+".join(s.name for s in stages)
    work = partial(_annotate_shard, tuple((s, _tables(store, s, n_shards)) for s in stages), marks)
    if not todo:
        run.progress.skipped(label)
    else:
        with run.progress.step(label, n_items=n_shards, n_done=n_shards - len(todo)) as advance:
            for (shard, _), made in place.executor.map(work, todo, name=label):
                for name, marker in made.items():
                    markers[name][shard] = marker
                advance(next(iter(made.values())).counts)
    for stage in stages:
        found = [markers[stage.name][shard] for shard in range(n_shards)]
        record(store, run.mixture, stage.name, mark=marks[stage.name], version=stage.version, markers=found)


def _tables(store: Store, stage: Stage, n_shards: int) -> Tables:
    return Tables(store, n_shards, stage.name, frozenset(table.name for table in stage.reads))


def _annotate_shard(
    stages: tuple[tuple[MapStage, Tables], ...], marks: dict[str, str], item: tuple[int, tuple[str, ...]]
) -> dict[str, Marker]:
    """Make the lacking tables of one shard. Each stage gets the columns that it declares and no other."""
    shard, lacking = item
    wanted = [(stage, tables) for stage, tables in stages if stage.name in lacking]
    columns = sorted({"n_bytes"}.union(*(stage.columns for stage, _ in wanted)))
    documents = wanted[0][1].read(DOCUMENTS, shard, columns=columns)
    counts = {"n_docs": documents.num_rows, "n_bytes": int(pa.compute.sum(documents["n_bytes"]).as_py() or 0)}
    made: dict[str, pa.Table] = {}
    markers: dict[str, Marker] = {}
    for stage, tables in wanted:
        started = time.perf_counter()
        inputs = [
            made[table.name].select(list(names)) if table.name in made else tables.read(table, shard, columns=names)
            for table, names in stage.inputs
        ]
        table = stage.annotate(documents.select(list(stage.columns)), *inputs, config=stage.config)
        if table.num_rows != documents.num_rows:
            raise StageError(f"{stage.name}: shard {shard} has {table.num_rows} rows, documents {documents.num_rows}")
        made[stage.name] = table
        entry = tables.write(stage.table, shard, data=table)
        marker = Marker((entry,), counts, None, round(time.perf_counter() - started, 4))
        write_marker(tables.store, WorkStep(stage.name, marks[stage.name]), shard, marker=marker)
        markers[stage.name] = marker
    return markers


# --- what may lie in a run folder ------------------------------------------------------------------------------------


def refuse_foreign(store: Store, folder: str, *, stage: str, expected: set[str]) -> None:
    """Remove what an earlier configuration of this run left in `folder`; raise StoreError for files it never wrote."""
    # Hidden files that are not ours are left alone: file managers and NFS leave them everywhere.
    found = (name for name in store.files(folder) if not name.startswith(".") or name.endswith(TEMPORARY))
    strange = [name for name in found if name not in expected]
    if not strange:
        return
    ours = {f["path"] for f in read_manifest(store)["stages"].get(stage, {}).get("files", [])}
    for mark in store.folders(f"state/{stage}"):
        ours |= {e.path for m in read_markers(store, WorkStep(stage, mark)).values() for e in m.files}
    for name in strange:
        path = f"{folder}/{name}"
        if path not in ours and not name.endswith(TEMPORARY):
            raise StoreError(f"{store.full(path)}: was not written by this run; move it away or use another --out")
        store.remove(path)


def _remove_others(store: Store, marks: dict[str, str]) -> None:
    """Remove markers and exchange files of other configurations. From here on their tables may be overwritten, and a
    marker that outlived its file would be believed by its size alone (`check="size"`)."""
    for root in ("state", "work"):
        for stage in store.folders(root):
            for mark in store.folders(f"{root}/{stage}"):
                if mark != marks.get(stage):
                    store.remove(f"{root}/{stage}/{mark}")
            if stage not in marks:
                store.remove(f"{root}/{stage}")


def _sweep(store: Store, marks: dict[str, str]) -> None:
    """Remove temporary files that a killed driver left beside the manifest, and its tasks beside their markers."""
    for folder in ("", *(f"{WorkStep(stage, mark).folder}/" for stage, mark in marks.items())):
        for name in store.files(folder):
            if name.endswith(TEMPORARY):
                store.remove(f"{folder}{name}")
