"""What a driver asks of its storage does not grow with the number of shards; and the script that measures it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PHASES = ("first", "again by size", "again by hash", "read manifest")


def costs(folder: Path, *, n_shards: int) -> dict[str, int]:
    """Requests of the driver in each phase."""
    script = ROOT / "tests/bench/bench_driver_scale.py"
    found = {}
    for phase in PHASES:
        line = [
            sys.executable,
            str(script),
            "--phase",
            phase,
            "--shards",
            str(n_shards),
            "--folder",
            str(folder / "run"),
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found[phase] = sum(json.loads(done.stdout)["requests"].values())
    return found


@pytest.fixture(scope="module")
def of_few(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return costs(tmp_path_factory.mktemp("few"), n_shards=100)


@pytest.fixture(scope="module")
def of_more(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return costs(tmp_path_factory.mktemp("more"), n_shards=400)


@pytest.mark.parametrize("phase", PHASES)
def test_four_times_the_shards_are_no_more_requests(
    of_few: dict[str, int], of_more: dict[str, int], phase: str
) -> None:
    assert of_few[phase] > 0
    assert of_more[phase] == of_few[phase]
