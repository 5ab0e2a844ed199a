"""Reading packed runs: stream order, targets, the held-out tail, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plt_rows import batch_by_hand, read_row
from plt_runs import END, add_piece, empty_row, make_run, tiny_config, write_rows

from pipeline.errors import ConfigError, SchemaError, StoreError
from pipeline.plt.data import (
    Rows,
    batch_of,
    open_packed,
    read_rows,
    split_run,
    unigram_entropies,
)
from pipeline.plt.distributed import Ranks
from pipeline.plt.evaluate import build_held_out
from pipeline.plt.fit import fit_to_data
from pipeline.plt.head import NO_TARGET
from pipeline.plt.loader import Loader, read_step, token_counts


def _rows(*pieces: list[tuple[str, str, list[int]]], seq_len: int = 8, pool: str = "code") -> list[dict]:
    rows = []
    for row_pieces in pieces:
        row = empty_row(pool, seq_len=seq_len)
        for doc_id, group, ids in row_pieces:
            add_piece(row, doc_id=doc_id, group=group, ids=ids)
        rows.append(row)
    return rows


def test_sequences_when_read_from_several_shards_keep_the_stream_order(tmp_path):
    rows = _rows(*[[(f"d{i}", "C", [i, i + 1, END])] for i in range(11)])
    run = open_packed(write_rows(tmp_path, rows, seq_len=8, n_shards=3))
    assert (run.n_sequences, run.seq_len, run.max_token_id) == (11, 8, END)
    one_by_one = [rows for i in range(11) for rows in read_rows(run, i, stop=i + 1)]
    assert [rows.doc_ids for rows in one_by_one] == [[f"d{i}"] for i in range(11)]
    assert [int(rows.token_ids[0, 0]) for rows in one_by_one] == list(range(11))
    assert [d for rows in read_rows(run, 2, stop=9) for d in rows.doc_ids] == [f"d{i}" for i in range(2, 9)]


def test_batch_when_row_holds_two_pieces_and_padding_targets_only_the_next_token_of_the_piece(tmp_path):
    rows = _rows([("a", "C", [1, 2, END]), ("b", "C", [3, END])])
    run = open_packed(write_rows(tmp_path, rows, seq_len=8, n_shards=1))
    batch = batch_of(list(read_rows(run, 0, stop=1)))
    assert batch.tokens_BT.tolist() == [[1, 2, END, 3, END, 0, 0, 0]]
    assert batch.doc_index_BT.tolist() == [[0, 0, 0, 1, 1, -1, -1, -1]]
    assert batch.targets_BT.tolist() == [[2, END, NO_TARGET, END, *[NO_TARGET] * 4]]
    assert batch.n_real == (5,)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), padding=st.integers(0, 5))
@settings(deadline=None)
def test_targets_when_pieces_are_any_number_one_less_than_each_piece_has_tokens(lengths, padding):
    n_real = sum(lengths)
    bounds = np.cumsum([0, *lengths])
    rows = Rows(
        block=None,
        token_ids=np.arange(n_real + padding, dtype=np.uint32)[None],
        n_real=np.array([n_real]),
        n_pieces=np.array([len(lengths)]),
        starts=bounds[:-1],
        ends=bounds[1:],
        joins=np.zeros(len(lengths), np.bool_),
        pools=("text",),
    )
    batch = batch_of([rows])
    scored = batch.targets_BT[0] != NO_TARGET
    assert int(scored.sum()) == sum(n - 1 for n in lengths)
    assert torch.equal(batch.targets_BT[0][scored], batch.tokens_BT[0][scored] + 1)
    assert int((batch.doc_index_BT == -1).sum()) == padding


def test_steps_when_the_stream_ends_go_round_and_never_touch_the_tail(tmp_path):
    split = split_run(open_packed(make_run(tmp_path, n_rows=12)), n_held_out=5)
    assert split.n_train == 7
    assert list(split.held_out) == [7, 8, 9, 10, 11]
    for k, wanted in enumerate(([0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4])):
        whole = batch_by_hand([read_row(split.run, i) for i in wanted])
        step = read_step(split, start=3 * k, n_sequences=3, n_rows=2)
        assert [len(part.pools) for part in step.parts] == [2, 1]
        for name in ("tokens_BT", "doc_index_BT", "targets_BT"):
            assert torch.equal(torch.cat([getattr(part, name) for part in step.parts]), getattr(whole, name))
        assert sum((part.pools for part in step.parts), ()) == whole.pools
        assert step.n_targets == int((whole.targets_BT != NO_TARGET).sum()) == sum(step.n_pool_targets.values())
        assert sum(step.n_tokens.values()) == sum(whole.n_real)


def test_steps_when_several_processes_read_are_divided_without_loss(tmp_path):
    split = split_run(open_packed(make_run(tmp_path, n_rows=30)), n_held_out=5)
    alone = read_step(split, start=24, n_sequences=6, n_rows=6)
    ranks = [read_step(split, start=24, n_sequences=6, n_rows=2, ranks=Ranks(r, 3)) for r in range(3)]
    assert torch.equal(torch.cat([part.tokens_BT for r in ranks for part in r.parts]), alone.parts[0].tokens_BT)
    assert {(r.n_targets, r.n_tokens["code"], r.n_tokens["text"]) for r in ranks} == {
        (alone.n_targets, alone.n_tokens["code"], alone.n_tokens["text"])
    }


@pytest.mark.parametrize("bounds", [[0, 5, 3], [0, 9], [1, 8], [0, 4, 4, 8], []])
def test_steps_when_piece_bounds_are_impossible_are_refused(tmp_path, bounds):
    rows = _rows([("a", "C", [1] * 7 + [END])], [("b", "C", [1] * 7 + [END])], [("c", "C", [1] * 7 + [END])])
    pieces = range(len(bounds) - 1)
    rows[1] |= {"cu_seqlens": bounds, "doc_ids": [f"b{i}" for i in pieces], "groups": ["C" for _ in pieces]}
    split = split_run(open_packed(write_rows(tmp_path, rows, seq_len=8)), n_held_out=1)
    with pytest.raises(SchemaError, match="cu_seqlens do not rise"):
        read_step(split, start=0, n_sequences=2, n_rows=2)


def test_loader_when_reading_fails_raises_in_the_step_that_needs_it(tmp_path):
    split = split_run(open_packed(make_run(tmp_path, n_rows=12)), n_held_out=2)

    def read(step):
        if step == 2:
            raise SchemaError("row 7 is broken")
        return read_step(split, start=2 * step, n_sequences=2, n_rows=2)

    with Loader(read, first_step=1, n_steps=9) as loader:
        batch, waited = loader.next()
        assert torch.equal(batch.parts[0].tokens_BT, read(1).parts[0].tokens_BT)
        assert waited >= 0
        with pytest.raises(SchemaError, match="row 7"):
            loader.next()


def test_held_out_pieces_when_their_document_also_trains_are_not_scored(tmp_path):
    rows = _rows(
        [("train", "C", [1, 2, END])],
        [("both", "C", [3, 4, END]), ("x", "C", [5, END])],
        [("both", "C", [3, 4, END]), ("new", "Python", [6, 7, 8, END])],
    )
    split = split_run(open_packed(write_rows(tmp_path, rows, seq_len=8)), n_held_out=1)
    assert split.seen == {"both"}
    assert split_run(split.run, n_held_out=1, n_read=0).seen == frozenset()
    held_out = build_held_out(split, batch_size=4)
    assert held_out.n_masked_pieces == 1
    assert held_out.n_tokens == 3
    assert held_out.batches[0].targets_BT.tolist() == [[*[NO_TARGET] * 3, 7, 8, END, NO_TARGET, NO_TARGET]]
    assert held_out.piece_numbers[0].tolist() == [[-1, -1, -1, 1, 1, 1, -1, -1]]
    assert held_out.doc_ids == ("both", "new") and held_out.piece_tokens.tolist() == [0, 3]
    assert [held_out.groups[g] for g in held_out.piece_groups] == [("code", "C"), ("code", "Python")]


def test_held_out_tail_when_every_document_also_trains_is_refused(tmp_path):
    rows = _rows([("a", "C", [1, END])], [("a", "C", [1, END])])
    split = split_run(open_packed(write_rows(tmp_path, rows, seq_len=8)), n_held_out=1)
    with pytest.raises(ConfigError, match="none of the 1 pieces"):
        build_held_out(split, batch_size=1)


def test_unigram_entropy_when_tokens_are_known_is_that_of_their_frequencies(tmp_path):
    code = _rows([("a", "C", [1, 1, 2, 2])], [("b", "C", [9, 9, 9, 9])])
    text = _rows([("c", "prose", [1, 2, 3, 4])], pool="text")
    split = split_run(open_packed(write_rows(tmp_path, [code[0], *text, code[1]], seq_len=8)), n_held_out=1)
    counts = token_counts(split, n_sequences=100, vocab_size=10)
    assert counts["text"].tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    entropies = unigram_entropies(counts)
    assert entropies == pytest.approx({"code": math.log(2), "text": math.log(4)})


def test_vocabulary_when_smaller_than_an_id_is_refused_with_both_numbers(tmp_path):
    run = open_packed(make_run(tmp_path))
    with pytest.raises(ConfigError, match=r"vocab_size is 200 .* token id 256.* at least 257"):
        fit_to_data(tiny_config(model={"vocab_size": 200}), run=run)
    assert fit_to_data(tiny_config(), run=run).model.max_positions == 64


def test_held_out_count_when_it_leaves_nothing_to_train_is_refused(tmp_path):
    run = open_packed(make_run(tmp_path, n_rows=6))
    with pytest.raises(ConfigError, match=r"n_held_out_sequences is 6 .* holds 6 sequences"):
        split_run(run, n_held_out=6)


def test_packed_folder_when_missing_or_incomplete_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"no such folder.*loopmix curate"):
        open_packed(tmp_path)
    (tmp_path / "packed").mkdir()
    with pytest.raises(StoreError, match="holds no part"):
        open_packed(tmp_path)
    make_run(tmp_path, n_shards=3)
    (tmp_path / "packed" / "part-00001-of-00003.arrow").unlink()
    with pytest.raises(StoreError, match="not one complete set"):
        open_packed(tmp_path)


def test_packed_shard_when_cut_short_is_refused_by_name(tmp_path):
    make_run(tmp_path)
    path = tmp_path / "packed" / "part-00001-of-00002.arrow"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StoreError, match=r"part-00001-of-00002\.arrow: is no readable Arrow file"):
        open_packed(tmp_path)


def test_packed_run_when_empty_is_refused(tmp_path):
    write_rows(tmp_path, [], seq_len=8)
    with pytest.raises(StoreError, match="has no sequence"):
        open_packed(tmp_path)


def test_packed_shard_when_its_columns_are_foreign_is_refused(tmp_path):
    (tmp_path / "packed").mkdir()
    table = pa.table({"token_ids": [[1, 2]]})
    with pa.ipc.new_file(str(tmp_path / "packed" / "part-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(SchemaError, match="token_ids has type list"):
        open_packed(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cu_seqlens": [0, 3, 9], "n_real": 9}, "do not rise from 0 to n_real = 9 <= 8"),
        ({"cu_seqlens": [0, 2, 2, 5]}, "do not rise from 0 to n_real = 5"),
        ({"cu_seqlens": [0, 9]}, "do not rise"),
        ({"doc_ids": ["a"]}, "2 pieces, 1 doc_ids"),
        ({"pool": "music"}, "pool 'music'"),
    ],
)
def test_sequence_when_its_columns_contradict_each_other_is_refused(tmp_path, change, message):
    rows = _rows([("a", "C", [1, 2, END]), ("b", "C", [3, END])])
    run = open_packed(write_rows(tmp_path, [rows[0] | change], seq_len=8, n_shards=1))
    with pytest.raises(SchemaError, match=message):
        list(read_rows(run, 0, stop=1))
