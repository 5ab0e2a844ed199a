"""Comparisons: the distribution of t, Holm's correction, both sources of chance, what is claimed and what is not."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.plt.compare import Compared, bootstrap_variance, compare_settings, holm
from pipeline.plt.student import quantile, two_sided_p
from pipeline.results import DocumentLoss


# From the tables of any textbook.
@pytest.mark.parametrize(
    ("freedom", "p", "t"),
    [
        (1, 0.05, 12.7062),
        (2, 0.05, 4.30265),
        (2, 0.001, 31.5991),
        (5, 0.01, 4.03214),
        (10, 0.05, 2.22814),
        (11, 0.05, 2.20099),
        (30, 0.05, 2.04227),
        (120, 0.05, 1.97993),
        (1e9, 0.05, 1.95996),
        (math.inf, 0.05, 1.95996),
    ],
)
def test_quantile_of_t_when_looked_up_is_the_textbooks(freedom, p, t):
    assert quantile(p, freedom=freedom) == pytest.approx(t, rel=3e-6)


def test_probability_of_t_when_it_has_a_closed_form_is_that():
    for t in (0.0, 1e-6, 0.3, 1.5, 12.0, 400.0):
        assert two_sided_p(t, freedom=1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-9)
        assert two_sided_p(t, freedom=2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-9)
        assert two_sided_p(t, freedom=2.5) == two_sided_p(-t, freedom=2.5)
        assert two_sided_p(t, freedom=2) <= two_sided_p(t, freedom=1.5) <= two_sided_p(t, freedom=1) or t == 0


def test_holm_when_p_values_differ_steps_down_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def _documents(nats, *, n_bytes=100, pool="code", group="C"):
    return tuple(
        DocumentLoss(f"{pool}{group}{i}", pool, group, 50, n_bytes, float(x), math.nan, math.nan)
        for i, x in enumerate(nats)
    )


def _setting(name, by_seed, *, mixture="", read_frac=0.0):
    losses = {seed: {"t": documents} for seed, documents in enumerate(by_seed)}
    return Compared(name, mixture or name, losses, read_frac)


def _line(first, second, *, part="all"):
    return next(c for c in compare_settings([(first, second)], min_tokens=1) if c.part == part)


def _normal(*shape, seed, scale=1.0):
    return np.random.Generator(np.random.Philox(key=seed)).normal(0, scale, shape)


def test_interval_when_only_seeds_vary_is_that_of_students_t():
    first = _setting("a", [_documents([70.0] * 40) for _ in range(3)], mixture="m")
    second = _setting("b", [_documents([70.0 + d] * 40) for d in (1.0, 2.0, 4.0)], mixture="m")
    line = _line(first, second)
    unit = 100 * math.log(2)
    assert line.difference == pytest.approx(7 / 3 / unit)
    assert line.half_width == pytest.approx(4.302653 * np.std([1, 2, 4], ddof=1) / math.sqrt(3) / unit)
    assert (line.first_score, line.n_seeds, line.n_documents) == (pytest.approx(70 / unit), 3, 40)


def test_interval_when_only_documents_vary_is_that_of_their_mean():
    deltas = _normal(200, seed=1, scale=5.0)
    first = _setting("a", [_documents([70.0] * 200)] * 3, mixture="m")
    second = _setting("b", [_documents(70.0 + deltas)] * 3, mixture="m")
    line = _line(first, second)
    expected = 1.972 * deltas.std(ddof=1) / math.sqrt(200) / (100 * math.log(2))
    assert line.half_width == pytest.approx(expected, rel=0.1), "a bootstrap of 1,000 draws is good to some percent"


def test_interval_when_both_vary_holds_both():
    noise = _normal(3, 1, seed=2, scale=2.0) + _normal(1, 60, seed=3, scale=8.0)
    first = _setting("a", [_documents([70.0] * 60)] * 3, mixture="m")
    both = _line(first, _setting("b", [_documents(70 + row) for row in noise], mixture="m"))
    seeds = _line(first, _setting("b", [_documents([70 + row.mean()] * 60) for row in noise], mixture="m"))
    documents = _line(first, _setting("b", [_documents(70 + noise.mean(axis=0))] * 3, mixture="m"))
    errors = [math.sqrt(x.half_width**2) for x in (seeds, documents)]
    assert both.difference == pytest.approx(seeds.difference) == pytest.approx(documents.difference)
    assert both.half_width > documents.half_width and both.half_width < sum(errors)


def test_bootstrap_when_documents_weigh_unequally_is_that_of_the_ratio():
    units = np.exp(_normal(300, seed=4))
    values = 2.0 * units + _normal(300, seed=5)
    linear = math.sqrt(((values - values.sum() / units.sum() * units) ** 2).sum()) / units.sum()
    assert math.sqrt(bootstrap_variance(values, units, key="k")) == pytest.approx(linear, rel=0.1)
    assert bootstrap_variance(values, units, key="k") != bootstrap_variance(values, units, key="l")
    assert bootstrap_variance(2 * units, units, key="k") == pytest.approx(0, abs=1e-20)


def test_claims_when_nothing_differs_are_made_on_one_page_of_twenty_at_most():
    """Forty pages of eleven lines each: with all chance in both sources, fewer than five claim anything."""
    n_claiming = n_outside = 0
    for page in range(40):
        groups = [("code", f"g{i}") for i in range(5)] + [("text", f"h{i}") for i in range(3)]
        of_documents, by_seed = _normal(8, 25, seed=page, scale=6.0), []
        for seed in range(3):
            key = 1000 + 10 * page + seed
            nats = 70 + of_documents + _normal(8, 25, seed=key) + _normal(1, seed=key + 5000)
            parts = [_documents(row, pool=p, group=g) for row, (p, g) in zip(nats, groups, strict=True)]
            by_seed.append(tuple(d for part in parts for d in part))
        level = [tuple(DocumentLoss(d.doc_id, d.pool, d.group, 50, 100, 70.0, 0.0, 0.0) for d in by_seed[0])] * 3
        lines = compare_settings([(_setting("a", level), _setting("b", by_seed))], min_tokens=1)
        assert len(lines) == 11
        n_claiming += any(line.claimed for line in lines)
        n_outside += sum(line.p_value < 0.05 for line in lines)
    assert n_claiming <= 4
    assert 4 <= n_outside <= 40, "single lines leave their own intervals about as often as said"


def test_claim_when_a_language_truly_differs_names_the_better_one_and_spares_the_others():
    settings = []
    for number, (name, level) in enumerate((("a", 70), ("b", 60))):
        noise = [_normal(2, 30, seed=10 * number + seed) for seed in range(3)]
        settings.append(_setting(name, [_documents(level + c) + _documents(70 + d, group="D") for c, d in noise]))
    truly, equal = (_line(*settings, part=part) for part in ("C", "D"))
    assert truly.claimed and truly.message.startswith("b is better") and truly.corrected_p < 0.05
    assert not equal.claimed and equal.message.startswith("no difference can be claimed")
    assert truly.corrected_p >= truly.p_value


def test_claims_when_many_lines_are_on_the_page_need_more():
    """A difference that one line alone would claim is none among sixty."""
    first = _setting("a", [_documents([70.0] * 40)] * 3)
    second = _setting("b", [_documents([70.0 + d] * 40) for d in (1.4, 1.6, 1.8)])
    alone = _line(first, second)
    assert alone.p_value < 0.05 and alone.claimed
    pads = [tuple(d for g in range(20) for d in _documents([70.0] * 5, group=f"g{g}"))] * 3
    many = compare_settings([(first, second), (_setting("c", pads), _setting("d", pads))], min_tokens=1)
    assert many[0].p_value == alone.p_value and many[0].corrected_p > alone.corrected_p and not many[0].claimed


def test_mixtures_when_seeds_read_much_of_them_have_wider_intervals_than_loops():
    """Seeds that read half of a run see samples that overlap: the variance grows by 1 + 3 (1/2) / (1/2)."""
    rows = [_documents([70.0 + d] * 40) for d in (1.0, 2.0, 4.0)]
    level = [_documents([70.0] * 40)] * 3
    loops = _line(_setting("a", level, mixture="m", read_frac=0.5), _setting("b", rows, mixture="m", read_frac=0.5))
    mixtures = _line(_setting("a", level, read_frac=0.5), _setting("b", rows, read_frac=0.5))
    assert mixtures.half_width == pytest.approx(2 * loops.half_width)


def test_comparison_when_it_cannot_be_judged_claims_nothing():
    one = _line(_setting("a", [_documents([1.0, 2.0, 3.0])]), _setting("b", [_documents([9.0, 9.0, 9.0])]))
    assert one.half_width is None and not one.claimed and "one seed" in one.message
    single = _line(_setting("a", [_documents([1.0])] * 3), _setting("b", [_documents([9.0])] * 3))
    assert not single.claimed and "one document" in single.message
    broken = _line(_setting("a", [_documents([1.0, 2.0])] * 3), _setting("b", [_documents([math.nan, 2.0])] * 3))
    assert not broken.claimed and "not a finite number" in broken.message


def test_groups_when_only_loops_differ_are_left_out():
    a, b = (_setting(n, [_documents([1.0, 2.0, 3.0])] * 2, mixture="m") for n in "ab")
    assert [c.part for c in compare_settings([(a, b)], min_tokens=1)] == ["all", "code"]
    a, b = (_setting(n, [_documents([1.0, 2.0, 3.0])] * 2) for n in "ab")
    assert [c.part for c in compare_settings([(a, b)], min_tokens=151)] == ["all", "code"], "too few tokens"


@pytest.mark.slow
def test_bench_when_small_claims_what_is_real_and_nothing_else():
    bench = Path(__file__).parent.parent / "bench" / "bench_compare.py"
    done = subprocess.run([sys.executable, str(bench), "--small"], capture_output=True, text=True, check=True)
    rows = {
        line.split("|")[1].strip(): line.split("|")[2:4] for line in done.stdout.splitlines() if line.startswith("|")
    }
    assert [cell.strip() for cell in rows["null"]] == ["3", "0"]
    assert [cell.strip() for cell in rows["real"]] == ["1", "1"]
