"""Tables of a run for polars, pandas and duckdb, none of which Loopmix needs itself."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.api.tables import RunTable


def _needed(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(f"{package} is not installed here ({error}); pip install {package}") from error


def polars_of(table: RunTable) -> Any:
    """A polars LazyFrame that reads a shard at a time, and only the columns of the query."""
    polars = _needed("polars")
    register = _needed("polars.io.plugins").register_io_source

    def read(columns: list[str] | None, predicate: Any, n_rows: int | None, _: int | None) -> Iterator[Any]:
        # polars selects by itself what it asked for, so its own order of columns is kept.
        chosen = table if columns is None else table.select(*columns)
        left = n_rows
        for batch in chosen.batches():
            frame = polars.from_arrow(pa.Table.from_batches([batch]))
            if left is not None:  # counted before the predicate, as polars means it
                frame, left = frame.head(left), left - min(left, frame.height)
            yield frame if predicate is None else frame.filter(predicate)
            if left == 0:
                return

    schema = polars.from_arrow(table.schema.empty_table()).schema
    return register(read, schema=schema, is_pure=True)


def pandas_of(table: RunTable) -> Any:
    """A pandas DataFrame of the whole table."""
    _needed("pandas")
    return table.arrow().to_pandas()


def duckdb_of(table: RunTable, connection: Any) -> Any:
    """A relation of duckdb. From storage that duckdb cannot open by itself, and for Arrow files, batches stream in."""
    duckdb = _needed("duckdb")
    place = duckdb.default_connection() if connection is None else connection
    if table.is_local and table.paths and all(path.endswith(".parquet") for path in table.paths):
        names = ", ".join('"{}"'.format(name.replace('"', '""')) for name in table.columns)
        return place.read_parquet(list(table.files)).project(names)
    return place.from_arrow(table)
