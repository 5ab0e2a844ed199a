"""Several processes on one CPU: replicated and sharded training agree with one process, and resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from plt_runs import make_run, tiny_config

from pipeline.errors import ConfigError
from pipeline.plt import Noted, load, train
from pipeline.plt.distributed import Ranks
from pipeline.plt.prepare import check_divisible

ROOT = Path(__file__).resolve().parents[2]


def _torchrun(config, *, data: Path, out: Path) -> None:
    """Train in two processes as `torchrun` would start them."""
    path = out.with_suffix(".yaml")
    path.write_text(json.dumps(config.model_dump(mode="json", exclude_unset=True)))  # JSON is YAML
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pipeline"]
    done = subprocess.run(
        [*command, "train", str(path), "--data", str(data), "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "full"])
def test_training_when_two_processes_share_it_equals_one(tmp_path, sharding):
    run = make_run(tmp_path / "run")
    config = tiny_config(
        n_steps=4,
        model={"n_loops": 2},
        grad_accumulation=1,
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


def test_step_when_processes_cannot_divide_it_is_refused():
    check_divisible(tiny_config(), ranks=Ranks(0, 2))
    with pytest.raises(ConfigError, match="not a multiple of 4 processes"):
        check_divisible(tiny_config(), ranks=Ranks(0, 4))
