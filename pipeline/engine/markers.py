"""What makes a piece of work done: a marker beside the files that it names, under the fingerprint it was made for.

    RUN/state/<stage>/<fingerprint>/<step>/<item>.json

Shards of `documents` and of map stages stand under keys of their own, see `shards.py`.

A marker is written after its files, so whoever finds one may believe them once their sizes and hashes agree. The
fingerprint in the path keeps two configurations apart: neither finds the other's markers, whatever a driver that was
cut off, or its last tasks, still write.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.arrays.cpu_clock import cpu_seconds
from pipeline.engine.store import FileEntry, Store

FINAL = "table"  # the step that writes the stage's own table


@dataclass(frozen=True)
class WorkStep:
    """One map over numbered items: which stage it belongs to, under which fingerprint, and its name in the stage."""

    stage: str
    mark: str
    name: str = ""

    @property
    def label(self) -> str:
        """How progress and errors call it."""
        return f"{self.stage}.{self.name}" if self.name else self.stage

    @property
    def folder(self) -> str:
        """Where its markers stand inside the run."""
        return f"{state_folder(self.stage, self.mark)}/{self.name or FINAL}"


def state_folder(stage: str, mark: str) -> str:
    """Where the markers of all steps of a stage stand inside the run."""
    return f"state/{stage}/{mark}"


@dataclass(frozen=True)
class Outcome:
    """What one task made: its files, and counts that add up over items."""

    files: tuple[FileEntry, ...]
    counts: dict[str, int]
    problem: str | None = None


@dataclass(frozen=True)
class Marker:
    """Proof that an item is done."""

    files: tuple[FileEntry, ...]
    counts: dict[str, int]
    problem: str | None
    seconds: float  # on the clock
    cpu_seconds: float | None = None  # of the worker and its children; None: made before it was counted


class Stopwatch:
    """What a piece of work costs, from here on: for its marker."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), cpu_seconds()

    def marker(self, outcome: Outcome) -> Marker:
        """The marker of work that is done now."""
        wall, cpu = time.perf_counter() - self._clock, cpu_seconds() - self._cpu
        return Marker(outcome.files, outcome.counts, outcome.problem, round(wall, 4), round(cpu, 4))


_MARKER = TypeAdapter(Marker)


def commit_item(
    task: Callable[..., Outcome], store: Store, step: WorkStep, keeps_files: bool, item: tuple[int, Any]
) -> Marker:
    """Run one task and write its marker; runs where the executor puts it. Returns what the driver needs of it."""
    index, payload = item
    marker = do_item(task, index, payload)
    write_marker(store, step, index, marker=marker)
    return light(marker, keeps_files=keeps_files)


def light(marker: Marker, *, keeps_files: bool = True) -> Marker:
    """The marker without the blocks of its files, which are nearly all of it; or without its files."""
    files = tuple(replace(file, blocks=()) if file.blocks else file for file in marker.files) if keeps_files else ()
    return replace(marker, files=files)


def do_item(task: Callable[..., Outcome], index: int, payload: Any) -> Marker:
    """Run one task; its marker is not written yet."""
    watch = Stopwatch()
    return watch.marker(task(index, payload))


def write_marker(store: Store, step: WorkStep, index: int, *, marker: Marker) -> None:
    """Commit an item's marker; the item is done from here on."""
    store.write_bytes(_path(step, index), to_bytes(marker))


def read_marker(store: Store, step: WorkStep, index: int) -> Marker | None:
    """The marker of an item; None where there is none that can be parsed: the item is not done."""
    return parse_marker(store.read_bytes(_path(step, index)))


def to_bytes(marker: Marker) -> bytes:
    """A marker as it is stored."""
    return json.dumps(asdict(marker), sort_keys=True).encode()


def parse_marker(data: bytes) -> Marker | None:
    """The inverse; None for anything else."""
    try:
        return _MARKER.validate_json(data)
    except ValidationError:
        return None


def read_markers(store: Store, step: WorkStep, items: Sequence[int] | None = None) -> dict[int, Marker]:
    """The readable markers of some items of a step, or of all, in as few requests as that takes."""
    paths = {_path(step, item): item for item in (items_marked(store, step) if items is None else items)}
    found = ((paths[path], parse_marker(data)) for path, data in store.read_many(paths).items())
    return {item: marker for item, marker in found if marker is not None}


def items_marked(store: Store, step: WorkStep) -> list[int]:
    """The items of a step that have a marker, in order; whether it can be read is another question."""
    numbers = (name.removesuffix(".json") for name in store.files(step.folder) if name.endswith(".json"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def intact_markers(
    store: Store,
    step: WorkStep,
    by_hash: bool,
    skip_bad: bool,
    keeps_files: bool,
    gone: Collection[str],
    items: Sequence[int],
) -> list[tuple[int, Marker]]:
    """Of some items the markers whose files stand undamaged. A skipped bad shard counts only while bad shards are
    skipped. Nothing is asked of files in the folders `gone`: what was made of them stands."""
    read = read_markers(store, step, items)
    asked = {
        item: replace(marker, files=tuple(f for f in marker.files if f.path.rpartition("/")[0] not in gone))
        for item, marker in read.items()
    }
    good = believed(store, asked, by_hash=by_hash, skip_bad=skip_bad)
    return [(item, light(read[item], keeps_files=keeps_files)) for item in good]


def believed(store: Store, markers: dict[int, Marker], *, by_hash: bool, skip_bad: bool) -> list[int]:
    """The items whose files stand undamaged and of which nothing was left out that must not be.

    Exchange files of a version that listed each piece in the marker are made anew.
    """
    open_ = {
        item: marker
        for item, marker in markers.items()
        if (marker.problem is None or skip_bad) and all(len(file.blocks) < 2 for file in marker.files)
    }
    files = [file for marker in open_.values() for file in marker.files]
    stands = dict(zip((file.path for file in files), store.intact(files, by_hash=by_hash), strict=True))
    return [item for item, marker in open_.items() if all(stands[file.path] for file in marker.files)]


def _path(step: WorkStep, index: int) -> str:
    return f"{step.folder}/{index:05d}.json"
