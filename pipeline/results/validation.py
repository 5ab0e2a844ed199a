"""What `loopmix validate` finds: scores of pools and groups, trainings, comparisons, speed, a verdict."""

import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.results.codec import Number, read_file
from pipeline.results.training import Check, Diagnostics, Status, TrainStep

VALIDATION_NAME = "validation.json"
_VALIDATE_AGAIN = "run `loopmix validate` again"


@dataclass(frozen=True)
class GroupScore:
    """One language or text source, or a whole pool (`group` empty), on the held-out tail, in the validation's unit."""

    pool: str
    group: str
    n_tokens: int
    n_bytes: int
    untrained: Number  # at step 0
    unigram: Number  # token frequencies of what was trained on
    final: Number
    curve: tuple[tuple[int, Number], ...]  # (step, score)
    status: Status
    message: str

    @property
    def name(self) -> str:
        return self.group or f"all {self.pool}"

    @property
    def gain(self) -> float:
        """How far below the token frequencies it ended, as a part of them; NaN where that is no number."""
        return 1 - self.final / self.unigram if self.unigram else math.nan


@dataclass(frozen=True)
class Variant:
    """One training: a mixture, a number of loops, a seed; scored on every tail."""

    name: str
    mixture: str
    n_loops: int
    seed: int
    n_parameters: int
    n_tokens: int
    scores: dict[str, dict[str, Number]]  # tail -> pool ("all" too) -> score
    status: Status


@dataclass(frozen=True)
class Comparison:
    """Two settings at equal tokens. `difference` is second minus first, below 0: the second is better."""

    first: str
    second: str
    tail: str
    pool: str
    difference: Number
    half_width: Number | None  # of the 95 % interval over paired seeds; None with one seed
    n_seeds: int
    message: str


@dataclass(frozen=True)
class Speed:
    """What this machine did, and what a 7B run would ask of the loader. The only numbers that depend on a clock."""

    device: str
    tokens_per_second: Number
    wait_frac: Number  # part of the training time that steps waited for the loader
    loader_tokens_per_second: Number
    needed_tokens_per_second: Number  # one H200 at the aimed MFU on the paper's 7B, R = 2


@dataclass(frozen=True)
class Validation:
    """The verdict on a mixture and everything that it rests on.

    Scores are bits per byte where the run's tokenizer is known, else nats per token; `unit` says which.
    """

    mixture: str
    unit: str
    n_tokens: int
    seq_len: int
    n_parameters: int
    n_loops: int
    status: Status
    message: str
    checks: tuple[Check, ...]
    pools: tuple[GroupScore, ...]
    groups: tuple[GroupScore, ...]
    steps: tuple[TrainStep, ...]
    spikes: tuple[int, ...]
    diagnostics: dict[str, Diagnostics]  # by number of loops
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    speed: Speed


def read_validation(folder: Path) -> Validation:
    """V/validation.json."""
    return read_file(Validation, folder / VALIDATION_NAME, remedy=_VALIDATE_AGAIN)
