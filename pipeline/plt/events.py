"""What training says while it runs and when it is done: plain frozen data, for the terminal, the report and the tests.

Seconds and speeds live in events only. Nothing here that is written to disk depends on the clock, so an interrupted
run leaves the same bytes as an undisturbed one.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class GroupLoss:
    """Mean loss in nats of a group's held-out targets; `group` is empty for a whole pool."""

    pool: str
    group: str
    n_tokens: int
    loss: float
    n_bytes: int = 0  # that the scored targets stand for; 0 where the tokenizer is unknown

    @property
    def bits_per_byte(self) -> float | None:
        """The loss in the only unit that languages and tokenizers share."""
        return self.loss * self.n_tokens / math.log(2) / self.n_bytes if self.n_bytes else None


@dataclass(frozen=True)
class Evaluation:
    """Held-out loss after `step` updates, over all, per pool and per group."""

    step: int
    n_tokens: int
    loss: float
    pools: tuple[GroupLoss, ...]
    groups: tuple[GroupLoss, ...]


@dataclass(frozen=True)
class Step:
    """One update, numbered from 1. Loss in nats per target; tokens are real ones, summed from the start.

    A pool without a target in this update has no loss: it is NaN, null in the metrics.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    n_code_tokens: int
    n_text_tokens: int
    code_loss: float = math.nan
    text_loss: float = math.nan


@dataclass(frozen=True)
class Stat:
    """A mean over sequences with the half-width of its 95 % confidence interval."""

    mean: float
    ci95: float


@dataclass(frozen=True)
class LoopDiagnostics:
    """The report's measures of loop r (its section on interpretability). Loop 0 in a difference is the embedding.

    "normed" means after the final norm: the report does not say which side it measures, so both are given. None: not
    defined for this loop. Document starts and padding never enter, except in loss, entropy and rank (padding only).
    """

    loop: int
    step_size: Stat  # norm of z(r) - z(r-1)
    step_size_normed: Stat
    alignment: Stat | None  # cosine between this step and the one before; below 0: it turns back
    alignment_normed: Stat | None
    effective_rank: float  # exp of the entropy of normalised singular values, normed states, n_rank_tokens rows
    fixed_point_gap: Stat  # norm of z(r) - f(z(r)), f in the mode of the loops >= 2 where there are any
    offset_cost: Stat | None  # Omega: norm of z(r-1)_i - z(r-1)_(i-1)
    offset_cost_normed: Stat | None
    gate_mean: Stat | None  # weight of the global branch over heads, layers and tokens
    gate_saturated_frac: float | None  # gates below 0.02 or above 0.98
    layer_gate_means: tuple[float, ...]
    output_shift: Stat  # KL(p(r) || p(r-1)) in nats
    output_shift_frac: float | None  # this loop's part of the sum over loops >= 2
    peak_frac: float | None  # tokens whose largest output shift among loops >= 2 is here
    output_entropy: Stat  # nats
    loss: Stat  # of the head applied to this loop
    median_target_rank: float  # 1: the true token is the likeliest
    # From here on: means over sequences of what the fields above pool, and attention (see `probe.py`).
    target_rank: Stat | None = None  # mean over sequences of their medians
    sequence_rank: Stat | None = None  # effective rank within a sequence, n_sequence_rank_tokens rows
    output_shift_share: Stat | None = None
    peak_share: Stat | None = None
    attention_entropy: Stat | None = None  # nats, over keys, of the map that acts
    attention_change: Stat | None = None  # KL(A(r) || A(r-1)) in nats
    attention_change_share: Stat | None = None
    head_rank: Stat | None = None  # effective rank of the heads' maps of a query
    head_similarity: Stat | None = None  # mean cosine between heads


@dataclass(frozen=True)
class Diagnostics:
    """Loop diagnostics of one model over held-out sequences."""

    n_sequences: int
    n_tokens: int
    n_rank_tokens: int
    n_sequence_rank_tokens: int
    loops: tuple[LoopDiagnostics, ...]


@dataclass(frozen=True)
class Check:
    """One named test of the verdict with the numbers it judged."""

    name: str
    status: Status
    message: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """The worst status of its checks, in one sentence, and the checks."""

    status: Status
    message: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class TrainRecord:
    """What the verdict judges: everything measured in a training run."""

    n_parameters: int
    n_loops: int
    seq_len: int
    n_steps: int  # updates done
    n_wanted_steps: int
    n_epochs: float  # passes over the training part of the stream
    n_tokens: dict[str, int]  # real tokens trained on, per pool
    parts: dict[str, int]  # ratio that the training file expects between them
    min_group_tokens: int
    n_masked_pieces: int  # held-out pieces left unscored because their document also trains
    unigram_entropies: dict[str, float]  # nats, of the tokens trained on, per pool
    unigram_losses: tuple[GroupLoss, ...]  # held-out loss of those frequencies (add-one), per pool and group
    steps: tuple[Step, ...]
    evaluations: tuple[Evaluation, ...]
    diagnostics: Diagnostics


@dataclass(frozen=True)
class TrainResult:
    """A finished run: MODEL/result.json holds the same, with the training curve thinned."""

    folder: Path
    record: TrainRecord
    verdict: Verdict


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
    world: int = 1
    backend: str = "sdpa"


@dataclass(frozen=True)
class Stepped:
    """Said after every update."""

    step: Step
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


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON of a dataclass or plain value; numbers that JSON lacks (infinities, NaN) become null."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    return json.dumps(_finite(plain), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, Path) else value
