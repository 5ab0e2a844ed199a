"""Tables of all shards put together by tasks in a tree, and the places where budgets end in what comes out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, make_run

from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.mix import tree
from pipeline.mix.balance import place_cuts, summed_up
from pipeline.mix.quota import Quota

KINDS = ("pool", "bucket")


def counted(shard: int) -> pa.Table:
    rng = np.random.default_rng(shard)
    n = int(rng.integers(0, 6))
    return pa.table(
        {
            "pool": pa.array(rng.choice(["code", "text"], n).tolist(), pa.string()),
            "bucket": rng.integers(0, 3, n),
            "n_tokens_sum": rng.integers(1, 2**40, n),
        }
    )


def sums(folder: Path, n_shards: int, *, executor: Executor) -> tuple[dict[tuple[str, int], int], list[str]]:
    """The sums of all shards, and the steps that were made for them."""
    run = make_run(folder, executor=executor)
    job = Job(run.workplace, Tables(run.store, n_shards), "balance", "m", None)
    channel = job.channel("count", n_sources=n_shards, n_partitions=1, by_source=True)

    def count(shard: int, _: None) -> Outcome:
        table = counted(shard)
        return Outcome((channel.scatter(shard, table, partition=np.zeros(table.num_rows, np.int64)),), {})

    job.step("count", count, items=n_shards)
    found = summed_up(job, "count", channel, kinds=KINDS)
    assert found.column_names == [*KINDS, "n_tokens"]
    rows = {(r["pool"], r["bucket"]): r["n_tokens"] for r in found.to_pylist()}
    assert len(rows) == found.num_rows
    return rows, run.store.folders("state/balance/m")


@pytest.mark.parametrize("fan_in", [2, 3, 64])
@pytest.mark.parametrize("n_shards", [1, 2, 3, 4, 9, 10])
def test_sums_are_those_of_all_shards_whatever_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_shards: int, fan_in: int
) -> None:
    monkeypatch.setattr(tree, "FAN_IN", fan_in)
    wanted = Counter[tuple[str, int]]()
    for shard in range(n_shards):
        for r in counted(shard).to_pylist():
            wanted[r["pool"], r["bucket"]] += r["n_tokens_sum"]
    found = [
        sums(tmp_path / name, n_shards, executor=executor)
        for name, executor in (("inline", InlineExecutor()), ("shuffled", ShuffledExecutor(3)))
    ]
    assert [rows for rows, _ in found] == [dict(wanted)] * 2
    levels, n = 0, n_shards
    while n_shards > fan_in and n > 1:
        levels, n = levels + 1, -(-n // fan_in)
    assert found[0][1] == ["count", *(f"count-sum-{level + 1}" for level in range(levels))]


def test_what_is_read_here_is_one_table_however_many_shards_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "FAN_IN", 3)
    read, made = tree._tables, list[int]()

    def counting(channel, first, last):  # type: ignore[no-untyped-def]
        made.append(last - first)
        return read(channel, first, last)

    monkeypatch.setattr(tree, "_tables", counting)
    sums(tmp_path, 10, executor=InlineExecutor())
    assert made == [3, 3, 3, 1, 3, 1, 2, 1]  # ten, four and two tables in tasks, and the last one here


def plainly(quota: Quota, rows: list[tuple[int, int, int]]) -> Quota:
    """Walk the documents in their order until the budget is used up."""
    left = quota.left
    for key, position, n_tokens in sorted(rows):
        if left < n_tokens or left == 0:
            return Quota(quota.group, quota.whole, quota.bucket, quota.left, key, position, left)
        left -= n_tokens
    return Quota(quota.group, quota.whole, quota.bucket + 1, 0)


@pytest.mark.parametrize("seed", range(30))
def test_a_cut_falls_where_a_walk_finds_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [("code", "C"), ("code", "Go"), ("text", "C")]
    rows = [
        {
            "pool": groups[g][0],
            "group": groups[g][1],
            "n_tokens": int(rng.integers(0, 5)),
            "key": int(rng.integers(0, 4)) + 2**63,
            "position": position,
        }
        for position, g in enumerate(rng.integers(0, 3, int(rng.integers(0, 25))).tolist())
    ]
    kinds = {"pool": pa.string(), "group": pa.string(), "n_tokens": pa.int64(), "key": pa.uint64()}
    listed = pa.Table.from_pylist(rows, schema=pa.schema([*kinds.items(), ("position", pa.uint64())]))
    quotas = {name: Quota(name[1], 1, 7, int(rng.integers(0, 30))) for name in groups}
    found = place_cuts(quotas, listed)
    for name, quota in quotas.items():
        mine = [(r["key"], r["position"], r["n_tokens"]) for r in rows if (r["pool"], r["group"]) == name]
        assert found[name] == (plainly(quota, mine) if mine else quota)
    assert partial(place_cuts, quotas)(listed.slice(0, 0)) == quotas
