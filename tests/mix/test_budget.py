import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.mix.budget import Pool, allocate, pool_budgets


def pool(available: dict[str, int], *, shares: dict[str, float] | None = None, **more: object) -> Pool:
    values = {"max_frac": {}, "max_copies": 1, "parts": 1} | more
    return Pool(available=available, shares=shares or {}, **values)  # type: ignore[arg-type]


def test_budgets_are_equal_when_one_pool_is_larger() -> None:
    assert pool_budgets(pool({"Python": 700, "C": 301}), pool({"books": 400}), total=None) == (400, 400)


def test_budgets_follow_any_ratio() -> None:
    assert pool_budgets(pool({"C": 1000}, parts=3), pool({"books": 1000}, parts=1), total=None) == (999, 333)


def test_copies_fill_the_smaller_pool_but_never_grow_the_larger() -> None:
    code, text = pool({"C": 1000}, max_copies=4), pool({"books": 400}, max_copies=4)
    assert pool_budgets(code, text, total=None) == (1000, 1000)


def test_total_is_refused_when_the_pools_hold_less() -> None:
    with pytest.raises(ConfigError, match=r"at most 20 at balance\.max_copies 1"):
        pool_budgets(pool({"C": 10}), pool({"books": 10}), total=22)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ConfigError, match="no text tokens"):
        pool_budgets(pool({"C": 10}), pool({}), total=None)


def test_shares_are_met_and_rounded_by_largest_remainder() -> None:
    got = allocate(pool({"C": 100, "Go": 100, "D": 100}, shares={"C": 1, "Go": 1, "D": 1}), 100)
    assert got == {"C": 33, "Go": 33, "D": 34} or sum(got.values()) == 100
    assert sorted(got.values()) == [33, 33, 34]


def test_what_a_scarce_language_lacks_goes_to_the_others_in_proportion() -> None:
    wanted = {"Rust": 50.0, "C": 25.0, "others": 25.0}
    got = allocate(pool({"Rust": 10, "C": 1000, "Go": 60, "D": 1000}, shares=wanted), 410)
    assert got["Rust"] == 10
    assert got["C"] == 200
    assert got["Go"] + got["D"] == 200


def test_caps_hold_within_the_pool() -> None:
    got = allocate(pool({"HTML": 900, "C": 500}, max_frac={"HTML": 0.1}), 500)
    assert got == {"HTML": 50, "C": 450}


sizes = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10**13), min_size=1)
weights = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 100))


@given(sizes, weights, st.integers(1, 5), st.floats(0, 1))
def test_allocation_is_exact_and_within_limits(
    available: dict[str, int], shares: dict[str, float], copies: int, part: float
) -> None:
    p = pool(available, shares=shares | {"others": 1.0} if shares else {}, max_copies=copies)
    budget = int(p.capacity() * part)
    if budget == 0:
        return
    got = allocate(p, budget)
    assert sum(got.values()) == budget
    assert all(0 <= n <= available[g] * copies for g, n in got.items())
