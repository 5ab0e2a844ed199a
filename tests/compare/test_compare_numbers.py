"""Every number of a comparison equals a recount by hand, whichever way the documents of both runs meet."""

from __future__ import annotations

import pytest
from compared import beside, ledger, recount, shares
from handmade import ShuffledExecutor

from pipeline.compare import meet as meeting
from pipeline.compare.found import KINDS, RunComparison
from pipeline.engine.run_folder import RunFiles


def assert_equals_recount(found: RunComparison, a: RunFiles, b: RunFiles) -> None:
    documents, counted = found.documents, recount(a, b)
    assert documents is not None
    assert documents.counts == {kind: counted["kinds"][kind] for kind in KINDS}
    assert {(f.fate_a, f.fate_b): f.n_docs for f in documents.flows} == dict(counted["flows"])
    assert {(m.pool_a, m.language_a, m.pool_b, m.language_b): m.n_docs for m in documents.moves} == counted["moves"]
    names = {"a": "n_docs_a", "b": "n_docs_b"} | {name: f"n_{name}" for name in counted["reasons"] if len(name) > 1}
    for name, field in names.items():
        given = {r.reason: getattr(r, field) for r in documents.reasons if getattr(r, field)}
        assert given == counted["reasons"][name], name
    for given, keys in ((documents.groups, ("pool", "group")), (documents.sources, ("source",))):
        for side, run in (("a", a), ("b", b)):
            mine = shares(run, *keys)
            for one in given:
                key = (one.pool, one.name) if len(keys) == 2 else (one.name,)
                numbers = tuple(
                    getattr(one, f"{n}_{side}") for n in ("n_docs", "n_kept_docs", "n_kept_tokens", "n_tokens")
                )
                assert numbers == mine.pop(key, (0, 0, 0, 0)), key
                whole = sum(o.n_tokens_a if side == "a" else o.n_tokens_b for o in given if o.pool == one.pool)
                assert getattr(one, f"frac_{side}") == numbers[3] / whole
            assert not mine
    for side, run in ((found.a, a), (found.b, b)):
        rows = ledger(run).values()
        assert (side.n_docs, side.n_kept_docs) == (len(rows), sum(row["keep"] for row in rows))
        assert side.n_packed_tokens == sum(row["n_packed_tokens"] for row in rows)


def test_every_number_equals_a_recount_when_the_input_is_the_same(a: RunFiles, b: RunFiles) -> None:
    found = beside(a, b)
    assert found.documents is not None
    assert found.documents.side_by_side
    assert_equals_recount(found, a, b)
    counts = found.documents.counts
    for kind in ("left", "entered", "other_amount", "other_reasons"):
        assert counts[kind] > 0, f"the corpus shows no {kind}, so nothing of it was tested"


def test_every_number_equals_a_recount_when_the_input_differs(a: RunFiles, grown: RunFiles) -> None:
    for one, other in ((a, grown), (grown, a)):
        found = beside(one, other)
        assert found.documents is not None
        assert not found.documents.side_by_side
        assert_equals_recount(found, one, other)
        counts = found.documents.counts
        # The file that each has alone, and a row without a path, which is called by the name of its file.
        assert counts["only_a"] == counts["only_b"] == 2
        assert counts["other_bytes"] == 1
        assert counts["moved"] > 10


def test_both_ways_to_meet_say_the_same(a: RunFiles, b: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side and through files, in one partition and in many, in whatever order tasks end."""
    first = beside(a, b).documents
    monkeypatch.setattr(meeting, "hold_the_same", lambda a, b: False)
    for rows_per_part in (50, 6_000_000):
        for seed in (0, 1):
            found = beside(a, b, executor=ShuffledExecutor(seed), rows_per_part=rows_per_part, rows_per_task=40)
            assert found.documents == first


def test_partners_when_keys_repeat_meet_one_by_one() -> None:
    import numpy as np

    a, b = np.array([5, 3, 5, 9], np.uint64), np.array([5, 1, 5, 5, 3], np.uint64)
    in_a, in_b = meeting.partners((a,), (b,))
    assert sorted(zip(in_a.tolist(), in_b.tolist(), strict=True)) == [(0, 0), (1, 4), (2, 2)]
