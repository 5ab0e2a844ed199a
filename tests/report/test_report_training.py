"""Reading a model folder: finished, unfinished, foreign, damaged."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hand_run import hand_run, model_folder

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import CheckpointError
from pipeline.report import write_report
from pipeline.report.compute import compute
from pipeline.report.training import N_CURVE_POINTS, N_EVALUATIONS, loss_changes, read_training
from pipeline.results import TrainIdentity, TrainStep, metrics_line, to_json

_STEP = metrics_line(TrainStep(1, 1.0, 0.1, 1.0, 1, 1)).encode()


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    return hand_run(tmp_path / "run")


def test_training_when_finished_has_curves_and_verdict(run: RunFiles, tmp_path: Path) -> None:
    training = compute(run, model=model_folder(tmp_path / "model", run)).training
    assert training is not None
    assert (training.status, training.is_same_data, training.n_steps) == ("pass", True, 20)
    assert [(p.step, p.loss) for p in training.curve[:2]] == [(1, 4.9), (2, 4.8)]
    assert [(e.step, e.loss) for e in training.evaluations] == [(0, 5.0), (10, 4.0), (20, 3.0)]
    assert [(c.group, c.first, c.last) for c in loss_changes(training)] == [("Python", 5.5, 3.5), ("prose", 4.5, 2.5)]
    assert training.unigram_entropies == {"code": 4.5, "text": 4.25}
    assert [(x.loop, x.output_shift, x.gate_mean) for x in training.loops] == [(1, 0.5, None)]


@pytest.mark.parametrize("end", [0, -1])
def test_loss_changes_when_an_end_is_not_finite_leave_the_group_out(run: RunFiles, tmp_path: Path, end: int) -> None:
    training = read_training(model_folder(tmp_path / "model", run), hashes={})
    evaluations = list(training.evaluations)
    code, text = evaluations[end].groups
    evaluations[end] = replace(evaluations[end], groups=(replace(code, loss=math.nan), text))
    assert [c.group for c in loss_changes(replace(training, evaluations=tuple(evaluations)))] == ["prose"]


def test_training_when_long_is_thinned_to_means(run: RunFiles, tmp_path: Path) -> None:
    training = read_training(model_folder(tmp_path / "model", run, n_steps=1000), hashes={})
    assert len(training.curve) == N_CURVE_POINTS
    assert training.curve[-1].step == 1000
    assert training.curve[0].loss == pytest.approx(5.0 - 0.3)  # mean of steps 1 to 5
    assert len(training.evaluations) == N_EVALUATIONS
    assert (training.evaluations[0].step, training.evaluations[-1].step) == (0, 1000)


def test_training_when_unfinished_says_so(run: RunFiles, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", run, finished=False)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')  # being written
    numbers, page = write_report(run, model=folder)
    assert numbers.training is not None
    assert (numbers.training.status, numbers.training.n_steps) == (None, 20)
    assert "Training has not finished" in numbers.notices[0].message
    assert "Training has not finished" in Path(page).read_text(encoding="utf-8")


def test_training_when_data_are_others_is_pointed_out(run: RunFiles, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", run)
    (folder / "train.json").write_text(to_json(TrainIdentity(2, 512, {}, {"part-00000-of-00001.arrow": "0" * 64})))
    notices = compute(run, model=folder).notices
    assert notices[0].message == "The model was trained on other packed shards than those of this run."


def test_training_when_losses_are_not_finite_leaves_gaps(run: RunFiles, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", run, n_steps=2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(metrics_line(TrainStep(3, math.nan, 0.1, math.inf, 1, 1)) + "\n")
        file.write('{"kind": "evaluation", "step": 3, "n_tokens": 1, "loss": null, "pools": [], "groups": []}\n')
    numbers, page = write_report(run, model=folder)
    assert ">nan<" not in Path(page).read_text(encoding="utf-8")
    assert numbers.training is not None
    assert ([p.step for p in numbers.training.curve], numbers.training.n_steps) == ([1, 2], 3)
    assert math.isnan(numbers.training.evaluations[-1].loss)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.jsonl", b'{"kind": "step", "step": "x", "loss": 1}\n', r"line 1: is damaged: step"),
        ("metrics.jsonl", _STEP + b"\n\xff\n", r"line 2: is damaged"),
        ("metrics.jsonl", _STEP.replace(b"grad_norm", b"other") + b"\n", r"line 1: is damaged: grad_norm: Field"),
        ("metrics.jsonl", _STEP.replace(b'"step"', b'"epoch"', 1) + b"\n", r"line 1: is damaged: kind"),
        ("result.json", b"{}", r"result\.json: is damaged: verdict: Field required"),
        ("train.json", b"[]", r"train\.json: is damaged"),
    ],
)
def test_training_when_a_file_is_damaged_names_it(
    run: RunFiles, tmp_path: Path, file: str, content: bytes, message: str
) -> None:
    folder = model_folder(tmp_path / "model", run)
    (folder / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        write_report(run, model=folder)


def test_training_when_the_folder_is_no_model(run: RunFiles, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"train\.json: cannot be read"):
        write_report(run, model=tmp_path)
