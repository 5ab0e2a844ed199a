"""Several processes on one CPU: replicated and sharded training agree with one process, and resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from plt_runs import make_run, tiny_config

from pipeline.plt import Noted, load, train

ROOT = Path(__file__).resolve().parents[2]


def _torchrun(config, *, data: Path, out: Path, n: int = 2) -> str:
    """Train in `n` processes as `torchrun` starts them; what they say."""
    path = out.with_suffix(".yaml")
    path.write_text(json.dumps(config.model_dump(mode="json", exclude_unset=True)))  # JSON is YAML
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}", "-m", "pipeline"]
    done = subprocess.run(
        [*command, "train", str(path), "--data", str(data), "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "full"])
def test_training_when_two_processes_share_it_equals_one(tmp_path, sharding):
    run = make_run(tmp_path / "run")
    config = tiny_config(
        n_steps=4,
        model={"n_loops": 2},
        grad_accumulation=2,
        run={"sharding": sharding, "activation_checkpointing": True},
    )
    alone = train(config, data=run, out=tmp_path / "alone")
    _torchrun(config, data=run, out=tmp_path / "two")
    found = json.loads((tmp_path / "two" / "result.json").read_text())
    assert [s["loss"] for s in found["steps"]] == pytest.approx([s.loss for s in alone.record.steps], rel=1e-5)
    assert [s["code_loss"] for s in found["steps"]] == pytest.approx(
        [s.code_loss for s in alone.record.steps], rel=1e-5
    )
    assert [s["grad_norm"] for s in found["steps"]] == pytest.approx(
        [s.grad_norm for s in alone.record.steps], rel=1e-4
    )
    assert found["evaluations"][-1]["loss"] == pytest.approx(alone.record.evaluations[-1].loss, rel=1e-5)
    one, two = (load(tmp_path / name).state_dict() for name in ("alone", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_training_when_sharded_goes_on_in_one_process(tmp_path):
    run = make_run(tmp_path / "run")
    config = tiny_config(n_steps=6, grad_accumulation=1, run={"sharding": "full", "checkpoint_every_steps": 2})
    whole = train(config, data=run, out=tmp_path / "whole").record.steps
    _torchrun(config, data=run, out=tmp_path / "two")
    for name in ("checkpoints/step-00000006", "result.json"):
        assert (tmp_path / "two" / name).exists()
    resumed: list = []
    again = train(config, data=run, out=tmp_path / "two", on_event=resumed.append).record.steps
    notes = [event.message for event in resumed if isinstance(event, Noted)]
    assert [n for n in notes if n.startswith("resumed on another machine") and "n_processes 2 -> 1" in n]
    assert [s.loss for s in again] == pytest.approx([s.loss for s in whole], rel=1e-5)


@pytest.mark.slow
def test_training_when_sharded_in_bfloat16_follows_one_process(tmp_path):
    run = make_run(tmp_path / "run")
    config = tiny_config(n_steps=4, grad_accumulation=1, run={"sharding": "full", "dtype": "bfloat16"})
    alone = train(config, data=run, out=tmp_path / "alone").record.steps
    _torchrun(config, data=run, out=tmp_path / "two")
    found = json.loads((tmp_path / "two" / "result.json").read_text())["steps"]
    assert [s["loss"] for s in found] == pytest.approx([s.loss for s in alone], rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "full"])
def test_training_when_processes_cannot_divide_a_step_equals_one_and_goes_on_in_another_number(tmp_path, sharding):
    """Three sequences a step on two processes: one row of padding; then on three."""
    run = make_run(tmp_path / "run")
    short, long = (
        tiny_config(n_steps=n, sequences_per_step=3, grad_accumulation=1, run={"sharding": sharding}) for n in (2, 4)
    )
    train(short, data=run, out=tmp_path / "alone")
    alone = train(long, data=run, out=tmp_path / "alone").record.steps
    said = _torchrun(short, data=run, out=tmp_path / "many", n=2)
    assert "no multiple of 2 processes" in said
    said = _torchrun(long, data=run, out=tmp_path / "many", n=3)
    newest = tmp_path / "many" / "checkpoints" / "step-00000004"
    assert len(list(newest.glob("pieces-*-of-00003.safetensors"))) == 3, "each process writes its part"
    n_numbers = 3 * sum(t.numel() for t in load(tmp_path / "many").state_dict().values())
    n_bytes = [p.stat().st_size for p in newest.glob("pieces-*")]
    assert max(n_bytes) < 4 * n_numbers * 0.6, "no process writes the whole model"
    assert not list(newest.glob(".metadata")), "no pickle"
    assert "n_processes 2 -> 3" in said and "optimiser.n_steps 2 -> 4" in said
    found = json.loads((tmp_path / "many" / "result.json").read_text())
    assert [s["loss"] for s in found["steps"]] == pytest.approx([s.loss for s in alone], rel=1e-5)
    one, many = (load(tmp_path / name).state_dict() for name in ("alone", "many"))
    for name, tensor in one.items():
        torch.testing.assert_close(many[name], tensor, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_training_when_one_of_two_processes_gets_sigterm_both_stop_after_the_same_step(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "two"
    config = tiny_config(n_steps=2000, grad_accumulation=1)
    path = tmp_path / "train.yaml"
    path.write_text(config.model_dump_json(exclude_unset=True))
    environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29637", "WORLD_SIZE": "2"}
    line = [sys.executable, "-m", "pipeline", "train", str(path), "--data", str(run), "--out", str(out)]
    both = [
        subprocess.Popen(
            line, env=environment | {"RANK": str(r), "LOCAL_RANK": str(r)}, cwd=ROOT, stderr=subprocess.PIPE
        )
        for r in (0, 1)
    ]
    while not list(out.glob("checkpoints/step-*")):
        assert all(process.poll() is None for process in both)
        time.sleep(0.1)
    both[1].send_signal(signal.SIGTERM)
    first, second = (process.communicate(timeout=120)[1].decode() for process in both)
    assert [process.returncode for process in both] == [128 + signal.SIGTERM] * 2, first + second
    assert "SIGTERM: stopped after step" in first and "SIGTERM" not in second, "the first process speaks for all"
