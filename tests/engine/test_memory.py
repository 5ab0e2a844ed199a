"""What tasks have freed goes back to the system, but not after every small one."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine import memory
from pipeline.engine.memory import give_back

ROOT = Path(__file__).resolve().parents[2]
needs_glibc = pytest.mark.skipif(memory._trim() is None, reason="this C library cannot be asked")


GROWS_AND_SHRINKS = """
from pipeline.engine.memory import give_back, resident_bytes
give_back()
start = resident_bytes()
pieces = [bytes(2_000) for _ in range(100_000)]  # too small to be mapped alone, so the heap grows
assert resident_bytes() > start + 150_000_000
stay = pieces[::100]  # so that the heap cannot simply end earlier
del pieces
give_back()
assert resident_bytes() < start + 80_000_000
assert len(stay) == 1_000
"""


@needs_glibc
def test_freed_memory_goes_back_once_there_is_enough_of_it() -> None:
    """In a process of its own: one that has run other tests has room that was freed before."""
    subprocess.run([sys.executable, "-c", GROWS_AND_SHRINKS], cwd=ROOT, check=True)


@needs_glibc
def test_a_process_that_has_not_grown_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(memory, "_trim", lambda: asked.append)
    monkeypatch.setattr(memory, "_held", 100)
    monkeypatch.setattr(memory, "resident_bytes", lambda: 100 + memory._SLACK_BYTES - 1)
    give_back()
    assert asked == []
    monkeypatch.setattr(memory, "resident_bytes", lambda: 100 + memory._SLACK_BYTES)
    give_back()
    give_back()
    assert asked == [0]


def test_nothing_happens_where_the_library_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    monkeypatch.setattr(memory, "resident_bytes", lambda: pytest.fail("looked"))
    give_back()
