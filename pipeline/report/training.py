"""A trained model's folder as the report shows it: thinned curves, the verdict, the loops."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.engine.run_folder import RunFiles
from pipeline.results import (
    RESULT_NAME,
    Check,
    Evaluation,
    LoopDiagnostics,
    TrainStep,
    read_identity,
    read_metrics,
    read_result,
)
from pipeline.schema import PACKED

# Plain choices: as many as a chart shows apart, and as many as a table of evaluations can hold and still be read.
N_CURVE_POINTS = 200
N_EVALUATIONS = 60


@dataclass(frozen=True)
class CurvePoint:
    """Mean training loss, in nats, of the steps since the point before."""

    step: int
    loss: float


@dataclass(frozen=True)
class LoopMeans:
    """What one loop of the model does to the prediction; means alone, result.json has more."""

    loop: int
    loss: float
    output_shift: float  # mean KL to the loop before, in nats
    effective_rank: float
    gate_mean: float | None  # weight of the global branch; None: no gate


@dataclass(frozen=True, kw_only=True)
class Training:
    """A model trained on this run. Without `status` the training has not finished."""

    status: str | None = None
    message: str = "Training has not finished, so there is no verdict yet."
    is_same_data: bool  # the model folder names the hashes of this run's packed shards
    n_parameters: int | None = None
    n_loops: int | None = None
    n_steps: int
    n_wanted_steps: int | None = None
    n_epochs: float | None = None
    unigram_entropies: dict[str, float]  # nats, per pool: what token frequencies alone would reach
    curve: tuple[CurvePoint, ...]
    evaluations: tuple[Evaluation, ...]
    checks: tuple[Check, ...] = ()
    loops: tuple[LoopMeans, ...] = ()


def packed_hashes(run: RunFiles) -> dict[str, str]:
    """SHA-256 of the run's packed shards by file name, as the trainer writes them into the model folder."""
    return {f.path.removeprefix(f"{PACKED}/"): f.sha256 for f in run.files(PACKED)}


def read_training(model: Path, *, hashes: dict[str, str]) -> Training:
    """The training in folder `model`. `hashes`: SHA-256 of this run's packed shards by file name.

    Raises CheckpointError if the folder is no model folder or one of its files is damaged.
    """
    is_same_data = read_identity(model).data == hashes
    steps, evaluations = read_metrics(model)
    begun = Training(
        is_same_data=is_same_data,
        n_steps=max((s.step for s in steps), default=0),
        unigram_entropies={},
        curve=_thin(steps),
        evaluations=_some(evaluations),
    )
    if not (model / RESULT_NAME).exists():
        return begun
    result = read_result(model)
    record, verdict = result.record, result.verdict
    return replace(
        begun,
        status=verdict.status,
        message=verdict.message,
        n_parameters=record.n_parameters,
        n_loops=record.n_loops,
        n_wanted_steps=record.n_wanted_steps,
        n_epochs=record.n_epochs,
        unigram_entropies=dict(sorted(record.unigram_entropies.items())),
        checks=verdict.checks,
        loops=tuple(_means(loop) for loop in record.diagnostics.loops),
    )


def _means(of: LoopDiagnostics) -> LoopMeans:
    gate = of.gate_mean.mean if of.gate_mean else None
    return LoopMeans(of.loop, of.loss.mean, of.output_shift.mean, of.effective_rank, gate)


def _thin(steps: list[TrainStep]) -> tuple[CurvePoint, ...]:
    """Means over even stretches of steps; a loss that is no finite number leaves a gap."""
    finite = [s for s in steps if math.isfinite(s.loss)]
    parts = np.array_split(np.arange(len(finite)), min(len(finite), N_CURVE_POINTS)) if finite else []
    return tuple(CurvePoint(finite[p[-1]].step, math.fsum(finite[i].loss for i in p) / p.size) for p in parts)


def _some(evaluations: list[Evaluation]) -> tuple[Evaluation, ...]:
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
    changes = [
        LossChange(g.pool, g.group, g.n_tokens, first.get((g.pool, g.group), math.nan), g.loss)
        for g in training.evaluations[-1].groups
    ]
    finite = [c for c in changes if math.isfinite(c.first) and math.isfinite(c.last)]
    return tuple(sorted(finite, key=lambda c: (-c.n_tokens, c.pool, c.group)))
