"""What a run costs: parameters and FLOPs against the model itself, the paper's 7B, and the presets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plt_runs import documents_of, make_run, random_tokens, tiny_config, tiny_model
from torch.utils.flop_counter import FlopCounterMode

from pipeline.plt import dry_run, read_config
from pipeline.plt.flops import cost, count_parameters, flops_per_token, peak_flops
from pipeline.plt.model import PLT, build_model

PRESETS = sorted((Path(__file__).resolve().parents[2] / "mixture_configs").glob("train_*.yaml"))


@pytest.mark.parametrize("n_loops", [1, 2, 3])
@pytest.mark.parametrize("gate", ["hidden", "query"])
def test_parameters_when_counted_are_those_of_the_model(n_loops, gate):
    config = tiny_model(n_loops=n_loops, gate=gate, n_layers=3)
    assert count_parameters(config) == sum(p.numel() for p in build_model(config, seed=0).parameters())


@pytest.mark.parametrize("n_loops", [1, 2, 4])
def test_flops_when_counted_by_torch_are_ours(n_loops):
    """On the CPU torch counts matrix products and no attention: ours with a context of nothing."""
    n_tokens = 20
    model = build_model(tiny_model(n_loops=n_loops), seed=0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(random_tokens(1, n_tokens), documents_of(n_tokens))
    assert counter.get_total_flops() == n_tokens * flops_per_token(model.config, mean_context=0)
    one = flops_per_token(model.config, mean_context=1) - flops_per_token(model.config, mean_context=0)
    assert one == 4 * 32 * 2 * (1 + 2 * (n_loops - 1))  # scores and values, per layer; two branches in later loops


def test_paper_preset_when_counted_has_the_7b_of_the_report():
    config = read_config(next(p for p in PRESETS if p.name == "train_7b.yaml"))
    assert count_parameters(config.model) == 7_615_749_680
    assert config.optimiser.eps == 1e-15 and config.optimiser.peak_lr == 4e-4
    with torch.device("meta"):
        assert sum(p.numel() for p in PLT(config.model).parameters()) == 7_615_749_680
    found = cost(config, seq_len=8192, n_processes=64)
    assert found.n_tokens == pytest.approx(18e12, rel=0.01)
    assert found.train_flops == pytest.approx(3 * found.forward_flops)
    assert cost(config, seq_len=8192).state_bytes == pytest.approx(64 * found.state_bytes, rel=1e-6)


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_preset_when_read_is_sound_and_says_its_size(path):
    config = read_config(path)
    n = count_parameters(config.model)
    named = path.stem.removeprefix("train_")
    size = {"demo": 1.1e6, "10m": 9e6, "100m": 1.8e8, "350m": 3.4e8, "1b": 1.17e9, "7b": 7.6e9}[named]
    assert n == pytest.approx(size, rel=0.1)


def test_dry_run_when_asked_prints_and_writes_nothing(tmp_path):
    run = make_run(tmp_path / "run")
    lines = dry_run(tiny_config(), data=run, n_processes=2)
    assert any("GFLOP per token" in line for line in lines)
    assert any("2 x H200" in line for line in lines)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_peak_when_the_device_is_unknown_is_none():
    assert peak_flops("NVIDIA H200") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("cpu") is None
