"""CPU time counts this process, and children that live on only until the kernel counts them itself."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from pipeline.arrays import cpu_clock
from pipeline.arrays.cpu_clock import cpu_seconds, report_child


def test_this_process_its_ended_children_and_what_living_ones_report_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_clock, "_lived", {"seconds": 0.0})
    monkeypatch.setattr(time, "process_time", lambda: 1.0)
    monkeypatch.setattr(os, "times", lambda: SimpleNamespace(children_user=0.25, children_system=0.125))
    assert cpu_seconds() == 1.375
    report_child(2.0)
    assert cpu_seconds() == 3.375
    report_child(-2.0)  # it has ended
    assert cpu_seconds() == 1.375
