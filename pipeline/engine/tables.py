"""The tables of one run, and for a stage only those that it declares."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.engine.held import held
from pipeline.engine.same_rows import SameRows
from pipeline.engine.store import FileEntry, Store, part
from pipeline.errors import StageError
from pipeline.schema import Table, check


@dataclass(frozen=True)
class Tables:
    """Shard k of an aligned table has the same rows as shard k of `documents`.

    `stage` is who uses them: it may read the tables `declared`, and its own. A reader of a finished run (`declared` is
    None) may read all. What a stage does not declare is not in its fingerprint, so reading it would let the stage stand
    when that table changes.
    """

    store: Store
    n_shards: int
    stage: str = ""
    declared: frozenset[str] | None = None
    same: SameRows | None = field(default=None, repr=False, compare=False)  # of a reader who joins tables by rows

    def path(self, table: Table, shard: int, *, of: int | None = None, suffix: str = "") -> str:
        """The shard's path inside the run. `of`: how many shards the table has, where it is not aligned; `suffix`: of a
        file beside its own."""
        if self.declared is not None and table.name not in self.declared | {self.stage}:
            raise StageError(f"{self.stage}: uses table {table.name!r}, which its line in recipe.py does not declare")
        assert table.aligned or of is not None, table.name
        return f"tables/{table.name}/{part(shard, of or self.n_shards, suffix=suffix or table.suffix)}"

    def read(
        self, table: Table, shard: int, *, columns: Sequence[str] | None = None, of: int | None = None
    ) -> pa.Table:
        """Shard `shard` of a table, or some of its columns, checked against its schema, and for `same` against the
        rows of what was read of this shard just before."""
        path, here = self.path(table, shard, of=of), held()
        if here is not None and columns is not None and of is None and table.aligned:
            found = here.columns(self.store, table, shard, columns, lambda other: self.path(table, other))
            if found is not None:
                return check(found, pa.schema([table.schema.field(name) for name in columns]), name=path)
        read = self.store.read_mapped if table.mapped else self.store.read_parquet
        return self._sound(read(path, schema=table.schema, columns=columns), table, shard, path)

    def _sound(self, data: pa.Table, table: Table, shard: int, path: str) -> pa.Table:
        if self.same is not None and table.aligned:
            self.same.refuse_other(data, shard=shard, place=self.store.full(path))
        return data

    def map(self, table: Table, shard: int, *, columns: Sequence[str]) -> pa.Table:
        """Columns of a shard of a mapped table, of which no page is read before it is used: their hashes are not
        compared. For slices of a shard that a step of the same stage has read whole."""
        path = self.path(table, shard)
        return self._sound(
            self.store.read_mapped(path, schema=table.schema, columns=columns, is_checked=False), table, shard, path
        )

    def write(self, table: Table, shard: int, *, data: pa.Table, of: int | None = None) -> FileEntry:
        """Commit shard `shard` of the stage's own table."""
        if self.declared is not None and table.name != self.stage:
            raise StageError(f"{self.stage}: writes table {table.name!r}, which is another stage's")
        write = self.store.write_mapped if table.mapped else self.store.write_parquet
        entry = write(self.path(table, shard, of=of), data, schema=table.schema)
        if (here := held()) is not None and table.aligned:
            here.wrote(table, shard, data, entry)
        return entry
