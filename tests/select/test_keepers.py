import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.select.keepers import choose_keepers


def test_a_chain_keeps_both_ends() -> None:
    chosen = choose_keepers(3, np.array([0, 1]), np.array([1, 2]), similarity=np.array([0.8, 0.9]))
    assert chosen.keeper.tolist() == [0, 0, 2]
    assert chosen.similarity.tolist() == [0.0, 0.8, 0.0]


def test_the_most_similar_kept_document_is_named() -> None:
    chosen = choose_keepers(3, np.array([0, 1]), np.array([2, 2]), similarity=np.array([0.7, 0.95]))
    assert chosen.keeper.tolist() == [0, 1, 1]
    assert chosen.similarity[2] == 0.95


pairs = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19), st.floats(0.7, 1)), max_size=60)


@given(pairs)
def test_promises_hold_on_any_graph(edges: list[tuple[int, int, float]]) -> None:
    unique = {(min(a, b), max(a, b)): s for a, b, s in edges if a != b}
    left, right = np.array([a for a, _ in unique], int), np.array([b for _, b in unique], int)
    chosen = choose_keepers(20, left, right, similarity=np.array(list(unique.values())))
    keeper, similarity = chosen.keeper, chosen.similarity
    kept = {i for i in range(20) if keeper[i] == i}
    assert not any(a in kept and b in kept for a, b in unique)
    for i in set(range(20)) - kept:
        assert keeper[i] in kept
        assert keeper[i] < i
        assert similarity[i] == unique[keeper[i], i]
