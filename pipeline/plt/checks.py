"""Checks that `validate` adds to those of a training: languages, order, the stream's balance, spikes, the loader."""

import math

import numpy as np

from pipeline.plt.compare import LEVEL, holm
from pipeline.plt.draw import Pieces
from pipeline.plt.validation import excess_over
from pipeline.plt.verdict import check
from pipeline.results import Check, DocumentLoss, GroupScore, Speed, Status, Unjudged
from pipeline.schema import POOLS

AIMED_MFU = 0.45  # at R = 2 on an H200; an aim, not a measurement
# Order is worth nothing to a group whose permutation gap is below this part of the median group's. Shuffled tokens and
# noise show a gap of zero to a hundredth; the lowest of 26 healthy groups of the demo run had half of the median.
_MIN_GAP_FRAC = 0.1
# Below this median, in bits per byte or nats per token, the model has not learnt order itself: the budget is too small.
_MIN_MEDIAN_GAP = 0.02


def groups_check(groups: tuple[GroupScore, ...], *, not_judged: tuple[Unjudged, ...]) -> Check:
    """Every group that is late beyond what its documents' spread explains is named; see `group_scores`."""
    name = "languages_learn"
    never, late = ([g.group for g in groups if g.status == status] for status in ("fail", "warn"))
    numbers = {"n_groups": len(groups), "n_not_learnt": len(never), "n_late": len(late), "n_unjudged": len(not_judged)}
    small = f" {len(not_judged)} have too few tokens to be judged." if not_judged else ""
    if not groups:
        message = f"No language has enough held-out tokens to judge.{small}"
        return check(name, "warn", message=message, **numbers)
    if never:
        return check(name, "fail", message=f"Not learnt at all: {_names(never)}.{small}", **numbers)
    if late:
        message = (
            f"{len(late)} of {len(groups)} are above their token frequencies, or rose again: {_names(late)}.{small}"
        )
        return check(name, "warn", message=message, **numbers)
    return check(name, "pass", message=f"None of {len(groups)} is above its token frequencies.{small}", **numbers)


def _names(groups: list[str]) -> str:
    return ", ".join(groups[:8]) + (f" and {len(groups) - 8} more" if len(groups) > 8 else "")


def order_check(groups: tuple[GroupScore, ...], documents: tuple[DocumentLoss, ...]) -> Check:
    """A group that is as likely with its tokens shuffled holds noise, or was shuffled."""
    name = "order_matters"
    gaps = [g.gap for g in groups if math.isfinite(g.gap)]
    middle = float(np.median(gaps)) if gaps else math.nan
    numbers = {"n_groups": len(gaps), "median_gap": middle}
    if not middle >= _MIN_MEDIAN_GAP:
        message = f"The model learnt too little of order to judge by it (median gap {middle:.3f}); give more --tokens."
        return check(name, "warn", message=message, **numbers)
    limit = _MIN_GAP_FRAC * middle
    judged = [g for g in groups if math.isfinite(g.gap)]
    excesses = [excess_over(documents, g, of="gap", limit=limit) for g in judged]
    corrected = holm([e.p_below for e in excesses])
    without = [g.group for g, p in zip(judged, corrected, strict=True) if p <= LEVEL]
    numbers["n_without_order"] = len(without)
    if without:
        message = f"As likely with their tokens shuffled: {_names(without)}: noise, or shuffled text."
        return check(name, "fail", message=message, **numbers)
    message = f"Shuffling costs every group: {middle:.2f} in the median, {min(gaps):.2f} at least."
    return check(name, "pass", message=message, **numbers)


def stream_check(pieces: Pieces, *, parts: dict[str, int]) -> Check:
    """Balance of every prefix of the stream itself: trainings read it in another order."""
    signs = np.array([parts[POOLS[1]], -parts[POOLS[0]]])
    off_by = int(np.abs(np.cumsum(pieces.n_real * signs[pieces.pool])).max())
    allowed = pieces.run.seq_len * max(parts.values())
    ratio = ":".join(str(parts[pool]) for pool in POOLS)
    message = (
        f"The worst prefix of the stream is {off_by} tokens off {' and '.join(POOLS)} at {ratio}; {allowed} allowed."
    )
    return check(
        "stream_balance", "pass" if off_by <= allowed else "fail", message=message, off_by=off_by, allowed=allowed
    )


def spikes_check(spikes: tuple[int, ...]) -> Check:
    message = f"Training loss jumped at steps {', '.join(map(str, spikes[:8]))}."
    if not spikes:
        message = "No step's loss stands out of the twenty before it."
    return check("no_spikes", "warn" if spikes else "pass", message=message, n_spikes=len(spikes))


def loader_check(speed: Speed) -> Check:
    factor = speed.loader_tokens_per_second / speed.needed_tokens_per_second
    message = (
        f"One reading thread gives {speed.loader_tokens_per_second / 1e6:,.0f} M tokens/s here, {factor:,.0f} times "
        f"what an H200 at {AIMED_MFU:.0%} MFU on the paper's 7B (R = 2) takes, {speed.needed_tokens_per_second:,.0f}."
    )
    # Ten times is a plain choice: room for the several GPUs that one host feeds.
    status: Status = "pass" if factor > 10 else "warn"
    return check("loader_keeps_up", status, message=message, factor=factor, wait_frac=speed.wait_frac)
