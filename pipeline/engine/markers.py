"""What makes a piece of work done: a marker beside the files that it names, under the fingerprint it was made for.

    RUN/state/<stage>/<fingerprint>/<step>/<item>.json

Shards of `documents` and of map stages stand under keys of their own, see `shards.py`.

A marker is written after its files, so whoever finds one may believe them once their sizes and hashes agree. The
fingerprint in the path keeps two configurations apart: neither finds the other's markers, whatever a driver that was
cut off, or its last tasks, still write.
"""

import json
import time
from collections.abc import Callable, Collection
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


def commit_item(task: Callable[..., Outcome], store: Store, step: WorkStep, item: tuple[int, Any]) -> Marker:
    """Run one task and write its marker; runs where the executor puts it."""
    index, payload = item
    marker = do_item(task, index, payload)
    write_marker(store, step, index, marker=marker)
    return marker


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


def read_markers(store: Store, step: WorkStep) -> dict[int, Marker]:
    """All readable markers of a step."""
    numbers = (name.removesuffix(".json") for name in store.files(step.folder) if name.endswith(".json"))
    found = {int(n): read_marker(store, step, int(n)) for n in numbers if n.isdecimal()}
    return {index: marker for index, marker in found.items() if marker is not None}


def intact_markers(
    store: Store, step: WorkStep, *, by_hash: bool, skip_bad: bool, gone: Collection[str] = ()
) -> dict[int, Marker]:
    """Markers whose files stand undamaged. A skipped bad shard counts only while bad shards are skipped. Nothing is
    asked of files in the folders `gone`: what was made of them stands. Exchange files of a version that listed each
    piece in the marker are made anew."""
    return {
        index: marker
        for index, marker in read_markers(store, step).items()
        if (marker.problem is None or skip_bad)
        and all(
            entry.path.rpartition("/")[0] in gone or (len(entry.blocks) < 2 and store.is_intact(entry, by_hash=by_hash))
            for entry in marker.files
        )
    }


def add_counts(markers: list[Marker], *steps: list[Marker]) -> list[Marker]:
    """`markers` with the counts of inner steps added to the first, so that the manifest shows them too."""
    if not markers:
        return markers
    counts = total_counts([markers[0], *(m for step in steps for m in step)])
    return [replace(markers[0], counts=counts), *markers[1:]]


def total_counts(markers: list[Marker]) -> dict[str, int]:
    """The counts of all markers added up."""
    counts: dict[str, int] = {}
    for marker in markers:
        for key, value in marker.counts.items():
            counts[key] = counts.get(key, 0) + value
    return counts


def _path(step: WorkStep, index: int) -> str:
    return f"{step.folder}/{index:05d}.json"
