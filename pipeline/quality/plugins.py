"""Plug-ins: functions of other packages that measure numbers about documents, found by entry point.

A distribution declares `[project.entry-points."loopmix.features"] NAME = "package.module:function"`. The function gets
the documents of a shard as an Arrow table and returns columns of numbers with as many rows; null: not measured.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import StageError
from pipeline.installed import FEATURES, Installed, find_installed


def find_plugin(name: str) -> Installed:
    """The installed plug-in of that name. ConfigError if there is none, are several, or it cannot be imported."""
    return find_installed(name, group=FEATURES, where="quality.plugins")


def measure_with(plugin: Installed, documents: pa.Table) -> dict[str, np.ndarray]:
    """The plug-in's columns, float64 [n] each, NaN where it measured nothing. StageError for anything else."""
    who = f"plug-in {plugin.name} ({plugin.version})"
    try:
        returned = plugin.function(documents)
    except Exception as error:
        raise StageError(f"{who} failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    if isinstance(returned, pa.Table | pa.RecordBatch):
        returned = dict(zip(returned.schema.names, returned.columns, strict=True))
    if not isinstance(returned, Mapping):
        raise StageError(f"{who} returned {type(returned).__name__}, expected columns by name: a dict or a table")
    n = documents.num_rows
    return {str(name): _numbers(column, n=n, who=f"{who}, column {name!r}") for name, column in returned.items()}


def _numbers(column: Any, *, n: int, who: str) -> np.ndarray:
    """A column as float64, NaN for null. StageError if it is none of numbers, or of another length."""
    try:
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, from_pandas=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise StageError(f"{who}: is no column of numbers: {' '.join(str(error).split())[:200]}") from error
    if len(array) != n:
        raise StageError(f"{who}: has {len(array)} rows, expected {n}, one for each document")
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if not any(test(array.type) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)):
        raise StageError(f"{who}: has type {array.type}, expected numbers or booleans")
    values = pa.chunked_array([array] if isinstance(array, pa.Array) else array.chunks, array.type).cast(pa.float64())
    if wrong := pc.sum(pc.invert(pc.is_finite(values))).as_py():
        raise StageError(f"{who}: {wrong} values are NaN or infinite; write null for what was not measured")
    numbers: np.ndarray = pc.fill_null(values, np.nan).to_numpy()
    return numbers
