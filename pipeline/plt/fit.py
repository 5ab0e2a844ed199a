"""A training file against the data and the machine that it is to be trained with."""

from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.plt.config import TrainConfig
from pipeline.plt.data import PackedRun, open_packed
from pipeline.plt.distributed import Ranks
from pipeline.plt.flops import cost_lines
from pipeline.plt.going_on import uneven_lines
from pipeline.plt.machine import choose_machine
from pipeline.plt.memory import DEVICES, GIB, memory_lines
from pipeline.plt.ratio import with_ratio


def dry_run(config: TrainConfig, *, data: Path, n_processes: int = 1, device_memory: float | None = None) -> list[str]:
    """What `train` would cost, as lines: parameters, FLOPs per token, memory, hours. Trains nothing.

    Memory is held against `device_memory` GiB, else against the CUDA device here, else against an H100 and an H200.
    """
    run = open_packed(data)
    config = fit_to_data(config, run=run)
    machine = choose_machine(config.run)
    n_epochs = config.n_read_sequences / max(1, run.n_sequences - config.data.n_held_out_sequences)
    lines = cost_lines(config, seq_len=run.seq_len, device_name=machine.name(), n_processes=n_processes)
    devices = {f"a device of {device_memory:g} GiB": int(device_memory * GIB)} if device_memory else machine.memory()
    lines += memory_lines(config, seq_len=run.seq_len, n_processes=n_processes, devices=devices or DEVICES)
    lines += uneven_lines(config, ranks=Ranks(size=n_processes))
    return [*lines, f"{n_epochs:.2f} passes over {run.n_sequences:,} sequences of {run.folder}"]


def fit_to_data(config: TrainConfig, *, run: PackedRun) -> TrainConfig:
    """Fill in what the data decide, and refuse a vocabulary that is too small for them."""
    model = config.model
    check_vocabulary(run, vocab_size=model.vocab_size)
    if model.max_positions is not None and model.max_positions < run.seq_len:
        raise ConfigError(
            f"model.max_positions is {model.max_positions}, sequences have {run.seq_len} tokens; raise it"
        )
    model = model.model_copy(update={"max_positions": model.max_positions or run.seq_len})
    config, _ = with_ratio(config, data=run.folder.parent)
    return config.model_copy(update={"model": model})


def check_vocabulary(run: PackedRun, *, vocab_size: int) -> None:
    """Raise ConfigError if the data hold an id that the model has no embedding for."""
    if run.max_token_id >= vocab_size:
        raise ConfigError(
            f"model.vocab_size is {vocab_size} but {run.folder} holds token id {run.max_token_id}; "
            f"set it to the tokenizer's size, at least {run.max_token_id + 1}"
        )
