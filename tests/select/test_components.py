"""Components in memory and in rounds are the same, and those of a plain search."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, doc_id
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.arrays.keys import mix
from pipeline.engine.exchange import first_position, shard_of, spread
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.stage import Job, Workplace
from pipeline.engine.store import open_store, part
from pipeline.engine.tables import Tables
from pipeline.schema import CROWDS, NEAR_DUPS
from pipeline.select import components
from pipeline.select.components import Components, find_components
from pipeline.select.settings import Selection
from pipeline.select.stars import large_star, small_star

N_SHARDS, N_PAIR_SHARDS, N_PARTITIONS = 2, 3, 4
EARLIER = int(first_position(N_SHARDS))
Pairs = list[tuple[int, int]]


def at(number: int) -> int:
    """The position of a document; those from 100 on are of an earlier run."""
    return number // 10 % N_SHARDS << 32 | number if number < 100 else EARLIER + number


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def write_graph(folder: Path, pairs: Iterable[tuple[int, int]], crowd: dict[int, list[int]], *, m: int) -> None:
    """Shards of pairs of positions, one after another, and of crowd members with their buckets."""
    store = open_store(str(folder))
    left, right = np.array(list(pairs), np.uint64).reshape(-1, 2).T
    for i in range(m):
        mine = slice(i, None, m)
        n = left[mine].size
        table = pa.table(
            {
                "doc_id": pa.array(["0" * 32] * n, pa.string()),
                "other_id": pa.array([f"{k:032x}" for k in right[mine].tolist()], pa.string()),
                "similarity": np.full(n, 0.9),
                "containment": np.full(n, 0.9, np.float32),
                "position": left[mine],
                "other_position": right[mine],
            }
        )
        store.write_parquet(f"tables/near_dups/{part(i, m)}", table, schema=NEAR_DUPS.schema)
        members = sorted(crowd)[i::m]
        rows = [{"position": p, "doc_id": doc_id(0, p), "keys": crowd[p], "shingles": [p]} for p in members]
        batch = pa.RecordBatch.from_pylist(rows, schema=CROWDS)
        store.write_ipc(f"tables/similar/{part(i, m, suffix='arrow')}", [batch], schema=CROWDS)


def found_in(
    folder: Path, *, max_arcs: int, m: int = N_PAIR_SHARDS, executor: Executor | None = None
) -> tuple[Components, list[str]]:
    """The channels, and the names of the steps that made them."""
    store, mark = open_store(str(folder)), f"arcs{max_arcs}"
    config = Selection(n_partitions=N_PARTITIONS, n_pair_shards=m, min_similarity=0.7, rules=(), benchmarks=())
    job = Job(Workplace(executor or InlineExecutor(), silent()), Tables(store, N_SHARDS, "select"), "select", mark, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "MAX_ARCS", max_arcs)
        found = find_components(job, config=config)
    return found, store.folders(f"state/select/{mark}")


def sorted_rows(table: pa.Table) -> list[tuple[int, ...]]:
    return sorted(zip(*(table[name].to_pylist() for name in table.schema.names), strict=True))


def searched(pairs: Iterable[tuple[int, int]], crowd: dict[int, list[int]]) -> dict[int, int]:
    """The smallest node of each node's component, by a plain search."""
    near: dict[int, set[int]] = defaultdict(set)
    for left, right in pairs:
        near[left].add(left)
        if right < EARLIER:
            near[left].add(right)
            near[right].add(left)
    buckets = defaultdict(list)
    for member, keys in crowd.items():
        if member < EARLIER:
            near[member].add(member)
            for key in keys:
                buckets[key].append(member)
    for members in buckets.values():
        for member in members:
            near[member].add(members[0])
            near[members[0]].add(member)
    component: dict[int, int] = {}
    for start in sorted(near):
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node not in component:
                component[node] = start
                waiting += near[node]
    return component


numbers = st.integers(0, 119)
graphs = st.tuples(
    st.lists(st.tuples(st.integers(0, 99), numbers).filter(lambda p: p[0] != p[1]), max_size=60),
    st.dictionaries(numbers, st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), max_size=20),
)
CHAIN = [(k, k + 1) for k in range(99)]
STAR = [(k, 99) for k in range(99)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(graphs, st.integers(0, 10**9))
@example((CHAIN, {}), 0)
@example((CHAIN[::-1], {7: [1], 103: [1, 2], 60: [2]}), 1)
@example((STAR, {}), 2)
@example(([], {103: [1], 104: [1, 2]}), 3)  # a bucket of another run alone belongs nowhere
@example(([], {}), 4)
def test_in_memory_and_in_rounds_are_the_same_and_right(
    tmp_path_factory: pytest.TempPathFactory, graph: tuple[Pairs, dict[int, list[int]]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    pairs = [(min(at(a), at(b)), max(at(a), at(b))) for a, b in graph[0]]
    crowd = {at(number): [int(k) << 60 | k for k in keys] for number, keys in graph[1].items()}
    write_graph(folder, pairs, crowd, m=N_PAIR_SHARDS)
    whole, steps = found_in(folder, max_arcs=10**9)
    rounds, other_steps = found_in(folder, max_arcs=-1, executor=ShuffledExecutor(seed))
    assert "component" in steps
    assert "large-1" in other_steps
    assert "component" not in other_steps
    component = searched(pairs, crowd)
    for k in range(N_PARTITIONS):
        groups = sorted_rows(whole.groups.gather(k))
        mine = [n for n in component if spread(mix(np.array([n], np.uint64)), N_PARTITIONS)[0] == k]
        assert groups == sorted((n, component[n]) for n in mine)
        assert groups == sorted_rows(rounds.groups.gather(k))
        assert whole.pairs.gather(k).equals(rounds.pairs.gather(k))
        assert whole.crowds.gather(k).equals(rounds.crowds.gather(k))
        for left in whole.pairs.gather(k)["position"].to_numpy():
            assert spread(mix(np.array([component[left]], np.uint64)), N_PARTITIONS)[0] == k
    for shard in range(N_SHARDS):
        expected = [(n,) for n in sorted(component) if shard_of(np.array([n], np.uint64))[0] == shard]
        assert sorted_rows(whole.ends.gather(shard)) == sorted_rows(rounds.ends.gather(shard)) == expected
    assert sum(whole.pairs.gather(k).num_rows for k in range(N_PARTITIONS)) == len(pairs)
    sent = {(p, k) for k in range(N_PARTITIONS) for p in whole.crowds.gather(k)["position"].to_pylist()}
    homes = {key: component[p] for p, keys in crowd.items() if p < EARLIER for key in keys}
    where = {key: int(spread(mix(np.array([home], np.uint64)), N_PARTITIONS)[0]) for key, home in homes.items()}
    assert sent == {(p, where[key]) for p, keys in crowd.items() for key in keys if key in where}


@pytest.mark.parametrize("order", ["rising", "shuffled"])
def test_a_chain_of_100000_takes_few_rounds(tmp_path: Path, order: str) -> None:
    """Its links lie in turn in four shards, so that no shard can shorten it before the rounds begin."""
    chain = np.arange(100_000)
    if order == "shuffled":
        chain = np.random.default_rng(5).permutation(chain)
    pairs = np.sort(np.stack((chain[:-1], chain[1:]), axis=1), axis=1)
    write_graph(tmp_path, pairs.tolist(), {}, m=4)
    found, steps = found_in(tmp_path, max_arcs=99_998, m=4)
    n_rounds = sum(name.startswith("large-") for name in steps)
    assert 2 < n_rounds <= 18
    every = [found.groups.gather(k) for k in range(N_PARTITIONS)]
    assert sum(table.num_rows for table in every) == 100_000
    assert {c for table in every for c in table["component"].unique().to_pylist()} == {0}


def test_just_enough_arcs_are_united_at_once(tmp_path: Path) -> None:
    write_graph(tmp_path, [(0, 1), (1, 2), (2, 3)], {}, m=3)
    assert "component" in found_in(tmp_path, max_arcs=3, m=3)[1]
    assert "component" not in found_in(tmp_path, max_arcs=2, m=3)[1]


def test_rounds_never_make_more_arcs() -> None:
    random = np.random.default_rng(2)
    big, small = np.sort(random.integers(0, 300, (2, 1_000)), axis=0)[::-1]
    big, small = big[big != small], small[big != small]
    sizes = [big.size]
    n_changed = 1
    while n_changed:
        big, small, more = large_star(np.concatenate((big, small)), np.concatenate((small, big)))
        sizes.append(big.size)
        big, small, n_changed = small_star(big, small)
        n_changed += more
        sizes.append(big.size)
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) < 12
