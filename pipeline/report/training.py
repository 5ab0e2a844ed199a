"""What a trained model's folder says: loss curves, the verdict, the loops. Reads JSON; torch is not needed.

The trainer writes train.json first, metrics.jsonl while it runs and result.json when it is done. Unknown keys are
ignored, so that a newer trainer can say more; a missing one is damage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import CheckpointError
from pipeline.report.numbers import Check, CurvePoint, GroupLoss, HeldOut, Loop, Training

N_CURVE_POINTS = 200
N_EVALUATIONS = 60
_REMEDY = "point --model at a folder that `loopmix train` wrote, or train again"


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Identity(_Loose):
    data: dict[str, str]


class _Entry(_Loose):
    kind: str


class _Step(_Loose):
    step: int
    loss: float | None


class _GroupLoss(_Loose):
    pool: str
    group: str
    n_tokens: int
    loss: float | None


class _Evaluation(_Loose):
    step: int
    loss: float | None
    pools: tuple[_GroupLoss, ...]
    groups: tuple[_GroupLoss, ...]


class _Stat(_Loose):
    mean: float | None


class _Loop(_Loose):
    loop: int
    loss: _Stat
    output_shift: _Stat
    effective_rank: float | None
    gate_mean: _Stat | None


class _Diagnostics(_Loose):
    loops: tuple[_Loop, ...]


class _Check(_Loose):
    name: str
    status: str
    message: str


class _Verdict(_Loose):
    status: str
    message: str
    checks: tuple[_Check, ...]


class _Result(_Loose):
    verdict: _Verdict
    n_parameters: int
    n_loops: int
    n_wanted_steps: int
    n_epochs: float
    unigram_entropies: dict[str, float]
    diagnostics: _Diagnostics


_Model = TypeVar("_Model", bound=_Loose)


def read_training(model: Path, *, hashes: dict[str, str]) -> Training:
    """The training in folder `model`. `hashes`: SHA-256 of this run's packed shards by file name.

    Raises CheckpointError if the folder is no model folder or one of its files is damaged.
    """
    identity = _parse(_Identity, _read(model / "train.json"), where=str(model / "train.json"))
    steps, evaluations = _metrics(model / "metrics.jsonl")
    path = model / "result.json"
    result = _parse(_Result, _read(path), where=str(path)) if path.exists() else None
    verdict = result.verdict if result else None
    return Training(
        status=verdict.status if verdict else None,
        message=verdict.message if verdict else "Training has not finished, so there is no verdict yet.",
        is_same_data=identity.data == hashes,
        n_parameters=result.n_parameters if result else None,
        n_loops=result.n_loops if result else None,
        n_steps=max((s.step for s in steps), default=0),
        n_wanted_steps=result.n_wanted_steps if result else None,
        n_epochs=result.n_epochs if result else None,
        unigram_entropies=dict(sorted(result.unigram_entropies.items())) if result else {},
        curve=_thin(steps),
        evaluations=_some(evaluations),
        checks=tuple(Check(c.name, c.status, c.message) for c in verdict.checks) if verdict else (),
        loops=tuple(_loop(loop) for loop in result.diagnostics.loops) if result else (),
    )


def _read(path: Path) -> bytes:
    """The bytes of a file of the model folder."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}; {_REMEDY}") from error


def _parse(model: type[_Model], data: bytes, *, where: str) -> _Model:
    """Validate JSON leniently: more keys are fine, a missing or odd one is damage."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(p) for p in first["loc"]) or "file"
        raise CheckpointError(f"{where}: is damaged: {place}: {first['msg']}; {_REMEDY}") from None


def _metrics(path: Path) -> tuple[list[_Step], list[HeldOut]]:
    """Steps and evaluations. A last line without its end is still being written and is left out."""
    steps, evaluations = [], []
    for number, line in enumerate(_read(path).split(b"\n")[:-1], start=1):
        where = f"{path}: line {number}"
        if _parse(_Entry, line, where=where).kind == "step":
            steps.append(_parse(_Step, line, where=where))
        else:
            evaluations.append(_held_out(_parse(_Evaluation, line, where=where)))
    return steps, evaluations


def _held_out(entry: _Evaluation) -> HeldOut:
    """An evaluation as the report shows it."""
    pools, groups = (
        tuple(GroupLoss(g.pool, g.group, g.n_tokens, _finite(g.loss)) for g in found)
        for found in (entry.pools, entry.groups)
    )
    return HeldOut(entry.step, _finite(entry.loss), pools, groups)


def _finite(value: float | None) -> float | None:
    """JSON has no infinities, but a reader should not trust the writer."""
    return value if value is not None and math.isfinite(value) else None


def _loop(loop: _Loop) -> Loop:
    """The few loop diagnostics that the report shows; result.json has more."""
    gate = loop.gate_mean.mean if loop.gate_mean else None
    return Loop(loop.loop, loop.loss.mean, loop.output_shift.mean, loop.effective_rank, gate)


def _thin(steps: list[_Step]) -> tuple[CurvePoint, ...]:
    """Means over even stretches of steps; a loss that is no finite number leaves a gap."""
    finite = [(s.step, s.loss) for s in steps if s.loss is not None and math.isfinite(s.loss)]
    parts = np.array_split(np.arange(len(finite)), min(len(finite), N_CURVE_POINTS)) if finite else []
    return tuple(CurvePoint(finite[part[-1]][0], math.fsum(finite[i][1] for i in part) / part.size) for part in parts)


def _some(evaluations: list[HeldOut]) -> tuple[HeldOut, ...]:
    """At most N_EVALUATIONS of them, the first and the last included."""
    if len(evaluations) <= N_EVALUATIONS:
        return tuple(evaluations)
    index = np.unique(np.linspace(0, len(evaluations) - 1, N_EVALUATIONS).round().astype(np.int64))
    return tuple(evaluations[i] for i in index)


@dataclass(frozen=True)
class LossChange:
    """Held-out loss of a group at the first and at the last evaluation."""

    pool: str
    group: str
    n_tokens: int
    first: float
    last: float


def loss_changes(training: Training) -> tuple[LossChange, ...]:
    """Groups scored with a finite loss at both ends, largest first."""
    if not training.evaluations:
        return ()
    first = {(g.pool, g.group): g.loss for g in training.evaluations[0].groups}
    changes = []
    for g in training.evaluations[-1].groups:
        before = first.get((g.pool, g.group))
        if before is not None and g.loss is not None:
            changes.append(LossChange(g.pool, g.group, g.n_tokens, before, g.loss))
    return tuple(sorted(changes, key=lambda c: (-c.n_tokens, c.pool, c.group)))
