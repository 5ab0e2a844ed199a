"""Tasks in processes of this machine."""

from __future__ import annotations

import pickle

import pytest

from pipeline import errors
from pipeline.engine.processes import ProcessExecutor


def test_processes_yield_results_as_they_come_and_hand_errors_on():
    executor, found = ProcessExecutor(1), []
    with pytest.raises(TypeError):  # as abs of a text does
        for item, result in executor.map(abs, [-1, -2, "x"], name="t"):
            found.append((item, result))
    assert found == [(-1, 1), (-2, 2)]
    assert executor.describe() == "in 1 processes"


def test_every_error_travels_from_process_to_process():
    """One that does not looks like a worker that died."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LoopmixError)]
    assert len(kinds) > 5
    for kind in kinds:
        options = {"signal_number": 15} if kind is errors.StoppedError else {}
        found = pickle.loads(pickle.dumps(kind("a: b", **options)))
        assert type(found) is kind and str(found) == "a: b" and vars(found) == vars(kind("a: b", **options))
