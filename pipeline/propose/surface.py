"""Regressions from shares to scores, few parameters for few trainings: which one predicts best, and how well.

All are ridge regressions with a free mean, written through a kernel k, so a prediction is a weighted sum of measured
scores: f(p) = w(p) . y. What is known of w tells the error of a difference of two predictions, and the residual of a
training that was left out follows without fitting again: e_i / (1 - w_i(p_i)).

    own share       one number: the target-weighted mean log share. With a single target group it ranks mixtures by
                    that group's share, which on published searches of hundreds of mixtures no regression beat.
    log shares      each group's loss falls by so much for each doubling of its share
    root shares     the same with square roots, where the first tokens of a group teach less than that
    kernel ridge    any smooth function of the log shares

Settings of a family are chosen by leave-one-out error, and once more inside each fold when its error is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.propose.pieces import Floats, Ints

OWN_SHARE, LOG, ROOT, KERNEL = "own share", "log shares", "root shares", "kernel ridge"
# Plain grids, in units of standardised features: from hardly any shrinkage to a fit that is nearly the mean.
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_WIDTHS = (1.0, 2.0, 4.0)  # of the kernel, times the root of the number of groups: a typical distance of two mixtures
_FREE = 1e-6  # ridge of the one-number regression: none, but the same arithmetic
_NO_LEVERAGE = 1e-6  # a training that alone decides its own prediction tells nothing: its residual counts as huge


@dataclass(frozen=True)
class Settings:
    """One regression that could be fitted."""

    family: str
    ridge: float
    width: float = 0.0


@dataclass(frozen=True)
class Design:
    """The mixtures that were trained, [n_runs, n_groups], and the target's weights, [n_groups]."""

    shares: Floats
    weights: Floats

    def rows(self, places: Ints) -> Design:
        """The same with some of the trainings only."""
        return Design(self.shares[places], self.weights)


def _features(shares: Floats, family: str, *, weights: Floats) -> Floats:
    """What a family sees of mixtures, [n, n_features]."""
    if family == OWN_SHARE:
        aimed = weights > 0
        found: Floats = (np.log(shares[:, aimed]) @ weights[aimed])[:, None]
        return found
    return np.sqrt(shares) if family == ROOT else np.log(shares)


@dataclass(frozen=True)
class Smoother:
    """A regression that knows its mixtures but no score: it gives the weights of any prediction."""

    settings: Settings
    target: Floats  # weights of the design
    mean: Floats  # of the features of the mixtures that were trained, by which all features are standardised
    scale: Floats
    points: Floats  # those mixtures' features, standardised, [n_runs, n_features]
    inverse: Floats  # (K + ridge I)^-1, [n_runs, n_runs]

    def kernel(self, shares: Floats) -> Floats:
        """Of each row of `shares` and each trained mixture, [n, n_runs]."""
        found = (_features(shares, self.settings.family, weights=self.target) - self.mean) / self.scale
        return _kernel(found, self.points, self.settings)

    def weights_at(self, shares: Floats) -> Floats:
        """w(p) for each row of `shares`, [n, n_runs]. Rows add up to one."""
        near = self.kernel(shares) @ self.inverse
        found: Floats = near + (1 - near.sum(axis=1))[:, None] * (self.inverse.sum(axis=0) / self.inverse.sum())
        return found

    def predict(self, shares: Floats, scores: Floats) -> Floats:
        """Predicted score of each row of `shares`, [n], from the measured ones, [n_runs]."""
        mean = float(self.inverse.sum(axis=0) @ scores / self.inverse.sum())
        found: Floats = mean + self.kernel(shares) @ (self.inverse @ (scores - mean))
        return found


def fit(design: Design, settings: Settings) -> Smoother:
    """The regression of these settings on these mixtures."""
    found = _features(design.shares, settings.family, weights=design.weights)
    mean, scale = found.mean(axis=0), found.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    points = (found - mean) / scale
    ridge = settings.ridge * np.eye(len(points))
    inverse: Floats = np.linalg.inv(_kernel(points, points, settings) + ridge).astype(np.float64)
    return Smoother(settings, design.weights, mean, scale, points, inverse)


def _kernel(a: Floats, b: Floats, settings: Settings) -> Floats:
    if settings.family != KERNEL:
        product: Floats = a @ b.T
        return product
    squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    near: Floats = np.exp(-squares / (2 * a.shape[1] * settings.width**2))
    return near


def left_out(smoother: Smoother, design: Design, scores: Floats) -> Floats:
    """Residual of each training under the regression of all others, [n_runs]."""
    weights = smoother.weights_at(design.shares)
    found: Floats = (scores - weights @ scores) / np.maximum(1 - np.diag(weights), _NO_LEVERAGE)
    return found


def settings_of(family: str) -> tuple[Settings, ...]:
    """All settings that a family chooses among."""
    if family == OWN_SHARE:
        return (Settings(family, _FREE),)
    widths = _WIDTHS if family == KERNEL else (0.0,)
    return tuple(Settings(family, ridge, width) for ridge in _RIDGES for width in widths)


def choose(design: Design, scores: Floats, *, families: Sequence[str]) -> Smoother:
    """The regression with the least leave-one-out error among all settings of these families; the first of equals."""
    smoothers = [fit(design, settings) for family in families for settings in settings_of(family)]
    return min(smoothers, key=lambda smoother: float((left_out(smoother, design, scores) ** 2).mean()))


def predict_unseen(design: Design, scores: Floats, *, families: Sequence[str]) -> Floats:
    """For each training what `choose` on all others predicts for it: the choice is made without it too."""
    found = np.empty(len(scores))
    for i in range(len(scores)):
        others = np.flatnonzero(np.arange(len(scores)) != i)
        smoother = choose(design.rows(others), scores[others], families=families)
        found[i] = smoother.predict(design.shares[i : i + 1], scores[others])[0]
    return found


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's; NaN where one of them is constant. Measured scores do not tie, so ranks are plain places."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    of_a, of_b = (np.argsort(np.argsort(x, kind="stable")) for x in (a, b))
    return float(np.corrcoef(of_a, of_b)[0, 1])
