"""What `validate` holds out and in which order it trains: drawn by key, whole documents, every group, balanced."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plt_runs import add_piece, empty_row, make_run, write_rows

from pipeline.errors import ConfigError
from pipeline.plt import draw as drawing
from pipeline.plt.data import open_packed, read_sequences
from pipeline.plt.draw import draw_held_out, draw_split, read_pieces
from pipeline.plt.keyed import draw, shuffled

_EVEN = {"code": 1, "text": 1}
_LEN = 16


def _run(folder, documents, *, pattern=("code", "text")):
    """One row for each (doc_id, group, n_tokens) of `documents`, or several documents in a row as a list of them."""
    rows = []
    for number, row_of in enumerate(documents):
        row = empty_row(pattern[number % len(pattern)], seq_len=_LEN)
        for doc_id, group, n_tokens in row_of if isinstance(row_of, list) else [row_of]:
            add_piece(row, doc_id=doc_id, group=group, ids=[1] * n_tokens)
        rows.append(row)
    return open_packed(write_rows(folder, rows, seq_len=_LEN, n_shards=2))


def _split(run, *, n_sequences, seed=0, order_seed=0, parts=None, at_most=None, min_tokens=10):
    pieces = read_pieces(run)
    held_out = draw_held_out(pieces, n_sequences=n_sequences, min_tokens=min_tokens, seed=seed)
    unread = pieces.documents_of(held_out)
    return draw_split(pieces, held_out=held_out, unread=unread, seed=order_seed, parts=parts or _EVEN, at_most=at_most)


def _documents(split, numbers):
    return {d for rows in read_sequences(split.run, numbers) for d in rows.doc_ids}


def test_draws_when_made_again_are_the_published_generator():
    """splitmix64 as its authors give it; the key only chooses the start."""
    start = int.from_bytes(hashlib.sha256(b"").digest()[:8], "little")
    bits, state = [], start
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        bits.append(z ^ (z >> 31))
    assert draw("", np.arange(5)).tolist() == bits
    assert draw("", np.array([3])).tolist() == [bits[3]], "a draw does not depend on what else is drawn"
    assert draw("a", np.arange(5)).tolist() != bits
    assert sorted(shuffled("k", np.arange(100)).tolist()) == list(range(100))
    moved = shuffled("k", np.arange(10_000)) - np.arange(10_000)
    assert abs(moved.mean()) < 1e-9 and moved.std() > 3_000


def test_split_when_documents_reach_over_sequences_trains_on_none_that_is_held_out(tmp_path):
    split = _split(open_packed(make_run(tmp_path, n_rows=200)), n_sequences=20)
    assert not _documents(split, split.train) & _documents(split, split.held_out)
    assert not set(split.train.tolist()) & set(split.held_out.tolist())
    assert split.seen == frozenset()
    assert split.held_out.tolist() == sorted(split.held_out.tolist())
    left_out = split.run.n_sequences - split.n_train - len(split.held_out)
    assert left_out < 0.2 * split.run.n_sequences
    assert not np.array_equal(split.held_out, np.arange(180, 200)), "not the tail"


def test_split_when_seeds_differ_is_another_order_over_the_same_held_out(tmp_path):
    run = open_packed(make_run(tmp_path, n_rows=120))
    first, again, second = (_split(run, n_sequences=12, order_seed=s) for s in (0, 0, 1))
    assert first.digest() == again.digest() != second.digest()
    assert np.array_equal(first.held_out, second.held_out)
    assert set(first.train[:20].tolist()) != set(second.train[:20].tolist()), "a short training sees other documents"
    assert not np.array_equal(_split(run, n_sequences=12, seed=1).held_out, first.held_out)


@given(lengths=st.lists(st.integers(2, _LEN), min_size=40, max_size=80), parts=st.sampled_from([(1, 1), (2, 1)]))
@settings(deadline=None, max_examples=40)
def test_order_when_rows_are_filled_unevenly_is_balanced_in_every_prefix(tmp_path_factory, lengths, parts):
    """The stream is made as the product makes it: next is always the pool that is behind."""
    promised, seen, documents, pattern = dict(zip(("code", "text"), parts, strict=True)), [0, 0], [], []
    for number, n in enumerate(lengths):
        pool = int(seen[0] * parts[1] > seen[1] * parts[0])
        seen[pool] += n
        pattern.append(("code", "text")[pool])
        documents.append((f"d{number}", "g", n))
    run = _run(tmp_path_factory.mktemp("run"), documents, pattern=pattern)
    split = _split(run, n_sequences=6, order_seed=len(lengths), parts=promised)
    n_tokens = Counter()
    for number in split.train.tolist():
        n_tokens[pattern[number]] += lengths[number]
        off_by = abs(n_tokens["code"] * parts[1] - n_tokens["text"] * parts[0])
        assert off_by <= _LEN * max(parts)
    if abs(seen[0] * parts[1] - seen[1] * parts[0]) <= _LEN * max(parts):
        assert n_tokens["code"] and n_tokens["text"]


def test_order_when_the_stream_breaks_its_promise_keeps_what_the_stream_holds(tmp_path):
    """An order that mended the ratio would hide from the verdict that the mixture is another one."""
    documents = [(f"d{i}", "g", _LEN) for i in range(300)]
    split = _split(_run(tmp_path, documents, pattern=("code", "code", "text")), n_sequences=12)
    pools = [("code", "code", "text")[number % 3] for number in split.train.tolist()]
    for start in range(0, 240, 60):
        assert 38 <= pools[start : start + 60].count("code") <= 42


def test_order_when_there_is_one_pool_only_is_all_of_it(tmp_path):
    split = _split(_run(tmp_path, [(f"d{i}", "g", _LEN) for i in range(50)], pattern=("code",)), n_sequences=5)
    assert split.n_train + len(split.held_out) == 50


def test_held_out_when_a_group_is_rare_has_what_it_needs(tmp_path):
    """1 row in 50 is rare, so a draw of 2 % would miss it half the time; it gets a twentieth of its own tokens."""
    documents = [(f"d{i}", "rare" if i % 50 == 0 else "common", _LEN) for i in range(2_000)]
    run = _run(tmp_path, documents)
    for seed in range(5):
        split = _split(run, n_sequences=20, seed=seed)
        groups = Counter(g for rows in read_sequences(run, split.held_out) for _, g in rows.groups)
        assert groups["rare"] == 2
        pools = Counter(p for rows in read_sequences(run, split.held_out) for p in rows.pools)
        assert pools["code"] >= 10 and pools["text"] >= 10


def test_held_out_when_a_group_is_large_gets_the_target_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "GROUP_TOKENS", 100)
    documents = [(f"d{i}", f"g{i % 4}", _LEN) for i in range(2_000)]
    pieces = read_pieces(_run(tmp_path, documents))
    held_out = draw_held_out(pieces, n_sequences=2, min_tokens=10, seed=0)
    mine = np.isin(pieces.sequence, held_out)
    of_groups = np.bincount(pieces.group[mine], weights=pieces.n_scored[mine])
    assert len(of_groups) == 4 and (of_groups >= 100).all() and (of_groups < 100 + _LEN).all()


def test_held_out_when_groups_are_many_and_small_is_a_fifth_at_most_and_takes_no_group_whole(tmp_path):
    run = _run(tmp_path, [(f"d{i}", f"g{i % 50}", _LEN) for i in range(100)])
    assert len(_split(run, n_sequences=4, min_tokens=0).held_out) == 20
    alone = _run(tmp_path / "alone", [(f"d{i}", "g" if i else "alone", _LEN) for i in range(100)])
    draws = [_split(alone, n_sequences=2, seed=seed).held_out for seed in range(20)]
    assert sum(0 in held_out for held_out in draws) <= 2, "a group of one sequence is drawn by chance, not looked after"


def test_held_out_when_documents_are_long_leaves_a_tenth_out_at_most(tmp_path):
    """Rows of short documents, of documents that fill three rows, and of one that fills half of the run."""
    documents = []
    for i in range(100):
        documents += [(f"short{i}", "g", _LEN)] * 1 + [(f"long{i}", "g", _LEN)] * 3 + [("huge", "g", _LEN)] * 4
    run = _run(tmp_path, documents, pattern=("code",))
    for seed in range(5):
        split = _split(run, n_sequences=60, seed=seed)
        held, pieces = _documents(split, split.held_out), read_pieces(run)
        left_out = set(pieces.holding(pa.array(sorted(held))).tolist()) - set(split.held_out.tolist())
        assert 0 < len(left_out) <= 0.1 * run.n_sequences
        assert {d[:4] for d in held} == {"long", "shor"}, "long documents are held out too, as many as can be afforded"


def test_training_when_another_run_holds_documents_out_leaves_them_out_too(tmp_path):
    run = _run(tmp_path, [(f"d{i}", "g", _LEN) for i in range(100)])
    pieces = read_pieces(run)
    held_out = draw_held_out(pieces, n_sequences=10, min_tokens=10, seed=0)
    foreign = pa.array(["d7", "d8", "elsewhere"])
    unread = pa.concat_arrays([pieces.documents_of(held_out), foreign])
    split = draw_split(pieces, held_out=held_out, unread=unread, seed=0, parts=_EVEN)
    assert not _documents(split, split.train) & {"d7", "d8"}
    assert split.n_train >= 86


def test_training_when_a_half_is_asked_for_reads_no_more(tmp_path):
    run = _run(tmp_path, [(f"d{i}", "g", _LEN) for i in range(100)])
    assert _split(run, n_sequences=10, at_most=40).n_train == 40


def test_run_when_it_cannot_be_divided_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="4 sequences are too few to hold some out"):
        _split(_run(tmp_path / "a", [(f"d{i}", "g", _LEN) for i in range(4)]), n_sequences=1)
    with pytest.raises(ConfigError, match="none can be held out"):
        _split(_run(tmp_path / "b", [("same", "g", _LEN)] * 20), n_sequences=2)


def test_sequences_when_read_by_number_come_in_that_order(tmp_path):
    run = open_packed(make_run(tmp_path, n_rows=30))
    for numbers in ([5, 6, 7, 2, 29, 0, 1], [3], []):
        rows = [
            r.token_ids[i] for r in read_sequences(run, np.array(numbers, dtype=np.int64)) for i in range(len(r.n_real))
        ]
        wanted = [r.token_ids[0] for n in numbers for r in read_sequences(run, range(n, n + 1))]
        assert len(rows) == len(wanted) and all(map(np.array_equal, rows, wanted))


def test_run_when_one_document_is_most_of_a_pool_still_holds_a_sequence_of_it_out(tmp_path):
    documents = [("book", "g", _LEN) if i % 2 and i < 20 else (f"d{i}", "g", _LEN) for i in range(20)]
    split = _split(_run(tmp_path, documents), n_sequences=4)
    assert "book" in _documents(split, split.held_out) and "book" not in _documents(split, split.train)
