"""Places in the stream, segment by segment, are those of one pass over both pools."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mix.numbering import Beginnings, beginnings, numbered, overlapping, places_of

MOST = 50  # tokens of a sequence


def in_one_pass(code: list[int], text: list[int], parts: tuple[int, int]) -> tuple[list[int], list[int], int]:
    """The places of both pools' sequences by the definition: the pool that is behind goes next, code where none is."""
    places: tuple[list[int], list[int]] = ([], [])
    surplus = worst = 0
    for place in range(len(code) + len(text)):
        i, j = map(len, places)
        takes_code = j == len(text) or (i < len(code) and surplus <= 0)
        surplus += code[i] * parts[1] if takes_code else -text[j] * parts[0]
        places[not takes_code].append(place)
        worst = max(worst, abs(surplus))
    return *places, worst


def by_segment(pools: list[list[list[int]]], parts: tuple[int, int]) -> tuple[list[int], list[int], int, int]:
    """The same, each segment for itself; and the most segments of the other pool that one has asked for."""
    segments = [np.array(one, np.int64) for pool in pools for one in pool]
    n_code, worst, most = len(pools[0]), 0, 0
    begun = [
        beginnings(
            first,
            np.array([len(one) for one in pool], np.int64),
            np.array([sum(one) for one in pool], np.int64),
            parts=parts[1 - i],
        )
        for i, (first, pool) in enumerate(zip((0, n_code), pools, strict=True))
    ]
    total = sum(map(sum, pools[0])) * parts[1]
    places: tuple[list[int], list[int]] = ([], [])
    for i, (own, others) in enumerate((begun, begun[::-1])):
        for at, (first, last) in enumerate(overlapping(own, others, total=total)):
            here, there = (
                Beginnings(one.segment[rows], one.n_before[rows], one.key[rows])
                for one, rows in ((own, slice(at, at + 1)), (others, slice(first, last)))
            )
            found = numbered(here, there, segments.__getitem__, is_code=i == 0, parts=(parts[1 - i], parts[i]))
            places[i].extend(found.number.tolist())
            worst, most = max(worst, found.worst), max(most, last - first)
    return *places, worst, most


def cut(rng: np.random.Generator, total: int, most: int = MOST) -> list[int]:
    """Numbers from 1 to `most` that sum up to `total`."""
    found: list[int] = []
    while total:
        found.append(int(rng.integers(1, min(most, total) + 1)))
        total -= found[-1]
    return found


def divided(rng: np.random.Generator, sequences: list[int], n: int) -> list[list[int]]:
    """Into `n` segments, some of them empty."""
    bounds = [0, *sorted(rng.integers(0, len(sequences) + 1, n - 1).tolist()), len(sequences)]
    return [sequences[a:b] for a, b in pairwise(bounds)]


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 1_000),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 2**32 - 1),
)
def test_segments_number_the_stream_as_one_pass_does_and_every_prefix_is_balanced(
    parts: tuple[int, int], units: int, n_segments: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pools = [divided(rng, cut(rng, part * units), n) for part, n in zip(parts, n_segments, strict=True)]
    code, text = ([*chain(*pool)] for pool in pools)
    *expected, worst = in_one_pass(code, text, parts)
    *places, found, _ = by_segment(pools, parts)
    assert places == expected
    assert found == worst <= MOST * max(parts)
    at_once = places_of(np.array(code, np.int64), np.array(text, np.int64), parts=parts)
    assert [one.tolist() for one in at_once] == expected


def test_a_prefix_that_is_off_is_told_whatever_segment_it_ends_in() -> None:
    pools = [[[10], [10]], [[20, 0], []]]
    assert by_segment(pools, (1, 1))[2] == in_one_pass([10, 10], [20, 0], (1, 1))[2] == 10


def test_a_segment_asks_for_those_of_the_other_pool_that_stand_beside_it_and_no_more() -> None:
    rng = np.random.default_rng(1)
    pools = [[cut(rng, 1_000) for _ in range(n)] for n in (60, 60)]
    assert by_segment(pools, (1, 1))[3] <= 3
    assert by_segment([pools[0], [[*chain(*pools[1][i : i + 10])] for i in range(0, 60, 10)]], (1, 1))[3] <= 12
