"""That the tables of a finished run have the same documents in a shard, as far as they are read anyway."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from pipeline.engine.store_errors import CURATE
from pipeline.errors import StoreError


@dataclass(frozen=True)
class _Read:
    """Rows that were read of a shard."""

    shard: int
    place: str
    n_rows: int
    ids: pa.ChunkedArray | None


@dataclass
class SameRows:
    """What was read last of the rows of one shard: readers join tables by nothing but the place of a row, so a shard of
    another number or run, whole in itself, would give wrong answers. Every shard but one is forgotten."""

    last: _Read | None = None  # put and taken whole, since a page's requests read side by side

    def __reduce__(self) -> tuple[Any, ...]:
        return SameRows, ()  # a task compares what it reads itself

    def refuse_other(self, read: pa.Table, *, shard: int, place: str) -> None:
        """Raise StoreError for a table, or columns of one, that has other rows than one read before."""
        ids = read["doc_id"] if "doc_id" in read.column_names else None
        last = self.last
        if last is None or shard != last.shard or place == last.place:
            self.last = _Read(shard, place, read.num_rows, ids)
            return
        if read.num_rows != last.n_rows:
            found = f"{read.num_rows:,} rows, but {last.n_rows:,}"
        elif ids is not None and last.ids is not None and not ids.equals(last.ids):
            found = "rows of other documents than there are"
        else:
            self.last = last if last.ids is not None else replace(last, ids=ids)
            return
        raise StoreError(
            f"{place}: has {found} in {last.place}; one of the two is another shard, or of another run; "
            f"`loopmix verify` says which files are not of this run; {CURATE}"
        )
