"""Units of files: whole, in order, as many side by side as fit a sequence, each once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays.keys import stage_key
from pipeline.forms.beside import PLACE_BITS, beside
from pipeline.mix.rest import fill
from pipeline.mix.units import earlier, laid, unit_of

SEQ = 32
pieces = st.lists(st.tuples(st.integers(0, 3), st.integers(1, SEQ), st.booleans()), max_size=40)


@given(pieces)
def test_units_hold_neighbours_of_one_part_as_far_as_a_sequence_goes(found: list[tuple[int, int, bool]]) -> None:
    found.sort(key=lambda piece: piece[0])
    part, length = (np.array([p[i] for p in found], np.int64) for i in (0, 1))
    joinable = np.array([p[2] for p in found], bool)
    keys = (part.astype(np.uint64) << np.uint64(PLACE_BITS)) + np.arange(len(found), dtype=np.uint64)
    unit = unit_of(keys, length, joinable, seq_len=SEQ)
    assert set(unit.tolist()) == set(range(int(unit.max(initial=-1)) + 1))
    # The same by a loop over lists.
    current: list[int] | None = None
    wanted: list[list[int]] = []
    for i, (p, n, can) in enumerate(found):
        if not can:
            wanted.append([i])
        elif current and found[current[-1]][0] == p and sum(found[j][1] for j in current) + n <= SEQ:
            current.append(i)
        else:
            current = [i]
            wanted.append(current)
    assert sorted(wanted) == sorted([np.flatnonzero(unit == u).tolist() for u in range(len(wanted))])
    start, joins = laid(unit, length)
    for u in wanted:
        assert start[u].tolist() == [0, *np.cumsum(length[u])[:-1].tolist()]
        assert joins[u].tolist() == [False] + [True] * (len(u) - 1)


def test_a_unit_may_fill_a_sequence_and_no_more() -> None:
    keys, can = np.zeros(2, np.uint64), np.ones(2, bool)
    assert unit_of(keys, np.array([SEQ // 2, SEQ // 2]), can, seq_len=SEQ).tolist() == [0, 0]
    assert unit_of(keys, np.array([SEQ // 2, SEQ // 2 + 1]), can, seq_len=SEQ).tolist() == [0, 1]


def test_files_of_a_part_lie_together_in_their_order_and_others_where_they_did() -> None:
    key, plain = stage_key(1, "x"), np.arange(8, dtype=np.uint64) << np.uint64(60)
    part, place = np.array([7, 7, 9, 7, 0, 0, 9, 7], np.uint64), np.array([2, 0, 5, 1, -1, -1, 0, 300])
    keys = beside(plain, key, part, place)
    assert keys[[4, 5]].tolist() == plain[[4, 5]].tolist()
    order = [i for i in np.argsort(keys).tolist() if i not in (4, 5)]
    sevens, nines = [i for i in order if part[i] == 7], [i for i in order if part[i] == 9]
    assert (sevens, nines) == ([1, 3, 0, 7], [6, 2])
    assert order in (sevens + nines, nines + sevens)
    assert len({int(k) for k in beside(plain, key, part, place, np.full(8, 1, np.uint64))} & set(keys.tolist())) == 2


def test_an_import_counts_where_its_target_stands_before_it_in_the_unit() -> None:
    unit, place = np.array([0, 0, 1, 1, 2]), np.array([0, 3, 4, 9, -1])
    owner, target = np.array([1, 1, 3, 3, 0, 2]), np.array([0, 4, 4, 0, 3, 9])
    assert earlier(unit, place, owner, target).tolist() == [True, False, True, False, False, False]
    empty = np.zeros(0, np.int64)
    assert earlier(empty, empty, empty, empty).size == 0


def test_units_that_wait_share_no_document() -> None:
    docs = [[(0, 1), (0, 2)], [(0, 2)], [(0, 3)]]
    made = fill(np.zeros(3, np.int64), np.array([10, 9, 8]), docs, seq_len=SEQ, patience=1)
    assert made.sequence[0] != made.sequence[1]
    assert made.sequence[2] in made.sequence[:2]
