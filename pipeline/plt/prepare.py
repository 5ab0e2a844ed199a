"""A model made ready to train: first weights, attention kernel, sharding, recomputation, compilation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipeline.errors import ConfigError
from pipeline.plt.config import TrainConfig
from pipeline.plt.evaluate import HeldOut
from pipeline.plt.machine import Machine, choose_backend
from pipeline.plt.model import PLT, build_model, first_value
from pipeline.plt.world import World, like, shard


@dataclass(frozen=True)
class Place:
    """Where a run trains, on what it is scored, and the model."""

    machine: Machine
    world: World
    held_out: HeldOut
    model: PLT


def rows_of(config: TrainConfig, *, world: World) -> int:
    """Sequences of one forward pass of one process."""
    return config.data.sequences_per_step // (config.data.grad_accumulation * world.size)


def check_world(config: TrainConfig, *, world: World) -> None:
    """Raise ConfigError where a step cannot be divided evenly."""
    if config.data.sequences_per_step % (config.data.grad_accumulation * world.size):
        raise ConfigError(
            f"data.sequences_per_step is {config.data.sequences_per_step}, not a multiple of {world.size} processes "
            f"times grad_accumulation {config.data.grad_accumulation}; change one of them"
        )


def prepare_model(config: TrainConfig, *, machine: Machine, world: World) -> PLT:
    """The model of step 0. Values are the same however it is divided; a sharded one is never whole in any process."""
    sharded = world.size > 1 and config.run.sharding == "full"
    model = _sharded(config, machine=machine, world=world) if sharded else _whole(config, machine=machine)
    model.model.backend = choose_backend(config.run, model=config.model, machine=machine)
    model.model.recompute_layers = config.run.activation_checkpointing
    if config.run.compile:
        model.model.query_block = None  # blocks end where documents do: each batch would be compiled anew
        for layer in model.model.layers:
            layer.compile()
    return model


def _whole(config: TrainConfig, *, machine: Machine) -> PLT:
    return build_model(config.model, seed=config.run.seed).to(machine.device)


def _sharded(config: TrainConfig, *, machine: Machine, world: World) -> PLT:
    with torch.device("meta"):
        model = PLT(config.model)
    shard(model, world=world, device=machine.device, dtype=machine.dtype)
    model.to_empty(device=machine.device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = first_value(name, parameter.shape, config=config.model, seed=config.run.seed)
            parameter.copy_(like(value, parameter))
    return model
