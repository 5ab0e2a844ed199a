"""What training says while it runs: plain frozen data, for the terminal, TensorBoard and the tests.

Seconds and speeds live here only; what is written to the model folder depends on no clock (see `pipeline/results/`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.results import Evaluation, TrainStep


@dataclass(frozen=True)
class Started:
    """Said once, before the first step."""

    n_parameters: int
    n_steps: int
    first_step: int  # above 0: resumed from the checkpoint of that step
    seq_len: int
    n_train_sequences: int
    n_held_out_sequences: int
    n_held_out_tokens: int  # scored targets
    n_masked_pieces: int
    device: str
    dtype: str
    n_processes: int = 1
    backend: str = "sdpa"


@dataclass(frozen=True)
class Stepped:
    """Said after every update."""

    step: TrainStep
    tokens_per_second: float  # real tokens of this update, over all processes
    seconds: float
    wait_seconds: float  # of them, spent waiting for the loader
    mfu: float | None  # model FLOPs utilisation; None where the device's peak is unknown


@dataclass(frozen=True)
class Evaluated:
    """Said after every evaluation."""

    evaluation: Evaluation
    seconds: float


@dataclass(frozen=True)
class Saved:
    """Said when a checkpoint stands under its final name."""

    step: int
    folder: Path


@dataclass(frozen=True)
class Noted:
    """Something a person should know: an option without effect, another machine than before."""

    message: str


TrainEvent = Started | Stepped | Evaluated | Saved | Noted
OnEvent = Callable[[TrainEvent], None]


def ignore(event: TrainEvent) -> None:
    """An `on_event` that says nothing."""
