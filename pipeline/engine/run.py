"""How the stages of a run are worked off: skip what is done, do the rest, commit, remember it in the manifest."""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Literal

import numpy as np
import pyarrow as pa

from pipeline.config import Mixture
from pipeline.engine.belonging import erase, refuse_other, refuse_strangers
from pipeline.engine.blocks import Lazily
from pipeline.engine.changes import what_changed
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor
from pipeline.engine.forgotten import drop_patched, refuse_half_forgotten
from pipeline.engine.lease import hold
from pipeline.engine.manifest import (
    claim,
    drop_old_parts,
    files_of,
    forget_others,
    hold_tokenizer,
    is_recorded,
    read_manifest,
    record,
)
from pipeline.engine.markers import FINAL, Marker, Outcome, Stopwatch, WorkStep, read_markers, state_folder
from pipeline.engine.names import ShardNames
from pipeline.engine.poison import find_poisonous, list_poisonous
from pipeline.engine.progress import Progress
from pipeline.engine.readme import drop_readme, put_readme
from pipeline.engine.shards import (
    KEY_CHARS,
    PLAN,
    SHARDS,
    Shards,
    column_hash,
    key_of,
    names_of,
    shard_files,
    write_shard_marker,
)
from pipeline.engine.sink import TEMPORARY, HashingFile
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage, Workplace, fingerprint
from pipeline.engine.store import Store, total_of
from pipeline.engine.tables import Tables
from pipeline.errors import StageError, StoreError, WorkerDied
from pipeline.schema import DOCUMENTS, OPTIONAL, PACKED


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


@dataclass(frozen=True)
class Layout:
    """How the tables of a run are cut, and how their shards are called."""

    n_shards: int  # of `documents`
    files: dict[str, tuple[str, ShardNames]]  # stage -> folder, names of its shards
    totals: frozenset[int]  # counts of shards under which this run has written names: files of these are its own
    plan: Callable[[], Iterable[bytes]]  # parts of what is kept in the run, where the next plan starts from it
    fresh: frozenset[str] = frozenset()  # keys of shards that were made while it was laid out


def work_off(run: Run, lay: Callable[[Store], tuple[Sequence[Stage], Layout]], *, tokenizer: bytes) -> None:
    """Make or complete the tables of all stages, in their order. Only one driver at a time may do that.

    `lay` says which stages and how the tables are cut; it may work to find out. The run keeps `tokenizer`, the file
    that made its token ids.
    """
    refuse_strangers(run.store)
    with hold(run.store) as store:
        run.progress.event("lease", driver=store.driver)
        if run.replace:
            run.progress.say(f"removing what stands in {store.root}; to go on after a stop, leave --replace out")
            erase(store)
        refuse_other(store, run.mixture)
        refuse_half_forgotten(store, read_manifest(store))
        stages, layout = lay(store)
        _put_plan(store, layout.plan)  # before any file bears the names that it gives
        # The order matters: entries go before the files that they name are removed, so that a stop in between leaves an
        # unfinished run; foreign files are looked for while markers of other configurations can still say what is ours.
        marks: dict[str, str] = {}
        for stage in stages:
            marks[stage.name] = fingerprint(stage, marks=marks)
        if said := what_changed(read_manifest(store), run.mixture, stages, marks=marks):
            run.progress.say(said)
            run.progress.event("changed", message=said)
        forget_others(store, marks)
        place = run.workplace
        if drop_patched(store, place.executor, stages, marks, by_hash=place.by_hash, skip_bad=place.skip_bad):
            run.progress.say("this run has forgotten documents in place: all but `documents` is made anew")
        if PACKED not in read_manifest(store)["stages"]:
            drop_readme(store)  # or half a run would load
        claim(store, run.mixture)
        for stage in stages:
            refuse_foreign(store, stage, layout=layout)
        _remove_others(store, marks)
        hold_tokenizer(store, tokenizer, by_hash=run.workplace.by_hash)
        for fused, block in groupby(stages, key=lambda s: isinstance(s, MapStage)):
            if fused:
                maps = [s for s in block if isinstance(s, MapStage)]
                documents = read_manifest(store)["stages"][DOCUMENTS.name]
                hashes = [file.sha256 for file in files_of(store, documents)]
                run_maps(run, store, maps, marks=marks, rows=names_of(hashes))
                continue
            for stage in block:
                if isinstance(stage, ExchangeStage):
                    mark = marks[stage.name]
                    run_exchange(run, store, stage, mark=mark, n_shards=layout.n_shards, fresh=layout.fresh)
        store.remove("work")
        _sweep(store, marks)
        drop_old_parts(store)
        put_readme(store)


def _put_plan(store: Store, plan: Callable[[], Iterable[bytes]]) -> None:
    def fill(file: HashingFile) -> None:
        for part in plan():
            file.write(part)

    store.write_stream(PLAN, fill)


def run_exchange(
    run: Run,
    store: Store,
    stage: ExchangeStage,
    *,
    mark: str,
    n_shards: int,
    fresh: frozenset[str] = frozenset(),
) -> None:
    """Run an exchange stage unless all its files stand, record it, and remove its exchange files.

    `fresh`: keys of shards that this start has committed already.
    """
    place = replace(run.workplace, fresh=fresh)
    if _is_recorded(run, store, stage, mark=mark):
        run.progress.skipped(stage.name)
        return
    tables = _tables(store, stage, n_shards)
    job = Job(place, tables, stage.name, mark, stage.seed, stage.version)
    done = stage.make(job, config=stage.config)
    record(store, run.mixture, stage.name, mark=mark, version=stage.version, done=done, inner=job.inner)
    # Only now: until the manifest names the stage, a stop must find the exchange files that its markers promise.
    store.remove(f"work/{stage.name}")
    state = state_folder(stage.name, mark)
    for step in store.folders(state):
        if step != FINAL:
            store.remove(f"{state}/{step}")


def _is_recorded(run: Run, store: Store, stage: Stage, *, mark: str) -> bool:
    place = run.workplace
    return is_recorded(store, place.executor, stage.name, mark=mark, by_hash=place.by_hash, skip_bad=place.skip_bad)


def run_maps(run: Run, store: Store, stages: Sequence[MapStage], *, marks: dict[str, str], rows: Sequence[str]) -> None:
    """Run neighbouring map stages fused, reading each shard's text once for all tables it still lacks; record them.

    `rows` names, for each shard, the rows of `documents` that it holds.
    """
    place, label, n_shards = run.workplace, "+".join(s.name for s in stages), len(rows)
    if all(_is_recorded(run, store, s, mark=marks[s.name]) for s in stages):
        run.progress.skipped(label)
        return
    tables = {s.name: _tables(store, s, n_shards) for s in stages}
    keys = _keys_of(run, stages, tables, rows=rows, name=f"{label}.inputs")
    done: dict[str, StepDone] = {}
    for s in stages:
        paths = Lazily(range(n_shards), partial(tables[s.name].path, s.table))
        own = Shards(store, s.name, keys[s.name], paths)
        done[s.name] = own.standing(place.executor, by_hash=place.by_hash, skip_bad=place.skip_bad)

    def lacking(shard: int) -> tuple[int, dict[str, str]]:
        return shard, {s.name: keys[s.name][shard] for s in stages if shard not in done[s.name]}

    todo = sorted({shard for of in done.values() for shard in of.missing()})
    run.progress.stay(label, n_shards=n_shards - len(todo), of=n_shards)
    work = partial(_annotate_shard, tuple((s, tables[s.name]) for s in stages))
    with run.progress.step(label, n_items=n_shards, n_done=n_shards - len(todo)) as advance:
        try:
            for (shard, _), made in place.executor.map(work, Lazily(todo, lacking), name=label):
                for name, marker in made.items():
                    done[name].add(shard, marker)
                advance(next(iter(made.values())).counts)
        except WorkerDied as death:
            _find_poisonous(run, store, tuple((s, tables[s.name]) for s in stages), label=label, death=death)
            raise
    for stage in stages:
        record(
            store,
            run.mixture,
            stage.name,
            mark=marks[stage.name],
            version=stage.version,
            done=done.pop(stage.name),
        )


def _keys_of(
    run: Run, stages: Sequence[MapStage], tables: dict[str, Tables], *, rows: Sequence[str], name: str
) -> dict[str, Sequence[str]]:
    """The keys of all shards of each stage."""
    decided = {s.name: key_of(s.name, s.version, s.config.model_dump(mode="json")) for s in stages}
    decide = partial(_keys, tuple((s, tables[s.name]) for s in stages), decided)
    found = {s.name: np.empty(len(rows), f"S{KEY_CHARS}") for s in stages}
    items = Lazily(range(len(rows)), lambda shard: (shard, rows[shard]))
    for (shard, _), keys in run.executor.map(decide, items, name=name):
        for stage, key in keys.items():
            found[stage][shard] = key.encode()
    return {stage: Lazily(range(len(rows)), partial(_key_at, keys)) for stage, keys in found.items()}


def _key_at(keys: np.ndarray, shard: int) -> str:
    return bytes(keys[shard]).decode()


def _find_poisonous(
    run: Run, store: Store, stages: tuple[tuple[MapStage, Tables], ...], *, label: str, death: WorkerDied
) -> None:
    """Raise PoisonedError where single documents of the item are what its worker died of."""
    run.progress.warn(f"{death}; looking for the document that did it")
    shard, lacking = death.item
    if found := find_poisonous(stages, shard, step=label, lacking=tuple(lacking)):
        raise list_poisonous(store, found) from death


def _keys(
    stages: tuple[tuple[MapStage, Tables], ...], decided: dict[str, str], item: tuple[int, str]
) -> dict[str, str]:
    """What decides one shard of each stage: the stage, its rows of documents, and the columns it reads beside them.

    `decided` names code and configuration of each stage. A neighbour's columns are not made yet; its key says as much.
    """
    shard, rows = item
    keys: dict[str, str] = {}
    for stage, tables in stages:
        inputs = [
            keys[table.name] if table.name in keys else column_hash(tables.read(table, shard, columns=names))
            for table, names in stage.inputs
        ]
        keys[stage.name] = key_of(decided[stage.name], rows, inputs)
    return keys


def _tables(store: Store, stage: Stage, n_shards: int) -> Tables:
    return Tables(store, n_shards, stage.name, frozenset(table.name for table in stage.reads))


def _annotate_shard(stages: tuple[tuple[MapStage, Tables], ...], item: tuple[int, dict[str, str]]) -> dict[str, Marker]:
    """Make the lacking tables of one shard. Each stage gets the columns that it declares and no other."""
    import pyarrow.compute as pc  # late: a run that stands needs none of it, and it takes a tenth of a second

    shard, lacking = item
    wanted = [(stage, tables) for stage, tables in stages if stage.name in lacking]
    columns = sorted({"n_bytes"}.union(*(stage.columns for stage, _ in wanted)))
    watch = Stopwatch()  # so the first stage pays for reading what all of them share
    documents = wanted[0][1].read(DOCUMENTS, shard, columns=columns)
    counts = {"n_docs": documents.num_rows, "n_bytes": int(pc.sum(documents["n_bytes"]).as_py() or 0)}
    made: dict[str, pa.Table] = {}
    markers: dict[str, Marker] = {}
    for stage, tables in wanted:
        inputs = [
            made[table.name].select(list(names)) if table.name in made else tables.read(table, shard, columns=names)
            for table, names in stage.inputs
        ]
        try:
            table = stage.annotate(documents.select(list(stage.columns)), *inputs, config=stage.config)
        except StageError as error:
            raise StageError(f"{stage.name}: shard {shard}: {error}") from error
        if table.num_rows != documents.num_rows:
            raise StageError(f"{stage.name}: shard {shard} has {table.num_rows} rows, documents {documents.num_rows}")
        made[stage.name] = table
        entry = tables.write(stage.table, shard, data=table)
        marker = watch.marker(Outcome((entry,), counts))
        write_shard_marker(tables.store, stage.name, lacking[stage.name], marker=marker)
        markers[stage.name], watch = marker, Stopwatch()
    return markers


# --- what may lie in a run folder ------------------------------------------------------------------------------------


_PHASE_SHARD = re.compile(r"[1-9]-[a-z0-9][a-z0-9_.-]*/part-\d{5,}-of-\d{5,}\.arrow")


def refuse_foreign(store: Store, stage: Stage, *, layout: Layout) -> None:
    """Remove what an earlier configuration of this run left in the stage's folder; StoreError for files it never wrote.

    Where shards stay from one configuration to the next, those that do not are removed when it is known which.
    """
    folder, expected = layout.files[stage.name]
    # Hidden files that are not ours are left alone: file managers and NFS leave them everywhere.
    names = [*store.files(folder), *_below(store, folder)]
    found = (n for n in names if not posixpath.basename(n).startswith(".") or n.endswith(TEMPORARY))
    strange = [name for name in found if name not in expected]
    if not strange:
        return
    recorded = read_manifest(store)["stages"].get(stage.name)
    later = recorded is None and (isinstance(stage, MapStage) or stage.name == DOCUMENTS.name)
    ours = {f.path for f in files_of(store, recorded)} if recorded else set[str]()
    ours |= shard_files(store, stage.name)
    for mark in store.folders(f"state/{stage.name}"):
        ours |= {e.path for m in read_markers(store, WorkStep(stage.name, mark)).values() for e in m.files}
    for name in strange:
        path = f"{folder}/{name}"
        known = path in ours or name.endswith(TEMPORARY) or total_of(posixpath.basename(name)) in layout.totals
        # A start that was refused has dropped what said whose they are; nobody else makes folders of phases here.
        if not (known or (stage.name == PACKED and _PHASE_SHARD.fullmatch(name))):
            raise StoreError(f"{store.full(path)}: was not written by this run; move it away or use another --out")
        if not later or name.endswith(TEMPORARY):
            store.remove(path)


def _below(store: Store, folder: str) -> list[str]:
    """Files one folder below: shards of phases."""
    return [f"{inner}/{name}" for inner in store.folders(folder) for name in store.files(f"{folder}/{inner}")]


def _remove_others(store: Store, marks: dict[str, str]) -> None:
    """Remove markers and exchange files of other configurations. From here on their tables may be overwritten, and a
    marker that outlived its file would be believed by its size alone (`check="size"`)."""
    for root in ("state", "work"):
        for stage in store.folders(root):
            for mark in store.folders(f"{root}/{stage}"):
                if mark not in (marks.get(stage), SHARDS):
                    store.remove(f"{root}/{stage}/{mark}")
            if stage not in marks:
                store.remove(f"{root}/{stage}")
    for table in OPTIONAL:
        if table.name not in marks:
            store.remove(f"tables/{table.name}")


def _sweep(store: Store, marks: dict[str, str]) -> None:
    """Remove temporary files that a killed driver left beside the manifest, and its tasks beside their markers."""
    beside = [f"{WorkStep(stage, mark).folder}/" for stage, mark in marks.items()]
    beside += [f"state/{stage}/{SHARDS}/" for stage in marks]
    for folder in ("", *beside):
        for name in store.files(folder):
            if name.endswith(TEMPORARY):
                store.remove(f"{folder}{name}")
