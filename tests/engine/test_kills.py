"""A few kills of each kind by `tests/bench/kill_runs.py`, which is for many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def kill(*kinds: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "bench" / "kill_runs.py"), *kinds],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rpartition("\n\n")[2]


def test_a_run_whose_processes_are_killed_has_the_bytes_of_one_left_alone() -> None:
    (line,) = kill("--process", "2").splitlines()
    assert line.startswith("process     2 of 2    kills") and line.endswith("all equal")


@pytest.mark.slow
@pytest.mark.ray
def test_a_run_whose_driver_workers_nodes_and_cluster_are_killed_has_the_bytes_of_one_left_alone() -> None:
    pytest.importorskip("ray")
    lines = kill("--driver", "3", "--worker", "3", "--node", "2", "--head", "1").splitlines()
    assert [line.split()[0] for line in lines] == ["driver", "worker", "node", "head"]
    assert all(line.endswith("all equal") for line in lines)
