"""Training: loss and schedule on known numbers, learning, resuming to the same bytes, and refusals."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from plt_runs import awake_model, documents_of, make_run, random_tokens, tiny_config, tiny_model

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt import Evaluated, Noted, Saved, Started, Stepped, read_config, train
from pipeline.plt.config import OptimiserConfig, RunConfig
from pipeline.plt.head import NO_TARGET
from pipeline.plt.machine import choose_machine
from pipeline.plt.optimiser import build_optimiser, learning_rate


def test_loss_when_computed_in_chunks_is_minus_log_probability_of_the_target(monkeypatch):
    monkeypatch.setattr("pipeline.plt.head._CHUNK_LOGITS", {"cpu": 7 * 260})
    model = awake_model(tiny_model(), dtype=torch.float32)
    tokens, documents = random_tokens(2, 20), documents_of(12, 8).expand(2, -1)
    targets = random_tokens(2, 20, seed=1)
    targets[:, 11] = NO_TARGET
    losses = model(tokens, documents, targets)
    expected = -model(tokens, documents).log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
    expected[:, 11] = 0.0
    torch.testing.assert_close(losses, expected)


def test_learning_rate_when_followed_over_a_run_warms_up_and_ends_at_its_minimum():
    config = OptimiserConfig(n_steps=100, peak_lr=2.0, min_lr_frac=0.1, warmup_frac=0.05)
    rates = [learning_rate(k, config=config) for k in range(100)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[99] == pytest.approx(0.2)
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert rates[51] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 47 / 95))))


def test_weight_decay_when_parameters_are_grouped_falls_on_matrices_only():
    model = awake_model(tiny_model())
    decayed, free = build_optimiser(model, config=OptimiserConfig(n_steps=1)).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    free_names = {names[id(p)] for p in free["params"]}
    assert "model.layers.0.self_attn.plt_gate.bias" in free_names
    assert all("norm" in name or name.endswith("plt_gate.bias") for name in free_names)
    assert not any("norm" in names[id(p)] for p in decayed["params"])


def test_training_when_done_learns_and_leaves_a_result(tmp_path):
    run = make_run(tmp_path / "run", n_rows=120)
    config = tiny_config(n_steps=60, n_held_out_sequences=16)
    events: list = []
    result = train(config, data=run, out=tmp_path / "model", on_event=events.append)
    assert [type(e) for e in events[:3]] == [Noted, Started, Evaluated]
    assert "has no manifest.json" in events[0].message
    assert sum(isinstance(e, Stepped) for e in events) == 60
    assert result.record.evaluations[0].loss == pytest.approx(math.log(260), abs=0.1)
    assert result.record.evaluations[-1].loss < min(result.record.unigram_entropies.values())
    assert {(g.pool, g.group) for g in result.record.evaluations[-1].groups} == {
        ("code", "Python"),
        ("code", "C"),
        ("text", "prose"),
    }
    assert result.verdict.status == "pass", result.verdict
    written = json.loads((tmp_path / "model" / "result.json").read_text())
    assert written["verdict"]["message"] == result.verdict.message
    assert written["evaluations"][-1]["groups"][0]["n_tokens"] > 0
    assert [loop["loop"] for loop in written["diagnostics"]["loops"]] == [1, 2]


def test_gradient_accumulation_when_changed_gives_the_same_loss(tmp_path):
    run = make_run(tmp_path / "run")
    curves = []
    for n in (1, 4):
        config = tiny_config(n_steps=3, grad_accumulation=n)
        curves.append([s.loss for s in train(config, data=run, out=tmp_path / str(n)).record.steps])
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)


class KilledError(Exception):
    """Stands for a process that ends between two events."""


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.parent.name != "tensorboard"
    }


@pytest.mark.parametrize("n_loops", [1, 3])
def test_training_when_killed_after_any_event_resumes_to_the_same_bytes(tmp_path, n_loops):
    run, config = make_run(tmp_path / "run"), tiny_config(model={"n_loops": n_loops, "n_layers": 1})
    train(config, data=run, out=tmp_path / "undisturbed")
    expected = _files(tmp_path / "undisturbed")
    out = tmp_path / "killed"
    n_lives, survived = 0, 0
    while True:
        n_lives += 1
        seen = 0

        def die_one_event_later_each_time(event, lives=n_lives):
            nonlocal seen
            seen += 1
            if seen > 1 + lives and not isinstance(event, Noted):
                raise KilledError

        try:
            train(config, data=run, out=out, on_event=die_one_event_later_each_time)
        except KilledError:
            survived += 1
            continue
        break
    assert survived >= 3
    assert _files(out) == expected
    train(config, data=run, out=out)
    assert _files(out) == expected


_KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
from plt_runs import tiny_config
from pipeline.plt import train
def life(hook, count):
    def trap(event, args):
        nonlocal count
        if event == hook and ({out!r} in str(args[0]) or str(args[0]).endswith(".safetensors")):
            count -= 1
            if count == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(trap)
    train(tiny_config(), data=Path({run!r}), out=Path({out!r}))
for hook, count in {moments!r}:
    child = os.fork()  # one life of the run; only the first import of torch is slow
    if child == 0:
        life(hook, count)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_training_when_killed_while_it_writes_resumes_to_the_same_bytes(tmp_path):
    run, config = make_run(tmp_path / "run"), tiny_config()
    train(config, data=run, out=tmp_path / "undisturbed")
    out = tmp_path / "killed"
    # Half-written checkpoint; whole but not in place; older one half removed; result not in place.
    moments = [("open", 6), ("os.rename", 2), ("os.remove", 2), ("os.rename", 3)]
    script = _KILLED_WHILE_WRITING.format(here=str(Path(__file__).parent), run=str(run), out=str(out), moments=moments)
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=300, capture_output=True, text=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(moments)
    train(config, data=run, out=out)
    assert _files(out) == _files(tmp_path / "undisturbed")


def test_training_when_config_or_data_changed_refuses_to_resume(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "model"
    train(tiny_config(n_steps=3), data=run, out=out)
    for model, key in (({"window": 6}, "model.window: was 5, is 6"), ({"n_loops": 3}, "model.n_loops: was 2, is 3")):
        with pytest.raises(CheckpointError, match=rf"config\.{key}"):
            train(tiny_config(n_steps=3, model=model), data=run, out=out)
    with pytest.raises(CheckpointError, match=r"config.run.seed: was 0, is 1"):
        train(tiny_config(n_steps=9, run={"seed": 1}), data=run, out=out)
    other = make_run(tmp_path / "other", seed=7)
    with pytest.raises(CheckpointError, match=r"other data .* data.part-00000-of-00002.arrow: was"):
        train(tiny_config(n_steps=3), data=other, out=out)


def test_training_when_the_folder_holds_something_else_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"holds \['packed'\] but no train.json"):
        train(tiny_config(), data=run, out=run)


def test_training_when_metrics_were_edited_is_refused(tmp_path):
    run, out, config = make_run(tmp_path / "run"), tmp_path / "model", tiny_config(n_steps=3)
    train(config, data=run, out=out)
    path = out / "metrics.jsonl"
    text = path.read_text()
    path.write_text(text.replace("1", "2", 1))
    with pytest.raises(CheckpointError, match="was changed since"):
        train(config, data=run, out=out)
    path.write_text(text[:100])
    with pytest.raises(CheckpointError, match="has 100 bytes"):
        train(config, data=run, out=out)


def test_training_when_another_process_holds_the_folder_is_refused(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "model"

    def train_again(event):
        if isinstance(event, Saved):
            train(tiny_config(), data=run, out=out)

    with pytest.raises(CheckpointError, match="another process trains"):
        train(tiny_config(), data=run, out=out, on_event=train_again)


def test_training_when_the_loss_explodes_stops_with_a_failed_verdict(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "model"
    config = tiny_config(n_steps=30)
    config = config.model_copy(update={"optimiser": config.optimiser.model_copy(update={"peak_lr": 1e30})})
    result = train(config, data=run, out=out)
    assert result.verdict.status == "fail"
    assert result.verdict.checks[0].name == "finite_loss"
    assert result.verdict.checks[0].status == "fail"
    assert 0 < result.record.n_steps < 30
    before = _files(out)
    assert json.loads(before["result.json"])["n_steps"] == result.record.n_steps
    train(config, data=run, out=out)
    assert _files(out) == before


def test_training_when_in_bfloat16_or_recomputing_follows_float32(tmp_path):
    run = make_run(tmp_path / "run")
    plain = train(tiny_config(n_steps=3), data=run, out=tmp_path / "plain").record.steps[-1].loss
    for name, value, tolerance in (("dtype", "bfloat16", 0.05), ("activation_checkpointing", True, 1e-6)):
        config = tiny_config(n_steps=3, run={name: value})
        assert train(config, data=run, out=tmp_path / name).record.steps[-1].loss == pytest.approx(plain, abs=tolerance)


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning")  # torch's own, while it loads its compiler
@pytest.mark.filterwarnings("default:The .grad attribute:UserWarning")  # torch's own: it looks at inputs
def test_training_when_compiled_follows_the_plain_loss(tmp_path):
    run = make_run(tmp_path / "run")
    losses = [
        train(tiny_config(n_steps=3, model={"n_layers": 1}, run={"compile": c}), data=run, out=tmp_path / str(c))
        .record.steps[-1]
        .loss
        for c in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("default")  # torch's compiler warns of its own code
def test_training_when_compiled_with_flex_on_cuda_follows_the_reference(tmp_path):
    run = make_run(tmp_path / "run", seq_len=256, n_rows=60)
    model = {"hidden_size": 128, "n_heads": 4, "n_kv_heads": 2, "n_loops": 2}
    losses = []
    for number, options in enumerate(
        (
            {"attention": "sdpa"},
            {"attention": "flex"},
            {"attention": "flex", "compile": True},
            {"attention": "flex", "compile": True, "activation_checkpointing": True},
        )
    ):
        config = tiny_config(n_steps=6, model=model, run={"device": "cuda", "dtype": "bfloat16"} | options)
        losses.append([s.loss for s in train(config, data=run, out=tmp_path / str(number)).record.steps])
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], abs=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("default")  # torch's compiler warns of its own code
def test_training_when_on_cuda_follows_the_cpu(tmp_path):
    run = make_run(tmp_path / "run")
    cpu = train(tiny_config(n_steps=8), data=run, out=tmp_path / "cpu").record
    for dtype, tolerance in (("float32", 0.01), ("bfloat16", 0.05)):
        config = tiny_config(n_steps=8, run={"device": "cuda", "dtype": dtype})
        cuda = train(config, data=run, out=tmp_path / dtype).record
        assert [s.loss for s in cuda.steps] == pytest.approx([s.loss for s in cpu.steps], abs=tolerance)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_device_when_cuda_is_asked_for_and_absent_is_refused():
    with pytest.raises(ConfigError, match=r"run\.device is 'cuda'"):
        choose_machine(RunConfig(device="cuda"))


def test_options_of_the_loops_when_there_is_one_loop_are_said_to_have_no_effect(tmp_path):
    run, events = make_run(tmp_path / "run"), []
    train(tiny_config(n_steps=1, model={"n_loops": 1}), data=run, out=tmp_path / "model", on_event=events.append)
    assert any(isinstance(e, Noted) and "window have no effect" in e.message for e in events)


def test_training_file_when_wrong_is_refused_with_the_dotted_key(tmp_path):
    path = tmp_path / "train.yaml"
    good = "model: {vocab_size: 260, n_layers: 1, hidden_size: 16, n_heads: 2, n_kv_heads: 1, intermediate_size: 8}\n"
    path.write_text(good + "optimiser: {n_steps: 5, peak_lr: 1e-3}\ndata: {sequences_per_step: 2}\n")
    with pytest.raises(ConfigError, match=r"train.yaml: line 2: optimiser.peak_lr: .*'1e-3'"):
        read_config(path)
    path.write_text(good + "optimiser: {n_steps: 5}\ndata: {sequences_per_step: 3, grad_accumulation: 2}\n")
    with pytest.raises(ConfigError, match="sequences_per_step 3 is not a multiple"):
        read_config(path)
    path.write_text(
        good.replace("n_heads: 2", "n_heads: 3") + "optimiser: {n_steps: 5}\ndata: {sequences_per_step: 2}\n"
    )
    with pytest.raises(ConfigError, match="n_heads 3 is not an even whole number"):
        read_config(path)
    path.write_text(good + "optimiser: {n_steps: 5}\ndata: {sequences_per_step: 2}\n")
    assert read_config(path).optimiser.eps == 1e-15


def test_training_when_resumed_with_other_threads_goes_on_and_says_so(tmp_path):
    run, out, events = make_run(tmp_path / "run"), tmp_path / "model", []

    def stop(event):
        if isinstance(event, Saved):
            raise KilledError

    with pytest.raises(KilledError):
        train(tiny_config(n_steps=4), data=run, out=out, on_event=stop)
    train(tiny_config(n_steps=4, run={"n_threads": 2}), data=run, out=out, on_event=events.append)
    assert any(isinstance(e, Noted) and "n_threads 1 -> 2" in e.message for e in events)
    assert next(e for e in events if isinstance(e, Started)).first_step == 3


def test_checkpoint_when_the_disk_is_full_says_so(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    run = make_run(tmp_path / "run")
    monkeypatch.setattr("pipeline.plt.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match=r"step-00000003: cannot be written .*No space left"):
        train(tiny_config(), data=run, out=tmp_path / "model")
    monkeypatch.undo()
    assert train(tiny_config(), data=run, out=tmp_path / "model").record.n_steps == 8
