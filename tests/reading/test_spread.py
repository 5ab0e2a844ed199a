"""What a partitioned look at all documents must not miss: rows at the borders of tasks, files and partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arrays.keys import mix
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.processes import processes
from pipeline.errors import StoreError
from pipeline.reading.components import root, roots_of, stars, write_edges
from pipeline.reading.matched import count_distinct, found_in
from pipeline.reading.spread import Spread
from pipeline.reading.work import MIN_TASKS, Work, working

LAST = 2**64 - 1


@pytest.fixture
def work() -> Iterator[Work]:
    with working(rows_per_part=4, rows_per_task=2) as here:
        yield here


def test_columns_of_unequal_length_are_not_written(work: Work) -> None:
    spread = work.spread("ids", width=2, n_sources=1, n_parts=2)
    words = np.arange(4, dtype=np.uint64)
    with pytest.raises(AssertionError):
        spread.write(0, words, words[:3], part=spread.part_of(words))


def spread_ids(work: Work, sources: list[list[int]], *, n_parts: int) -> Spread:
    """Ids by their upper words, in as many files as there are sources."""
    spread = work.spread("ids", width=2, n_sources=len(sources), n_parts=n_parts)
    for number, words in enumerate(sources):
        high = np.array(words, np.uint64)
        spread.write(number, high, high + np.uint64(0), part=spread.part_of(high))
    return spread


@pytest.mark.parametrize("n_parts", [1, 2, 7, 256])
@pytest.mark.parametrize("twice", [0, 2**63, LAST], ids=["first partition", "a border", "last partition"])
def test_two_equal_ids_of_different_shards_meet_in_any_partition(work: Work, twice: int, n_parts: int) -> None:
    sources = [[5, twice], [2**62, 2**63 - 1], [twice, LAST - 1]]
    assert count_distinct(work, spread_ids(work, sources, n_parts=n_parts), name="ids") == 5


def test_ids_that_share_their_upper_half_alone_are_two(work: Work) -> None:
    spread = work.spread("ids", width=2, n_sources=1, n_parts=3)
    high = np.array([7, 7, LAST], np.uint64)
    spread.write(0, high, np.array([1, 2, 3], np.uint64), part=spread.part_of(high))
    assert count_distinct(work, spread, name="ids") == 3


@given(st.lists(st.lists(st.integers(0, LAST), max_size=9), min_size=1, max_size=5), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_every_row_is_read_once_in_order_of_its_source(sources: list[list[int]], n_parts: int) -> None:
    with working() as work:
        spread = spread_ids(work, sources, n_parts=n_parts)
        found = [spread.read(part)[0].tolist() for part in range(n_parts)]
    part_of = [n_parts * (word >> 32) >> 32 for words in sources for word in words]
    every = [word for words in sources for word in words]
    assert found == [[w for w, p in zip(every, part_of, strict=True) if p == part] for part in range(n_parts)]


def test_a_file_that_is_gone_or_cut_is_an_error(work: Work) -> None:
    spread = spread_ids(work, [[1, 2, 3], [4]], n_parts=2)
    first = Path(work.scratch.full("ids/0000000"))
    first.write_bytes(first.read_bytes()[:-8])
    with pytest.raises(StoreError):
        spread.read(0)
    first.unlink()
    with pytest.raises(StoreError):
        spread.read(1)


@pytest.mark.parametrize("n_parts", [1, 5])
def test_a_chain_over_all_partitions_is_one_class(n_parts: int) -> None:
    """The worst case: each node knows its neighbours alone, and no two of them are in one partition by design."""
    nodes = np.random.default_rng(3).permutation(200).astype(np.uint64)
    with working() as work:
        edges = work.spread("edges", width=2, n_sources=2, n_parts=n_parts)
        for source, (first, end) in enumerate(((0, 100), (100, 199))):
            write_edges(edges, source, nodes[first:end], nodes[first + 1 : end + 1])
        star = stars(work, edges)
        found = [root(nodes[edges.part_of(mix(nodes)) == part], roots_of(star, part)) for part in range(n_parts)]
    assert {int(r) for roots in found for r in roots} == {0}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_components_are_those_of_a_search(pairs: list[tuple[int, int]], n_parts: int) -> None:
    expected = {node: node for pair in pairs for node in pair}
    for _ in expected:
        for a, b in pairs:
            expected[a] = expected[b] = min(expected[a], expected[b])
    ends = np.array(pairs, np.uint64).reshape(-1, 2)
    nodes = np.array(sorted(expected), np.uint64)
    with working() as work:
        edges = work.spread("edges", width=2, n_sources=1, n_parts=n_parts)
        write_edges(edges, 0, ends[:, 0], ends[:, 1])
        star = stars(work, edges)
        part = edges.part_of(mix(nodes))
        found = {
            int(node): int(r)
            for k in range(n_parts)
            for node, r in zip(nodes[part == k], root(nodes[part == k], roots_of(star, k)), strict=True)
        }
    assert found == expected


def test_an_id_is_found_at_the_first_of_its_rows_or_not_at_all() -> None:
    high, low = np.array([9, 3, 3, 3], np.uint64), np.array([0, 1, 2, 1], np.uint64)
    asked = found_in((high, low), np.array([3, 9, 3, 9], np.uint64), np.array([1, 0, 2, 1], np.uint64))
    assert asked.tolist() == [1, 0, 2, -1]
    nothing = np.zeros(0, np.uint64)
    assert found_in((nothing, nothing), high, low).tolist() == [-1] * 4


def _number(item: tuple[int, int]) -> int:
    return item[1] * 2


def _broken(item: tuple[int, int]) -> int:
    if item[0] in (1, 2):
        raise ValueError(f"item {item[0]}")
    return item[0]


class Backwards:
    """An executor that is done with the last item first."""

    def map(self, task: Callable[[Any], Any], items: list[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        yield from ((item, task(item)) for item in reversed(items))

    def describe(self) -> str:
        return "backwards"


@pytest.mark.parametrize("executor", [None, InlineExecutor(), Backwards()])
def test_results_come_in_order_and_the_first_error_by_order_ends_it(executor: Any) -> None:
    with working(executor) as work:
        items = [(k, k + 5) for k in range(7)]
        assert list(work.each(_number, items, name="x")) == [2 * (k + 5) for k in range(7)]
        found = work.each(_broken, items, name="x")
        assert next(found) == 0
        with pytest.raises(ValueError, match="item 1"):
            next(found)


def test_processes_that_stay_give_the_same_over_several_maps() -> None:
    with processes(2) as executor, working(executor) as work:
        for first in (0, 100):
            assert list(work.each(_number, [(k, first + k) for k in range(9)], name="x")) == [
                2 * (first + k) for k in range(9)
            ]
        with pytest.raises(ValueError, match="item 1"):
            list(work.each(_broken, [(k, k) for k in range(9)], name="x"))


@pytest.mark.parametrize(("n_items", "n_rows"), [(0, 5), (3, 0), (1_000, 0), (1_000, 10**9), (10**5, 10**10)])
def test_ranges_cover_every_item_once_and_hold_few_rows(n_items: int, n_rows: int) -> None:
    with working() as work:
        spans = work.spans(n_items, n_rows=n_rows)
    assert [i for span in spans for i in span.items] == list(range(n_items))
    assert [span.number for span in spans] == list(range(len(spans)))
    most = max((len(span.items) for span in spans), default=0)
    assert most <= max(1, -(-n_items // MIN_TASKS), -(-n_items * work.rows_per_task // max(1, n_rows)) + 1)


def test_what_was_put_aside_is_removed_also_when_a_check_fails(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with pytest.raises(KeyError), working(scratch=str(scratch)) as work:
        spread_ids(work, [[1]], n_parts=1)
        assert len([path for path in scratch.rglob("*") if path.is_file()]) == 1
        raise KeyError
    assert list(scratch.iterdir()) == []
