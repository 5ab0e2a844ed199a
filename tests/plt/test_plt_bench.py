"""The benchmark of training speed in a tiny form: one process a model, and recomputation counted both ways."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "bench" / "bench_train.py"


@pytest.mark.slow
def test_bench_when_layers_are_recomputed_counts_that_in_one_column_only():
    options = ["--rows", "1", "--seq-len", "64", "--loops", "1", "2", "--rounds", "1", "--device", "cpu"]
    command = [sys.executable, str(SCRIPT), *options, "--recompute", "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    table = {line[:8].strip(): line[8:].split() for line in lines[2:5]}
    assert list(table) == ["plain", "R = 1", "R = 2"]
    mfu, hfu = ({name: float(of[i].rstrip("%")) for name, of in table.items()} for i in (3, 4))
    assert mfu["plain"] == hfu["plain"]
    assert all(mfu[name] < hfu[name] < 4 / 3 * mfu[name] + 0.1 for name in ("R = 1", "R = 2"))
    assert all(float(of[7]) > 0 for of in table.values())  # GiB
