"""One table of a finished run: read shard by shard, held against its schema, and lent to other libraries.

Nothing is read before somebody asks, and never more than a shard at a time unless the whole is asked for. A table has
`__arrow_c_stream__`, so whatever speaks Arrow's PyCapsule interface takes it as it is: `pyarrow.table(t)`,
`polars.DataFrame(t)`, `pandas.DataFrame.from_arrow(t)`, `duckdb.from_arrow(t)`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.api.asked import number_of, text_of
from pipeline.engine.memory import give_back
from pipeline.engine.store import Store
from pipeline.errors import SchemaError
from pipeline.yaml_file import nearest

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl

_ROWS = 1_024  # that are Python objects at once


@dataclass(frozen=True)
class RunTable:
    """A table of a run, or some of its columns. Immutable and lazy; iterating gives rows as dicts, in order.

    Raises StoreError where a file is missing or damaged, SchemaError where it is another table.
    """

    name: str
    schema: pa.Schema
    paths: tuple[str, ...]  # of its shards, inside the run
    _store: Store
    _whole: pa.Schema  # the schema of the files

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in their order; their meanings stand in `docs/data.md`."""
        return tuple(self.schema.names)

    @property
    def files(self) -> tuple[str, ...]:
        """Full names of its shards: for a reader of your own, which then has to trust them."""
        return tuple(self._store.full(path) for path in self.paths)

    @property
    def is_local(self) -> bool:
        """Whether its files lie on a disk of this machine."""
        return self._store.is_local

    def select(self, *columns: str) -> RunTable:
        """The same table with these columns only, in this order: others are not read. SchemaError for unknown names."""
        for name in columns:
            if text_of(name, what="column") not in self._whole.names:
                raise SchemaError(f"{self.name}: has no column {name!r}{nearest(name, self._whole.names)}")
        return replace(self, schema=pa.schema([self._whole.field(name) for name in columns]))

    def shards(self) -> Iterator[pa.Table]:
        """One shard after another."""
        for path in self.paths:
            yield self._read(path)
            give_back()

    def _read(self, path: str) -> pa.Table:
        if not path.endswith(".arrow"):
            return self._store.read_parquet(path, schema=self._whole, columns=self.columns)
        if path.startswith("packed/"):
            return self._store.read_ipc(path, schema=self._whole, columns=self.columns)
        return self._store.read_mapped(path, schema=self._whole, columns=self.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The same as record batches of at most some thousand rows; empty shards give none."""
        for shard in self.shards():
            yield from shard.select(self.columns).to_batches(max_chunksize=_ROWS)

    def reader(self) -> pa.RecordBatchReader:
        """A stream of all batches, which can be read once."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow's PyCapsule interface: a new stream each time."""
        return self.reader().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches():
            yield from batch.to_pylist()

    def __len__(self) -> int:
        """Rows, counted by reading one small column."""
        names = sorted(self._whole, key=lambda field: _width(field.type))
        return sum(shard.num_rows for shard in self.select(names[0].name).shards())

    def head(self, n: int = 5) -> list[dict[str, Any]]:
        """The first `n` rows."""
        found: list[dict[str, Any]] = []
        n = min(number_of(n, what="n", least=0), sys.maxsize)
        for batch in self.batches():
            found += batch.slice(0, n - len(found)).to_pylist()
            if len(found) >= n:
                break
        return found

    def arrow(self) -> pa.Table:
        """All of it in memory: `select` first."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def polars(self) -> pl.LazyFrame:
        """A lazy frame: columns that a query does not use are not read, and shards stream. Needs polars."""
        from pipeline.api.lent import polars_of

        return polars_of(self)

    def pandas(self) -> pd.DataFrame:
        """All of it in memory as a data frame: `select` first. Needs pandas."""
        from pipeline.api.lent import pandas_of

        return pandas_of(self)

    def duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """A relation, on `connection` or duckdb's own. DuckDB reads local Parquet files by itself. Needs duckdb."""
        from pipeline.api.lent import duckdb_of

        return duckdb_of(self, connection)


def _width(kind: pa.DataType) -> int:
    """Bits of a value, or more than any number has."""
    return int(kind.bit_width) if pa.types.is_primitive(kind) else 1 << 10


def table_of(store: Store, name: str, *, schema: pa.Schema, paths: Sequence[str]) -> RunTable:
    """The table of a run that lies in these files."""
    return RunTable(name, schema, tuple(paths), store, schema)
