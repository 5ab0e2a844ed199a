"""What a task of several items reads once for all of them, and writes when all are done.

Stages know nothing of it: their tasks work on one item, read tables and pieces, scatter rows and write a shard. While
the items of a lot (`lots.py`) are worked off, what they scatter waits for the last of them and becomes one file of each
channel; pieces of an exchange are fetched for all items with the first; small columns come from beside (`beside.py`).
What a task holds meanwhile is as much as one of a shard of some megabytes does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.engine.beside import Beside, make_beside, read_beside, small_columns, write_beside
from pipeline.engine.store import FileEntry, Store
from pipeline.schema import Table

if TYPE_CHECKING:
    from pipeline.engine.exchange import Channel

Hashes = Mapping[str, Sequence[str]]  # of tables: SHA-256 of the files of a lot's shards
Pieces = tuple[pa.Schema, dict[int, list[pa.RecordBatch]]]  # of one file: the batches of each partition


@dataclass
class HeldLot:
    """The items of a lot, and what is held for them."""

    store: Store
    items: range
    hashes: Hashes
    _scattered: dict[str, tuple[Channel, list[tuple[int, pa.Table, np.ndarray]]]] = field(default_factory=dict)
    _written: dict[str, tuple[Table, dict[int, tuple[pa.Table, str]]]] = field(default_factory=dict)
    _pieces: dict[str, tuple[range, Pieces]] = field(default_factory=dict)
    _beside: dict[str, Beside | None] = field(default_factory=dict)

    # --- what is read --------------------------------------------------------------------------------------------

    def columns(
        self, store: Store, table: Table, shard: int, names: Sequence[str], path_of: Callable[[int], str]
    ) -> pa.Table | None:
        """Columns of a shard as they stand beside those of its lot; None where they cannot stand there."""
        if store.root != self.store.root or table.name not in self.hashes or shard not in self.items:
            return None
        if not set(names) <= set(small_columns(table)):
            return None
        if table.name not in self._beside:
            hashes, paths = self.hashes[table.name], [path_of(shard) for shard in self.items]
            made = read_beside(store, hashes) or make_beside(store, table, paths, hashes=hashes)
            self._beside[table.name] = made
        found = self._beside[table.name]
        if found is None or not found.names.issuperset(names):
            return None
        return found.read(shard - self.items.start, names)

    def window(self, partition: int, *, of: tuple[int, int]) -> range:
        """The partitions to be fetched where one is wanted, in files that hold those `of` (first, last): those of all
        items, as a task that gathers for one gathers for each."""
        if partition not in self.items:
            return range(partition, partition + 1)
        return range(max(self.items.start, of[0]), min(self.items.stop, of[1]))

    def known(self, path: str, partition: int) -> Pieces | None:
        """What was fetched of a file, if the partition is of it."""
        window, pieces = self._pieces.get(path, (range(0), None))
        return pieces if partition in window else None

    def keep(self, path: str, window: range, pieces: Pieces) -> None:
        """Keep what was fetched for the other items."""
        self._pieces[path] = window, pieces

    # --- what is written -----------------------------------------------------------------------------------------

    def scatter(self, channel: Channel, source: int, table: pa.Table, partition: np.ndarray) -> FileEntry:
        """Take what an item scatters. The entry is of a file that is not there yet, and in no marker."""
        assert source in self.items, source
        path = channel.layers[0].file(channel.lots.of(source))
        self._scattered.setdefault(path, (channel, []))[1].append((source, table, partition))
        return FileEntry(path, 0, "")

    def wrote(self, table: Table, shard: int, data: pa.Table, entry: FileEntry) -> None:
        """Take note of a shard of a table."""
        small = data.select(small_columns(table))
        self._written.setdefault(table.name, (table, {}))[1][shard] = small, entry.sha256

    def finish(self) -> tuple[FileEntry, ...]:
        """Write the files of all items; returns those of channels."""
        files = [channel.write_lot(path, rows) for path, (channel, rows) in self._scattered.items()]
        for table, shards in self._written.values():
            if list(shards) == list(self.items):
                tables, hashes = zip(*shards.values(), strict=True)
                write_beside(self.store, table, tables, hashes=hashes)
        return tuple(files)


_HELD: ContextVar[HeldLot | None] = ContextVar("held", default=None)


def held() -> HeldLot | None:
    """What is held for the lot that is worked off here; None where there is none."""
    return _HELD.get()


@contextmanager
def holding(store: Store, items: range, hashes: Hashes) -> Iterator[HeldLot]:
    """Hold what the items of a lot read and write, while the block works them off."""
    made = HeldLot(store, items, hashes)
    token = _HELD.set(made)
    try:
        yield made
    finally:
        _HELD.reset(token)
