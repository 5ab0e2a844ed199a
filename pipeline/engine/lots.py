"""Which items of a step one task works off, one after another.

A request to an object store takes its time and its price whatever it brings, so small shards cost there what large ones
do. Items that are small together are one *lot*: one task, with one marker, one exchange file and one look at each
table for all of them (`held.py`). A lot is a fraction of one shard of the default size, so there is no less to do side
by side than with such shards. How items are cut follows from the bytes of `documents` alone, never from workers. On a
local disk every item is a lot of its own, and so it is where shards are large.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

# Of shards of `documents` as they are stored, which is about half of their text.
LOT_BYTES = 8_000_000
LOT_ITEMS = 64  # a plain choice: requests that all items share are a few percent by then


@dataclass(frozen=True)
class Lots(Sequence[range]):
    """How `n_items` items are cut: lot k ends before item ends[k]. Without `ends` each is a lot of its own."""

    n_items: int
    ends: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.ends) or self.n_items

    @overload
    def __getitem__(self, number: int) -> range: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[range]: ...
    def __getitem__(self, number: int | slice) -> range | Sequence[range]:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        if not self.ends:
            return range(number, number + 1)
        return range(self.ends[number - 1] if number else 0, self.ends[number])

    def of(self, item: int) -> int:
        """The number of the lot that an item is in."""
        return bisect_right(self.ends, item) if self.ends else item


def cut_lots(n_bytes: Sequence[int]) -> Lots:
    """Neighbours together up to LOT_BYTES and LOT_ITEMS; what is larger stands alone."""
    ends: list[int] = []
    first = held = 0
    for item, n in enumerate(n_bytes):
        if item > first and (held + n > LOT_BYTES or item - first == LOT_ITEMS):
            ends.append(item)
            first, held = item, 0
        held += n
    if n_bytes:
        ends.append(len(n_bytes))
    return Lots(len(n_bytes), tuple(ends) if len(ends) < len(n_bytes) else ())


@dataclass(frozen=True)
class LotCut:
    """How the items of all steps are cut: those that are shards by their bytes, partitions by their part of all."""

    shards: Lots
    n_bytes: int  # of `documents`; 0: every item is a lot of its own

    @property
    def is_of_several(self) -> bool:
        """Whether any lot of shards holds several."""
        return len(self.shards) < self.shards.n_items

    def lots(self, n_items: int) -> Lots:
        """The lots of a step with so many items. Who reads what the step writes asks the same and hears the same."""
        if not self.n_bytes:
            return Lots(n_items)
        if n_items == self.shards.n_items:
            return self.shards
        size = min(LOT_ITEMS, LOT_BYTES * n_items // self.n_bytes)
        if size < 2 or n_items < 2:
            return Lots(n_items)
        return Lots(n_items, (*range(size, n_items, size), n_items))


ALONE = LotCut(Lots(0), 0)


def cut_of(n_bytes: Sequence[int]) -> LotCut:
    """The cut of a run whose shards of `documents` have so many bytes."""
    return LotCut(cut_lots(n_bytes), sum(n_bytes))
