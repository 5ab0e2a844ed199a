"""What the items of a step made, added up as it comes in: a step of a hundred thousand items is a few megabytes.

The markers themselves say more: each block of an exchange file, which a gather asks for, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.engine.markers import Marker
from pipeline.engine.store import FileEntry

_N_HASH_BYTES = 32
_N_SIZE_BYTES = 8


@dataclass
class TaskCost:
    """Seconds of tasks, added up."""

    seconds: float = 0.0  # on the clock of each
    cpu_seconds: float | None = 0.0  # None: one of them was done by a version that did not count

    def add(self, other: TaskCost | Marker) -> None:
        self.seconds += other.seconds
        is_counted = self.cpu_seconds is not None and other.cpu_seconds is not None
        self.cpu_seconds = (self.cpu_seconds or 0.0) + (other.cpu_seconds or 0.0) if is_counted else None


class StepDone:
    """Which of `n_items` are done, with the sums and the largest of their counts, their problems, cost and files.

    The files of an item are held as bytes: as objects they would be ten times as large.
    """

    def __init__(self, n_items: int, *, keeps_files: bool = True) -> None:
        self.counts: dict[str, int] = {}
        self.most: dict[str, int] = {}  # the largest of each count that one item gave
        self.cost = TaskCost()
        self.n_files = self.n_bytes = self.n_done = 0
        self._problems: dict[int, str] = {}
        self._is_done = bytearray(n_items)
        self._files: list[tuple[bytes, ...]] = [()] * n_items if keeps_files else []

    def __len__(self) -> int:
        return len(self._is_done)

    def __contains__(self, item: int) -> bool:
        return bool(self._is_done[item])

    def missing(self) -> list[int]:
        """The items that are not done yet, in order."""
        return [item for item, is_done in enumerate(self._is_done) if not is_done]

    def add(self, item: int, marker: Marker) -> None:
        """Enter an item, once."""
        assert not self._is_done[item], item
        self._is_done[item] = 1
        self.n_done += 1
        self.cost.add(marker)
        for name, n in marker.counts.items():
            self.counts[name] = self.counts.get(name, 0) + n
            self.most[name] = max(self.most.get(name, n), n)
        if marker.problem is not None:
            self._problems[item] = marker.problem
        if self._files:
            self._files[item] = tuple(_packed(file) for file in marker.files)
            self.n_files += len(marker.files)
            self.n_bytes += sum(file.n_bytes for file in marker.files)

    def problems(self) -> dict[int, str]:
        """What is wrong with items that were skipped, in their order."""
        return dict(sorted(self._problems.items()))

    def files(self) -> Iterator[FileEntry]:
        """The files of all items, in their order."""
        return (_unpacked(file) for files in self._files for file in files)

    def files_of(self, item: int) -> list[FileEntry]:
        """The files of one item."""
        return [_unpacked(file) for file in self._files[item]]

    def count_too(self, *steps: StepDone) -> StepDone:
        """Itself, with the counts of inner steps added, so that the manifest shows them."""
        for step in steps:
            for name, n in step.counts.items():
                self.counts[name] = self.counts.get(name, 0) + n
        return self


def _packed(file: FileEntry) -> bytes:
    return bytes.fromhex(file.sha256) + file.n_bytes.to_bytes(_N_SIZE_BYTES) + file.path.encode()


def _unpacked(data: bytes) -> FileEntry:
    size_ends = _N_HASH_BYTES + _N_SIZE_BYTES
    n_bytes = int.from_bytes(data[_N_HASH_BYTES:size_ends])
    return FileEntry(data[size_ends:].decode(), n_bytes, data[:_N_HASH_BYTES].hex())
