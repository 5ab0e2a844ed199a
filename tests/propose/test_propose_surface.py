"""Regressions, optimum and claims, held against surfaces that are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.propose import optimum
from pipeline.propose.analysis import BEST_OF_THREE, compare_shares, noise_of, recommend
from pipeline.propose.optimum import Bounds, intervals, lowest
from pipeline.propose.shares import draw
from pipeline.propose.surface import (
    KERNEL,
    LOG,
    OWN_SHARE,
    ROOT,
    Design,
    Settings,
    choose,
    fit,
    left_out,
    predict_unseen,
    rank_correlation,
)

POOL = np.array([0, 0, 0, 1, 1, 1])
NATURAL = np.array([0.5, 0.3, 0.2, 0.4, 0.4, 0.2])
WEIGHTS = NATURAL / 2
# Loss of each group falls by so much for each e-fold of its share; the best shares are in proportion to these.
SLOPES = np.array([0.02, 0.05, 0.03, 0.01, 0.03, 0.06])
BEST = np.array([0.2, 0.5, 0.3, 0.1, 0.3, 0.6])


def planted(*, seed: int, noise: float, slopes=SLOPES, n_mixtures: int = 21):
    mixtures = draw(NATURAL, limits=np.ones(6), pool=POOL, n_mixtures=n_mixtures, spread=4.0, seed=seed)
    rng = np.random.Generator(np.random.Philox(key=seed))
    scores = 3 - np.log(mixtures) @ slopes + noise * rng.standard_normal(len(mixtures))
    bounds = Bounds(mixtures.min(axis=0), mixtures.max(axis=0), POOL, mixtures)
    return Design(mixtures, WEIGHTS), scores, bounds, rng


@pytest.mark.parametrize("family", [LOG, ROOT, KERNEL, OWN_SHARE])
def test_left_out_residuals_equal_those_of_fitting_again_without_the_training(family):
    design, scores, _, _ = planted(seed=1, noise=0.01)
    settings = Settings(family, 0.1, 2.0)
    quick = left_out(fit(design, settings), design, scores)
    # The features' scale stays that of all mixtures, so it is fitted by hand: a ridge with a free mean.
    whole = fit(design, settings)
    gram = whole.kernel(design.shares)
    for i in range(len(scores)):
        others = np.arange(len(scores)) != i
        inverse = np.linalg.inv(gram[np.ix_(others, others)] + 0.1 * np.eye(others.sum()))
        mean = inverse.sum(axis=0) @ scores[others] / inverse.sum()
        predicted = mean + gram[i, others] @ inverse @ (scores[others] - mean)
        assert quick[i] == pytest.approx(scores[i] - predicted, rel=1e-6, abs=1e-9)


def test_prediction_is_a_weighted_sum_of_scores_and_nearly_least_squares_without_ridge():
    design, scores, _, _ = planted(seed=2, noise=0.01)
    smoother = fit(design, Settings(LOG, 1e-7))
    at = design.shares[:5] * 0.9
    weights = smoother.weights_at(at)
    assert weights.sum(axis=1) == pytest.approx(np.ones(5))
    assert smoother.predict(at, scores) == pytest.approx(weights @ scores)
    features = np.column_stack([np.ones(len(scores)), np.log(design.shares)])
    fitted, *_ = np.linalg.lstsq(features, scores, rcond=None)
    assert smoother.predict(at, scores) == pytest.approx(np.column_stack([np.ones(5), np.log(at)]) @ fitted, abs=1e-5)


@pytest.mark.parametrize(
    ("family", "surface"),
    [
        (LOG, lambda p: -np.log(p) @ SLOPES),
        (ROOT, lambda p: -np.sqrt(p) @ (5 * SLOPES)),
        (KERNEL, lambda p: 0.1 * ((np.log(p) - np.log(BEST)) ** 2).sum(axis=1)),
    ],
)
def test_choice_falls_on_the_family_that_the_surface_is_of(family, surface):
    design, _, _, rng = planted(seed=5, noise=0, n_mixtures=40)
    scores = surface(design.shares) + 1e-4 * rng.standard_normal(40)
    assert choose(design, scores, families=(LOG, ROOT, KERNEL)).settings.family == family


def test_unseen_predictions_never_use_the_score_they_predict():
    design, scores, _, _ = planted(seed=3, noise=0.01)
    before = predict_unseen(design, scores, families=(LOG, KERNEL))
    changed = scores.copy()
    changed[4] += 100
    after = predict_unseen(design, changed, families=(LOG, KERNEL))
    assert after[4] == before[4] and not np.allclose(after, before)


def test_lowest_finds_the_planted_optimum_inside_the_bounds_and_stays_in_them():
    _, _, bounds, _ = planted(seed=4, noise=0)
    free = Bounds(np.full(6, 0.01), np.full(6, 0.98), POOL, bounds.starts)
    assert lowest(lambda p: -np.log(p) @ SLOPES, free) == pytest.approx(BEST, abs=0.002)
    tight = Bounds(np.full(6, 0.01), np.array([0.98, 0.4, 0.98, 0.98, 0.98, 0.5]), POOL, np.stack([NATURAL]))
    found = lowest(lambda p: -np.log(p) @ SLOPES, tight)
    assert found == pytest.approx([0.24, 0.4, 0.36, 0.125, 0.375, 0.5], abs=0.002)
    assert found[:3].sum() == pytest.approx(1) and found[3:].sum() == pytest.approx(1)


def test_recommendation_when_the_truth_is_planted_gains_what_it_says_and_its_interval_holds_the_optimum():
    inside = []
    for seed in range(4):
        design, scores, bounds, _ = planted(seed=seed, noise=0.002)
        found = recommend(design, scores, bounds=bounds, own_share=NATURAL, noise=0.002, seed=seed)
        gain = (np.log(found.shares) - np.log(NATURAL)) @ SLOPES
        assert found.is_promising and gain > 0
        assert abs(found.predicted_gain - gain) < found.half_width
        best = np.clip(BEST, bounds.low, bounds.high)
        inside += [*((best >= found.low - 1e-3) & (best <= found.high + 1e-3))]
        assert [p.name for p in found.predictors] == [OWN_SHARE, LOG, ROOT, KERNEL, BEST_OF_THREE]
        own, log = found.predictors[0], found.predictors[1]
        assert log.error < own.error and log.rank_correlation > own.rank_correlation
    assert np.mean(inside) >= 0.8, "95 % intervals of 24 shares"


def test_predicted_gain_is_held_against_the_noise_where_that_is_more_than_the_error(monkeypatch):
    monkeypatch.setattr(optimum, "_RESAMPLES", 2)
    design, scores, bounds, _ = planted(seed=8, noise=0.001)
    quiet, loud = (
        recommend(design, scores, bounds=bounds, own_share=NATURAL, noise=noise, seed=0) for noise in (0.0, 1.0)
    )
    error = next(p.error for p in quiet.predictors if p.is_chosen)
    assert quiet.is_promising and not loud.is_promising
    assert loud.half_width == pytest.approx(quiet.half_width / error, rel=0.2), "half-widths are as their deviations"


def test_recommendation_when_the_trivial_rule_predicts_best_is_the_trivial_rule():
    design, scores, bounds, _ = planted(seed=6, noise=0.002, slopes=0.2 * WEIGHTS)
    found = recommend(design, scores, bounds=bounds, own_share=NATURAL, noise=0.002, seed=6)
    assert next(p.name for p in found.predictors if p.is_chosen) == OWN_SHARE
    assert (found.shares == NATURAL).all()
    assert found.predicted_gain == pytest.approx(0, abs=1e-4) and not found.is_promising


def test_claims_when_shares_change_nothing_stay_at_their_level(monkeypatch):
    """Forty searches of pure noise: what the prediction lets through, five pairs of new trainings must stop."""
    monkeypatch.setattr(optimum, "_RESAMPLES", 2)  # no claim rests on the intervals of shares
    promising = claims = 0
    for seed in range(40):
        design, scores, bounds, rng = planted(seed=seed, noise=0.01, slopes=np.zeros(6), n_mixtures=12)
        found = recommend(design, scores, bounds=bounds, own_share=NATURAL, noise=0.01, seed=seed)
        promising += found.is_promising
        pairs = [tuple(3 + 0.01 * rng.standard_normal(2)) for _ in range(5)]
        claims += found.is_promising and compare_shares("proposed", "natural", pairs).is_gain
    assert claims == 0
    assert promising <= 12


def test_comparison_of_pairs_without_a_difference_claims_one_in_forty():
    """Of either direction one in twenty; so many pairs tell the interval from one that is too narrow."""
    rng = np.random.Generator(np.random.Philox(key=9))
    found = [compare_shares("a", "b", [tuple(rng.standard_normal(2)) for _ in range(5)]) for _ in range(2000)]
    assert 0.015 < np.mean([c.is_gain for c in found]) < 0.036
    assert 0.015 < np.mean(["worse" in c.message for c in found]) < 0.036


def test_comparison_speaks_of_gain_loss_or_nothing():
    better = compare_shares("a", "b", [(1.0, 1.1), (1.1, 1.21), (0.9, 1.0)])
    worse = compare_shares("a", "b", [(1.1, 1.0), (1.21, 1.1), (1.0, 0.9)])
    equal = compare_shares("a", "b", [(1.1, 1.0), (1.0, 1.1), (1.0, 1.01)])
    assert (better.is_gain, worse.is_gain, equal.is_gain) == (True, False, False)
    assert "a is better" in better.message and "worse" in worse.message and "no difference" in equal.message
    assert better.difference == pytest.approx(-0.31 / 3)


def test_intervals_are_keyed_and_wider_where_there_is_more_noise():
    widths = []
    for noise in (0.001, 0.02):
        design, scores, bounds, _ = planted(seed=7, noise=noise)
        settings = Settings(LOG, 0.01)
        low, high = intervals(design, scores, settings=settings, bounds=bounds, seed=1)
        again = intervals(design, scores, settings=settings, bounds=bounds, seed=1)
        assert (low == again[0]).all() and (high == again[1]).all()
        widths.append((high - low).mean())
    assert widths[1] > 2 * widths[0]


def test_noise_of_mixtures_that_share_seeds_leaves_out_what_a_seed_does_to_all():
    rng = np.random.Generator(np.random.Philox(key=1))
    found = []
    for _ in range(200):
        table = 0.1 * rng.standard_normal((3, 4)) + rng.standard_normal(4) + 5 * rng.standard_normal((3, 1))
        found.append(noise_of(dict(zip("abc", table.tolist(), strict=True))))
    assert np.sqrt(np.mean([noise.paired**2 for noise in found])) == pytest.approx(0.1, rel=0.1)
    assert [of.name for of in found[0].each] == ["a", "b", "c"] and found[0].each[0].n_trainings == 4
    assert np.mean([noise.each[0].deviation for noise in found]) > 0.7


def test_rank_correlation_is_that_of_places():
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([10.0, 200, 201])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(3), np.array([3.0, 2, 1])))
