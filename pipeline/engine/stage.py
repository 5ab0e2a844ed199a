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
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays.keys import stage_key
from pipeline.engine import exchange
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import Executor
from pipeline.engine.markers import Marker, Outcome, WorkStep, commit_item, intact_markers
from pipeline.engine.merging import merge_files
from pipeline.engine.progress import Progress
from pipeline.engine.shards import Shards, commit_shard, key_of
from pipeline.engine.tables import Tables
from pipeline.errors import StageError
from pipeline.fields import Frozen
from pipeline.schema import DOCUMENTS, Table

_MARK_CHARS = 32  # 128 bits of SHA-256: no two configurations meet by chance, and paths stay readable


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
    """`make(job, config=config)` runs the stage's steps and returns the markers of the last, which writes its table."""

    name: str
    version: int
    make: Callable[..., list[Marker]]
    config: Frozen
    reads: tuple[Table, ...] = ()
    seed: int | None = None


Stage = MapStage | ExchangeStage


def fingerprint(stage: Stage, *, marks: dict[str, str]) -> str:
    """Hash of everything that decides the stage's bytes, given the fingerprints of the stages it reads."""
    config = stage.config.model_dump(mode="json")
    before = {table.name: marks[table.name] for table in stage.reads}
    parts = [stage.name, stage.version, config, stage.seed, before]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_MARK_CHARS]


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
    prefix: str = ""  # of the names of its steps
    merged: dict[WorkStep, list[Channel]] = field(default_factory=dict)  # behind each step, what it has filled

    def within(self, name: str) -> "Job":
        """The same job, whose steps and exchange files are named after a part of the stage's work."""
        return replace(self, prefix=f"{self.prefix}{name}.")

    @property
    def skip_bad(self) -> bool:
        """Whether to go on without input that cannot be read; a shard left out is named in its marker."""
        return self.workplace.skip_bad

    def key(self, purpose: str) -> np.uint64:
        """The 64-bit key of the stage's random choices."""
        if self.seed is None:
            raise StageError(f"{self.stage}: draws by a seed, which its line in recipe.py does not declare")
        return stage_key(self.seed, purpose)

    def step(self, name: str, task: Callable[..., Outcome], *, items: int | Sequence[Any]) -> list[Marker]:
        """Map `task(index, payload)` over items; a number stands for that many items without payload.

        Items whose files stand are not done again. Returns the markers of all items in their order. The step ends when
        the channels that it writes are merged, where they have so many files.
        """
        payloads = [None] * items if isinstance(items, int) else list(items)
        step = WorkStep(self.stage, self.mark, self._named(name))
        channels = self.merged.get(step, [])
        standing = [self._standing_layer(channel) for channel in channels]
        gone = {c.layers[0].folder for c, level in zip(channels, standing, strict=True) if level}
        markers = self._work_off(step, task, payloads, gone=gone)
        for channel, level in zip(channels, standing, strict=True):
            self._merge(channel, standing=level)
        return markers

    def _work_off(
        self, step: WorkStep, task: Callable[..., Outcome], payloads: list[Any], *, gone: Collection[str] = ()
    ) -> list[Marker]:
        """Do the items that do not stand; of files in the folders `gone`, which were merged, nothing is asked."""
        place, store = self.workplace, self.tables.store
        markers = intact_markers(store, step, by_hash=place.by_hash, skip_bad=place.skip_bad, gone=gone)
        todo = [(index, payload) for index, payload in enumerate(payloads) if index not in markers]
        work = partial(commit_item, task, store, step)
        with place.progress.step(step.label, n_items=len(payloads), n_done=len(payloads) - len(todo)) as advance:
            for (index, _), marker in place.executor.map(work, todo, name=step.label):
                markers[index] = marker
                advance(marker.counts)
        return [markers[index] for index in range(len(payloads))]

    def _standing_layer(self, channel: Channel) -> int:
        """The last merged layer of which all files stand, 0 where there is none. No layer before it is needed."""
        place, store = self.workplace, self.tables.store
        for level in range(len(channel.layers) - 1, 0, -1):
            layer = channel.layers[level]
            found = intact_markers(store, layer.step, by_hash=place.by_hash, skip_bad=place.skip_bad)
            if len(found) == layer.n_files:
                return level
        return 0

    def _merge(self, channel: Channel, *, standing: int) -> None:
        """Merge until the last layer stands. The files of a layer go as soon as the next is whole."""
        for level in range(1, len(channel.layers)):
            layer = channel.layers[level]
            if level > standing:
                self._work_off(layer.step, partial(merge_files, channel, level), [None] * layer.n_files)
            self.tables.store.remove(channel.layers[level - 1].folder)

    def shards(
        self, table: Table, task: Callable[..., Outcome], *, items: Sequence[Any], parts: Sequence[Any]
    ) -> list[Marker]:
        """Map `task(shard, payload)` over items, each of which writes one shard of the stage's own `table`.

        A shard stands, whatever its number, while `parts` of it (all that decides its bytes, as JSON can say it) and
        the version of the stage are the same. So nothing may enter a task that is not in its parts.
        """
        place, store = self.workplace, self.tables.store
        keys = [key_of(self.stage, self.version, part) for part in parts]
        table_of = Shards(store, self.stage, keys, [self.tables.path(table, shard) for shard in range(len(keys))])
        markers = table_of.standing(place.executor, by_hash=place.by_hash, skip_bad=place.skip_bad, fresh=place.fresh)
        todo = [(shard, (keys[shard], item)) for shard, item in enumerate(items) if shard not in markers]
        n_stay = sum(keys[shard] not in place.fresh for shard in markers)
        place.progress.stay(self.stage, n_shards=n_stay, of=len(keys))
        work = partial(commit_shard, task, store, self.stage)
        with place.progress.step(self.stage, n_items=len(keys), n_done=len(markers)) as advance:
            for (shard, _), marker in place.executor.map(work, todo, name=self.stage):
                markers[shard] = marker
                advance(marker.counts)
        return [markers[shard] for shard in range(len(keys))]

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
        writer, folder = WorkStep(self.stage, self.mark, step), f"{step}-{name}" if name else step
        channel = Channel(self.tables.store, writer, folder, n_sources, n_partitions, by_source, exchange.FAN_IN)
        if len(channel.layers) > 1:
            self.merged.setdefault(writer, []).append(channel)
        return channel

    def _named(self, step: str) -> str:
        """The step's name; the one that writes the table, which has none, is no part's."""
        return f"{self.prefix}{step}" if step else step
