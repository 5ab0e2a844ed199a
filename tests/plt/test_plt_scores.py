"""From losses to statuses: curves, corrected lateness, spikes, the loader, and a bootstrap whose variance is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.plt.checks import loader_check, spikes_check
from pipeline.plt.compare import bootstrap_variance
from pipeline.plt.validation import _learns, group_scores
from pipeline.results import DocumentLoss, GroupLoss, Speed


@pytest.mark.parametrize(
    ("curve", "status"),
    [
        (((0, 9.0), (5, 6.0), (10, 4.0)), "pass"),
        (((0, 9.0), (5, 9.5), (10, 9.0)), "fail"),  # never below the untrained model
        (((0, 9.0), (10, math.nan)), "fail"),
        (((0, 9.0), (5, 4.0), (10, 4.07)), "pass"),
        (((0, 9.0), (5, 4.0), (10, 4.09)), "warn"),  # more than 2 % above its best
    ],
)
def test_a_curve_learns_when_it_falls_and_stays(curve: tuple[tuple[int, float], ...], status: str) -> None:
    assert _learns(curve)[0] == status


def scores(n_groups: int) -> list[str]:
    """Statuses of groups whose documents lie a little above their floor: alone each would be late at 5 %."""
    excess = np.array([30.0, 5.0, 20.0, -4.0, 25.0, 3.0, 18.0, -2.0])
    names = [f"L{i}" for i in range(n_groups)]
    documents = tuple(
        DocumentLoss(f"{name}-{i}", "code", name, 100, 0, 400.0 + x, 900.0, 400.0)
        for name in names
        for i, x in enumerate(excess)
    )
    n = 100 * len(excess)
    groups = [tuple(GroupLoss("code", name, n, loss) for name in names) for loss in (9.0, 4.0 + excess.sum() / n)]
    evaluations = [SimpleNamespace(step=i, pools=(), groups=of) for i, of in enumerate(groups)]
    floors = tuple(GroupLoss("code", name, n, 4.0) for name in names)
    record = SimpleNamespace(evaluations=evaluations, unigram_losses=floors, permuted_losses=(), min_group_tokens=500)
    return [g.status for g in group_scores(record, documents)]


def test_lateness_is_corrected_for_the_number_of_groups() -> None:
    assert scores(1) == ["warn"]
    assert scores(20) == ["pass"] * 20


def test_the_bootstrap_has_the_variance_of_a_sample_mean() -> None:
    values = np.array([1.0, 4.0, 2.0])
    assert bootstrap_variance(values, np.ones(3), key="k") == pytest.approx(values.var(ddof=1) / 3, rel=0.15)


@pytest.mark.parametrize(("factor", "status"), [(9.0, "warn"), (11.0, "pass")])
def test_a_loader_feeds_ten_times_what_a_gpu_takes(factor: float, status: str) -> None:
    assert loader_check(Speed("cpu", 1.0, 0.0, factor * 5_000, 5_000.0)).status == status


def test_a_spike_is_a_warning() -> None:
    assert [spikes_check(spikes).status for spikes in ((), (7,))] == ["pass", "warn"]
