"""What `loopmix validate` finds: scores of pools and groups, trainings, comparisons, speed, a verdict."""

import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.results.codec import Number, Whole, read_file
from pipeline.results.inspection import Inspection
from pipeline.results.training import Check, Diagnostics, Status, TrainStep

VALIDATION_NAME = "validation.json"
MODELS_NAME = "models"  # of a validation's folder: where its trainings lie
_VALIDATE_AGAIN = "run `loopmix validate` again"


@dataclass(frozen=True)
class GroupScore:
    """One language or text source, or a whole pool (`group` empty), on the held-out tail, in the validation's unit."""

    pool: str
    group: str
    n_tokens: Whole
    n_bytes: Whole
    untrained: Number  # at step 0
    unigram: Number  # token frequencies of what was trained on
    final: Number
    curve: tuple[tuple[Whole, Number], ...]  # (step, score)
    status: Status
    message: str
    permuted: Number = math.nan  # of the trained model on the same tokens in a drawn order

    @property
    def name(self) -> str:
        return self.group or f"all {self.pool}"

    @property
    def gap(self) -> float:
        """The permutation gap: what the order of tokens is worth to the trained model."""
        return self.permuted - self.final

    @property
    def gain(self) -> float:
        """How far below the token frequencies it ended, as a part of them; NaN where that is no number."""
        return 1 - self.final / self.unigram if self.unigram else math.nan


@dataclass(frozen=True)
class Unjudged:
    """A group with too few held-out tokens to judge."""

    pool: str
    group: str
    n_tokens: Whole  # held out
    n_run_tokens: Whole  # scored ones of the whole run


@dataclass(frozen=True)
class Variant:
    """One training: a mixture, a number of loops, a seed; scored on every tail."""

    name: str
    mixture: str
    n_loops: Whole
    seed: Whole
    n_parameters: Whole
    n_tokens: Whole
    scores: dict[str, dict[str, Number]]  # tail -> pool ("all" too) -> score
    status: Status


@dataclass(frozen=True)
class Comparison:
    """Two settings at equal tokens on a tail, or a pool or group of it (`pool` is "all", `group` empty, for the whole).

    `difference` is second minus first, below 0: the second is better. Interval and `p_value` are of this line alone,
    `corrected_p` and `claimed` count all lines of the page (Holm).
    """

    first: str
    second: str
    tail: str
    pool: str
    difference: Number
    half_width: Number | None  # of the 95 % interval over seeds and documents; None where no claim can be made
    n_seeds: Whole
    message: str
    group: str = ""
    first_score: Number = math.nan  # means over seeds
    second_score: Number = math.nan
    n_documents: Whole = 0
    p_value: Number | None = None
    corrected_p: Number | None = None
    claimed: bool = False

    @property
    def part(self) -> str:
        """What of the tail is compared."""
        return self.group or self.pool


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
    n_tokens: Whole
    seq_len: Whole
    n_parameters: Whole
    n_loops: Whole
    status: Status
    message: str
    checks: tuple[Check, ...]
    pools: tuple[GroupScore, ...]
    groups: tuple[GroupScore, ...]
    steps: tuple[TrainStep, ...]
    spikes: tuple[Whole, ...]
    diagnostics: dict[str, Diagnostics]  # by number of loops
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    speed: Speed
    not_judged: tuple[Unjudged, ...] = ()  # largest first
    inspection: Inspection | None = None  # of the data; None where the tokenizer is unknown


def model_name(mixture: str, *, n_loops: int, seed: int) -> str:
    """What the folder of a training is called in V/models."""
    return f"{mixture}-r{n_loops}-s{seed}"


def read_validation(folder: Path) -> Validation:
    """V/validation.json."""
    return read_file(Validation, folder / VALIDATION_NAME, remedy=_VALIDATE_AGAIN)
