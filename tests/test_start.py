"""What starting costs: what a command does not use, it does not import."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

_CODE = """
import sys
import pyarrow as pa
from pipeline.arrays.pandas_unasked import leave_pandas_out
{before}
leave_pandas_out()
pa.table({{"a": pa.array([1, None]), "b": pa.array(["x", "y"])}}).to_pylist()
print(sorted({{"pandas"}} & set(sys.modules)))
{after}
"""


def _said(before: str = "", after: str = "") -> str:
    code = _CODE.format(before=before, after=after)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_arrays_are_made_without_pandas() -> None:
    assert _said() == "[]"


@pytest.mark.skipif(find_spec("pandas") is None, reason="pandas is not installed")
def test_pandas_works_for_who_asks_for_it() -> None:
    assert _said(after="import pandas; print(len(pa.table({'a': [1]}).to_pandas()))") == "[]\n1"
    assert _said("import pandas") == "['pandas']"
