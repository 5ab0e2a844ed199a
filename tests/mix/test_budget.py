import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.mix.budget import allocate, pool_budgets
from pipeline.mix.pool import Pool, power


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


def fair(pool: Pool, budget: int) -> bool:
    """Whether real-valued amounts could fill `budget`: the independent word on what is feasible."""
    rooms = [min(n * pool.max_copies, Fraction(repr(pool.max_frac.get(g, 1.0))) * budget)
             for g, n in pool.available.items()]  # fmt: skip
    return sum(rooms) >= budget


@given(sizes, st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.1, 0.25, 0.3333, 0.5, 1.0])))
def test_capacity_is_the_largest_budget_that_can_be_filled_and_each_smaller_one_can(
    available: dict[str, int], caps: dict[str, float]
) -> None:
    p = pool({g: n % 60 for g, n in available.items()}, max_frac=caps)
    most = p.capacity()
    assert fair(p, most)
    assert most == max(b for b in range(p.total + 1) if fair(p, b))
    for budget in {most, most - 1, most // 2, most // 3} - {0, -1}:
        got = allocate(p, budget)
        assert sum(got.values()) == budget
        assert all(n < Fraction(repr(caps.get(g, 1.0))) * budget + 1 for g, n in got.items())


def test_two_halves_fill_an_odd_budget() -> None:
    """Rounded down, two caps of a half hold 76 of 77 tokens, and even budgets above looked too large."""
    halves = pool({"C": 100, "Go": 100}, max_frac={"C": 0.5, "Go": 0.5})
    assert halves.capacity() == 200
    assert sorted(allocate(halves, 77).values()) == [38, 39]
    assert allocate(halves, 76) == {"C": 38, "Go": 38}


def test_a_total_that_is_too_large_is_answered_with_the_nearest_that_is_not() -> None:
    code, text = pool({"C": 10, "Go": 4}), pool({"books": 100})
    with pytest.raises(ConfigError) as caught:
        pool_budgets(code, text, total=60)
    assert str(caught.value) == (
        "balance.total_tokens: 60 is more than the pools hold, at most 28 at balance.max_copies 1: code limits it with "
        "14 tokens (C 10, Go 4); text could give 100; write balance.total_tokens: 28 or balance.max_copies: 3"
    )
    assert pool_budgets(code, text, total=28) == (14, 14)
    assert pool_budgets(code.with_copies(3), text.with_copies(3), total=60) == (30, 30)
    with pytest.raises(ConfigError):
        pool_budgets(code.with_copies(2), text.with_copies(2), total=60)
    with pytest.raises(ConfigError, match=r"or balance\.max_copies: 2$"):
        pool_budgets(code, text, total=30)


def test_a_cap_that_limits_the_total_is_named() -> None:
    code = pool({"Python": 1000, "C": 10}, max_frac={"Python": 0.5})
    with pytest.raises(ConfigError) as caught:
        pool_budgets(code, pool({"books": 10**6}), total=10**5)
    assert "at most 40 at" in str(caught.value)
    assert "code limits it with 20 tokens (Python 1,000, C 10), as balance.code.max_frac holds Python down" in str(
        caught.value
    )
    assert "or more sources of code, as no number of copies is enough" in str(caught.value)


def test_a_pool_of_which_nothing_may_enter_says_why() -> None:
    text = pool({"books": 10})
    with pytest.raises(ConfigError, match=r"code\.shares names Rust alone, .* there are C 10, Go 4; give them"):
        pool_budgets(pool({"C": 10, "Go": 4}, shares={"Rust": 1.0}), text, total=None)
    with pytest.raises(ConfigError, match=r"max_frac allows C 0\.25 \+ Go 0\.5 = 0\.75 of the code tokens"):
        pool_budgets(pool({"C": 10, "Go": 4}, max_frac={"C": 0.25, "Go": 0.5}), text, total=None)


def test_parts_that_no_token_fits_are_told_with_the_numbers() -> None:
    with pytest.raises(ConfigError, match=r"100:1 cannot be met: code holds 14 tokens and text 10, fewer than one"):
        pool_budgets(pool({"C": 14}, parts=100), pool({"books": 10}), total=None)


def fairest(limits: list[int], budget: int) -> list[int]:
    """Of all ways to divide `budget` the one whose smallest part is largest, then the second smallest, ..."""
    ways = (x for x in itertools.product(*(range(n + 1) for n in limits)) if sum(x) == budget)
    return max(sorted(x) for x in ways)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 3), st.floats(0, 1))
def test_unimax_is_the_fairest_of_all_ways_to_divide(sizes: list[int], epochs: int, part: float) -> None:
    p = pool(dict(zip("abcd", sizes, strict=False)), exponent=0.0, max_copies=epochs)
    budget = int(p.capacity() * part)
    got = allocate(p, budget) if budget else dict.fromkeys(p.available, 0)
    assert sorted(got.get(g, 0) for g in p.available) == fairest([n * epochs for n in sizes], budget)


def test_temperature_flattens_natural_shares() -> None:
    four = {"C": 160_000, "Go": 10_000}
    assert allocate(pool(four, exponent=0.5, max_copies=9), 50_000) == {"C": 40_000, "Go": 10_000}
    assert allocate(pool(four, exponent=1.0, max_copies=9), 17_000) == {"C": 16_000, "Go": 1_000}
    assert allocate(pool(four, exponent=0.0, max_copies=9), 17_000) == {"C": 8_500, "Go": 8_500}


def test_groups_without_a_share_divide_others_by_the_temperature() -> None:
    held = pool({"C": 900, "Go": 1600, "D": 400}, shares={"C": 1, "others": 3}, exponent=0.5, max_copies=9)
    assert allocate(held, 400) == {"C": 100, "Go": 200, "D": 100}


@given(st.integers(0, 10**15), st.floats(0, 1))
def test_powers_are_those_of_floats_to_their_last_digits(n: int, exponent: float) -> None:
    assert float(power(n, exponent)) == pytest.approx(0.0 if n == 0 else float(n) ** exponent, rel=1e-12)


def test_a_pool_under_unimax_names_its_own_key() -> None:
    code = pool({"C": 10}, max_copies=2, exponent=0.0, copies_key="balance.code.unimax.max_epochs")
    with pytest.raises(ConfigError, match=r"at most 40 at balance\.code\.unimax\.max_epochs 2.*max_epochs: 3$"):
        pool_budgets(code, pool({"books": 100}), total=60)


@pytest.mark.parametrize(("n_code", "parts"), [(100_000, 1), (50_000, 3)])
def test_without_a_total_pools_fill_whole_sequences_but_for_the_room_that_packing_needs(
    n_code: int, parts: int
) -> None:
    code, text = pool({"C": n_code * parts}, parts=parts), pool({"books": 70_000})
    got = pool_budgets(code, text, total=None, seq_len=1_000)
    n = min(n_code, 70_000) // 1_000
    assert got[1] == int(n * 1_000 * 0.9995)
    assert got[0] == got[1] * parts
    assert pool_budgets(code, text, total=None, seq_len=3_000) == (min(n_code, 70_000) * parts, min(n_code, 70_000))
    assert pool_budgets(code, text, total=8_008, seq_len=1_000)[1] == 8_008 // (parts + 1)
