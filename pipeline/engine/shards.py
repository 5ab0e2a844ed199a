"""Which shards of a table stay when the input grows or a setting changes.

A shard of `documents` is decided by the part of the input that it holds, a shard of a map stage by the stage and the
rows that it reads. The hash of just that is its *key*. Its marker stands under the key, not under its number or the
fingerprint of the stage, so a new file elsewhere in the input costs it nothing:

    RUN/state/<stage>/shards/<key>.json

A shard's name holds its number and their count. Where these changed, its file is renamed (on object storage that is a
copy inside the store) and never read.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import xxhash

from pipeline.engine.blocks import Lazily, in_blocks
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor
from pipeline.engine.markers import Marker, Outcome, believed, do_item, parse_marker, to_bytes
from pipeline.engine.store import Store, total_of

PLAN = "state/documents/plan.json"  # how the input was cut, from which the next plan starts
SHARDS = "shards"  # the folder beside those of fingerprints
KEY_CHARS = 32  # 128 bits of SHA-256, as in fingerprints


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
        marked = self.store.files(_folder(self.stage))
        asked = [shard for shard, key in enumerate(self.keys) if f"{key}.json" in marked]
        questions = Lazily(asked, lambda shard: (shard, self.keys[shard], by_hash and self.keys[shard] not in fresh))
        ask = partial(_believed, self.store, self.stage, skip_bad)
        for answers in in_blocks(executor, ask, questions, by_hash=by_hash, name=f"{self.stage}.check"):
            for shard, marker in answers:
                if marker.files[0].path == self.paths[shard]:
                    done.add(shard, marker)
                else:
                    elsewhere[shard] = to_bytes(marker)  # all shards may be: as objects they would take much more
        self._rename(elsewhere, executor, done)
        kept = {f"{self.keys[shard]}.json" for shard in range(len(done)) if shard in done}
        for name in marked:
            if name not in kept:
                self.store.remove(f"{_folder(self.stage)}/{name}")
        self._remove_others()
        return done

    def _remove_others(self) -> None:
        wanted = set(self.paths)
        for folder in {path.rpartition("/")[0] for path in self.paths}:
            for name in self.store.files(folder):
                if total_of(name) is not None and f"{folder}/{name}" not in wanted:
                    self.store.remove(f"{folder}/{name}")

    def _rename(self, elsewhere: dict[int, bytes], executor: Executor, done: StepDone) -> None:
        """Give every shard in `elsewhere` its name, but those that wait for each other's: they are made anew.

        In rounds: a name is taken only when nobody's file bears it any more.
        """
        pending = {_parsed(data).files[0].path: shard for shard, data in elsewhere.items()}
        while ready := [shard for shard in pending.values() if self.paths[shard] not in pending]:
            items = Lazily(ready, lambda s: (s, self.keys[s], self.paths[s], _parsed(elsewhere[s])))
            for item, marker in executor.map(partial(_rename_one, self.store, self.stage), items, name="rename"):
                del pending[item[3].files[0].path]
                done.add(item[0], marker)


def _parsed(data: bytes) -> Marker:
    marker = parse_marker(data)
    assert marker is not None
    return marker


def _believed(
    store: Store, stage: str, skip_bad: bool, shards: Sequence[tuple[int, str, bool]]
) -> list[tuple[int, Marker]]:
    """Of some shards, given with key and whether to read their files, the markers that can be believed."""
    paths = {shard: f"{_folder(stage)}/{key}.json" for shard, key, _ in shards}
    data = store.read_many(paths.values())
    found = {shard: parse_marker(data[path]) for shard, path in paths.items() if path in data}
    good: list[int] = []
    for by_hash in (True, False):
        asked = {shard: found.get(shard) for shard, _, reads in shards if reads == by_hash}
        there = {shard: marker for shard, marker in asked.items() if marker is not None}
        good += believed(store, there, by_hash=by_hash, skip_bad=skip_bad)
    return [(shard, marker) for shard in good if (marker := found[shard]) is not None]


def commit_shard(task: Callable[..., Outcome], store: Store, stage: str, item: tuple[int, tuple[str, Any]]) -> Marker:
    """Run the task of one shard and write its marker; runs where the executor puts it."""
    shard, (key, payload) = item
    marker = do_item(task, shard, payload)
    write_shard_marker(store, stage, key, marker=marker)
    return marker


def write_shard_marker(store: Store, stage: str, key: str, *, marker: Marker) -> None:
    """Commit a shard; it stands from here on."""
    store.write_bytes(f"{_folder(stage)}/{key}.json", to_bytes(marker))


def shard_files(store: Store, stage: str) -> set[str]:
    """The files that any marker of the stage's shards names."""
    keys = [n.removesuffix(".json") for n in store.files(_folder(stage)) if n.endswith(".json")]
    data = store.read_many(f"{_folder(stage)}/{key}.json" for key in keys)
    markers = (parse_marker(found) for found in data.values())
    return {entry.path for marker in markers if marker is not None for entry in marker.files}


def _rename_one(store: Store, stage: str, item: tuple[int, str, str, Marker]) -> Marker:
    """A stop after the first line leaves a marker of a file that is gone, so that this one shard is made anew."""
    _, key, path, marker = item
    (old,) = marker.files
    store.rename(old.path, path)
    moved = replace(marker, files=(replace(old, path=path),))
    write_shard_marker(store, stage, key, marker=moved)
    return moved


def _folder(stage: str) -> str:
    return f"state/{stage}/{SHARDS}"
