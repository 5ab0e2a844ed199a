"""`import pipeline`: what it offers stands in the docs, and costs nothing before it is used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline as loopmix

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python.md"


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_the_page_lists_exactly_the_names() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.split("<!-- names -->")[1].split("<!-- end -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == loopmix.__all__


def test_the_page_lists_exactly_what_a_run_and_a_table_can() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in (loopmix.FinishedRun, loopmix.RunTable):
        table = text.split(f"<!-- {kind.__name__} -->")[1].split("<!-- end -->")[0]
        cells = "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
        named = set(re.findall(r"`(\w+)(?:\(.*?\))?`", cells))
        own = {name for name in (*vars(kind), *kind.__annotations__) if not name.startswith("_")}
        assert named == own, kind.__name__


def test_importing_loads_no_library() -> None:
    heavy = "'torch', 'ray', 'datatrove', 'polars', 'pandas', 'duckdb', 'numpy', 'pyarrow', 'pydantic', 'numba', 'yaml'"
    assert run_python(f"import sys, pipeline; print([m for m in ({heavy}) if m in sys.modules])") == "[]"


def test_names_are_loaded_when_they_are_used_and_bring_none_of_the_heavy_ones() -> None:
    heavy = "'torch', 'ray', 'datatrove', 'polars', 'duckdb', 'obstore', 'transformers'"
    code = "import sys, pipeline; [getattr(pipeline, n) for n in pipeline.__all__];"
    assert run_python(f"{code} print([m for m in ({heavy}) if m in sys.modules])") == "[]"
    assert run_python("from pipeline import *; print(curate.__name__, Mixture.__name__)") == "curate PlainMixture"


def test_other_names_are_missing_as_in_any_module_and_modules_are_found() -> None:
    with pytest.raises(AttributeError, match="module 'pipeline' has no attribute 'curat'"):
        _ = loopmix.curat  # type: ignore[attr-defined]
    assert run_python("from pipeline import recipe; print(recipe.__name__)") == "pipeline.recipe"
    assert set(loopmix.__all__) <= set(dir(loopmix))


@pytest.mark.slow
def test_a_type_checker_sees_the_names(tmp_path: Path) -> None:
    script = tmp_path / "user.py"
    script.write_text(
        "import pipeline as loopmix\n"
        "run = loopmix.open_run('x')\n"
        "n: int = len(run.ledger)\n"
        "m = loopmix.Mixture(name='m', sources=[{'name': 'a', 'kind': 'directory', 'path': 'p'}])\n"
        "made = loopmix.curate(m, 'out', executor='inline', progress=lambda event, values: None)\n"
        "bad: str = made.sequences()\n"
    )
    pytest.importorskip("mypy")
    line = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(script)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert [re.sub(r"^.*?user\.py:", "", one) for one in done.stdout.splitlines()[:-1]] == [
        '6: error: Incompatible types in assignment (expression has type "Iterator[dict[str, Any]]", variable has type '
        '"str")  [assignment]'
    ], done.stdout
