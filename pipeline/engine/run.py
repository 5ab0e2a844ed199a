"""How the stages of a run are worked off: skip what is done, do the rest, commit, remember it in the manifest."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from pipeline.config import Mixture
from pipeline.engine.attempts import attempts_of
from pipeline.engine.belonging import erase, refuse_other, refuse_strangers
from pipeline.engine.beside import FOLDER as BESIDE
from pipeline.engine.changes import what_changed
from pipeline.engine.executor import Executor
from pipeline.engine.forgotten import drop_patched, refuse_half_forgotten, refuse_lost_list
from pipeline.engine.lease import hold
from pipeline.engine.lots import ALONE, LotCut, cut_of
from pipeline.engine.manifest import (
    DoneStage,
    claim,
    drop_old_parts,
    files_of,
    forget_others,
    hold_tokenizer,
    read_manifest,
    record,
    record_all,
    stands,
)
from pipeline.engine.map_stages import tables_of, work_off_maps
from pipeline.engine.markers import FINAL, WorkStep, files_marked, state_folder
from pipeline.engine.names import ShardNames
from pipeline.engine.progress import Progress
from pipeline.engine.readme import drop_readme, put_readme
from pipeline.engine.shards import PLAN, SHARDS, names_of, shard_files
from pipeline.engine.sink import TEMPORARY, HashingFile
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage, Workplace, fingerprint
from pipeline.engine.store import FileEntry, Store, total_of
from pipeline.engine.working import FileHashes
from pipeline.errors import StoreError
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
class Together:
    """What stages share: the attempts, and for small shards tasks and a look at the small columns of each table."""

    cut: LotCut = ALONE
    hashes: FileHashes = field(default_factory=FileHashes)
    entries: dict[str, Any] | None = None  # of the manifest as this start found it; None: it is asked
    attempts: dict[str, str] = field(default_factory=dict)  # at each stage


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
        refuse_lost_list(store, read_manifest(store))
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
        _work_off_stages(run, store, stages, marks=marks, layout=layout)
        store.remove("work")
        _sweep(store, marks)
        drop_old_parts(store)
        put_readme(store)


def _put_plan(store: Store, plan: Callable[[], Iterable[bytes]]) -> None:
    def fill(file: HashingFile) -> None:
        for part in plan():
            file.write(part)

    store.write_stream(PLAN, fill)


def _work_off_stages(run: Run, store: Store, stages: Sequence[Stage], *, marks: dict[str, str], layout: Layout) -> None:
    together = Together(entries=read_manifest(store)["stages"], attempts=attempts_of(store, marks))
    for fused, block in groupby(stages, key=lambda s: isinstance(s, MapStage)):
        if fused:
            maps = [s for s in block if isinstance(s, MapStage)]
            rows = names_of([file.sha256 for file in _documents(store)])
            run_maps(run, store, maps, marks=marks, rows=rows, together=together)
            continue
        for stage in block:
            if isinstance(stage, ExchangeStage):
                mark, n = marks[stage.name], layout.n_shards
                run_exchange(run, store, stage, mark=mark, n_shards=n, fresh=layout.fresh, together=together)
                # On a local disk a file costs little, and small shards share nothing.
                if stage.name == DOCUMENTS.name and not store.is_local:
                    together = replace(together, cut=cut_of([file.n_bytes for file in _documents(store)]))


def _documents(store: Store) -> Iterator[FileEntry]:
    return files_of(store, read_manifest(store)["stages"][DOCUMENTS.name])


def run_exchange(
    run: Run,
    store: Store,
    stage: ExchangeStage,
    *,
    mark: str,
    n_shards: int,
    fresh: frozenset[str] = frozenset(),
    together: Together | None = None,
) -> None:
    """Run an exchange stage unless all its files stand, record it, and remove its exchange files.

    `fresh`: keys of shards that this start has committed already.
    """
    place = replace(run.workplace, fresh=fresh)
    together = together or Together()
    if _stands(run, store, stage, mark=mark, together=together):
        run.progress.skipped(stage.name)
        return
    tables = tables_of(store, stage, n_shards)
    _know(store, stage, together)
    job = Job(
        place,
        tables,
        stage.name,
        mark,
        stage.seed,
        stage.version,
        together.attempts.get(stage.name, ""),
        cut=together.cut,
        hashes=together.hashes,
    )
    done = stage.make(job, config=stage.config)
    record(store, run.mixture, stage.name, mark=mark, version=stage.version, done=done, inner=job.inner)
    # Only now: until the manifest names the stage, a stop must find the exchange files that its markers promise.
    store.remove(f"work/{stage.name}")
    store.remove_below(state_folder(stage.name, mark), but=FINAL)


def _know(store: Store, stage: Stage, together: Together) -> None:
    """Enter the files of the tables that a stage reads, where columns of them stand beside each other."""
    unknown = [table.name for table in stage.reads if table.aligned and table.name not in together.hashes]
    if unknown and together.cut.is_of_several:
        entries = read_manifest(store)["stages"]
        for name in unknown:
            if name in entries:  # a neighbour of fused stages is not made yet
                together.hashes.add(name, files_of(store, entries[name]))


def _stands(run: Run, store: Store, stage: Stage, *, mark: str, together: Together) -> bool:
    place, entries = run.workplace, together.entries
    entry = (read_manifest(store)["stages"] if entries is None else entries).get(stage.name)
    by_hash, skip_bad = place.by_hash, place.skip_bad
    return stands(store, place.executor, stage.name, entry, mark=mark, by_hash=by_hash, skip_bad=skip_bad)


def run_maps(
    run: Run,
    store: Store,
    stages: Sequence[MapStage],
    *,
    marks: dict[str, str],
    rows: Sequence[str],
    together: Together | None = None,
) -> None:
    """Run neighbouring map stages fused and record them; `rows` names the rows of `documents` of each shard."""
    together = together or Together()
    if all(_stands(run, store, s, mark=marks[s.name], together=together) for s in stages):
        run.progress.skipped("+".join(s.name for s in stages))
        return
    for stage in stages:
        _know(store, stage, together)
    lots, hashes = together.cut.lots(len(rows)), together.hashes
    done = work_off_maps(run.workplace, store, stages, rows=rows, lots=lots, hashes=hashes)
    if together.cut.is_of_several:
        for stage in stages:
            hashes.add(stage.name, done[stage.name].files())
    record_all(store, run.mixture, (DoneStage(s.name, marks[s.name], s.version, done.pop(s.name)) for s in stages))


# --- what may lie in a run folder ------------------------------------------------------------------------------------


_PHASE_SHARD = re.compile(r"[1-9]-[a-z0-9][a-z0-9_.-]*/part-\d{5,}-of-\d{5,}\.arrow")


def refuse_foreign(store: Store, stage: Stage, *, layout: Layout) -> None:
    """Remove what an earlier configuration of this run left in the stage's folder; StoreError for files it never wrote.

    Where shards stay from one configuration to the next, those that do not are removed when it is known which.
    """
    folder, expected = layout.files[stage.name]
    # Hidden files that are not ours are left alone: file managers and NFS leave them everywhere.
    here = store.entries(folder)
    names = [*here.files, *(f"{inner}/{name}" for inner in here.folders for name in store.files(f"{folder}/{inner}"))]
    found = (n for n in names if not posixpath.basename(n).startswith(".") or n.endswith(TEMPORARY))
    strange = [name for name in found if name not in expected]
    if not strange:
        return
    recorded = read_manifest(store)["stages"].get(stage.name)
    later = recorded is None and (isinstance(stage, MapStage) or stage.name == DOCUMENTS.name)
    ours = {f.path for f in files_of(store, recorded)} if recorded else set[str]()
    ours |= shard_files(store, stage.name)
    for mark in store.folders(f"state/{stage.name}"):
        ours |= files_marked(store, WorkStep(stage.name, mark))
    for name in strange:
        path = f"{folder}/{name}"
        known = path in ours or name.endswith(TEMPORARY) or total_of(posixpath.basename(name)) in layout.totals
        # A start that was refused has dropped what said whose they are; nobody else makes folders of phases here.
        if not (known or (stage.name == PACKED and _PHASE_SHARD.fullmatch(name))):
            raise StoreError(f"{store.full(path)}: was not written by this run; move it away or use another --out")
        if not later or name.endswith(TEMPORARY):
            store.remove(path)


def _remove_others(store: Store, marks: dict[str, str]) -> None:
    """Remove markers and exchange files of other configurations. From here on their tables may be overwritten, and a
    marker that outlived its file would be believed by its size alone (`check="size"`)."""
    for root in ("state", "work"):
        for stage in store.folders(root):
            for mark in store.folders(f"{root}/{stage}"):
                if mark not in (marks.get(stage), SHARDS):
                    store.remove(f"{root}/{stage}/{mark}")
            if stage not in marks and f"{root}/{stage}" != BESIDE:  # which names the files that it is of
                store.remove(f"{root}/{stage}")
    for table in OPTIONAL:
        if table.name not in marks:
            store.remove(f"tables/{table.name}")


def _sweep(store: Store, marks: dict[str, str]) -> None:
    """Remove temporary files that a killed driver left beside the manifest, and its tasks beside their markers, where a
    local disk writes first."""
    beside = [f"{WorkStep(stage, mark).folder}/" for stage, mark in marks.items() if store.is_local]
    beside += [f"state/{stage}/{SHARDS}/" for stage in marks if store.is_local]
    for folder in ("", *beside):
        for name in store.files(folder):
            if name.endswith(TEMPORARY):
                store.remove(f"{folder}{name}")
