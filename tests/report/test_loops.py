"""Loop diagnostics as a table, a page and JSON."""

from __future__ import annotations

import math

from hand_run import hand_loop

from pipeline.report.loops import diagnosis_table, lines, write_diagnosis
from pipeline.results import Diagnostics, Stat, from_json, to_json


def _found() -> Diagnostics:
    first = hand_loop(1, effective_rank=30.5, step_size=Stat(12.5, 0.25), gate_mean=None)
    second = hand_loop(2, effective_rank=31.0, step_size=Stat(math.nan, math.nan), gate_mean=Stat(0.6, 0.01))
    return Diagnostics(4, 1000, 64, 64, loops=(first, second))


def test_table_when_measures_are_missing_or_not_finite_says_so():
    found = {row[0]: row[2:] for row in diagnosis_table(_found()).rows}
    assert found["step size"] == ("12.50 ± 0.25", "not finite", "846, 464, 1014")
    assert found["gate: weight of the global branch"] == ("\N{EN DASH}", "0.600 ± 0.010", "")
    assert found["effective rank, sequences pooled"] == ("30.5", "31.0", "")
    shown = lines(_found())
    assert shown[0].startswith("R = 2: mean")
    assert shown[1].startswith("measure") and "loop 2" in shown[1]
    assert any("4 held-out sequences" in line for line in shown)


def test_page_when_written_stands_beside_its_json(tmp_path):
    page = write_diagnosis(_found(), out=tmp_path / "d", name="<b>model</b>")
    text = page.read_text()
    assert "<b>model" not in text and "&lt;b&gt;model" in text
    assert "step size" in text and text.count("<svg") == 1
    written = (tmp_path / "d" / "diagnostics.json").read_text()
    assert to_json(from_json(Diagnostics, written, where="d", remedy=""), indent=1) + "\n" == written
    assert page.read_bytes() == write_diagnosis(_found(), out=tmp_path / "e", name="<b>model</b>").read_bytes()
