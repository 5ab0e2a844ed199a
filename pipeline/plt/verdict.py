"""Does the mixture hold? Named checks on a finished training run, each with its numbers and a sentence.

`fail` means the mixture or the training is broken, `warn` that it could not be judged or deserves a look.
"""

import math
from statistics import fmean, pstdev

from pipeline.results import Check, Evaluation, GroupLoss, LoopDiagnostics, Status, TrainRecord, Verdict
from pipeline.schema import POOLS

# The bounds are plain choices, none is from a paper. They are in nats, because the checks must work where the tokenizer
# is unknown.
_MAX_RISE_NATS = 0.25  # of the mean training loss from one tenth of the run to the next, at the end
_MAX_JUMP_NATS = 1.0  # of a single step over the mean of the tenth before the last ...
_MAX_JUMP_SIGMAS = 5.0  # ... or in standard deviations of that tenth, where steps are noisier
_MIN_JUDGED_STEPS = 40  # fewer: a tenth of the run is too noisy to compare
_MAX_RELAPSE_NATS = 0.2  # of a group over its best evaluation
_MIN_SHIFT_NATS = 1e-4  # output shift below which a loop changes nothing
# A sigmoid at 0.02 or 0.98 has a twelfth of the slope that it starts with; where most gates stand there, one of the two
# branches hardly learns any more.
_MAX_SATURATED_FRAC = 0.5


def judge(record: TrainRecord) -> Verdict:
    """Judge a finished training run. The verdict's status is the worst of its checks."""
    later = [loop for loop in record.diagnostics.loops if loop.loop > 1]
    checks = (
        _finished(record),
        *(_below_unigram(record, pool) for pool in POOLS),
        _groups_improved(record),
        _groups_held(record),
        _balance(record),
        _no_spike(record),
        *((_loops_matter(later), _gates_open(later)) if later else ()),
    )
    return conclude(checks)


def conclude(checks: tuple[Check, ...]) -> Verdict:
    """The worst status of the checks, and a sentence that names those which have it."""
    failed, warned = ([c.name for c in checks if c.status == status] for status in ("fail", "warn"))
    if failed:
        return Verdict("fail", f"The mixture is not proven: {', '.join(failed)} failed.", checks)
    if warned:
        return Verdict("warn", f"The mixture trains, with doubts about {', '.join(warned)}.", checks)
    return Verdict("pass", f"The mixture trains: all {len(checks)} checks passed.", checks)


def check(name: str, status: Status, /, *, message: str, **numbers: float) -> Check:
    return Check(name, status, message, {key: float(value) for key, value in numbers.items()})


def _finished(record: TrainRecord) -> Check:
    """A loss that is no number ends training early; see `train.py`."""
    broken = [s.step for s in record.steps if not (math.isfinite(s.loss) and math.isfinite(s.grad_norm))]
    numbers = {"n_steps": record.n_steps, "n_wanted_steps": record.n_wanted_steps}
    if broken:
        message = f"Loss or gradient stopped being a finite number at step {broken[0]}; training ended there."
        return check("finite_loss", "fail", message=message, **numbers)
    if not math.isfinite(record.evaluations[-1].loss):
        return check("finite_loss", "fail", message="The held-out loss is not a finite number.", **numbers)
    message = f"Loss and gradient stayed finite over all {record.n_steps} steps."
    return check("finite_loss", "pass", message=message, **numbers)


def _below_unigram(record: TrainRecord, pool: str) -> Check:
    """Frequencies alone are the least that any readable text teaches; a pool of noise stays above their entropy."""
    name = f"{pool}_below_unigram"
    entropy = record.unigram_entropies.get(pool)
    scored = {p.pool: p for p in record.evaluations[-1].pools}.get(pool)
    if entropy is None:
        return check(name, "fail", message=f"The training part holds no {pool} token.")
    if scored is None or scored.n_tokens < record.min_group_tokens:
        n_tokens = scored.n_tokens if scored else 0
        message = f"Only {n_tokens} held-out {pool} tokens could be scored; hold out more sequences."
        return check(name, "warn", message=message, n_tokens=n_tokens, unigram_entropy=entropy)
    learnt = scored.loss < entropy
    message = (
        f"The held-out {pool} loss, {scored.loss:.3f} nats, is {'below' if learnt else 'not below'} the entropy of "
        f"{pool} token frequencies, {entropy:.3f}: the model learnt {'more than' if learnt else 'no more than'} those."
    )
    return check(name, "pass" if learnt else "fail", message=message, loss=scored.loss, unigram_entropy=entropy)


def _judged_groups(record: TrainRecord) -> list[GroupLoss]:
    return [g for g in record.evaluations[-1].groups if g.n_tokens >= record.min_group_tokens]


def _loss_of(evaluation: Evaluation, group: GroupLoss) -> float:
    return next(g.loss for g in evaluation.groups if (g.pool, g.group) == (group.pool, group.group))


def _groups_improved(record: TrainRecord) -> Check:
    """Each group that is large enough must have learnt something, or its share of the mixture is wasted."""
    groups = _judged_groups(record)
    if not groups or len(record.evaluations) < 2:
        message = (
            f"No group has {record.min_group_tokens} held-out tokens and two evaluations; hold out more sequences."
        )
        return check("groups_improved", "warn", message=message, n_groups=len(groups))
    # Written as "not below", so that a loss that is no number counts as not improved.
    stuck = [g.group for g in groups if not g.loss < _loss_of(record.evaluations[0], g)]
    numbers = {"n_groups": len(groups), "n_not_improved": len(stuck)}
    message = f"All {len(groups)} groups with at least {record.min_group_tokens} held-out tokens improved."
    if stuck:
        message = f"Held-out loss of {_name(stuck)} did not fall below its first evaluation."
    return check("groups_improved", "fail" if stuck else "pass", message=message, **numbers)


def _groups_held(record: TrainRecord) -> Check:
    """A group that gets worse again while others improve is forgotten or was repeated too often."""
    relapses = {g.group: g.loss - min(_loss_of(e, g) for e in record.evaluations) for g in _judged_groups(record)}
    worst = max(relapses.values(), default=0.0)
    lost = [group for group, relapse in relapses.items() if not relapse <= _MAX_RELAPSE_NATS]
    message = f"No group ended more than {_MAX_RELAPSE_NATS} nats above its best evaluation."
    if lost:
        message = f"{_name(lost)} ended more than {_MAX_RELAPSE_NATS} nats above the best evaluation: too many repeats?"
    return check("groups_held", "warn" if lost else "pass", message=message, worst_relapse=worst)


def _name(groups: list[str]) -> str:
    return ", ".join(groups[:5]) + (f" and {len(groups) - 5} more" if len(groups) > 5 else "")


def _balance(record: TrainRecord) -> Check:
    """Every prefix of the stream is balanced to one sequence; each pass over the stream may add one more."""
    seen, parts = record.n_tokens, record.parts
    off_by = abs(seen["code"] * parts["text"] - seen["text"] * parts["code"])
    allowed = record.seq_len * max(parts.values()) * max(1, math.ceil(record.n_epochs))
    numbers = {f"n_{pool}_tokens": seen[pool] for pool in POOLS} | {"off_by": off_by}
    balanced = off_by <= allowed
    message = (
        f"Trained on {seen['code']} code and {seen['text']} text tokens; at {parts['code']}:{parts['text']} they are "
        f"{off_by} apart, {allowed} {'are' if balanced else 'would be'} allowed."
    )
    return check("balance", "pass" if balanced else "fail", message=message, allowed=allowed, **numbers)


def _no_spike(record: TrainRecord) -> Check:
    """Compare the last tenth of the training losses with the tenth before it."""
    losses = [s.loss for s in record.steps if math.isfinite(s.loss)]
    if len(losses) < _MIN_JUDGED_STEPS:
        message = f"{len(losses)} steps are too few to tell a spike from noise; {_MIN_JUDGED_STEPS} are needed."
        return check("no_spike_at_end", "warn", message=message, n_steps=len(losses))
    tenth = len(losses) // 10
    earlier, latest = losses[-2 * tenth : -tenth], losses[-tenth:]
    before, last, highest = fmean(earlier), fmean(latest), max(latest)
    numbers = {"mean_before": before, "mean_last": last, "max_last": highest}
    message = f"Mean training loss went from {before:.3f} to {last:.3f} nats over the last two tenths of the run"
    if last > before + _MAX_RISE_NATS:
        return check("no_spike_at_end", "fail", message=f"{message}: it rises at the end.", **numbers)
    if highest > before + max(_MAX_JUMP_NATS, _MAX_JUMP_SIGMAS * pstdev(earlier)):
        return check("no_spike_at_end", "warn", message=f"{message}, with a jump to {highest:.3f}.", **numbers)
    return check("no_spike_at_end", "pass", message=f"{message}, without a jump.", **numbers)


def _loops_matter(loops: list[LoopDiagnostics]) -> Check:
    """A loop that changes no prediction costs a pass and gives nothing."""
    idle = [loop.loop for loop in loops if not loop.output_shift.mean > _MIN_SHIFT_NATS]
    numbers = {f"output_shift_{loop.loop}": loop.output_shift.mean for loop in loops}
    shown = ", ".join(f"{loop.output_shift.mean:.4f} (loop {loop.loop})" for loop in loops)
    message = f"Each further loop changes the prediction; mean KL to the loop before in nats: {shown}."
    if idle:
        message = f"Loops {idle} leave the output as it is: {shown}."
    return check("loops_change_output", "fail" if idle else "pass", message=message, **numbers)


def _gates_open(loops: list[LoopDiagnostics]) -> Check:
    """Gates start at one half; stuck at either end, one of the two branches gets no gradient any more."""
    saturated = max(loop.gate_saturated_frac or 0.0 for loop in loops)
    means = {f"gate_{loop.loop}": loop.gate_mean.mean for loop in loops if loop.gate_mean}
    shown = ", ".join(f"{mean:.3f}" for mean in means.values())
    closed = not saturated < _MAX_SATURATED_FRAC
    message = f"Mean weight of the global branch per loop: {shown}; {saturated:.1%} of gates are " + (
        "saturated: one branch is hardly used." if closed else "saturated."
    )
    return check("gates_open", "warn" if closed else "pass", message=message, saturated_frac=saturated, **means)
