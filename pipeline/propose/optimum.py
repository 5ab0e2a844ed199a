"""The shares with the lowest predicted score inside bounds, and how far resampled trainings move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.propose.pieces import Floats, Ints
from pipeline.propose.surface import Design, Settings, fit

Score = Callable[[Floats], Floats]
_FIRST_STEP, _LAST_STEP = 0.16, 0.0005  # of a pool's tokens: shares are told to a tenth of a percent
_ROUNDING = 1e-9  # a move below it only repairs the last digit of a sum
_RESAMPLES = 200  # a 95 % interval then leaves five on each side
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Bounds:
    """What a share may be, [n_groups] each, and where the search starts: mixtures inside, [n, n_groups]."""

    low: Floats
    high: Floats
    pool: Ints
    starts: Floats


def lowest(score: Score, bounds: Bounds) -> Floats:
    """Shares [n_groups] with the lowest prediction; `score` maps [n, n_groups] to [n].

    Moves tokens from one group of a pool to another as long as that lowers the prediction, in halving steps. Begins at
    the best of the starts, so a surface with several hollows ends in one that a training lies near.
    """
    takes, gives = _pairs(bounds.pool)  # not empty: a search begins only where some pool has two groups
    at: Floats = bounds.starts[int(np.argmin(score(bounds.starts)))].copy()
    best, step = float(score(at[None])[0]), _FIRST_STEP
    while step >= _LAST_STEP:
        moved = np.minimum(step, np.minimum(at[gives] - bounds.low[gives], bounds.high[takes] - at[takes]))
        trials = np.repeat(at[None], len(takes), axis=0)
        every = np.arange(len(takes))
        trials[every, takes] += moved
        trials[every, gives] -= moved
        found = score(trials)
        least = int(np.argmin(np.where(moved > _ROUNDING, found, np.inf)))
        if moved[least] > _ROUNDING and found[least] < best:
            at, best = trials[least], float(found[least])
        else:
            step /= 2
    return at


def _pairs(pool: Ints) -> tuple[Ints, Ints]:
    """All ordered pairs of different groups of one pool."""
    takes, gives = np.nonzero((pool[:, None] == pool[None, :]) & ~np.eye(len(pool), dtype=bool))
    return takes.astype(np.int64), gives.astype(np.int64)


def intervals(
    design: Design, scores: Floats, *, settings: Settings, bounds: Bounds, seed: int
) -> tuple[Floats, Floats]:
    """95 % interval of each best share: trainings drawn with replacement, the regression fitted to each draw."""
    n_runs = len(scores)
    number, place = (x.ravel() for x in np.meshgrid(np.arange(_RESAMPLES), np.arange(n_runs), indexing="ij"))
    hashes = keyed_hash(stage_key(seed, "propose/resample"), number.astype(np.uint64), place.astype(np.uint64))
    drawn = (hashes % np.uint64(n_runs)).astype(np.int64).reshape(_RESAMPLES, n_runs)
    found = []
    for places in drawn:
        found.append(lowest(partial(fit(design.rows(places), settings).predict, scores=scores[places]), bounds))
    low, high = np.percentile(np.stack(found), _INTERVAL, axis=0)
    return low, high
