"""Ray's own watch over a node's memory, with tasks that hold gigabytes. Slow, as all of it is real."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from pipeline.engine.executor import connect
from pipeline.errors import StageError


def hold(item: tuple[int, int, str]) -> int:
    """Hold so many bytes for some seconds; leave a line for each try."""
    number, n_bytes, log = item
    with Path(log).open("a") as file:
        file.write(f"{number}\n")
    held = bytearray(os.urandom(1 << 20)) * (n_bytes >> 20)
    time.sleep(4)
    return number + len(held) * 0


@pytest.mark.slow
@pytest.mark.ray
def test_tasks_that_have_no_room_side_by_side_run_alone_and_one_without_any_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = psutil.virtual_memory()
    room = 2_600_000_000  # with what Ray itself takes: for one of 1.2 GB, not for two
    if memory.available < 2 * room or psutil.cpu_count() == 1:
        pytest.skip("needs free memory and two cores")
    monkeypatch.setenv("RAY_memory_usage_threshold", str((memory.total - memory.available + room) / memory.total))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    log = str(tmp_path / "log")
    items = [(number, 1_200_000_000, log) for number in range(4)]
    with connect("local") as executor:
        assert sorted(number for _, number in executor.map(hold, items, name="hold")) == [0, 1, 2, 3]
        assert len(Path(log).read_text().split()) > 4  # some were ended, and came again
        with pytest.raises(StageError, match=r"hold: item 9 needs more memory than a node has") as failed:
            list(executor.map(hold, [(9, 4_000_000_000, log)], name="hold"))
    print(failed.value)
