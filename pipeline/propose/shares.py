"""Shares of groups inside their pools: filled up to limits, and drawn at random around the natural ones."""

from __future__ import annotations

import numpy as np

from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.propose.pieces import Floats, Ints

_ROUNDING = 1e-9  # of a share: below any count of tokens that is ever asked for


def fill(weights: Floats, *, limits: Floats, pool: Ints, spare: Floats) -> Floats:
    """Shares in proportion to `weights`, none above its limit; what full groups leave goes to the others.

    Where all groups with a weight are full, or none of a pool has one, the rest follows `spare`. All are [n_groups];
    `pool` numbers each group's pool. The limits of a pool must add up to at least one.
    """
    shares = np.zeros(len(weights))
    for number in np.unique(pool):
        mine = pool == number
        assert limits[mine].sum() >= 1 - _ROUNDING, "limits leave no room"
        for scale in (np.where(mine, weights, 0.0), np.where(mine, spare, 0.0)):
            while (left := 1 - shares[mine].sum()) > _ROUNDING:
                is_open = (scale > 0) & (shares < limits)
                if not is_open.any():
                    break
                shares = np.minimum(limits, shares + np.where(is_open, left * scale / scale[is_open].sum(), 0.0))
    return shares


def draw(natural: Floats, *, limits: Floats, pool: Ints, n_mixtures: int, spread: float, seed: int) -> Floats:
    """Mixtures around the natural one, which is the first; [n_mixtures, n_groups].

    Each group's natural share is multiplied by a factor between 1 / spread and spread, even in its logarithm, and the
    pool is brought back to one. A Dirichlet around the natural shares would leave large groups where they are and draw
    small ones at almost nothing; this moves all alike, and none to zero. The factors of a group are one from each of
    n_mixtures - 1 equal parts of their range (a Latin hypercube), so that few mixtures cover it.
    """
    n_drawn, n_groups = n_mixtures - 1, len(natural)
    group, number = (grid.ravel() for grid in np.meshgrid(np.arange(n_groups), np.arange(n_drawn), indexing="ij"))
    words = group.astype(np.uint64), number.astype(np.uint64)
    order = keyed_hash(stage_key(seed, "propose/strata"), *words).reshape(n_groups, n_drawn)
    within = keyed_hash(stage_key(seed, "propose/within"), *words).reshape(n_groups, n_drawn) / 2.0**64
    place = (np.argsort(np.argsort(order, axis=1), axis=1) + within) / max(1, n_drawn)
    factors = spread ** (2 * place.T - 1)
    drawn = [fill(natural * of_mixture, limits=limits, pool=pool, spare=natural) for of_mixture in factors]
    return np.stack([fill(natural, limits=limits, pool=pool, spare=natural), *drawn])


def whole_tokens(shares: Floats, n_tokens: int) -> Ints:
    """Tokens of each group of one pool, `n_tokens` in all: largest remainders first, ties by place."""
    exact = shares / shares.sum() * n_tokens
    counts: Ints = np.floor(exact).astype(np.int64)
    most = np.argsort(counts - exact, kind="stable")
    counts[most[: n_tokens - int(counts.sum())]] += 1
    return counts
