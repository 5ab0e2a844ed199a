"""From shares to findings: chances recounted by hand, and what is neither named nor failed."""

from itertools import product

import pytest

from pipeline.ruin.find import ALPHA, MIN_FOUND, find, tail_chance
from pipeline.ruin.healthy import SLACK, Healthy

PYTHON = ("code", "Python")
TABLE = Healthy({PYTHON: 1_000}, {PYTHON: {"copied": 20}}, {PYTHON: (3.5, 0.5)}, {PYTHON: (1.5, 0.3)})


@pytest.mark.parametrize(("k", "n", "p"), [(0, 5, 0.3), (1, 4, 0.2), (3, 7, 0.5), (5, 5, 0.9), (2, 6, 0.01)])
def test_the_tail_is_the_sum_over_all_outcomes(k: int, n: int, p: float) -> None:
    outcomes = product((True, False), repeat=n)
    expected = sum(p ** sum(o) * (1 - p) ** (n - sum(o)) for o in outcomes if sum(o) >= k)
    assert tail_chance(k, n, p) == pytest.approx(expected)


def test_the_tail_knows_its_ends() -> None:
    assert tail_chance(1, 10, 0.0) == 0.0
    assert tail_chance(10, 10, 1.0) == 1.0
    assert tail_chance(0, 10, 0.0) == 1.0


def found(n: int, *, of: int, kind: str) -> list[tuple[str, int, str]]:
    kinds = [(kind,)] * n + [()] * (of - n)
    findings = find([PYTHON] * of, kinds, [str(i) for i in range(of)], healthy=TABLE)  # type: ignore[arg-type]
    return [(f.kind, f.n_found, f.status) for f in findings]


def test_a_share_that_healthy_documents_have_is_no_finding() -> None:
    assert found(12, of=400, kind="copied") == []  # 2 % are usual, twice that and a hundredth may be


def test_more_than_any_healthy_share_is_a_finding() -> None:
    assert found(60, of=400, kind="copied") == [("copied", 60, "fail")]


def test_less_than_a_tenth_more_is_a_warning() -> None:
    assert found(41, of=400, kind="copied") == [("copied", 41, "warn")]


def test_a_rare_sign_is_named_from_a_hundredth_on() -> None:
    assert found(4, of=400, kind="noise") == [("noise", 4, "warn")]


def test_two_documents_are_no_share() -> None:
    assert MIN_FOUND == 3
    assert found(2, of=20, kind="noise") == []
    assert found(3, of=20, kind="noise") == [("noise", 3, "fail")]


def test_of_kinds_that_habits_explain_more_documents_are_asked() -> None:
    assert found(9, of=11, kind="shuffled_lines") == []
    assert found(10, of=11, kind="shuffled_lines") == [("shuffled_lines", 10, "fail")]


def test_the_limit_counts_every_test_of_the_run() -> None:
    """With one group there are as many tests as kinds; with a thousand groups the same share may be luck."""
    others = [("code", f"L{i}") for i in range(3_000)]
    labels, kinds = [PYTHON] * 400 + others, [("noise",)] * 3 + [()] * 397 + [()] * len(others)
    assert tail_chance(3, 400, TABLE.limit(*PYTHON, "noise")) < ALPHA / len(SLACK)
    assert find(labels, kinds, [str(i) for i in range(len(labels))], healthy=TABLE) == []  # type: ignore[arg-type]


def test_examples_are_documents_of_the_finding() -> None:
    kinds = [("noise",) if i % 5 == 0 else () for i in range(100)]
    (finding,) = find([PYTHON] * 100, kinds, [f"d{i}" for i in range(100)], healthy=TABLE)  # type: ignore[arg-type]
    assert finding.examples == tuple(f"d{i}" for i in range(0, 50, 5))
    assert finding.message == "20 of 100 documents: random bytes or characters; healthy ones show 0.0%"


def test_a_group_that_the_table_does_not_know_gets_its_pools_share() -> None:
    table = Healthy({PYTHON: 100, ("code", "C"): 300}, {PYTHON: {"copied": 10}, ("code", "C"): {}}, {}, {})
    assert table.expected("code", "Zig", "copied") == pytest.approx(0.05)
    assert table.expected(*PYTHON, "copied") == pytest.approx((10 + 200 * 0.05) / 300)
    assert table.limit("code", "Zig", "copied") == pytest.approx(2 * 0.05 + SLACK["copied"])
