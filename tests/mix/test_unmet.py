"""What a mixture wants and cannot have is said with numbers before a token is packed, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import balancing, make_run, run_stage
from test_balance import fill
from test_caps import Doc, capped

from pipeline.errors import ConfigError
from pipeline.mix.balance import balance
from pipeline.mix.caps import CappedPool, fit
from pipeline.mix.unmet import say_unmet
from pipeline.targets import Balance, PoolBalance, UniMax

BOOKS = capped([Doc("books", (), 0, 10_000)])


def said(code: CappedPool, *, total: int, **config: object) -> list[str]:
    pools = {"code": code, "text": BOOKS}
    return list(say_unmet(pools, fit(pools, total=total), config=Balance(**config)))  # type: ignore[arg-type]


def code(*, copies: int = 1, **shares: float) -> CappedPool:
    return capped([Doc("Lua", (), 0, 50), Doc("C", (), 0, 4_000)], shares=shares, copies=copies)


def test_shares_that_are_met_are_not_spoken_of() -> None:
    assert said(code(Lua=1, C=9), total=1_000) == []
    assert said(code(Lua=1, others=9), total=1_000) == []
    assert said(code(), total=1_000) == []


def test_a_share_without_enough_tokens_is_said_with_the_nearest_mixture_and_the_largest_total() -> None:
    assert said(code(Lua=3, C=7), total=1_000) == [
        "balance.code: shares cannot be met: Lua wants 30.00% and gives 10.00%, its 50 tokens once; the nearest that "
        "can is C 90.00%, Lua 10.00%; all are met up to balance.total_tokens: 332; as it is, the others fill it up"
    ]
    assert said(code(Lua=3, C=7), total=332) == []
    assert said(code(Lua=3, C=7), total=360) != []
    assert said(code(Lua=3, C=7, copies=4), total=1_000) == []


def test_a_share_that_a_cap_keeps_down_is_no_shortage() -> None:
    capped_code = replace(code(Lua=3, C=7), max_frac={"Lua": 0.1})
    assert said(capped_code, total=400) == []


def test_a_group_that_is_not_there_is_named() -> None:
    (message,) = said(code(Zig=1, C=9), total=1_000)
    assert "Zig wants 10.00% and is not there" in message
    assert "no total meets all of them" in message


def test_shares_that_cannot_be_met_are_refused_when_they_must_be_exact() -> None:
    with pytest.raises(ConfigError, match=r"shares cannot be met: Lua .*total_tokens: 332; or leave balance\.exact"):
        said(code(Lua=3, C=7), total=1_000, exact_shares=True)


def test_many_epochs_are_said_and_too_many_refused() -> None:
    assert said(code(Lua=4, C=6, copies=9), total=1_000) == []
    (message,) = said(code(Lua=5, C=5, copies=9), total=1_000)
    assert message == "balance.code: reads Lua 5.0 times; above 4 epochs repeats help little"
    with pytest.raises(ConfigError, match=r"read Lua 18\.0 times, above balance\.max_group_epochs 16;.*epochs: 18 if"):
        said(code(Lua=9, C=1, copies=20), total=2_000)
    assert said(code(Lua=9, C=1, copies=20), total=2_000, max_group_epochs=18)


def test_a_mixture_says_what_it_wants_one_way() -> None:
    with pytest.raises(ValueError, match="unimax and temperature both say"):
        PoolBalance(unimax=UniMax(), temperature=0.5)


def test_a_run_says_it_before_packing(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    fill(run)
    config = Balance(code=PoolBalance(shares={"Zig": 8, "C": 2}), exact_shares=True)
    with pytest.raises(ConfigError, match=r"balance\.code: shares cannot be met: Zig"):
        run_stage(run, "balance", balance, config=balancing(config), n_shards=4)
