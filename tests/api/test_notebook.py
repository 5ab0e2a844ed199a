"""docs/first_run.ipynb runs, in its stored order, in an empty folder, and says what is stored.

LOOPMIX_WRITE_NOTEBOOK=1 stores its outputs anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "first_run.ipynb"


def test_it_runs_and_its_outputs_are_those_that_are_stored(tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    line = [sys.executable, str(Path(__file__).with_name("notebooks.py")), str(NOTEBOOK), str(tmp_path)]
    places = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": places})
    assert done.returncode == 0, done.stderr
    outputs: list[list[dict[str, Any]]] = json.loads(done.stdout)
    if os.environ.get("LOOPMIX_WRITE_NOTEBOOK"):
        for count, (cell, made) in enumerate(zip(code, outputs, strict=True), start=1):
            cell["outputs"], cell["execution_count"] = made, count
        NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [cell["outputs"] for cell in code] == outputs
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_it_is_small_and_a_notebook() -> None:
    assert NOTEBOOK.stat().st_size < 20_000
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
