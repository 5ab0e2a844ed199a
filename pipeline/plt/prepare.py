"""A model made ready to train: first weights, attention kernel, sharding, recomputation, compilation."""

from dataclasses import dataclass

import torch

from pipeline.errors import ConfigError
from pipeline.plt.config import TrainConfig
from pipeline.plt.distributed import Ranks, like, shard
from pipeline.plt.evaluate import HeldOut
from pipeline.plt.machine import Machine, choose_backend
from pipeline.plt.model import PLT, build_model, first_value

_LAYER_BYTES = 40_000  # what Python and torch make of a layer, however small


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
    _refuse_too_large(config, machine=machine, ranks=ranks)
    _check_options(config, machine=machine, sharded=sharded)
    if sharded:
        model = _sharded(config, machine=machine, ranks=ranks)
    else:
        model = build_model(config.model, seed=config.run.seed).to(machine.device)
    model.model.backend = choose_backend(config.run, model=config.model, machine=machine)
    model.model.recompute_layers = config.run.activation_checkpointing
    model.model.residual = torch.bfloat16 if config.run.residual == "bfloat16" else torch.float32
    if config.run.compile:
        model.model.query_block = None  # blocks end where documents do: each batch would be compiled anew
        for layer in model.model.layers:
            layer.compile()
    return model


def _least_bytes(config: TrainConfig, *, n_processes: int) -> int:
    """What one process holds before its first step, whatever else it does: weights, gradients, moments, and of each
    layer the objects that Python makes of it."""
    divided = config.run.sharding == "full" and n_processes > 1
    return 16 * config.model.n_parameters // (n_processes if divided else 1) + _LAYER_BYTES * config.model.n_layers


def _refuse_too_large(config: TrainConfig, *, machine: Machine, ranks: Ranks) -> None:
    """Raise ConfigError for a model of which not even the state fits: else the system would end the process."""
    asked, total = _least_bytes(config, n_processes=ranks.size), machine.total_bytes()
    if asked > total:
        raise ConfigError(
            f"model: {config.model.n_parameters:,} parameters in {config.model.n_layers:,} layers take "
            f"{asked / 1e9:,.1f} GB with gradients and moments, {machine.name()} has {total / 1e9:,.1f} GB; lower "
            "model.n_layers, hidden_size or vocab_size, or divide them (run.sharding: full)"
        )


def _check_options(config: TrainConfig, *, machine: Machine, sharded: bool) -> None:
    """Raise ConfigError for options that do not go together."""
    run = config.run
    if sharded and config.optimiser.kind == "muon":
        raise ConfigError(
            "optimiser.kind is 'muon' and run.sharding 'full': Muon needs whole matrices, which no process holds then; "
            "use sharding 'none' or 'adamw'"
        )
    if run.residual == "bfloat16" and machine.dtype != torch.bfloat16:
        raise ConfigError(f"run.residual is 'bfloat16' but products are made in {machine.dtype}; set run.dtype too")
    if run.compile and run.activation_checkpointing == "selective":
        raise ConfigError(
            "run.activation_checkpointing is 'selective' and run.compile true: a compiled layer chooses by itself what "
            "to keep; use one of the two"
        )


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
