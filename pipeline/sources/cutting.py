"""Open slices are read before the shards of a run are counted: one task reads one to its end and writes its shards.

The names of shards hold their count, so these wait in `work/` under names of their own, committed under the keys that
they will have; `ingest` finds them standing and renames them. Where a slice was cut is kept with the plan. Until there
is one it stands in `state/`, so that a start that was cut short does not read again what was read to its end.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

from pydantic import TypeAdapter, ValidationError

from pipeline.config import Source
from pipeline.engine.forgotten import read_forgotten, without_forgotten
from pipeline.engine.lots import LOT_ITEMS
from pipeline.engine.markers import Marker, Outcome, Stopwatch
from pipeline.engine.shards import SHARDS, key_of, write_shard_markers
from pipeline.engine.stage import Workplace
from pipeline.engine.store import Store
from pipeline.errors import StoreError, WorkerDied
from pipeline.schema import DOCUMENTS
from pipeline.sources import Slice, read_parts
from pipeline.sources.documents import REMEDY, Cut, Limits, Reading, named, taken
from pipeline.sources.sampling import Sampling

_STEP = "cut"
_CUT = TypeAdapter(Cut)


@dataclass(frozen=True)
class Cutting:
    """What became of the slices of a plan."""

    slices: list[Slice]  # none is open
    cuts: dict[str, Cut]  # by key, of all open ones
    fresh: frozenset[str]  # keys of shards that were just committed


@dataclass(frozen=True)
class _Task:
    """An open slice on its way to a worker."""

    key: str
    source: Source
    piece: Slice
    limits: Limits
    shard_bytes: int
    version: int
    sampling: Sampling | None


def cut_open(
    place: Workplace,
    store: Store,
    reading: Reading,
    *,
    slices: Sequence[Slice],
    shard_bytes: int,
    known: Mapping[str, Cut],
) -> Cutting:
    """Read the open ones of `slices` that are not `known`, and put the shards that they make in their places."""
    sources, limits = reading.sources, reading.limits
    keys = {i: key_of(_STEP, reading.version, shard_bytes, reading.part(s)) for i, s in enumerate(slices) if s.is_open}
    found = {key: known.get(key) or _read(store, key) for key in keys.values()}
    cuts = {key: cut for key, cut in found.items() if cut is not None and (cut.problem is None or place.skip_bad)}
    todo = [
        (i, _Task(key, sources[slices[i].source], slices[i], limits, shard_bytes, reading.version, reading.sampling))
        for i, key in keys.items()
        if key not in cuts
    ]
    fresh: set[str] = set()
    if todo:
        name = f"{DOCUMENTS.name}.{_STEP}"
        with place.progress.step(name, n_items=len(keys), n_done=len(keys) - len(todo)) as advance:
            work = partial(_cut, store, place.skip_bad)
            try:
                for (_, task), cut in place.executor.map(work, todo, name=name):
                    cuts[task.key] = cut
                    fresh.update(_keys(task, cut))
                    advance(cut.counts)
            except WorkerDied as death:
                raise named(death, death.item[1].piece) from death
    made = [s.parts(cuts[keys[i]].starts) if s.is_open else [s] for i, s in enumerate(slices)]
    return Cutting([one for parts in made for one in parts], cuts, frozenset(fresh))


def _read(store: Store, key: str) -> Cut | None:
    if data := store.find(_path(key)):
        with suppress(ValidationError):
            return _CUT.validate_json(data)
    return None


def _cut(store: Store, skip_bad: bool, item: tuple[int, _Task]) -> Cut:
    """Read one slice and commit its shards, all of them when it has been read to its end: damage may come last."""
    _, task = item
    starts: list[int] = []
    markers: list[Marker] = []
    tables = read_parts(task.source, task.piece, shard_bytes=task.shard_bytes, **task.limits._asdict())
    problem, watch, forgotten = None, Stopwatch(), read_forgotten(store)
    try:
        for first, documents in tables:
            documents, counts = taken(documents, source=task.source, sampling=task.sampling)
            documents = without_forgotten(documents, forgotten)
            entry = store.write_parquet(_work(task.key, len(starts)), documents, schema=DOCUMENTS.schema)
            starts.append(first)
            markers.append(watch.marker(Outcome((entry,), counts)))
            del documents  # before the next one is made: what is held is one shard
            watch = Stopwatch()
    except StoreError as error:
        if not skip_bad:
            raise StoreError(f"source {task.source.name!r}: {error}; {REMEDY}") from error
        problem, starts = str(error), [0]
        entry = store.write_parquet(_work(task.key, 0), DOCUMENTS.schema.empty_table(), schema=DOCUMENTS.schema)
        markers = [watch.marker(Outcome((entry,), {"n_docs": 0, "n_bytes": 0}, problem))]
    sums = {name: sum(m.counts[name] for m in markers) for name in ("n_docs", "n_bytes")}
    cut = Cut(tuple(starts), sums, problem)
    told = list(zip(_keys(task, cut), markers, strict=True))
    together = 1 if store.is_local else LOT_ITEMS
    for first in range(0, len(told), together):
        write_shard_markers(store, DOCUMENTS.name, dict(told[first : first + together]))
    store.write_bytes(_path(task.key), json.dumps(asdict(cut)).encode())
    return cut


def _keys(task: _Task, cut: Cut) -> list[str]:
    """The keys of the shards of a slice."""
    reading = Reading({task.source.name: task.source}, task.limits, task.version, task.sampling)
    return [reading.key(part) for part in task.piece.parts(cut.starts)]


def _path(key: str) -> str:
    return f"state/{DOCUMENTS.name}/{_STEP}/{key}.json"


def _work(key: str, number: int) -> str:
    return f"work/{DOCUMENTS.name}/{SHARDS}/{key}-{number:05d}.parquet"
