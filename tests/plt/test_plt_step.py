"""What a step is made of: Muon, the residual stream's type, selective recomputation, and no question to the device."""

from __future__ import annotations

import gc
import json

import pytest
import torch
from plt_runs import awake_model, documents_of, make_run, random_tokens, tiny_config, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt import Saved, train
from pipeline.plt.config import OptimiserConfig
from pipeline.plt.data import open_packed, split_run
from pipeline.plt.distributed import Ranks
from pipeline.plt.evaluate import build_held_out
from pipeline.plt.loader import read_step
from pipeline.plt.machine import Machine
from pipeline.plt.optimiser import build_optimiser, is_projection, pack_state, unpack_state
from pipeline.plt.prepare import Place, prepare_model
from pipeline.plt.update import update

CPU = torch.device("cpu")
FLOAT, NARROW = Machine(CPU, torch.float32), Machine(CPU, torch.bfloat16)


def _with(config, **optimiser):
    return config.model_copy(update={"optimiser": config.optimiser.model_copy(update=optimiser)})


def test_muon_when_chosen_owns_the_projections_and_adamw_the_rest():
    model = awake_model(tiny_model(), dtype=torch.float32)
    optimiser = build_optimiser(model, config=OptimiserConfig(n_steps=1, kind="muon"))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(random_tokens(2, 20), documents_of(20).expand(2, -1)).square().mean().backward()
    optimiser.step(lr=1e-3)
    state = pack_state(optimiser, model=model)
    for name, parameter in model.named_parameters():
        muon = name.endswith("_proj.weight")
        assert is_projection(name, parameter) == muon
        assert (f"momentum_buffer.{name}" in state) == muon
        assert (f"exp_avg.{name}" in state) == (f"exp_avg_sq.{name}" in state) == (not muon)
        if muon:  # all directions by equal amounts, in size like AdamW's
            update_ = before[name] * (1 - 1e-3 * 0.1) - parameter.detach()
            sizes = torch.linalg.svdvals(update_)
            assert sizes.max() < 2 * sizes.median()
            assert 1e-4 < float(update_.square().mean().sqrt()) < 4e-4


def test_training_when_muon_is_killed_and_resumed_has_the_bytes_of_one_left_alone(tmp_path):
    class StopError(Exception):
        pass

    def stop(event):
        if isinstance(event, Saved) and event.step == 3:
            raise StopError

    run, config = make_run(tmp_path / "run"), _with(tiny_config(n_steps=6), kind="muon")
    train(config, data=run, out=tmp_path / "whole")
    with pytest.raises(StopError):
        train(config, data=run, out=tmp_path / "killed", on_event=stop)
    train(config, data=run, out=tmp_path / "killed")
    for path in sorted((tmp_path / "whole").rglob("*")):
        if path.is_file() and "tensorboard" not in str(path):
            other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
            assert other.read_bytes() == path.read_bytes(), path.name
    losses = [s["loss"] for s in json.loads((tmp_path / "whole" / "result.json").read_text())["steps"]]
    assert losses[-1] < losses[0]


def test_state_when_of_another_optimiser_is_refused():
    model = awake_model(tiny_model(), dtype=torch.float32)
    muon, adamw = (build_optimiser(model, config=OptimiserConfig(n_steps=1, kind=kind)) for kind in ("muon", "adamw"))
    muon.clear(step=1)
    with pytest.raises(CheckpointError, match="optimiser state does not fit the model"):
        unpack_state(pack_state(muon, model=model), optimiser=adamw, model=model, step=1)


@pytest.mark.parametrize(
    ("machine", "ranks", "changes", "message"),
    [
        (FLOAT, Ranks(0, 2), {"optimiser": {"kind": "muon"}, "run": {"sharding": "full"}}, "Muon needs whole matrices"),
        (FLOAT, Ranks(), {"run": {"residual": "bfloat16"}}, "residual is 'bfloat16' but products are made in"),
        (FLOAT, Ranks(), {"run": {"activation_checkpointing": "selective", "compile": True}}, "use one of the two"),
    ],
)
def test_options_when_they_do_not_go_together_are_refused(machine, ranks, changes, message):
    config = tiny_config()
    for section, values in changes.items():
        config = config.model_copy(update={section: getattr(config, section).model_copy(update=values)})
    with pytest.raises(ConfigError, match=message):
        prepare_model(config, machine=machine, ranks=ranks)


def test_residual_stream_when_narrow_is_narrow_through_all_loops_and_close():
    tokens, documents, found = random_tokens(2, 24), documents_of(10, 14).expand(2, -1), []
    for residual in ("float32", "bfloat16"):
        config = tiny_config(model={"n_loops": 3}, run={"dtype": "bfloat16", "residual": residual})
        model = prepare_model(config, machine=NARROW, ranks=Ranks())
        with NARROW.autocast(), torch.no_grad():
            passes = model.model.passes(tokens, documents)
            found.append(model(tokens, documents, tokens).float())
        assert {state.dtype for state in passes.states_BTD} == {getattr(torch, residual)}
        assert passes.embeddings_BTD.dtype == getattr(torch, residual)
    torch.testing.assert_close(found[0], found[1], rtol=1e-2, atol=1e-2)
    assert not torch.equal(found[0], found[1])


def test_recomputation_when_selective_saves_memory_and_makes_no_product_again():
    found = {}
    for recompute in (False, "selective", True):
        model, saved = awake_model(tiny_model(n_loops=3), dtype=torch.float32), {}
        model.model.recompute_layers = recompute

        def pack(x, saved=saved):
            saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        before = _alive()
        with FlopCounterMode(display=False) as counter:
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
                losses = model(random_tokens(2, 64), documents_of(30, 34).expand(2, -1), random_tokens(2, 64, seed=1))
            # What selective recomputation keeps it keeps by itself, where those hooks do not look.
            kept = saved | {place: size for place, size in _alive().items() if place not in before}
            losses.sum().backward()
        found[recompute] = counter.get_total_flops(), sum(kept.values()), [p.grad for p in model.parameters()]
    flops, n_bytes, gradients = ({kind: of[i] for kind, of in found.items()} for i in range(3))
    assert flops["selective"] == flops[False] < flops[True]
    assert n_bytes[True] < n_bytes["selective"] < n_bytes[False]
    for kind in ("selective", True):
        assert all(torch.equal(a, b) for a, b in zip(gradients[kind], gradients[False], strict=True))


def _alive() -> dict[int, int]:
    """Place and bytes of the tensors that Python holds."""
    stores = [x.untyped_storage() for x in gc.get_objects() if type(x) is torch.Tensor]
    return {store.data_ptr(): store.nbytes() for store in stores}


class Questions(TorchDispatchMode):
    """Counts what would wait for a device: numbers asked for, and results whose shape depends on values."""

    NAMES = ("aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::equal", "aten::is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name in self.NAMES:
            self.asked.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def test_update_when_it_has_several_passes_asks_the_device_nothing_on_the_way(tmp_path):
    """Its one question, at the end, is a list of numbers, which a CPU answers without an operator."""
    config = tiny_config(sequences_per_step=6, grad_accumulation=3)
    split = split_run(open_packed(make_run(tmp_path / "run")), n_held_out=6)
    model = prepare_model(config, machine=FLOAT, ranks=Ranks())
    model.model.query_block = None  # as on CUDA; blocks of the CPU follow from where documents begin
    place = Place(FLOAT, Ranks(), build_held_out(split, batch_size=2), model)
    batch = read_step(split, start=0, n_sequences=6, n_rows=2)
    assert len(batch.parts) == 3
    optimiser = build_optimiser(model, config=config.optimiser)
    with Questions() as questions:
        done = update(place, batch, optimiser=optimiser, step=0, config=config)
    assert done.applied
    assert questions.asked == []
