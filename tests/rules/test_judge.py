"""How rules are put to documents: sides, languages, pools, further conditions, keyed draws, and their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.features import SETS
from pipeline.filters import Quality, Rule
from pipeline.rules.judge import FeaturesOfShard, Fired, in_rows, judge
from pipeline.rules.resolve import Asked, resolve
from pipeline.rules.settings import columns_for

ALL = resolve(Quality(sets=SETS))


def names(asked: Asked) -> str:
    return f"{asked.rule.reason}-{asked.key}"


def measured(n: int = 1, **columns: Any) -> FeaturesOfShard:
    """Documents in Pascal, in the code pool, with these columns of `quality`."""
    pool = columns.pop("pool", ["code"] * n)
    language = columns.pop("language", ["Pascal"] * n)
    words = np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    among = np.array(columns.pop("among", [True] * n))
    return FeaturesOfShard(pa.table(columns), np.array(pool), np.array(language), (words, words), among)


def fires(rule: Rule, value: float | None, **other: Any) -> bool:
    columns: dict[str, Any] = {c.feature: [_met(c)] for c in rule.when if not is_mark(c)} | other
    marks = [c.feature[5:] for c in rule.when if is_mark(c) and c.above is not None]
    columns.setdefault("pool", [rule.pool or "code"])
    columns.setdefault("language", [min(rule.languages, default="Pascal")])
    if is_mark(rule):
        marks += [rule.feature[5:]] if value == 1 else []
    else:
        columns[rule.feature] = pa.array([value], pa.float64())
    columns.setdefault("marks", pa.array([marks], pa.list_(pa.string())))
    return bool(judge([rule.model_copy(update={"keep_frac": 0.0})], measured(**columns))[0].mask[0])


def is_mark(condition: Any) -> bool:
    return condition.feature.startswith("mark.")


def _met(condition: Any) -> float:
    return condition.above + 1.0 if condition.above is not None else condition.below - 1.0


FEATURES = [asked for asked in ALL if not asked.rule.feature.startswith(("mark.", "extra."))]


@pytest.mark.parametrize("asked", FEATURES, ids=names)
def test_a_rule_fires_on_one_side_of_its_limit_and_never_at_it(asked: Asked) -> None:
    above, below = np.nextafter(asked.limit, np.inf), np.nextafter(asked.limit, -np.inf)
    is_below = asked.rule.below is not None
    found = [fires(asked.rule, value) for value in (below, asked.limit, above, None)]
    assert found == [is_below, False, not is_below, False]


@pytest.mark.parametrize("asked", ALL, ids=names)
def test_a_rule_passes_over_languages_and_pools_that_it_is_not_for(asked: Asked) -> None:
    rule = asked.rule
    crossed = 1 if rule.feature.startswith("mark.") else asked.limit + (1 if rule.above is not None else -1)
    languages = {"Pascal", "Cobol-like", *rule.languages, *rule.exempt}
    fired = {language for language in languages if fires(rule, crossed, language=[language])}
    assert fired == (set(rule.languages) or languages) - set(rule.exempt)
    pools = {pool for pool in ("code", "text") if fires(rule, crossed, pool=[pool])}
    assert pools == ({rule.pool} if rule.pool else {"code", "text"})


@pytest.mark.parametrize("asked", [a for a in ALL if a.rule.when], ids=names)
def test_every_further_condition_must_hold(asked: Asked) -> None:
    rule = asked.rule
    crossed = asked.limit + (1 if rule.above is not None else -1)
    for condition in rule.when:
        limit = condition.above if condition.above is not None else condition.below
        if is_mark(condition):
            has = [condition.feature[5:]] if condition.below is not None else []
            assert not fires(rule, crossed, marks=pa.array([has], pa.list_(pa.string())))
        elif condition.feature != rule.feature:
            assert not fires(rule, crossed, **{condition.feature: [limit]})


@pytest.mark.parametrize("name", SETS)
def test_every_rule_of_a_set_says_whose_it_is_and_what_for(name: str) -> None:
    rules = [asked.rule for asked in resolve(Quality(sets=(name,)))]
    assert rules
    for rule in rules:
        assert len(rule.source) > 5, rule.reason
        assert rule.why, rule.reason
        assert ("." in rule.reason) == (name != "loopmix"), "a reason of a set bears its name, loopmix's does not"
        assert name == "loopmix" or rule.reason.startswith(f"{name}.")


def test_a_document_that_is_not_among_those_judged_fires_nothing() -> None:
    rule = Rule(reason="short", feature="n_chars", below=5)
    (fired,) = judge([rule], measured(3, n_chars=[1, 2, 9], among=[True, False, True]))
    assert fired.mask.tolist() == [True, False, False]
    assert fired.value.tolist() == [1, 2, 9]


def test_a_mark_counts_as_one_and_a_number_of_a_plugin_as_it_is() -> None:
    marks = pa.array([["vendored"], [], ["lock_file", "vendored"]], pa.list_(pa.string()))
    extra = pa.array([[("toxicity", 0.75)], [], None], pa.map_(pa.string(), pa.float64()))
    shard = measured(3, marks=marks, extra=extra)
    rules = [
        Rule(reason="vendored", feature="mark.vendored", above=0),
        Rule(reason="toxic", feature="extra.toxicity", above=0.5),
        Rule(reason="mild", feature="extra.toxicity", below=0.5),
    ]
    assert columns_for(rules) == ("extra", "marks")
    assert [f.mask.tolist() for f in judge(rules, shard)] == [
        [True, False, True],
        [True, False, False],
        [False, False, False],  # not measured is not little
    ]


def test_of_those_it_hits_a_share_stays_and_the_same_whoever_else_is_there() -> None:
    rule = Rule(reason="drawn", feature="n_chars", below=5, keep_frac=0.2)
    n = 20_000
    (fired,) = judge([rule], measured(n, n_chars=np.ones(n)))
    assert abs(fired.mask.mean() - 0.8) < 4 * (0.8 * 0.2 / n) ** 0.5
    (part,) = judge([rule], measured(n // 2, n_chars=np.ones(n // 2)))
    assert part.mask.tolist() == fired.mask[: n // 2].tolist()
    (other,) = judge([rule.model_copy(update={"reason": "another"})], measured(n, n_chars=np.ones(n)))
    assert 0.2 < (other.mask != fired.mask).mean() < 0.45  # drawn apart: 2 * 0.8 * 0.2


def test_firings_of_a_document_stand_in_order_and_each_reason_once() -> None:
    fired = [
        Fired("late", np.array([True, False, True]), np.array([0.9, 0, 0.8])),
        Fired("early", np.array([True, False, False]), np.array([3.0, 4, 5])),
        Fired("early", np.array([True, False, False]), np.array([7.0, 8, 9])),
        Fired("never", np.array([False, False, False]), np.zeros(3)),
    ]
    offsets, kinds, values = in_rows(fired, order=("early", "never", "late"), n=3)
    assert offsets.tolist() == [0, 2, 2, 3]
    assert kinds.tolist() == [0, 2, 2]
    assert values.tolist() == [3, 0.9, 0.8]
