"""validation.json as the page and the terminal read it. Unknown keys are ignored; a missing one is damage."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import CheckpointError
from pipeline.report.loops import LoopDiagnosis


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Finding(_Loose):
    """One check of the verdict."""

    name: str
    status: str
    message: str


class Score(_Loose):
    """A pool or group on the held-out tail, in the validation's unit."""

    pool: str
    group: str
    n_tokens: int
    n_bytes: int
    untrained: float | None
    unigram: float | None
    final: float | None
    curve: tuple[tuple[int, float | None], ...]
    status: str
    message: str

    @property
    def name(self) -> str:
        return self.group or f"all {self.pool}"

    @property
    def gain(self) -> float | None:
        """How far below the token frequencies it ended, as a part of them."""
        if self.final is None or not self.unigram:
            return None
        return 1 - self.final / self.unigram


class TrainedVariant(_Loose):
    """One training."""

    name: str
    mixture: str
    n_loops: int
    seed: int
    n_parameters: int
    n_tokens: int
    scores: dict[str, dict[str, float | None]]
    status: str


class Compared(_Loose):
    """Two settings at equal tokens."""

    first: str
    second: str
    tail: str
    pool: str
    difference: float | None
    half_width: float | None
    n_seeds: int
    message: str


class Speeds(_Loose):
    """What depends on a clock."""

    device: str
    tokens_per_second: float
    wait_frac: float
    loader_tokens_per_second: float
    needed_tokens_per_second: float


class StepLoss(_Loose):
    """One update."""

    step: int
    loss: float | None
    code_loss: float | None
    text_loss: float | None


class Validated(_Loose):
    """The verdict on a mixture."""

    mixture: str
    unit: str
    n_tokens: int
    seq_len: int
    n_parameters: int
    n_loops: int
    status: str
    message: str
    checks: tuple[Finding, ...]
    pools: tuple[Score, ...]
    groups: tuple[Score, ...]
    steps: tuple[StepLoss, ...]
    spikes: tuple[int, ...]
    diagnostics: dict[str, LoopDiagnosis]
    variants: tuple[TrainedVariant, ...]
    comparisons: tuple[Compared, ...]
    speed: Speeds


def read_validation(path: Path) -> Validated:
    """Raises CheckpointError where the file cannot be read or is damaged."""
    try:
        return Validated.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(f"{path}: is no result of `loopmix validate` ({error}); run it again") from error
