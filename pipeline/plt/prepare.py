"""A model made ready to train: first weights, attention kernel, sharding, recomputation, compilation."""

from dataclasses import dataclass

import torch

from pipeline.plt.config import TrainConfig
from pipeline.plt.distributed import Ranks, like, shard
from pipeline.plt.evaluate import HeldOut
from pipeline.plt.machine import Machine, choose_backend
from pipeline.plt.model import PLT, build_model, first_value


@dataclass(frozen=True)
class Place:
    """Where a run trains, on what it is scored, and the model."""

    machine: Machine
    ranks: Ranks
    held_out: HeldOut
    model: PLT


def rows_of(config: TrainConfig, *, ranks: Ranks) -> int:
    """Sequences of one forward pass of one process; those with fewer rows than others make do with less."""
    per_process = -(-config.data.sequences_per_step // ranks.size)
    return -(-per_process // config.data.grad_accumulation)


def idle_rows(config: TrainConfig, *, ranks: Ranks) -> int:
    """Rows of a step that processes wait for, because it cannot be divided evenly; 0 where it can."""
    return -config.data.sequences_per_step % ranks.size


def prepare_model(config: TrainConfig, *, machine: Machine, ranks: Ranks) -> PLT:
    """The model of step 0. Values are the same however it is divided; a sharded one is never whole in any process."""
    sharded = ranks.size > 1 and config.run.sharding == "full"
    if sharded:
        model = _sharded(config, machine=machine, ranks=ranks)
    else:
        model = build_model(config.model, seed=config.run.seed).to(machine.device)
    model.model.backend = choose_backend(config.run, model=config.model, machine=machine)
    model.model.recompute_layers = config.run.activation_checkpointing
    if config.run.compile:
        model.model.query_block = None  # blocks end where documents do: each batch would be compiled anew
        for layer in model.model.layers:
            layer.compile()
    return model


def _sharded(config: TrainConfig, *, machine: Machine, ranks: Ranks) -> PLT:
    with torch.device("meta"):
        model = PLT(config.model)
    shard(model, ranks=ranks, device=machine.device, dtype=machine.dtype)
    model.to_empty(device=machine.device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = first_value(name, parameter.shape, config=config.model, seed=config.run.seed)
            parameter.copy_(like(value, parameter))
    return model
