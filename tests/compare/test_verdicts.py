"""The verdicts of trainings and validations that are named beside the two runs."""

from __future__ import annotations

from pathlib import Path

from hand_run import hand_run, model_folder, renamed

from pipeline.compare.compare import compare
from pipeline.compare.terminal import lines
from pipeline.reading.work import working


def test_verdicts_of_models_are_shown_beside_each_other(tmp_path: Path) -> None:
    runs = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(f={"language": "Go"}))
    models = model_folder(tmp_path / "m", runs[0]), model_folder(tmp_path / "n", runs[1], finished=False)
    with working() as work:
        found = compare(*runs, work, models=models)
    assert found.a.training == "pass: The mixture trains."
    assert found.b.training == "unfinished: Training has not finished, so there is no verdict yet."
    shown = "\n".join(lines(found, width=80))
    assert "Verdicts" in shown
    assert "pass: The mixture trains." in shown
