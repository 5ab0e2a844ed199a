"""Classes from pairs, against a walk from node to node."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reading.classes import classes_of


def walked(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The smallest node that each reaches, one step at a time."""
    near: dict[int, set[int]] = {node: set() for node in range(n)}
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    found = []
    for node in range(n):
        reached, todo = {node}, [node]
        while todo:
            new = near[todo.pop()] - reached
            reached |= new
            todo += new
        found.append(min(reached))
    return found


def ends(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2).T


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=60))))  # fmt: skip
def test_classes_are_those_that_a_walk_reaches(case: tuple[int, list[tuple[int, int]]]) -> None:
    n, pairs = case
    assert classes_of(n, *ends(pairs)).tolist() == walked(n, pairs)


def test_a_long_chain_in_any_order_is_one_class() -> None:
    order = np.random.default_rng(1).permutation(20_000)
    assert not classes_of(order.size, order[:-1], order[1:]).any()
