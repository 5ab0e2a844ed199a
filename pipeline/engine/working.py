"""A task of one lot: its items one after another, then one marker for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from pipeline.engine.executor import failure
from pipeline.engine.held import Hashes, HeldLot, holding
from pipeline.engine.markers import Marker, Outcome, Stopwatch, WorkStep, do_item, write_markers
from pipeline.engine.memory import give_back
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import LoopmixError

Made = TypeVar("Made")


class Lot(NamedTuple):
    """What an executor hands to one task. Errors name it by its items."""

    items: range
    payloads: Sequence[Any]  # one for each item
    hashes: Hashes  # of the tables whose small columns stand beside each other, where items are shards


def commit_lot(
    task: Callable[..., Outcome], store: Store, step: WorkStep, trim: Callable[[Marker], Marker], lot: Lot
) -> list[Marker]:
    """Run the task of each item and write their markers; runs where the executor puts it. Returns what `trim` leaves
    of them, for the driver."""
    if len(lot.items) == 1:
        markers = [do_item(task, lot.items.start, lot.payloads[0])]
    else:
        with holding(store, lot.items, lot.hashes) as here:
            markers = one_by_one(lambda item, payload: do_item(task, item, payload), lot, label=step.label)
            markers = _with_files(here, markers)
    write_markers(store, step, lot.items, markers=markers)
    return [trim(marker) for marker in markers]


def one_by_one(task: Callable[[int, Any], Made], lot: Lot, *, label: str) -> list[Made]:
    """The results of all items of a lot; StageError names the one that fails."""
    made = []
    for item, payload in zip(lot.items, lot.payloads, strict=True):
        try:
            made.append(task(item, payload))
        except LoopmixError:
            raise
        except Exception as error:
            raise failure(label, item, error) from error
        give_back()
    return made


def _with_files(here: HeldLot, markers: list[Marker]) -> list[Marker]:
    """The markers, of which the first names the files that hold what all items scattered."""
    watch = Stopwatch()
    files = here.finish()
    names = {file.path for file in files}
    found = [replace(one, files=tuple(f for f in one.files if f.path not in names)) for one in markers]
    last = watch.marker(Outcome(files, {}))
    seconds, cpu = found[0].seconds + last.seconds, (found[0].cpu_seconds or 0.0) + (last.cpu_seconds or 0.0)
    found[0] = replace(found[0], files=(*files, *found[0].files), seconds=seconds, cpu_seconds=cpu)
    return found


@dataclass
class FileHashes:
    """SHA-256 of the files of tables, 32 bytes for each shard: they name what stands beside each other."""

    _of: dict[str, bytes] = field(default_factory=dict)

    def __contains__(self, table: str) -> bool:
        return table in self._of

    def add(self, table: str, files: Iterable[FileEntry]) -> None:
        """Enter a table's files, in the order of its shards."""
        self._of[table] = b"".join(bytes.fromhex(file.sha256) for file in files)

    def of(self, shards: range) -> Hashes:
        """Those of the shards of a lot. Of one by itself nothing stands beside."""
        if len(shards) < 2:
            return {}
        return {table: _each_hash(held[_SIZE * shards.start : _SIZE * shards.stop]) for table, held in self._of.items()}


_SIZE = 32


def _each_hash(data: bytes) -> tuple[str, ...]:
    return tuple(data[at : at + _SIZE].hex() for at in range(0, len(data), _SIZE))
