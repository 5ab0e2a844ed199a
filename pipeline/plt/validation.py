"""Scores per language and spikes of a validation: arithmetic on what trainings recorded."""

import math
from dataclasses import dataclass, replace
from statistics import median, pstdev
from typing import Literal

import numpy as np

from pipeline.plt.compare import LEVEL, holm
from pipeline.plt.student import two_sided_p
from pipeline.results import (
    DocumentLoss,
    GroupLoss,
    GroupScore,
    Status,
    TrainRecord,
    TrainStep,
)

# Plain choices: twenty steps give a usable deviation, six of those are rare without cause, and half a nat keeps the
# tiny deviations of a level curve from making every wobble a spike.
_SPIKE_WINDOW = 20
_SPIKE_SIGMAS = 6.0
_MIN_SPIKE_NATS = 0.5
_STILL_FALLING = 0.002  # part of the score that the last quarter must still gain to call a curve unfinished
# A mean that hangs on fewer documents of equal weight has no spread to speak of.
_MIN_EQUAL_DOCUMENTS = 2


def score(found: GroupLoss) -> float:
    """Bits per byte, or nats per token where bytes are unknown."""
    return found.loss if found.bits_per_byte is None else found.bits_per_byte


def document_scores(documents: tuple[DocumentLoss, ...]) -> dict[str, float]:
    """Score of each pool and, as "all", of all documents."""
    pools = sorted({d.pool for d in documents})
    parts = [("all", documents), *((pool, tuple(d for d in documents if d.pool == pool)) for pool in pools)]
    return {name: _mean(part) for name, part in parts}


def _mean(documents: tuple[DocumentLoss, ...]) -> float:
    n_tokens, n_bytes = sum(d.n_tokens for d in documents), sum(d.n_bytes for d in documents)
    return score(GroupLoss("", "", n_tokens, math.fsum(d.nats for d in documents) / n_tokens, n_bytes))


def pool_scores(record: TrainRecord) -> tuple[GroupScore, ...]:
    """Pools with enough held-out tokens to judge."""
    return _scores(record, record.evaluations[-1].pools)


def group_scores(record: TrainRecord, documents: tuple[DocumentLoss, ...]) -> tuple[GroupScore, ...]:
    """Groups with enough held-out tokens to judge, by final score over their token frequencies, worst first.

    A group is late only if its documents tell that beyond chance: in a mixture of many languages a few small ones stand
    above their floor by the luck of what was held out.
    """
    found = _scores(record, record.evaluations[-1].groups)
    above = [g for g in found if g.status == "pass" and not g.final < g.unigram]
    # Over all groups and not over those above only: those were chosen by what is tested.
    p_values = [excess_over(documents, g, of="floor").p_above for g in found]
    corrected = dict(zip([(g.pool, g.group) for g in found], holm(p_values), strict=True))
    sure = {(g.pool, g.group) for g in above if corrected[g.pool, g.group] <= LEVEL}
    told = []
    for g in found:
        if g in above:
            late = (g.pool, g.group) in sure
            message = "above what counting tokens reaches" if late else "not told from what counting tokens reaches"
            g = replace(g, status="warn" if late else "pass", message=message)
        told.append(g)
    return tuple(sorted(told, key=lambda g: (-g.final / g.unigram, g.pool, g.group)))


def _scores(record: TrainRecord, last: tuple[GroupLoss, ...]) -> tuple[GroupScore, ...]:
    floors = {(g.pool, g.group): score(g) for g in record.unigram_losses}
    permuted = {(g.pool, g.group): score(g) for g in record.permuted_losses}
    found = []
    for of_last in last:
        if of_last.n_tokens < record.min_group_tokens:
            continue
        key = (of_last.pool, of_last.group)
        curve = tuple(
            (e.step, score(g)) for e in record.evaluations for g in (*e.pools, *e.groups) if (g.pool, g.group) == key
        )
        status, message = _learns(curve)
        ends = curve[0][1], floors[key], curve[-1][1]
        found.append(
            GroupScore(
                *key, of_last.n_tokens, of_last.n_bytes, *ends, curve, status, message, permuted.get(key, math.nan)
            )
        )
    return tuple(found)


def _learns(curve: tuple[tuple[int, float], ...]) -> tuple[Status, str]:
    first, final = curve[0][1], curve[-1][1]
    best = min(value for _, value in curve)
    if not final < first:  # "not below", so that a score that is no number counts as not learnt
        return "fail", "did not fall below the untrained model"
    if final > best * 1.02:  # a plain choice
        return "warn", f"rose again from {best:.3f}"
    earlier = [value for step, value in curve if step <= 0.75 * curve[-1][0]]
    falling = earlier and earlier[-1] - final > _STILL_FALLING * final
    return "pass", "learns, still falling at the end" if falling else "learns, level at the end"


@dataclass(frozen=True)
class Excess:
    """How far a group's mean lies above a limit, with one-sided probabilities under documents drawn anew."""

    mean: float
    p_above: float  # of at least this much if the truth were at the limit
    p_below: float


def excess_over(
    documents: tuple[DocumentLoss, ...], group: GroupScore, *, of: Literal["floor", "gap"], limit: float = 0.0
) -> Excess:
    """Of its loss over its token frequencies ("floor"), or of its permutation gap, above `limit` in the group's unit.

    The mean is a ratio of sums over documents, its error that of the sums' linear part; Student's t has as many degrees
    of freedom as documents of equal size would give. One document tells nothing: both probabilities are 1.
    """
    mine = [d for d in documents if (d.pool, d.group) == (group.pool, group.group)]
    units = np.array([d.n_bytes * math.log(2) if group.n_bytes else d.n_tokens for d in mine], dtype=np.float64)
    other = np.array([d.unigram_nats if of == "floor" else d.nats for d in mine])
    values = np.array([d.nats if of == "floor" else d.permuted_nats for d in mine]) - other
    total = float(units.sum()) if mine else 0.0
    mean = float(values.sum() / total) - limit if total else math.nan
    n_equal = float(total**2 / (units**2).sum()) if total else 0.0
    if n_equal < _MIN_EQUAL_DOCUMENTS or not math.isfinite(mean):
        return Excess(mean, 1.0, 1.0)
    rest = values - (mean + limit) * units
    error = math.sqrt(float((rest**2).sum()) * len(mine) / (len(mine) - 1)) / total
    two_sided = two_sided_p(mean / error, freedom=n_equal - 1) if error else float(mean == 0)
    return Excess(mean, *((two_sided / 2, 1 - two_sided / 2)[:: 1 if mean > 0 else -1]))


def find_spikes(steps: tuple[TrainStep, ...]) -> tuple[int, ...]:
    """Steps whose loss stands out of the twenty before: more than 6 deviations and half a nat above their median."""
    found = []
    losses = [s.loss for s in steps]
    for i in range(_SPIKE_WINDOW, len(losses)):
        before = [loss for loss in losses[i - _SPIKE_WINDOW : i] if math.isfinite(loss)] or [0.0]
        limit = median(before) + max(_MIN_SPIKE_NATS, _SPIKE_SIGMAS * pstdev(before))
        if not losses[i] <= limit:
            found.append(steps[i].step)
    return tuple(found)
