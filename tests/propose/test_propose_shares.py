"""Shares: filled up to limits, drawn around the natural ones, kept inside the repetition bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.propose.shares import draw, fill, whole_tokens

POOL = np.array([0, 0, 0, 1, 1])
NATURAL = np.array([0.6, 0.3, 0.1, 0.8, 0.2])


def sums(shares):
    return np.array([shares[..., pool == POOL].sum(axis=-1) for pool in (0, 1)]).T


def test_fill_when_nothing_is_full_keeps_proportions():
    found = fill(2 * NATURAL, limits=np.ones(5), pool=POOL, spare=NATURAL)
    assert found == pytest.approx(NATURAL)


def test_fill_when_a_group_is_full_gives_the_rest_to_the_others_in_proportion():
    found = fill(NATURAL, limits=np.array([0.4, 1, 1, 1, 1]), pool=POOL, spare=NATURAL)
    assert found[:3] == pytest.approx([0.4, 0.45, 0.15])


def test_fill_when_only_one_group_is_wanted_leaves_the_others_what_it_cannot_take():
    only = np.array([0, 0, 1.0, 0, 0])
    found = fill(only, limits=np.array([1, 1, 0.4, 1, 1]), pool=POOL, spare=NATURAL)
    assert found == pytest.approx([0.4, 0.2, 0.4, 0.8, 0.2]), "the other pool has no wanted group and stays natural"


@given(
    st.lists(st.floats(0.01, 1), min_size=5, max_size=5),
    st.lists(st.floats(0.5, 1), min_size=5, max_size=5),
    st.integers(0, 10**6),
)
def test_draw_whatever_the_limits_keeps_them_and_every_pool_whole(natural, limits, seed):
    natural, limits = np.array(natural), np.array(limits)
    drawn = draw(natural, limits=limits, pool=POOL, n_mixtures=7, spread=4.0, seed=seed)
    assert drawn.shape == (7, 5)
    assert (drawn <= limits + 1e-9).all() and (drawn > 0).all()
    assert sums(drawn) == pytest.approx(np.ones((7, 2)))


def test_draw_is_keyed_begins_with_the_natural_mixture_and_covers_each_factor_evenly():
    args = {"limits": np.ones(5), "pool": POOL, "n_mixtures": 13, "spread": 4.0}
    drawn = draw(NATURAL, seed=3, **args)
    assert (drawn == draw(NATURAL, seed=3, **args)).all()
    assert not np.allclose(drawn[1:], draw(NATURAL, seed=4, **args)[1:])
    assert drawn[0] == pytest.approx(NATURAL)
    # Two groups of one pool: their ratio is that of the natural shares times the ratio of two factors.
    moved = np.log2((drawn[1:, 3] / drawn[1:, 4]) / 4)
    assert np.abs(moved).max() <= 4 + 1e-9, "two factors of 4, one up and one down, are sixteen apart"
    assert moved.min() < -1 and moved.max() > 1
    alone = draw(np.array([0.5, 0.5]), limits=np.ones(2), pool=np.array([0, 1]), n_mixtures=4, spread=4.0, seed=0)
    assert (alone == 1).sum() == 4 * 2, "a group that is its whole pool cannot move"


def test_whole_tokens_add_up_and_ties_go_to_the_first():
    assert whole_tokens(np.array([1.0, 1.0, 1.0]), 10).tolist() == [4, 3, 3]
    assert whole_tokens(np.array([0.7, 0.3]), 10).tolist() == [7, 3]
    assert whole_tokens(np.array([0.0, 1.0]), 5).tolist() == [0, 5]
