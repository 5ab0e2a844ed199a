"""Scores per language, spikes and comparisons of a validation: arithmetic on what trainings recorded."""

import math
from statistics import fmean, median, pstdev, stdev

from pipeline.results import Comparison, Evaluation, GroupLoss, GroupScore, Status, TrainRecord, TrainStep, Variant

# Student and not 1.96: three seeds have two degrees of freedom, and their interval is twice as wide.
T_95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}  # Student's t by freedom
# Plain choices: twenty steps give a usable deviation, six of those are rare without cause, and half a nat keeps the
# tiny deviations of a level curve from making every wobble a spike.
_SPIKE_WINDOW = 20
_SPIKE_SIGMAS = 6.0
_MIN_SPIKE_NATS = 0.5
_STILL_FALLING = 0.002  # part of the score that the last quarter must still gain to call a curve unfinished


def score(found: GroupLoss) -> float:
    """Bits per byte, or nats per token where bytes are unknown."""
    return found.loss if found.bits_per_byte is None else found.bits_per_byte


def pool_scores(evaluation: Evaluation) -> dict[str, float]:
    """Score of each pool and, as "all", of the whole tail."""
    pools = evaluation.pools
    whole = GroupLoss("all", "", evaluation.n_tokens, evaluation.loss, sum(p.n_bytes for p in pools))
    return {p.pool: score(p) for p in (whole, *pools)}


def group_scores(record: TrainRecord, *, pools: bool) -> tuple[GroupScore, ...]:
    """Pools, or groups with enough held-out tokens to judge, by final score over their unigram floor, worst first."""
    floors = {(g.pool, g.group): score(g) for g in record.unigram_losses}
    last = record.evaluations[-1].pools if pools else record.evaluations[-1].groups
    found = []
    for of_last in last:
        if of_last.n_tokens < record.min_group_tokens:
            continue
        key = (of_last.pool, of_last.group)
        curve = tuple(
            (e.step, score(g)) for e in record.evaluations for g in (*e.pools, *e.groups) if (g.pool, g.group) == key
        )
        status, message = _learns(curve, unigram=floors[key])
        ends = curve[0][1], floors[key], curve[-1][1]
        found.append(GroupScore(*key, of_last.n_tokens, of_last.n_bytes, *ends, curve, status, message))
    return tuple(sorted(found, key=lambda g: (-g.final / g.unigram, g.pool, g.group)))


def _learns(curve: tuple[tuple[int, float], ...], *, unigram: float) -> tuple[Status, str]:
    first, final = curve[0][1], curve[-1][1]
    best = min(value for _, value in curve)
    if not final < first:  # "not below", so that a score that is no number counts as not learnt
        return "fail", "did not fall below the untrained model"
    if not final < unigram:
        return "warn", "not yet below what counting tokens reaches"
    if final > best * 1.02:  # a plain choice
        return "warn", f"rose again from {best:.3f}"
    earlier = [value for step, value in curve if step <= 0.75 * curve[-1][0]]
    falling = earlier and earlier[-1] - final > _STILL_FALLING * final
    return "pass", "learns, still falling at the end" if falling else "learns, level at the end"


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


def compare(first: list[Variant], second: list[Variant], *, tail: str, pool: str) -> Comparison:
    """Paired over seeds: equal seeds start from equal weights and read the same number of tokens."""
    by_seed = {v.seed: v.scores[tail][pool] for v in first}
    pairs = [v.scores[tail][pool] - by_seed[v.seed] for v in second if v.seed in by_seed]
    difference = fmean(pairs)
    names = first[0].name.rsplit(" seed", 1)[0], second[0].name.rsplit(" seed", 1)[0]
    if len(pairs) < 2:
        return Comparison(*names, tail, pool, difference, None, 1, "one seed: no spread, so no claim")
    half = T_95.get(len(pairs) - 1, 1.96) * stdev(pairs) / math.sqrt(len(pairs))
    if not abs(difference) > half:
        message = "smaller than the spread over seeds: no difference can be claimed"
    else:
        message = f"{names[1] if difference < 0 else names[0]} is better, beyond the spread over seeds"
    return Comparison(*names, tail, pool, difference, half, len(pairs), message)
