from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, digests, doc_id, documents, make_run, run_stage, write_documents, write_facts

from pipeline.config import Exchange, Select
from pipeline.dedup.exact_dups import group_equal
from pipeline.engine.run import Run
from pipeline.engine.store import part
from pipeline.schema import CROWDS, NEAR_DUPS, SELECT
from pipeline.select.select import Selection, select


def choose(
    run: Run,
    shards: list[pa.Table],
    *,
    pairs: list[tuple[tuple[int, int], tuple[int, int], float]] = [],  # noqa: B006
    fired: dict[str, str] | None = None,
    config: Select | None = None,
) -> dict[str, dict[str, Any]]:
    """Decisions by doc_id; pairs are ((shard, row), (shard, row), similarity)."""
    tables = write_documents(run, shards)
    write_facts(run, shards, fired=fired)
    run_stage(run, "exact_dups", group_equal, config=Exchange(n_partitions=2), n_shards=len(shards))
    rows = [
        {
            "doc_id": doc_id(*a),
            "other_id": doc_id(*b),
            "similarity": s,
            "containment": s,
            "position": a[0] << 32 | a[1],
            "other_position": b[0] << 32 | b[1],
        }
        for a, b, s in pairs
    ]
    for i in range(2):
        table = pa.Table.from_pylist(rows[i::2], schema=NEAR_DUPS.schema)
        run.store.write_parquet(f"tables/near_dups/{part(i, 2)}", table, schema=NEAR_DUPS.schema)
        run.store.write_ipc(f"tables/similar/{part(i, 2, suffix='arrow')}", [], schema=CROWDS)
    selection = Selection(**dict(config or Select(n_partitions=3)), n_pair_shards=2, min_similarity=0.7)
    run_stage(run, "select", select, config=selection, n_shards=len(shards))
    return {r["doc_id"]: r for s in range(len(shards)) for r in tables.read(SELECT, s).to_pylist()}


def test_the_permissive_copy_stays_though_it_comes_last_and_has_fewer_stars(tmp_path: Path) -> None:
    shards = [
        documents(0, ["x", "x"], license=["GPL-3.0", None], stars=[900, 50]),
        documents(1, ["x"], license=["MIT"], stars=[1]),
    ]
    got = choose(make_run(tmp_path), shards)
    assert got[doc_id(1, 0)]["keep"]
    for loser in (doc_id(0, 0), doc_id(0, 1)):
        assert got[loser]["reasons"] == ["exact_duplicate"]
        assert got[loser]["keeper_id"] == doc_id(1, 0)
        assert got[loser]["similarity"] == 1.0


@pytest.mark.parametrize("unsaid", [0, 1])
def test_what_is_not_said_comes_after_all_that_is(tmp_path: Path, unsaid: int) -> None:
    """Whichever copy comes first in the input: no stars at all rank behind none."""
    stars = [0, 0]
    stars[unsaid] = None  # type: ignore[call-overload]
    got = choose(make_run(tmp_path), [documents(0, ["x", "x"], stars=stars), documents(1, ["y"])])
    assert [got[doc_id(0, i)]["keep"] for i in range(2)] == [i != unsaid for i in range(2)]


def test_order_is_stars_then_newest_then_longer(tmp_path: Path) -> None:
    old, new = datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    shards = [
        documents(
            0,
            ["a1", "a2", "b1", "b2", "c", "cccc"],
            stars=[1, 2, 5, 5, None, None],
            revision_time=[new, old, old, new, None, None],
        )
    ]
    pairs = [((0, 0), (0, 1), 0.9), ((0, 2), (0, 3), 0.9), ((0, 4), (0, 5), 0.9)]
    got = choose(make_run(tmp_path), shards, pairs=pairs)
    assert [got[doc_id(0, i)]["keep"] for i in range(6)] == [False, True, False, True, False, True]


def test_a_good_copy_is_never_lost_to_a_bad_one(tmp_path: Path) -> None:
    shards = [documents(0, ["x", "x", "near x"], stars=[100, 1, 50])]
    fired = {doc_id(0, 0): "long_line", doc_id(0, 2): "generated"}
    got = choose(make_run(tmp_path), shards, pairs=[((0, 0), (0, 2), 0.8)], fired=fired)
    assert got[doc_id(0, 1)]["keep"]
    assert got[doc_id(0, 0)]["reasons"] == ["long_line", "exact_duplicate"]
    assert got[doc_id(0, 0)]["keeper_id"] == doc_id(0, 1)
    assert got[doc_id(0, 2)] | {"doc_id": ""} == {
        "doc_id": "",
        "keep": False,
        "reasons": ["generated"],
        "keeper_id": None,
        "similarity": None,
    }


def test_a_chain_keeps_its_ends_and_equal_documents_follow_their_champion(tmp_path: Path) -> None:
    shards = [documents(0, ["a", "b", "c", "b"], stars=[9, 5, 1, 2])]
    pairs = [((0, 0), (0, 1), 0.75), ((0, 1), (0, 2), 0.8)]
    got = choose(make_run(tmp_path), shards, pairs=pairs)
    assert [got[doc_id(0, i)]["keep"] for i in range(4)] == [True, False, True, False]
    assert got[doc_id(0, 1)]["reasons"] == ["near_duplicate"]
    assert got[doc_id(0, 3)]["reasons"] == ["exact_duplicate", "near_duplicate"]
    for loser in (1, 3):
        assert got[doc_id(0, loser)]["keeper_id"] == doc_id(0, 0)
        assert got[doc_id(0, loser)]["similarity"] == 0.75


def test_all_reasons_stand_in_documented_order(tmp_path: Path) -> None:
    shards = [documents(0, ["x"], license=["GPL-2.0"], problem=["too_large"])]
    config = Select(drop_licenses=("other",), drop_languages=("Python",))
    got = choose(make_run(tmp_path), shards, fired={doc_id(0, 0): "generated"}, config=config)
    assert got[doc_id(0, 0)]["reasons"] == ["too_large", "dropped_language", "dropped_license", "generated"]


def test_promises_hold_on_random_pairs_whatever_the_order_of_work(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    contents = [[f"document {i % 17} {s}" if i % 3 else f"document {i}" for i in range(25)] for s in range(3)]
    shards = [documents(s, c, stars=rng.integers(0, 5, 25).tolist()) for s, c in enumerate(contents)]
    first: dict[str, tuple[int, int]] = {}
    for s, column in enumerate(contents):
        for i, content in enumerate(column):
            first.setdefault(content, (s, i))
    ends = sorted(first.values())
    chosen = {tuple(sorted(rng.choice(len(ends), 2, replace=False).tolist())) for _ in range(60)}
    pairs = [(ends[a], ends[b], float(rng.uniform(0.7, 1))) for a, b in sorted(chosen)]
    got = choose(make_run(tmp_path / "a"), shards, pairs=pairs)
    again = choose(make_run(tmp_path / "b", executor=ShuffledExecutor(4)), shards, pairs=pairs)
    assert got == again
    assert digests(tmp_path / "a/tables") == digests(tmp_path / "b/tables")
    group = {doc_id(s, i): doc_id(*first[c]) for s, column in enumerate(contents) for i, c in enumerate(column)}
    kept = {group[i] for i, d in got.items() if d["keep"]}
    assert len(kept) == sum(d["keep"] for d in got.values())
    assert not any(doc_id(*a) in kept and doc_id(*b) in kept for a, b, _ in pairs)
    for row in got.values():
        assert row["keep"] or got[row["keeper_id"]]["keep"]
