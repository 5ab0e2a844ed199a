"""Sequences that wait: every piece once, no sequence above its length, no document twice in one, nothing too late."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mix.rest import MOST_WAITING, fill, waiting

SEQ = 64
pieces = st.lists(st.tuples(st.integers(0, 9), st.integers(1, SEQ), st.integers(0, 12)), max_size=60)


@given(pieces, st.integers(0, 5))
def test_pieces_are_fitted_once_and_in_time(found: list[tuple[int, int, int]], patience: int) -> None:
    found.sort(key=lambda piece: piece[0])
    segment, lengths, docs = (np.array([p[i] for p in found], np.int64) for i in range(3))
    made = fill(segment, lengths, [[(0, d)] for d in docs.tolist()], seq_len=SEQ, patience=patience)
    n = made.segment.size
    assert set(made.sequence.tolist()) == set(range(n))
    assert (np.bincount(made.sequence, weights=lengths, minlength=n) <= SEQ).all()
    for number in range(n):
        mine = np.flatnonzero(made.sequence == number)
        assert len(set(docs[mine].tolist())) == mine.size
        order = mine[np.argsort(made.start[mine])]
        ends = np.cumsum(lengths[order])
        assert made.start[order].tolist() == [0, *ends[:-1].tolist()]
        assert (made.segment[number] >= segment[mine]).all()
        assert (made.segment[number] - segment[mine] <= patience).all()


def test_what_segments_leave_makes_full_sequences() -> None:
    rng = np.random.default_rng(3)
    segment, lengths = np.repeat(np.arange(200), 8), rng.integers(1, 9, 1600)
    made = fill(segment, lengths, [[(0, i)] for i in range(1600)], seq_len=SEQ, patience=200)
    assert lengths.sum() / (made.segment.size * SEQ) > 0.97


def test_the_emptiest_wait_and_full_ones_do_not() -> None:
    assert waiting(np.array([64, 10, 63, 30]), seq_len=SEQ).tolist() == [False, True, False, True]
    assert waiting(np.arange(1, 11), seq_len=SEQ).tolist() == [True] * MOST_WAITING + [False] * (10 - MOST_WAITING)
    assert waiting(np.array([], np.int64), seq_len=SEQ).size == 0
