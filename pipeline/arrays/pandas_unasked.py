"""Keeps pyarrow from importing pandas, which nothing here uses, with the first array that it makes."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("not now", name=fullname)


def leave_pandas_out() -> None:
    """Let pyarrow find no pandas at its one look for it: where it is installed, that import takes half a second.

    Nothing is hidden for good: `import pandas` and pyarrow's `to_pandas` work as ever. Only `pa.array` no longer knows
    a pandas object when it sees one, so this is for commands whose arrays are all of our own making.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)
