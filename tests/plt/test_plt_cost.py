"""What a run costs: parameters and FLOPs against the model itself, the paper's 7B, and the presets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plt_runs import documents_of, make_run, random_tokens, tiny_config, tiny_model
from torch.utils.flop_counter import FlopCounterMode

from pipeline.plt import dry_run, read_config
from pipeline.plt.flops import cost, count_parameters, flops_per_token, peak_flops
from pipeline.plt.memory import DEVICES, memory, memory_lines, propose
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
    assert cost(config, seq_len=8192).memory.state == pytest.approx(64 * found.memory.state, rel=1e-6)


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_preset_when_read_is_sound_and_says_its_size(path):
    config = read_config(path)
    n = count_parameters(config.model)
    named = path.stem.removeprefix("train_")
    size = {"demo": 6.2e5, "10m": 9e6, "100m": 1.8e8, "350m": 3.4e8, "1b": 1.17e9, "7b": 7.6e9}[named]
    assert n == pytest.approx(size, rel=0.1)


def test_dry_run_when_asked_prints_and_writes_nothing(tmp_path):
    run = make_run(tmp_path / "run")
    lines = dry_run(tiny_config(), data=run, n_processes=2)
    assert any("GFLOP per token" in line for line in lines)
    assert any("2 x H200" in line for line in lines)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def _paper():
    return read_config(next(p for p in PRESETS if p.name == "train_7b.yaml"))


def _setting(line: str) -> int:
    return int(line.rpartition("data.grad_accumulation: ")[2].partition(",")[0])


def test_paper_preset_when_it_does_not_fit_is_told_the_least_accumulation_that_does():
    config = _paper()
    (line,) = memory_lines(config, seq_len=8192, n_processes=8, devices={"H200": DEVICES["H200"]})
    assert line.startswith("H200: ") and "does not fit; this does" in line
    n_parts, usable = _setting(line), 0.9 * DEVICES["H200"]

    def asked(n):
        data = config.data.model_copy(update={"grad_accumulation": n})
        return memory(config.model_copy(update={"data": data}), seq_len=8192, n_processes=8).total

    assert asked(1) > usable and asked(n_parts // 2) > usable >= asked(n_parts)
    (line,) = memory_lines(config, seq_len=8192, n_processes=8, devices={"half": DEVICES["H200"] // 2})
    assert _setting(line) > n_parts


def test_training_when_accumulation_is_not_enough_is_told_to_recompute_and_to_divide():
    config = _paper()
    run = config.run.model_copy(update={"activation_checkpointing": False, "sharding": "none"})
    config = config.model_copy(update={"run": run})
    (line,) = memory_lines(config, seq_len=8192, n_processes=8, devices={"H200": DEVICES["H200"]})
    assert "run.sharding: full" in line and "run.activation_checkpointing" not in line and _setting(line) > 1
    (line,) = memory_lines(config, seq_len=16384, n_processes=8, devices={"H200": DEVICES["H200"]})
    assert "run.sharding: full" in line and "run.activation_checkpointing: true" in line


def test_training_when_it_must_recompute_keeps_the_accumulation_it_has():
    config = _paper()
    data = config.data.model_copy(update={"grad_accumulation": 32})
    run = config.run.model_copy(update={"activation_checkpointing": False})
    config = config.model_copy(update={"data": data, "run": run})
    (line,) = memory_lines(config, seq_len=16384, n_processes=16, devices={"H200": DEVICES["H200"]})
    assert line.endswith(": run.activation_checkpointing: true"), line


@pytest.mark.parametrize("device", DEVICES)
def test_training_when_nothing_fits_is_told_how_many_processes_would(device):
    config = _paper()
    (line,) = memory_lines(config, seq_len=8192, n_processes=1, devices={device: DEVICES[device]})
    n = int(line.rpartition("; on ")[2].partition(" processes")[0]) if "; on " in line else 0
    usable = int(0.9 * DEVICES[device])
    assert n > 1 and propose(config, seq_len=8192, n_processes=n, usable=usable) is not None
    assert propose(config, seq_len=8192, n_processes=n // 2, usable=usable) is None
    (line,) = memory_lines(config, seq_len=8192, n_processes=1, devices={"small": 2**30})
    assert "does not fit, nor on any number of processes" in line


def test_dry_run_when_told_a_memory_holds_the_training_against_it(tmp_path):
    run = make_run(tmp_path / "run")
    memory_of = [line for line in dry_run(tiny_config(), data=run, device_memory=24) if "GiB asked of" in line]
    assert len(memory_of) == 1 and memory_of[0].startswith("a device of 24 GiB: ") and memory_of[0].endswith("fits")
    if not torch.cuda.is_available():
        known = [line.partition(":")[0] for line in dry_run(tiny_config(), data=run) if "GiB asked of" in line]
        assert known == ["H100", "H200"]


@pytest.mark.parametrize("recompute", [False, True])
def test_activations_when_counted_by_torch_are_about_ours(recompute):
    """What autograd keeps of one forward pass in bfloat16, parameters and the head's gradients left out."""
    config = tiny_config(
        model={"n_layers": 6, "hidden_size": 128, "intermediate_size": 384, "n_heads": 4, "n_loops": 2},
        sequences_per_step=2,
        grad_accumulation=1,
        run={"activation_checkpointing": recompute},
    )
    model, kept = build_model(config.model, seed=0), {}
    model.model.recompute_layers = recompute
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    tokens, documents = random_tokens(2, 256), documents_of(256).expand(2, -1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), torch.autocast("cpu", dtype=torch.bfloat16):
        model(tokens, documents, tokens)
    found, ours = sum(n for n, _ in kept.values()), memory(config, seq_len=256).activations
    if recompute:  # one layer's own activations come on top, when it is computed again
        assert found < ours < 2 * found
    else:
        assert ours == pytest.approx(found, rel=0.4)


def test_peak_when_the_device_is_unknown_is_none():
    assert peak_flops("NVIDIA H200") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("cpu") is None


def test_memory_when_recomputation_is_selective_lies_between_and_muon_is_never_divided():
    config = read_config(next(p for p in PRESETS if p.name == "train_1b.yaml"))

    def changed(recompute, kind="adamw"):
        run = config.run.model_copy(update={"activation_checkpointing": recompute, "sharding": "none"})
        optimiser = config.optimiser.model_copy(update={"kind": kind})
        return config.model_copy(update={"run": run, "optimiser": optimiser})

    every, some, none = (
        memory(changed(r), seq_len=8192, n_processes=1).activations for r in (True, "selective", False)
    )
    assert every < some < none
    least = changed(True)
    least = least.model_copy(
        update={
            "data": least.data.model_copy(update={"grad_accumulation": least.data.sequences_per_step}),
            "run": least.run.model_copy(update={"sharding": "full"}),
        }
    )
    usable = memory(least, seq_len=8192, n_processes=8).total
    divided = propose(changed("selective"), seq_len=8192, n_processes=8, usable=usable)
    assert divided is not None and divided.run.sharding == "full"
    assert propose(changed("selective", "muon"), seq_len=8192, n_processes=8, usable=usable) is None
