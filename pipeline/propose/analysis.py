"""From trained mixtures to recommended shares: arithmetic only, so that it can be held against surfaces that are known.

Two gates stand before a claim. The predicted gain must be larger than its own error, else nothing is trained any more;
and trainings with new seeds on new documents must show it, because the best of many predictions flatters itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

import numpy as np

from pipeline.plt import student
from pipeline.propose.optimum import Bounds, intervals, lowest
from pipeline.propose.pieces import Floats
from pipeline.propose.surface import (
    KERNEL,
    LOG,
    OWN_SHARE,
    ROOT,
    Design,
    choose,
    predict_unseen,
    rank_correlation,
)
from pipeline.results import NoiseOfMixture, PredictorScore, SharesComparison

REGRESSIONS = (LOG, ROOT, KERNEL)
BEST_OF_THREE = "best of the three"  # chosen anew without each training: what must predict better than the trivial rule


@dataclass(frozen=True)
class Recommendation:
    """The shares with the lowest predicted score, [n_groups] each, and what is predicted for them."""

    shares: Floats
    low: Floats
    high: Floats
    predicted_gain: float  # over the natural shares
    half_width: float  # of its 95 % interval
    predictors: tuple[PredictorScore, ...]

    @property
    def is_promising(self) -> bool:
        return self.predicted_gain > self.half_width


def recommend(
    design: Design, scores: Floats, *, bounds: Bounds, own_share: Floats, noise: float, seed: int
) -> Recommendation:
    """Choose a predictor, find its best shares, and the error of the gain that it predicts for them.

    `scores` are those of the mixtures of `design`; the first of the bounds' starts is the natural one. `own_share` is
    what the trivial rule recommends: where no regression predicts unseen mixtures better than the rule does, its
    shares are recommended.
    `noise` is the deviation of one training: an error of prediction below it would be luck.
    """
    unseen = {name: predict_unseen(design, scores, families=(name,)) for name in (OWN_SHARE, *REGRESSIONS)}
    # The regression's error is that of the whole choice, made anew without each training, not of the luckiest family.
    chosen_unseen = predict_unseen(design, scores, families=REGRESSIONS)
    own_error, error = (_root_mean_square(found - scores) for found in (unseen[OWN_SHARE], chosen_unseen))
    trivial_wins = own_error <= error
    smoother = choose(design, scores, families=(OWN_SHARE,) if trivial_wins else REGRESSIONS)
    if trivial_wins:
        shares = low = high = own_share
    else:
        shares = lowest(partial(smoother.predict, scores=scores), bounds)
        low, high = intervals(design, scores, settings=smoother.settings, bounds=bounds, seed=seed)
    at, natural = smoother.weights_at(np.stack([shares, bounds.starts[0]]))
    n_free = len(scores) - float(np.trace(smoother.weights_at(design.shares)))
    spread = max(own_error if trivial_wins else error, noise) * float(np.linalg.norm(at - natural))
    return Recommendation(
        shares=shares,
        low=low,
        high=high,
        predicted_gain=float((natural - at) @ scores),
        half_width=quantile(max(1, int(n_free))) * spread,
        predictors=tuple(
            PredictorScore(
                name,
                error=_root_mean_square(found - scores),
                rank_correlation=rank_correlation(found, scores),
                is_chosen=name == smoother.settings.family,
            )
            for name, found in (unseen | {BEST_OF_THREE: chosen_unseen}).items()
        ),
    )


def _root_mean_square(residuals: Floats) -> float:
    return float(np.sqrt((residuals**2).mean()))


def quantile(freedom: int) -> float:
    """Of Student's t, for a 95 % interval."""
    return student.quantile(0.05, freedom=freedom)


@dataclass(frozen=True)
class SearchNoise:
    """How much scores vary over seeds."""

    each: tuple[NoiseOfMixture, ...]
    paired: float  # when what a seed does to all mixtures alike is taken off


def noise_of(scores: dict[str, list[float]]) -> SearchNoise:
    """From the scores of some mixtures, each with the same seeds in the same order.

    Mixtures of the search share a seed, so what a regression cannot know is how a seed acts on one mixture and not on
    another: what is left of the scores without the means of mixtures and of seeds.
    """
    table = np.array(list(scores.values()))
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    n_free = (table.shape[0] - 1) * (table.shape[1] - 1)
    each = tuple(NoiseOfMixture(name, fmean(of), stdev(of), len(of)) for name, of in scores.items())
    return SearchNoise(each, float(np.sqrt((left**2).sum() / n_free)))


def compare_shares(first: str, second: str, /, pairs: list[tuple[float, float]]) -> SharesComparison:
    """Scores of two mixtures, a pair for each new seed: equal first weights, equal held-out documents."""
    differences = [a - b for a, b in pairs]
    mean = fmean(differences)
    half = quantile(len(pairs) - 1) * stdev(differences) / math.sqrt(len(pairs))
    is_gain = mean < -half
    if is_gain:
        message = f"{first} is better than {second}, beyond the spread over seeds and documents"
    elif mean > half:
        message = f"{first} is worse than {second}"
    else:
        message = f"no difference between {first} and {second} can be claimed"
    return SharesComparison(first, second, mean, half, len(pairs), is_gain, message)
