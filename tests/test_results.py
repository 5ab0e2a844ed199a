"""What the trainer writes and the report reads: keys on disk, numbers that JSON lacks, and damage."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import CheckpointError
from pipeline.results import (
    Check,
    Comparison,
    Diagnostics,
    Evaluation,
    GroupLoss,
    GroupScore,
    LoopDiagnostics,
    Speed,
    Stat,
    TrainIdentity,
    TrainRecord,
    TrainResult,
    TrainStep,
    Validation,
    Variant,
    Verdict,
    from_json,
    metrics_line,
    read_identity,
    read_metrics,
    read_result,
    read_validation,
    result_text,
    to_json,
)

# What stands in the files that people keep; a key may be added, never renamed.
KEYS = {
    TrainIdentity: "format seq_len config data tokenizer",
    TrainStep: "step loss lr grad_norm n_code_tokens n_text_tokens code_loss text_loss",
    GroupLoss: "pool group n_tokens loss n_bytes",
    Evaluation: "step n_tokens loss pools groups",
    Stat: "mean ci95",
    LoopDiagnostics: (
        "loop step_size step_size_normed alignment alignment_normed effective_rank fixed_point_gap offset_cost "
        "offset_cost_normed gate_mean gate_saturated_frac layer_gate_means output_shift output_shift_frac peak_frac "
        "output_entropy loss median_target_rank target_rank sequence_rank output_shift_share peak_share "
        "attention_entropy attention_change attention_change_share head_rank head_similarity"
    ),
    Diagnostics: "n_sequences n_tokens n_rank_tokens n_sequence_rank_tokens loops",
    Check: "name status message numbers",
    Verdict: "status message checks",
    TrainRecord: (
        "n_parameters n_loops seq_len n_steps n_wanted_steps n_epochs n_tokens parts min_group_tokens n_masked_pieces "
        "unigram_entropies unigram_losses steps evaluations diagnostics"
    ),
    GroupScore: "pool group n_tokens n_bytes untrained unigram final curve status message",
    Variant: "name mixture n_loops seed n_parameters n_tokens scores status",
    Comparison: "first second tail pool difference half_width n_seeds message",
    Speed: "device tokens_per_second wait_frac loader_tokens_per_second needed_tokens_per_second",
    Validation: (
        "mixture unit n_tokens seq_len n_parameters n_loops status message checks pools groups steps spikes "
        "diagnostics variants comparisons speed"
    ),
}


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.__name__)
def test_keys_of_files_when_asked_are_those_of_earlier_versions(kind: type) -> None:
    assert {field.name for field in dataclasses.fields(kind)} >= set(KEYS[kind].split())


_STEP = TrainStep(1, 2.5, 1e-3, math.inf, 10, 20, 2.25, math.nan)
_EVALUATION = Evaluation(1, 30, math.nan, (GroupLoss("code", "", 30, 2.5, 90),), (GroupLoss("code", "C", 30, 2.5),))


def _result(folder: Path, *, n_steps: int = 1) -> TrainResult:
    record = TrainRecord(
        n_parameters=10,
        n_loops=2,
        seq_len=8,
        n_steps=n_steps,
        n_wanted_steps=n_steps,
        n_epochs=0.5,
        n_tokens={"code": 10, "text": 20},
        parts={"code": 1, "text": 1},
        min_group_tokens=4,
        n_masked_pieces=0,
        unigram_entropies={"code": 2.0},
        unigram_losses=(),
        steps=tuple(dataclasses.replace(_STEP, step=n + 1) for n in range(n_steps)),
        evaluations=(_EVALUATION,),
        diagnostics=Diagnostics(1, 2, 3, 4, loops=()),
    )
    verdict = Verdict("warn", "So so.", (Check("finite_loss", "pass", "Fine.", {"n": math.nan}),))
    return TrainResult(folder, record, verdict)


def test_metrics_when_read_back_are_the_same_with_nan_for_what_json_lacks(tmp_path: Path) -> None:
    lines = [metrics_line(_STEP), metrics_line(_EVALUATION)]
    assert [json.loads(line)["kind"] for line in lines] == ["step", "evaluation"]
    assert json.loads(lines[0])["grad_norm"] is None and json.loads(lines[1])["loss"] is None
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "st']))
    (step,), (evaluation,) = read_metrics(tmp_path)
    assert math.isnan(step.grad_norm) and math.isnan(step.text_loss) and math.isnan(evaluation.loss)
    assert dataclasses.replace(step, grad_norm=0, text_loss=0) == dataclasses.replace(_STEP, grad_norm=0, text_loss=0)
    assert evaluation.pools == _EVALUATION.pools and evaluation.groups == _EVALUATION.groups
    assert read_metrics(tmp_path, n_bytes=len(lines[0]) + 1)[1] == []


def test_result_when_read_back_has_the_ends_of_its_curve_and_ignores_what_it_does_not_know(tmp_path: Path) -> None:
    written = json.loads(result_text(_result(tmp_path, n_steps=1000))) | {"newer": [1]}
    (tmp_path / "result.json").write_text(json.dumps(written))
    found = read_result(tmp_path)
    assert (found.verdict.status, found.verdict.checks[0].name, found.record.n_epochs) == ("warn", "finite_loss", 0.5)
    assert math.isnan(found.verdict.checks[0].numbers["n"])
    steps = [s.step for s in found.record.steps]
    assert (steps[0], steps[-1]) == (1, 1000) and 100 < len(steps) <= 201


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_loops": None}, r"result\.json: is damaged: n_loops: .*integer; .*loopmix train"),
        ({"n_loops": "2"}, r"result\.json: is damaged: n_loops: .*integer"),
        ({"verdict": {"status": "good", "message": "", "checks": []}}, r"is damaged: verdict\.status: .*'pass'"),
        ({"evaluations": [{"step": 1}]}, r"is damaged: evaluations\.0\.n_tokens: Field required"),
    ],
)
def test_result_when_damaged_names_file_key_and_remedy(tmp_path: Path, change: dict, message: str) -> None:
    (tmp_path / "result.json").write_text(json.dumps(json.loads(result_text(_result(tmp_path))) | change))
    with pytest.raises(CheckpointError, match=message):
        read_result(tmp_path)


@pytest.mark.parametrize("kind", [TrainIdentity, TrainStep, Evaluation, Validation], ids=lambda kind: kind.__name__)
def test_result_when_any_key_is_missing_is_damage(kind: type) -> None:
    needed = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    with pytest.raises(CheckpointError, match=rf"x\.json: is damaged: {needed[0]}: Field required; run it again"):
        from_json(kind, "{}", where="x.json", remedy="run it again")


@pytest.mark.parametrize(
    ("read", "name"), [(read_identity, "train"), (read_result, "result"), (read_validation, "validation")]
)
def test_result_when_there_is_no_file_says_what_to_do(tmp_path: Path, read, name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{name}\.json: cannot be read: .*; (give a folder|run `loopmix)"):
        read(tmp_path)


def test_score_when_frequencies_are_nothing_has_no_gain() -> None:
    score = GroupScore("code", "", 1, 1, 8.0, 4.0, 3.0, ((0, 8.0), (1, 3.0)), "pass", "learns")
    assert (score.name, score.gain) == ("all code", 0.25)
    assert math.isnan(dataclasses.replace(score, unigram=0.0).gain)
    assert math.isnan(dataclasses.replace(score, final=math.nan).gain)
    assert from_json(GroupScore, to_json(score), where="s", remedy="") == score


def test_results_when_imported_need_no_torch() -> None:
    asked = "print([m for m in ('torch', 'pipeline.plt') if m in sys.modules])"
    code = f"import sys, pipeline.results, pipeline.report; {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
