"""What a stage is, and what decides its bytes.

A stage makes one table. It sees its own configuration, the tables that it declares and, where it declares one, a seed;
nothing else. Its *fingerprint* is the hash of just that: name, code version, configuration, seed, and the fingerprints
of the stages that it reads. So a changed threshold redoes exactly what depends on it. Files outside the run (sources,
a tokenizer, benchmarks, other runs) stand in the configuration by their sizes, versions or hashes.

Two kinds: a MapStage is a pure function on one shard (neighbouring ones run fused, so the text is read once); an
ExchangeStage gets a Job and moves keys between shards through files.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from pipeline.arrays.keys import stage_key
from pipeline.engine import exchange
from pipeline.engine.blocks import Lazily, in_blocks
from pipeline.engine.done import StepDone, TaskCost
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import Executor
from pipeline.engine.lots import ALONE, LotCut, Lots
from pipeline.engine.markers import (
    Marker,
    Outcome,
    WorkStep,
    intact_markers,
    light,
    marker_name,
    state_folder,
)
from pipeline.engine.merging import merge_files
from pipeline.engine.progress import Progress
from pipeline.engine.shards import Shards, commit_shard, json_parts, key_of
from pipeline.engine.tables import Tables
from pipeline.engine.working import FileHashes, Lot, commit_lot
from pipeline.errors import StageError
from pipeline.fields import Frozen
from pipeline.schema import DOCUMENTS, Table

_MARK_CHARS = 32  # 128 bits of SHA-256: no two configurations meet by chance, and paths stay readable


@runtime_checkable
class Listing(Protocol):
    """A configuration that says some of its fields item by item."""

    def lists(self) -> dict[str, Iterator[Any]]: ...


@dataclass(frozen=True)
class MapStage:
    """`annotate(documents, *inputs, config=config)` returns the rows of `table` for one shard."""

    table: Table
    version: int
    annotate: Callable[..., pa.Table]
    config: Frozen
    columns: tuple[str, ...]  # of documents, the first argument
    inputs: tuple[tuple[Table, tuple[str, ...]], ...] = ()  # further arguments: a table and its columns

    seed = None  # a map stage draws nothing

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def reads(self) -> tuple[Table, ...]:
        return (DOCUMENTS, *(table for table, _ in self.inputs))


@dataclass(frozen=True)
class ExchangeStage:
    """`make(job, config=config)` runs the stage's steps and returns what the last has done, which writes its table."""

    name: str
    version: int
    make: Callable[..., StepDone]
    config: Frozen
    reads: tuple[Table, ...] = ()
    seed: int | None = None


Stage = MapStage | ExchangeStage


def fingerprint(stage: Stage, *, marks: dict[str, str]) -> str:
    """Hash of everything that decides the stage's bytes, given the fingerprints of the stages it reads."""
    before = {table.name: marks[table.name] for table in stage.reads}
    found = hashlib.sha256()

    def said(*parts: Any) -> str:
        return "".join(f", {json.dumps(part, sort_keys=True)}" for part in parts)

    # The JSON of a list of all five, but in parts, since a configuration may name millions of files.
    found.update(f"[{said(stage.name, stage.version)[2:]}, ".encode())
    for part in config_parts(stage.config):
        found.update(part.encode())
    found.update(f"{said(stage.seed, before)}]".encode())
    return found.hexdigest()[:_MARK_CHARS]


def config_parts(config: Frozen) -> Iterator[str]:
    """The JSON of a configuration in parts; where it has `lists`, these item by item."""
    lists = config.lists() if isinstance(config, Listing) else {}
    dumped = config.model_dump(mode="json", exclude=set(lists))
    return json_parts(dumped | lists, sort_keys=True)


@dataclass(frozen=True)
class Workplace:
    """Where steps run, and how much of what stands is believed."""

    executor: Executor
    progress: Progress
    skip_bad: bool = False  # go on without input shards that cannot be read
    by_hash: bool = True  # read finished files again before they are believed; else compare sizes
    fresh: frozenset[str] = frozenset()  # keys of shards that this start has committed itself: no need to read them


@dataclass(frozen=True)
class Job:
    """What an exchange stage may use: the tables it declares, its own steps and channels, its seed."""

    workplace: Workplace
    tables: Tables
    stage: str
    mark: str
    seed: int | None
    version: int = 0  # of the stage's code; part of the keys of its shards
    attempt: str = ""  # at the stage; in the paths of its inner steps
    prefix: str = ""  # of the names of its steps
    merged: dict[WorkStep, list[Channel]] = field(default_factory=dict)  # behind each step, what it has filled
    told: dict[WorkStep, list[Channel]] = field(default_factory=dict)  # of each step those whose readers need no marker
    inner: TaskCost = field(default_factory=TaskCost)  # of the steps so far that do not write the table
    cut: LotCut = ALONE  # which items one task works off
    hashes: FileHashes = field(default_factory=FileHashes)  # of the tables that it declares

    def within(self, name: str) -> "Job":
        """The same job, whose steps and exchange files are named after a part of the stage's work."""
        return replace(self, prefix=f"{self.prefix}{name}.")

    @cached_property
    def _begun(self) -> set[str]:
        """The steps of which there may be markers: one look for all."""
        return set(self.tables.store.folders(state_folder(self.stage, self.mark)))

    @property
    def skip_bad(self) -> bool:
        """Whether to go on without input that cannot be read; a shard left out is named in its marker."""
        return self.workplace.skip_bad

    def key(self, purpose: str) -> np.uint64:
        """The 64-bit key of the stage's random choices."""
        if self.seed is None:
            raise StageError(f"{self.stage}: draws by a seed, which its line in recipe.py does not declare")
        return stage_key(self.seed, purpose)

    def step(self, name: str, task: Callable[..., Outcome], *, items: int | Sequence[Any]) -> StepDone:
        """Map `task(index, payload)` over items; a number stands for that many items without payload.

        Items whose files stand are not done again. The step ends when the channels that it writes are merged, where
        they have so many files.
        """
        step = WorkStep(self.stage, self.mark, self._named(name), self.attempt)
        channels = self.merged.get(step, [])
        standing = [self._standing_layer(channel) for channel in channels]
        gone = frozenset(c.layers[0].folder for c, level in zip(channels, standing, strict=True) if level)
        n_items = items if isinstance(items, int) else len(items)
        done = self._work_off(step, task, items, lots=self.cut.lots(n_items), gone=gone)
        for channel, level in zip(channels, standing, strict=True):
            self._merge(channel, standing=level)
        return done

    def _work_off(
        self,
        step: WorkStep,
        task: Callable[..., Outcome],
        items: int | Sequence[Any],
        *,
        lots: Lots,
        gone: Collection[str] = (),
    ) -> StepDone:
        """Do the items that do not stand; of files in the folders `gone`, which were merged, nothing is asked."""
        place, store, writes_table = self.workplace, self.tables.store, not step.name
        done = self._standing(step, lots, gone=gone)

        def lot(number: int) -> Lot:
            mine = lots[number]
            payloads = [None] * len(mine) if isinstance(items, int) else items[mine.start : mine.stop]
            return Lot(mine, payloads, self.hashes.of(mine) if lots == self.cut.shards else {})

        todo = Lazily([number for number in range(len(lots)) if lots[number].start not in done], lot)
        work = partial(commit_lot, task, store, step, self._trim(step))
        with place.progress.step(step.label, n_items=lots.n_items, n_done=done.n_done) as advance:
            for (mine, *_), markers in place.executor.map(work, todo, name=step.label):
                for item, marker in zip(mine, markers, strict=True):
                    done.add(item, self._heard(step, marker))
                    advance(marker.counts)
        if not writes_table:
            self.inner.add(done.cost)
        elif self.cut.is_of_several and lots == self.cut.shards and done.n_files == lots.n_items:
            self.hashes.add(self.stage, done.files())
        return done

    def _standing(self, step: WorkStep, lots: Lots, *, gone: Collection[str] = ()) -> StepDone:
        """The items of a step whose files stand: all of a lot, or none."""
        place, store = self.workplace, self.tables.store
        done = StepDone(lots.n_items, keeps_files=not step.name)  # of other steps the manifest names no file
        if step.place not in self._begun:
            self._begun.add(step.place)
            return done
        ask = partial(intact_markers, store, step, place.by_hash, place.skip_bad, self._trim(step), gone)
        there = store.files(step.folder)
        marked = Lazily([k for k in range(len(lots)) if marker_name(lots[k]) in there], lots.__getitem__)
        answers = in_blocks(place.executor, ask, marked, by_hash=place.by_hash, name=f"{step.label}.check")
        for item, marker in chain.from_iterable(answers):
            done.add(item, self._heard(step, marker))
        return done

    def _trim(self, step: WorkStep) -> Callable[[Marker], Marker]:
        """What to leave of a marker on its way to the driver."""
        return _as_it_is if step in self.told else partial(light, keeps_files=not step.name)

    def _heard(self, step: WorkStep, marker: Marker) -> Marker:
        """What to keep of a marker that came to the driver."""
        for channel in self.told.get(step, ()):
            channel.tell([marker])
        return light(marker, keeps_files=not step.name)

    def _standing_layer(self, channel: Channel) -> int:
        """The last merged layer of which all files stand, 0 where there is none. No layer before it is needed."""
        for level in range(len(channel.layers) - 1, 0, -1):
            layer = channel.layers[level]
            if self._standing(layer.step, Lots(layer.n_files)).n_done == layer.n_files:
                return level
        return 0

    def _merge(self, channel: Channel, *, standing: int) -> None:
        """Merge until the last layer stands. The files of a layer go as soon as the next is whole."""
        for level in range(1, len(channel.layers)):
            layer = channel.layers[level]
            if level > standing:
                merge, n_files = partial(merge_files, channel, level), layer.n_files
                self._work_off(layer.step, merge, n_files, lots=Lots(n_files))
            self.tables.store.remove(channel.layers[level - 1].folder)

    def shards(
        self, table: Table, task: Callable[..., Outcome], *, items: Sequence[Any], parts: Iterable[Any]
    ) -> StepDone:
        """Map `task(shard, payload)` over items, each of which writes one shard of the stage's own `table`.

        A shard stands, whatever its number, while `parts` of it (all that decides its bytes, as JSON can say it) and
        the version of the stage are the same. So nothing may enter a task that is not in its parts.
        """
        place, store = self.workplace, self.tables.store
        keys = [key_of(self.stage, self.version, part) for part in parts]
        paths = Lazily(range(len(keys)), partial(self.tables.path, table))
        table_of = Shards(store, self.stage, keys, paths)
        done = table_of.standing(place.executor, by_hash=place.by_hash, skip_bad=place.skip_bad, fresh=place.fresh)
        todo = Lazily(done.missing(), lambda shard: (shard, (keys[shard], items[shard])))
        n_stay = sum(shard in done and key not in place.fresh for shard, key in enumerate(keys))
        place.progress.stay(self.stage, n_shards=n_stay, of=len(keys))
        work = partial(commit_shard, task, store, self.stage)
        with place.progress.step(self.stage, n_items=len(keys), n_done=done.n_done) as advance:
            for (shard, _), marker in place.executor.map(work, todo, name=self.stage):
                done.add(shard, marker)
                advance(marker.counts)
        return done

    def channel(
        self,
        step: str,
        name: str = "",
        *,
        n_sources: int,
        n_partitions: int,
        by_source: bool = False,
    ) -> Channel:
        """The exchange files that `step` of this stage will write; `name` tells several of one step apart.

        Item i of the step writes file i. Who reads them file by file says `by_source`: such files are never merged.
        """
        step = self._named(step)
        writer = WorkStep(self.stage, self.mark, step, self.attempt)
        folder = f"{step}-{name}" if name else step
        store, fan_in, lots = self.tables.store, exchange.FAN_IN, self.cut.lots(n_sources)
        channel = Channel(store, writer, folder, n_sources, n_partitions, by_source, fan_in, lots)
        if len(channel.layers) > 1:
            self.merged.setdefault(writer, []).append(channel)
        elif channel.layers[0].n_files <= exchange.FAN_IN and not store.is_local:
            self.told.setdefault(writer, []).append(channel)
        return channel

    def _named(self, step: str) -> str:
        """The step's name; the one that writes the table, which has none, is no part's."""
        return f"{self.prefix}{step}" if step else step


def _as_it_is(marker: Marker) -> Marker:
    return marker
