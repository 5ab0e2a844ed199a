"""Neighbouring map stages run fused: each shard's text is read once for all tables that it still lacks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipeline.engine.blocks import Lazily
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor
from pipeline.engine.held import holding
from pipeline.engine.lots import Lots
from pipeline.engine.markers import Marker, Outcome, Stopwatch
from pipeline.engine.poison import find_poisonous, list_poisonous
from pipeline.engine.shards import KEY_CHARS, Shards, column_hash, key_of, write_shard_markers
from pipeline.engine.stage import MapStage, Stage, Workplace
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.engine.working import FileHashes, Lot, one_by_one
from pipeline.errors import StageError, WorkerDied
from pipeline.schema import DOCUMENTS

Made = TypeVar("Made")
Stages = tuple[tuple[MapStage, Tables], ...]
Lacking = dict[str, str]  # stage -> key of the shard


def tables_of(store: Store, stage: Stage, n_shards: int) -> Tables:
    """The tables that a stage may use."""
    return Tables(store, n_shards, stage.name, frozenset(table.name for table in stage.reads))


def work_off_maps(
    place: Workplace, store: Store, stages: Sequence[MapStage], *, rows: Sequence[str], lots: Lots, hashes: FileHashes
) -> dict[str, StepDone]:
    """Make the shards of all stages that do not stand; what is done of each.

    `rows` names, for each shard, the rows of `documents` that it holds.
    """
    label, n_shards = "+".join(s.name for s in stages), len(rows)
    tables = tuple((s, tables_of(store, s, n_shards)) for s in stages)
    keys = _keys_of(place.executor, tables, rows=rows, lots=lots, hashes=hashes, name=f"{label}.inputs")
    done: dict[str, StepDone] = {}
    for s, own in tables:
        shards = Shards(store, s.name, keys[s.name], Lazily(range(n_shards), partial(own.path, s.table)))
        done[s.name] = shards.standing(place.executor, by_hash=place.by_hash, skip_bad=place.skip_bad)

    def lacking(shard: int) -> Lacking:
        return {s.name: keys[s.name][shard] for s in stages if shard not in done[s.name]}

    todo = sorted({shard for of in done.values() for shard in of.missing()})
    numbers = sorted({lots.of(shard) for shard in todo})
    place.progress.stay(label, n_shards=n_shards - len(todo), of=n_shards)
    items = Lazily(numbers, lambda k: Lot(lots[k], [lacking(shard) for shard in lots[k]], hashes.of(lots[k])))
    with place.progress.step(label, n_items=n_shards, n_done=n_shards - len(todo)) as advance:
        try:
            for lot, markers in _worked_off(place.executor, partial(_annotate_lot, label, tables), items, name=label):
                for shard, made in zip(lot.items, markers, strict=True):
                    for name, marker in made.items():
                        done[name].add(shard, marker)
                    if made:
                        advance(next(iter(made.values())).counts)
        except WorkerDied as death:
            _find_poisonous(place, store, tables, label=label, death=death)
            raise
    return done


def _worked_off(
    executor: Executor, work: Callable[[Lot], list[Made]], todo: Sequence[Lot], *, name: str
) -> Iterator[tuple[Lot, list[Made]]]:
    """Yield (lot, its results). Where a lot takes its worker with it, its items are tried one by one, so that
    WorkerDied names a single one."""
    done: set[int] = set()
    while True:
        try:
            for lot, made in executor.map(work, todo, name=name):
                done.add(lot.items.start)
                yield lot, made
            return
        except WorkerDied as death:
            dead: Lot = death.item
            if len(dead.items) == 1:
                raise
        alone = [Lot(range(k, k + 1), (one,), {}) for k, one in zip(dead.items, dead.payloads, strict=True)]
        yield from executor.map(work, alone, name=name)
        done.add(dead.items.start)
        todo = [lot for lot in todo if lot.items.start not in done]


def _find_poisonous(place: Workplace, store: Store, stages: Stages, *, label: str, death: WorkerDied) -> None:
    """Raise PoisonedError where single documents of the shard are what its worker died of."""
    place.progress.warn(f"{death}; looking for the document that did it")
    items, (lacking,), _ = death.item
    if found := find_poisonous(stages, items.start, step=label, lacking=tuple(lacking)):
        raise list_poisonous(store, found) from death


# --- keys ------------------------------------------------------------------------------------------------------------


def _keys_of(
    executor: Executor, stages: Stages, *, rows: Sequence[str], lots: Lots, hashes: FileHashes, name: str
) -> dict[str, Sequence[str]]:
    """The keys of all shards of each stage."""
    decided = {s.name: key_of(s.name, s.version, s.config.model_dump(mode="json")) for s, _ in stages}
    found = {s.name: np.empty(len(rows), f"S{KEY_CHARS}") for s, _ in stages}
    items = Lazily(range(len(lots)), lambda k: Lot(lots[k], rows[lots[k].start : lots[k].stop], hashes.of(lots[k])))
    for lot, made in executor.map(partial(_keys_of_lot, stages, decided, name), items, name=name):
        for shard, keys in zip(lot.items, made, strict=True):
            for stage, key in keys.items():
                found[stage][shard] = key.encode()
    return {stage: Lazily(range(len(rows)), partial(_key_at, keys)) for stage, keys in found.items()}


def _key_at(keys: np.ndarray, shard: int) -> str:
    return bytes(keys[shard]).decode()


def _keys_of_lot(stages: Stages, decided: dict[str, str], label: str, lot: Lot) -> list[dict[str, str]]:
    if len(lot.items) == 1:
        return [_keys(stages, decided, lot.items.start, lot.payloads[0])]
    with holding(stages[0][1].store, lot.items, lot.hashes):
        return one_by_one(partial(_keys, stages, decided), lot, label=label)


def _keys(stages: Stages, decided: dict[str, str], shard: int, rows: str) -> dict[str, str]:
    """What decides one shard of each stage: the stage, its rows of documents, and the columns it reads beside them.

    `decided` names code and configuration of each stage. A neighbour's columns are not made yet; its key says as much.
    """
    keys: dict[str, str] = {}
    for stage, tables in stages:
        inputs = [
            keys[table.name] if table.name in keys else column_hash(tables.read(table, shard, columns=names))
            for table, names in stage.inputs
        ]
        keys[stage.name] = key_of(decided[stage.name], rows, inputs)
    return keys


# --- shards ----------------------------------------------------------------------------------------------------------


def _annotate_lot(label: str, stages: Stages, lot: Lot) -> list[dict[str, Marker]]:
    """Make the lacking tables of a lot's shards, then say so in one file for each stage."""
    store = stages[0][1].store
    if len(lot.items) == 1:
        made = [_annotate_shard(stages, lot.items.start, lot.payloads[0])]
    else:
        with holding(store, lot.items, lot.hashes) as here:
            made = one_by_one(partial(_annotate_shard, stages), lot, label=label)
            here.finish()
    for stage, _ in stages:
        pairs = zip(lot.payloads, made, strict=True)
        told = {keys[stage.name]: markers[stage.name] for keys, markers in pairs if stage.name in markers}
        if told:
            write_shard_markers(store, stage.name, told)
    return made


def _annotate_shard(stages: Stages, shard: int, lacking: Lacking) -> dict[str, Marker]:
    """Make the lacking tables of one shard. Each stage gets the columns that it declares and no other."""
    import pyarrow.compute as pc  # late: a run that stands needs none of it, and it takes a tenth of a second

    wanted = [(stage, tables) for stage, tables in stages if stage.name in lacking]
    if not wanted:
        return {}
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
        markers[stage.name], watch = watch.marker(Outcome((entry,), counts)), Stopwatch()
    return markers
