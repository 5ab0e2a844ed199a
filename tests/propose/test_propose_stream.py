"""Streams of mixtures: exact to the token, the run's own tokens, none of a held-out document."""

from __future__ import annotations

import numpy as np
import pytest
from plt.plt_rows import read_row
from plt.plt_runs import add_piece, empty_row, write_rows
from propose_runs import SEQ_LEN, search_run

from pipeline.errors import ConfigError, SchemaError
from pipeline.plt.data import open_packed
from pipeline.propose.groups import choose_groups, own_shares, paper_shares, repetition_limits, target_weights
from pipeline.propose.held_out import hold_out
from pipeline.propose.pieces import read_pieces
from pipeline.propose.stream import compose, lay_out, write


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_packed(search_run(tmp_path_factory.mktemp("stream")))


@pytest.fixture(scope="module")
def pieces(run):
    return read_pieces(run)


def rows_of(run):
    return [read_row(run, i) for i in range(run.n_sequences)]


def documents_of(run):
    """Token ids by (document, offset), and the group, as the rows tell them one by one."""
    found = {}
    for row in rows_of(run):
        for j, (doc_id, offset) in enumerate(zip(row["doc_ids"], row["doc_offsets"], strict=True)):
            start, end = row["cu_seqlens"][j : j + 2]
            found[doc_id, offset] = (row["pool"], row["groups"][j], row["token_ids"][start:end])
    return found


def test_pieces_equal_what_the_rows_tell_one_by_one(run, pieces):
    by_hand = documents_of(run)
    assert len(pieces.document) == len(by_hand)
    assert pieces.names == (("code", "C"), ("code", "Python"), ("text", "books"), ("text", "notes"))
    for i in range(0, len(pieces.document), 7):
        key = pieces.doc_ids[int(pieces.document[i])].as_py(), int(pieces.offset[i])
        pool, group, ids = by_hand[key]
        assert pieces.names[pieces.group[i]] == (pool, group) and pieces.length[i] == len(ids)
    assert pieces.n_packed.sum() == sum(row["n_real"] for row in rows_of(run))


def test_pieces_of_copied_documents_count_once_and_as_packed(tmp_path):
    rows = [empty_row("code", seq_len=8) for _ in range(3)]
    for row, n in zip(rows, (6, 6, 4), strict=True):  # two copies and one that the budget cut
        add_piece(row, doc_id="a" * 32, group="C", ids=[1] * n)
    found = read_pieces(open_packed(write_rows(tmp_path, rows, seq_len=8, n_shards=1)))
    assert found.length.tolist() == [6] and found.n_packed.tolist() == [16]


def test_pieces_of_ids_that_are_no_hashes_are_refused(tmp_path):
    row = empty_row("code", seq_len=8)
    add_piece(row, doc_id="mine", group="C", ids=[1])
    with pytest.raises(SchemaError, match="doc_ids"):
        read_pieces(open_packed(write_rows(tmp_path, [row], seq_len=8, n_shards=1)))


@pytest.mark.parametrize("shares", [[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.05, 0.95], [1.0, 0.0, 0.3, 0.7]])
def test_stream_is_exact_to_the_token_and_holds_the_runs_own_tokens(tmp_path, run, pieces, shares):
    groups = choose_groups(pieces, 4)
    free = np.arange(len(pieces.document))
    piece, length = compose(pieces, groups, free=free, shares=np.array(shares), n_tokens=6000, seed=3)
    n_tokens = np.bincount(groups.of_piece[piece], weights=length, minlength=4)
    assert n_tokens.sum() == 6000
    per_pool = np.array([n_tokens[:2].sum(), n_tokens[2:].sum()])
    assert per_pool == pytest.approx([3000, 3000], abs=SEQ_LEN), "the pools stay as they are in the run"
    assert np.abs(n_tokens - np.array(shares) * per_pool[[0, 0, 1, 1]]).max() <= 1
    write(
        tmp_path, lay_out(pieces, groups, piece, length, seq_len=SEQ_LEN, seed=3), run=run, pieces=pieces, groups=groups
    )
    mixed = open_packed(tmp_path)
    by_hand, n_read, pools = documents_of(run), dict.fromkeys(groups.each, 0), []
    for row in rows_of(mixed):
        pools.append(row["pool"])
        for j, (doc_id, offset) in enumerate(zip(row["doc_ids"], row["doc_offsets"], strict=True)):
            start, end = row["cu_seqlens"][j : j + 2]
            pool, group, ids = by_hand[doc_id, offset]
            assert row["token_ids"][start:end] == ids[: end - start] and row["pool"] == pool
            n_read[next(g for g in groups.each if (g.pool, g.name) == (pool, group))] += end - start
    assert list(n_read.values()) == n_tokens.tolist()
    balance = np.cumsum([row["n_real"] if row["pool"] == "code" else -row["n_real"] for row in rows_of(mixed)])
    assert np.abs(balance).max() <= 2 * SEQ_LEN, "both pools stand side by side from the start"


def test_stream_of_another_seed_holds_other_pieces_in_another_order(run, pieces):
    groups, free = choose_groups(pieces, 4), np.arange(len(pieces.document))
    natural = {"free": free, "shares": groups.natural, "n_tokens": 2000}
    first, again, other = (compose(pieces, groups, **natural, seed=seed)[0] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert len(set(first.tolist()) & set(other.tolist())) < len(first) / 2


def test_stream_when_a_group_is_too_small_repeats_it_whole(pieces):
    groups = choose_groups(pieces, 4)
    few = np.concatenate([np.flatnonzero(groups.of_piece == g)[:3] for g in range(4)])
    piece, length = compose(pieces, groups, free=few, shares=groups.natural, n_tokens=4000, seed=0)
    counts = np.bincount(piece, minlength=len(pieces.document))[few]
    for g in range(4):
        mine = counts[groups.of_piece[few] == g]
        assert mine.min() >= 1 and mine.max() - mine.min() <= 1
    assert length.sum() == 4000


def test_held_out_documents_are_apart_from_each_other_and_from_what_trains(pieces):
    groups = choose_groups(pieces, 2)
    found = hold_out(pieces, groups, n_sets=3, n_tokens=300, seq_len=SEQ_LEN, seed=1)
    documents = [set(pieces.document[places].tolist()) for places in (*found.sets, found.free)]
    for i in range(4):
        for j in range(i):
            assert not documents[i] & documents[j]
    for places in found.sets:
        per_group = np.bincount(groups.of_piece[places], weights=pieces.length[places], minlength=len(groups.each))
        assert (per_group >= 300).all() and (per_group < 300 + SEQ_LEN).all()
        for group in range(len(groups.each)):
            taken = np.bincount(pieces.document[places[groups.of_piece[places] == group]])
            has = np.bincount(pieces.document)[: len(taken)]
            short = (taken > 0) & (taken < taken.max() - 1)
            assert (taken[short] == has[short]).all(), "wide rather than deep"
    every = len(np.unique(pieces.document))
    assert every - len(documents[3]) <= every / 4 + len(groups.each)
    other = hold_out(pieces, groups, n_sets=3, n_tokens=300, seq_len=SEQ_LEN, seed=2)
    assert other.sets[0].tolist() != found.sets[0].tolist()


def test_held_out_when_a_group_has_too_few_documents_is_refused(pieces):
    groups = choose_groups(pieces, 4)
    with pytest.raises(ConfigError, match=r"code/\w+: has \d+ documents, 800 are needed"):
        hold_out(pieces, groups, n_sets=100, n_tokens=300, seq_len=SEQ_LEN, seed=1)


def test_groups_are_the_largest_and_the_rest_of_each_pool(pieces):
    sizes = dict(zip(pieces.names, pieces.n_packed.tolist(), strict=True))
    largest = max(sizes, key=lambda name: sizes[name])
    groups = choose_groups(pieces, 1)
    assert [(g.pool, len(g.members)) for g in groups.each if (g.pool, g.name) == largest] == [(largest[0], 1)]
    assert sorted(g.key for g in groups.each if g.name == "others") == ["code/others", "text/others"]
    assert groups.weights.sum() == pytest.approx(1)
    assert [groups.natural[groups.pool == pool].sum() for pool in (0, 1)] == pytest.approx([1, 1])
    with pytest.raises(ConfigError, match="--groups 5: the run has 4 groups"):
        choose_groups(pieces, 5)


def test_limits_are_passes_over_what_the_run_holds(pieces):
    groups, size = choose_groups(pieces, 4), int(pieces.n_packed.sum())
    limits = repetition_limits(groups, max_epochs=1.5, mixture_tokens=size)
    assert limits == pytest.approx(np.minimum(1, 1.5 * groups.natural), rel=1e-6)
    wide = repetition_limits(groups, max_epochs=4, mixture_tokens=2 * size)
    assert wide == pytest.approx(np.minimum(1, 2 * groups.natural), rel=1e-6)
    with pytest.raises(ConfigError, match=r"--mixture-tokens .*give at most"):
        repetition_limits(groups, max_epochs=4, mixture_tokens=5 * size)


def test_target_is_natural_or_what_is_asked_for(pieces):
    groups = choose_groups(pieces, 4)
    assert target_weights(groups, ()) == pytest.approx(groups.weights)
    asked = target_weights(groups, ("code/Python=3", "books=1"))
    keys = [g.key for g in groups.each]
    assert asked[keys.index("code/Python")] == 0.75 and asked[keys.index("text/books")] == 0.25
    for line, message in (
        ("Pythn=1", "did you mean Python"),
        ("Python", "expected GROUP=WEIGHT"),
        ("Python=0", "above zero"),
        ("Python=nan", "above zero"),
        ("others=1", "none of the groups"),
    ):
        with pytest.raises(ConfigError, match=message):
            target_weights(groups, (line,))
    both = choose_groups(pieces, 1)
    if sum(g.name == "others" for g in both.each) == 2:
        with pytest.raises(ConfigError, match="both pools"):
            target_weights(both, ("others=1",))


def test_the_trivial_rule_gives_a_single_target_all_that_the_limits_allow(pieces):
    groups = choose_groups(pieces, 4)
    python = [g.key for g in groups.each].index("code/Python")
    limits = np.ones(4)
    limits[python] = 0.8
    found = own_shares(groups, weights=target_weights(groups, ("Python=1",)), limits=limits)
    assert found[python] == pytest.approx(0.8)
    text = groups.pool == 1
    assert found[text] == pytest.approx(groups.natural[text])
    assert own_shares(groups, weights=groups.weights, limits=np.ones(4)) == pytest.approx(groups.natural)


def test_the_papers_shares_are_of_code_and_divide_others_by_what_the_run_has(pieces):
    groups = choose_groups(pieces, 4)
    found = dict(zip([g.key for g in groups.each], paper_shares(groups), strict=True))
    assert found["text/books"] is None and found["text/notes"] is None
    assert found["code/Python"] == pytest.approx(10.1 / 15.3) and found["code/C"] == pytest.approx(5.2 / 15.3)
