"""Which shards of a table stay when the input grows or a setting changes.

A shard of `documents` is decided by the part of the input that it holds, a shard of a map stage by the stage and the
rows that it reads. The hash of just that is its *key*. Its marker stands under the key, not under its number or the
fingerprint of the stage, so a new file elsewhere in the input costs it nothing:

    RUN/state/<stage>/shards/<key>.json                   a marker
    RUN/state/<stage>/shards/<hash of keys>.lot.json      those of shards that one task made, by their keys (`lots.py`)

A shard's name holds its number and their count. Where these changed, its file is renamed (on object storage that is a
copy inside the store) and never read.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import xxhash
from pydantic import TypeAdapter, ValidationError

from pipeline.engine.blocks import Lazily, in_blocks
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor
from pipeline.engine.markers import Marker, Outcome, believed, do_item, parse_marker, to_bytes
from pipeline.engine.store import Store, total_of

PLAN = "state/documents/plan.json"  # how the input was cut, from which the next plan starts
SHARDS = "shards"  # the folder beside those of fingerprints
KEY_CHARS = 32  # 128 bits of SHA-256, as in fingerprints
_LOT = ".lot.json"
# On object storage: of shards that get other names, those that one task moves, and how large one may be that is read
# and written: the copy inside S3 that replaces nothing takes three requests.
_MOVED_TOGETHER = 16
_COPIED_BYTES = 8 << 20
Told = dict[str, Marker]  # what a file says of shards, by their keys
_MARKERS = TypeAdapter(Told)


def key_of(*parts: Any) -> str:
    """The hash of everything that decides a shard's bytes; parts are what JSON can say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:KEY_CHARS]


def json_parts(said: Mapping[str, Any], *, sort_keys: bool = False) -> Iterator[str]:
    """What `json.dumps` of a mapping says, in parts: a value that is an iterator is a list, written item by item."""
    keys = sorted(said) if sort_keys else list(said)
    for number, key in enumerate(keys):
        value, head = said[key], f"{', ' if number else '{'}{json.dumps(key)}: "
        if not isinstance(value, Iterator):
            yield head + json.dumps(value, sort_keys=sort_keys)
            continue
        yield f"{head}["
        for at, item in enumerate(value):
            yield (", " if at else "") + json.dumps(item, sort_keys=sort_keys)
        yield "]"
    yield "}" if keys else "{}"


def names_of(hashes: Iterable[str]) -> list[str]:
    """The hashes, each with the number of its equals before it: two shards without a row are two shards."""
    before: Counter[str] = Counter()
    names = []
    for found in hashes:
        names.append(f"{found}-{before[found]}")
        before[found] += 1
    return names


def column_hash(table: pa.Table) -> str:
    """A hash of a table's columns and rows, however they are cut into chunks."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return xxhash.xxh3_128_hexdigest(sink.getvalue())


@dataclass(frozen=True)
class Shards:
    """The shards of one stage's table: for each the key, and the name of its file inside the run."""

    store: Store
    stage: str
    keys: Sequence[str]
    paths: Sequence[str]

    def standing(self, executor: Executor, *, by_hash: bool, skip_bad: bool, fresh: Collection[str] = ()) -> StepDone:
        """All shards whose files stand undamaged, renamed to where they belong. Of the keys in `fresh` no file is read.

        Every other marker of the stage and every other file of its table is removed: from here on tasks write names
        that others held before.
        """
        done, elsewhere = StepDone(len(self.keys)), dict[int, bytes]()
        marked = Marked.of(self.store, self.stage)
        asked = [shard for shard, key in enumerate(self.keys) if marked.file(key)]

        def question(shard: int) -> _Question:
            key = self.keys[shard]
            return shard, key, marked.file(key) or "", key in marked.twice or (by_hash and key not in fresh)

        ask = partial(_believed, self.store, self.stage, skip_bad)
        name = f"{self.stage}.check"
        for answers in in_blocks(executor, ask, Lazily(asked, question), by_hash=by_hash, name=name):
            for shard, marker in answers:
                if marker.files[0].path == self.paths[shard]:
                    done.add(shard, marker)
                else:
                    elsewhere[shard] = to_bytes(marker)  # all shards may be: as objects they would take much more
        marked.drop_all_but({self.keys[shard] for shard in range(len(done)) if shard in done or shard in elsewhere})
        if elsewhere:
            self._rename(elsewhere, executor, done, marked)
            marked.drop_all_but({self.keys[shard] for shard in range(len(done)) if shard in done})
        self._remove_others()
        return done

    def _remove_others(self) -> None:
        wanted = set(self.paths)
        for folder in {path.rpartition("/")[0] for path in self.paths}:
            for name in self.store.files(folder):
                if total_of(name) is not None and f"{folder}/{name}" not in wanted:
                    self.store.remove(f"{folder}/{name}")

    def _rename(self, elsewhere: dict[int, bytes], executor: Executor, done: StepDone, marked: Marked) -> None:
        """Give every shard in `elsewhere` its name, but those that wait for each other's: they are made anew.

        In rounds: a name is taken only when nobody's file bears it any more.
        """
        pending = {_parsed(data).files[0].path: shard for shard, data in elsewhere.items()}
        together = 1 if self.store.is_local else _MOVED_TOGETHER
        while ready := [shard for shard in pending.values() if self.paths[shard] not in pending]:
            blocks = Lazily(range(0, len(ready), together), partial(self._moves, ready, elsewhere, together))
            for block, markers in executor.map(partial(_rename_some, self.store, self.stage), blocks, name="rename"):
                if stand := [key for (_, key, _, _), marker in zip(block, markers, strict=True) if marker is not None]:
                    marked.wrote(stand)
                for (shard, _, _, before), marker in zip(block, markers, strict=True):
                    del pending[before.files[0].path]
                    if marker is not None:
                        done.add(shard, marker)

    def _moves(self, ready: list[int], elsewhere: dict[int, bytes], n: int, first: int) -> list[_Move]:
        some = ready[first : first + n]
        return [(shard, self.keys[shard], self.paths[shard], _parsed(elsewhere[shard])) for shard in some]


def _parsed(data: bytes) -> Marker:
    marker = parse_marker(data)
    assert marker is not None
    return marker


_Question = tuple[int, str, str, bool]  # a shard, its key, the file of its marker, whether its files are to be read


def _believed(store: Store, stage: str, skip_bad: bool, shards: Sequence[_Question]) -> list[tuple[int, Marker]]:
    """Of some shards the markers that can be believed."""
    told = read_told(store, stage, {name for _, _, name, _ in shards})
    found = {shard: told[name][key] for shard, key, name, _ in shards if key in told.get(name, {})}
    found = {shard: marker for shard, marker in found.items() if _of_stage(marker, stage)}
    good: list[int] = []
    for by_hash in (True, False):
        there = {shard: found[shard] for shard, _, _, reads in shards if reads == by_hash and shard in found}
        good += believed(store, there, by_hash=by_hash, skip_bad=skip_bad)
    return [(shard, found[shard]) for shard in good]


def commit_shard(task: Callable[..., Outcome], store: Store, stage: str, item: tuple[int, tuple[str, Any]]) -> Marker:
    """Run the task of one shard and write its marker; runs where the executor puts it."""
    shard, (key, payload) = item
    marker = do_item(task, shard, payload)
    write_shard_marker(store, stage, key, marker=marker)
    return marker


def write_shard_marker(store: Store, stage: str, key: str, *, marker: Marker) -> None:
    """Commit a shard; it stands from here on."""
    write_shard_markers(store, stage, {key: marker})


def write_shard_markers(store: Store, stage: str, told: Told) -> None:
    """Commit the shards that one task made in one file; they stand from here on."""
    if len(told) == 1:
        (data,) = (to_bytes(marker) for marker in told.values())
    else:
        data = json.dumps({key: asdict(marker) for key, marker in told.items()}, sort_keys=True).encode()
    store.write_bytes(f"{_folder(stage)}/{_name_of(told)}", data)


def _name_of(keys: Collection[str]) -> str:
    return f"{key_of(*sorted(keys))}{_LOT}" if len(keys) > 1 else f"{next(iter(keys))}.json"


def read_told(store: Store, stage: str, names: Iterable[str]) -> dict[str, Told]:
    """The markers of shards in files of these names; what cannot be read is left out."""
    paths = {f"{_folder(stage)}/{name}": name for name in names}
    return {paths[path]: _told(paths[path], data) for path, data in store.read_many(paths).items()}


def _told(name: str, data: bytes) -> Told:
    if name.endswith(_LOT):
        try:
            return _MARKERS.validate_json(data)
        except ValidationError:
            return {}
    marker = parse_marker(data)
    return {} if marker is None else {name.removesuffix(".json"): marker}


def _of_stage(marker: Marker, stage: str) -> bool:
    """Whether a marker names one file where the stage puts its shards: it is renamed, and no other file may be."""
    places = (f"tables/{stage}/", f"work/{stage}/")
    return len(marker.files) == 1 and marker.files[0].path.startswith(places)


def shard_files(store: Store, stage: str) -> set[str]:
    """The files that any marker of the stage's shards names."""
    told = read_told(store, stage, (n for n in store.files(_folder(stage)) if n.endswith(".json")))
    return {entry.path for markers in told.values() for marker in markers.values() for entry in marker.files}


def change_markers(store: Store, stage: str, change: Callable[[Marker], Marker | None]) -> None:
    """Put other markers in the place of those of a stage's shards, or none."""
    for name, before in read_told(
        store, stage, (n for n in store.files(_folder(stage)) if n.endswith(".json"))
    ).items():
        after = {key: told for key, marker in before.items() if (told := change(marker)) is not None}
        if after != before:
            if after:
                write_shard_markers(store, stage, after)
            if set(after) != set(before):
                store.remove(f"{_folder(stage)}/{name}")


@dataclass
class Marked:
    """The markers of a stage's shards that stand."""

    store: Store
    stage: str
    names: set[str]  # of files
    lots: dict[str, frozenset[str]]  # of those that hold several: their keys
    in_lots: dict[str, str]  # key -> such a file
    twice: set[str]  # keys of which two files speak, as a stop amid renaming leaves them: either may be the old one

    @classmethod
    def of(cls, store: Store, stage: str) -> Marked:
        """Look. Files of lots are read, as only they say whose they are."""
        names = set(store.files(_folder(stage)))
        told = read_told(store, stage, sorted(name for name in names if name.endswith(_LOT)))
        lots = {name: frozenset(told.get(name, ())) for name in names if name.endswith(_LOT)}
        in_lots: dict[str, str] = {}
        twice = {key for keys in lots.values() for key in keys if f"{key}.json" in names}
        for name in sorted(lots):
            twice.update(in_lots.keys() & lots[name])
            in_lots.update(dict.fromkeys(lots[name], name))
        return cls(store, stage, names, lots, in_lots, twice)

    def file(self, key: str) -> str | None:
        """The file that speaks of a key; None where there is none."""
        return self.in_lots.get(key) or (name if (name := f"{key}.json") in self.names else None)

    def wrote(self, keys: Sequence[str]) -> None:
        """Markers of these keys were just written together."""
        name = _name_of(keys)
        self.names.add(name)
        self.lots[name] = frozenset(keys)
        self.in_lots.update(dict.fromkeys(keys, name))

    def drop_all_but(self, keys: Collection[str]) -> None:
        """Remove the markers of all others; a lot of which some stay is written anew before it goes."""
        for name in sorted(self.names):
            mine = self.lots.get(name) or {name.removesuffix(".json")}
            stay = sorted(key for key in mine if key in keys and self.file(key) == name)
            if len(stay) == len(mine):
                continue
            if stay:
                told = read_told(self.store, self.stage, [name])[name]
                write_shard_markers(self.store, self.stage, {key: told[key] for key in stay})
                self.wrote(stay)
            self.store.remove(f"{_folder(self.stage)}/{name}")
            self.names.discard(name)


_Move = tuple[int, str, str, Marker]  # a shard, its key, the name that it gets, its marker


def _rename_some(store: Store, stage: str, moves: Sequence[_Move]) -> list[Marker | None]:
    """The markers of the moved; None of a file that is found damaged. A stop before the markers are written leaves some
    of files that are gone, so that these shards are made anew."""
    moved: dict[str, Marker | None] = {}
    copied: list[str] = []
    for _, key, path, marker in moves:
        (old,) = marker.files
        if store.is_local or old.n_bytes > _COPIED_BYTES:
            store.rename(old.path, path)
        else:
            data = store.read_bytes(old.path)
            if hashlib.sha256(data).hexdigest() != old.sha256:
                moved[key] = None
                continue
            store.write_bytes(path, data)
            copied.append(old.path)
        moved[key] = replace(marker, files=(replace(old, path=path),))
    if told := {key: marker for key, marker in moved.items() if marker is not None}:
        write_shard_markers(store, stage, told)
    if others := [path for path in copied if not path.startswith("work/")]:  # which goes as a whole
        store.remove_files(others)
    return list(moved.values())


def _folder(stage: str) -> str:
    return f"state/{stage}/{SHARDS}"
