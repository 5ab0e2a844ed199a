"""Held-out losses per document, and of the same tokens in a drawn order."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from plt_runs import VOCAB_SIZE, add_piece, awake_model, empty_row, make_run, tiny_config, tiny_model, write_rows

from pipeline.plt import train
from pipeline.plt.config import RunConfig
from pipeline.plt.data import Split, open_packed, split_run
from pipeline.plt.evaluate import (
    _permuted,
    build_held_out,
    document_losses,
    evaluate,
    piece_losses,
    unigram_losses,
    unigram_piece_losses,
)
from pipeline.plt.machine import choose_machine
from pipeline.results import read_documents, read_result

_MACHINE = choose_machine(RunConfig(device="cpu"))


@pytest.fixture
def held_out(tmp_path):
    split = split_run(open_packed(make_run(tmp_path, n_rows=60)), n_held_out=21)
    return build_held_out(split, batch_size=4, token_bytes=np.full(VOCAB_SIZE, 2))


def _pieces(batch):
    """Token ids of each (row, document) of a batch, in order."""
    found: dict[tuple[int, int], list[int]] = {}
    for row, (tokens, documents) in enumerate(zip(batch.tokens_BT.tolist(), batch.doc_index_BT.tolist(), strict=True)):
        for token, document in zip(tokens, documents, strict=True):
            if document >= 0:
                found.setdefault((row, document), []).append(token)
    return found


def test_permuted_batch_when_drawn_has_the_tokens_of_each_piece_and_its_first_one_first(held_out):
    n_moved = 0
    for number, batch in enumerate(held_out.batches):
        permuted = _permuted(held_out, number)
        before, after = _pieces(batch), _pieces(permuted)
        assert before.keys() == after.keys()
        for key, tokens in before.items():
            assert Counter(tokens) == Counter(after[key]) and tokens[0] == after[key][0]
            n_moved += tokens != after[key]
        scored = batch.targets_BT != -100
        assert torch.equal(scored, permuted.targets_BT != -100)
        rows, columns = torch.nonzero(scored, as_tuple=True)
        assert torch.equal(permuted.targets_BT[rows, columns], permuted.tokens_BT[rows, columns + 1])
    assert n_moved > 20


def test_permuted_batch_when_batches_are_cut_otherwise_is_the_same(tmp_path):
    split = split_run(open_packed(make_run(tmp_path, n_rows=60)), n_held_out=21)
    wide, narrow = (build_held_out(split, batch_size=n) for n in (21, 2))
    whole = torch.cat([_permuted(narrow, i).tokens_BT for i in range(len(narrow.batches))])
    assert torch.equal(_permuted(wide, 0).tokens_BT, whole)
    drawn = Split(split.run, train=range(0), held_out=np.array([50, 59]), seen=frozenset())
    assert torch.equal(_permuted(build_held_out(drawn, batch_size=1), 1).tokens_BT[0], whole[-1])


def test_losses_when_added_up_over_documents_are_those_of_groups(held_out):
    model = awake_model(tiny_model(), dtype=torch.float32)
    losses, permuted = (piece_losses(model, held_out, machine=_MACHINE, permuted=p) for p in (False, True))
    counts = {pool: np.arange(VOCAB_SIZE) for pool in ("code", "text")}
    unigram = unigram_piece_losses(held_out, counts)
    documents = document_losses(held_out, losses=losses, permuted=permuted, unigram=unigram)
    assert len({d.doc_id for d in documents}) == len(documents) < len(held_out.doc_ids)
    found = evaluate(model, held_out, step=3, machine=_MACHINE)
    floors = {(g.pool, g.group): g for g in unigram_losses(held_out, counts)}
    for group in found.groups:
        mine = [d for d in documents if (d.pool, d.group) == (group.pool, group.group)]
        assert sum(d.n_tokens for d in mine) == group.n_tokens and sum(d.n_bytes for d in mine) == group.n_bytes
        assert sum(d.nats for d in mine) / group.n_tokens == pytest.approx(group.loss)
        assert sum(d.unigram_nats for d in mine) / group.n_tokens == pytest.approx(floors[group.pool, group.group].loss)
    assert sum(d.n_tokens for d in documents) == held_out.n_tokens == found.n_tokens
    assert not np.allclose(losses, permuted)


def test_losses_when_tokens_are_in_another_order_are_of_what_the_model_then_reads(tmp_path):
    """A document of one token repeated is its own permutation; one of two kinds in a block each is not."""
    rows = []
    for number, ids in enumerate(([7] * 16, [5] * 8 + [6] * 8, [1] * 16)):
        row = empty_row("code", seq_len=16)
        add_piece(row, doc_id=f"d{number}", group="C", ids=ids)
        rows.append(row)
    run = open_packed(write_rows(tmp_path, rows, seq_len=16))
    split = Split(run, train=np.array([2]), held_out=np.array([0, 1]), seen=frozenset())
    held_out, model = build_held_out(split, batch_size=1), awake_model(tiny_model(), dtype=torch.float32)
    losses, permuted = (piece_losses(model, held_out, machine=_MACHINE, permuted=p) for p in (False, True))
    assert losses[0] == permuted[0] and abs(losses[1] - permuted[1]) > 0.1


def test_training_when_done_leaves_a_line_for_each_document(tmp_path):
    run, out = make_run(tmp_path / "run"), tmp_path / "model"
    done = train(tiny_config(), data=run, out=out)
    again = train(tiny_config(), data=run, out=out)
    assert done.documents == again.documents == read_documents(out) == read_result(out).documents
    last = done.record.evaluations[-1]
    assert math.fsum(d.nats for d in done.documents) / last.n_tokens == pytest.approx(last.loss)
    whole = [g for g in done.record.permuted_losses if not g.group]
    assert [g.pool for g in whole] == ["code", "text"]
    nats = sum(g.loss * g.n_tokens for g in whole)
    assert nats == pytest.approx(math.fsum(d.permuted_nats for d in done.documents))
