"""What makes a piece of work done: a marker beside the files that it names, under the fingerprint it was made for.

    RUN/state/<stage>/<fingerprint>/<step>/<item>.json                a marker
    RUN/state/<stage>/<fingerprint>/<step>/<first>-<last>.json        a list of those of a lot (`lots.py`)

<step> is `table` for the one that writes the stage's table, else its name behind the attempt (`attempts.py`).

Shards of `documents` and of map stages stand under keys of their own, see `shards.py`.

A marker is written after its files, so whoever finds one may believe them once their sizes and hashes agree. The
fingerprint in the path keeps two configurations apart: neither finds the other's markers, whatever a driver that was
cut off, or its last tasks, still write. What such tasks read may be the other's; so inner steps bear the attempt.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.arrays.cpu_clock import cpu_seconds
from pipeline.engine.said import Count, Seconds
from pipeline.engine.store import FileEntry, Store

FINAL = "table"  # the step that writes the stage's own table


@dataclass(frozen=True)
class WorkStep:
    """One map over numbered items: which stage it belongs to, under which fingerprint, and its name in the stage."""

    stage: str
    mark: str
    name: str = ""
    attempt: str = ""

    def named(self, name: str) -> "WorkStep":
        """Another step of the same attempt."""
        return replace(self, name=name)

    def own(self, name: str) -> str:
        """How a folder of this attempt is called."""
        return f"{self.attempt}-{name}" if self.attempt else name

    @property
    def place(self) -> str:
        """The folder of its markers among those of the stage's steps."""
        return self.own(self.name) if self.name else FINAL

    @property
    def label(self) -> str:
        """How progress and errors call it."""
        return f"{self.stage}.{self.name}" if self.name else self.stage

    @property
    def folder(self) -> str:
        """Where its markers stand inside the run."""
        return f"{state_folder(self.stage, self.mark)}/{self.place}"


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
    counts: dict[str, Count]
    problem: str | None
    seconds: Seconds  # on the clock
    cpu_seconds: Seconds | None = None  # of the worker and its children; None: made before it was counted


class Stopwatch:
    """What a piece of work costs, from here on: for its marker."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), cpu_seconds()

    def marker(self, outcome: Outcome) -> Marker:
        """The marker of work that is done now."""
        wall, cpu = time.perf_counter() - self._clock, cpu_seconds() - self._cpu
        return Marker(outcome.files, outcome.counts, outcome.problem, round(wall, 4), round(cpu, 4))


_MARKER = TypeAdapter(Marker)
_MARKERS = TypeAdapter(list[Marker])
_EITHER = TypeAdapter(Marker | list[Marker])


def light(marker: Marker, *, keeps_files: bool = True) -> Marker:
    """The marker without the blocks of its files, which are nearly all of it; or without its files."""
    if not marker.files:
        return marker
    files = tuple(replace(file, blocks=()) if file.blocks else file for file in marker.files) if keeps_files else ()
    return replace(marker, files=files)


def do_item(task: Callable[..., Outcome], index: int, payload: Any) -> Marker:
    """Run one task; its marker is not written yet."""
    watch = Stopwatch()
    return watch.marker(task(index, payload))


def write_marker(store: Store, step: WorkStep, index: int, *, marker: Marker) -> None:
    """Commit an item's marker; the item is done from here on."""
    write_markers(store, step, range(index, index + 1), markers=[marker])


def write_markers(store: Store, step: WorkStep, items: range, *, markers: Sequence[Marker]) -> None:
    """Commit the markers of a lot in one file; all of its items are done from here on."""
    data = to_bytes(markers[0]) if len(markers) == 1 else json.dumps([asdict(one) for one in markers], sort_keys=True)
    store.write_bytes(f"{step.folder}/{marker_name(items)}", data if isinstance(data, bytes) else data.encode())


def marker_name(items: range) -> str:
    """How the file with the markers of a lot is called: by its item, or by the first and the last."""
    return f"{items.start:05d}.json" if len(items) == 1 else f"{items.start:05d}-{items.stop - 1:05d}.json"


def read_lot(store: Store, step: WorkStep, items: range) -> list[Marker]:
    """The markers of a lot; none where its file cannot be parsed: it is not done."""
    return parse_markers(store.read_bytes(f"{step.folder}/{marker_name(items)}"), n=len(items))


def to_bytes(marker: Marker) -> bytes:
    """A marker as it is stored."""
    return json.dumps(asdict(marker), sort_keys=True).encode()


def parse_marker(data: bytes) -> Marker | None:
    """The inverse; None for anything else."""
    try:
        return _MARKER.validate_json(data)
    except ValidationError:
        return None


def parse_markers(data: bytes, *, n: int) -> list[Marker]:
    """The `n` markers of a file; none for anything else."""
    if n == 1:
        return [one] if (one := parse_marker(data)) is not None else []
    try:
        found = _MARKERS.validate_json(data)
    except ValidationError:
        return []
    return found if len(found) == n else []


def files_marked(store: Store, step: WorkStep) -> set[str]:
    """The files that any readable marker of a step names."""
    paths = [f"{step.folder}/{name}" for name in store.files(step.folder) if name.endswith(".json")]
    found = set[str]()
    for data in store.read_many(paths).values():
        with suppress(ValidationError):
            markers = _EITHER.validate_json(data)
            found |= {file.path for one in (markers if isinstance(markers, list) else [markers]) for file in one.files}
    return found


def intact_markers(
    store: Store,
    step: WorkStep,
    by_hash: bool,
    skip_bad: bool,
    trim: Callable[[Marker], Marker],
    gone: Collection[str],
    lots: Sequence[range],
) -> list[tuple[int, Marker]]:
    """Of some lots the items, with their markers, of which all files stand undamaged: all of a lot, or none. A skipped
    bad shard counts only while bad shards are skipped. Nothing is asked of files in the folders `gone`: what was made
    of them stands. What the driver needs of a marker is what `trim` leaves."""
    paths = {f"{step.folder}/{marker_name(lot)}": lot for lot in lots}
    read = {paths[path]: parse_markers(data, n=len(paths[path])) for path, data in store.read_many(paths).items()}
    asked = {
        item: replace(marker, files=tuple(f for f in marker.files if f.path.rpartition("/")[0] not in gone))
        for lot, markers in read.items()
        for item, marker in zip(lot, markers, strict=False)  # of a file that cannot be read there are none
    }
    good = set(believed(store, asked, by_hash=by_hash, skip_bad=skip_bad))
    return [
        (item, trim(marker))
        for lot, markers in read.items()
        if good.issuperset(lot)
        for item, marker in zip(lot, markers, strict=True)
    ]


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
