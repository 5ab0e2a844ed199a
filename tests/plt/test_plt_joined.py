"""Sequences in which pieces are joined: attention and targets go by spans, groups and documents by pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from plt_rows import batch_by_hand

from pipeline.errors import SchemaError
from pipeline.plt.data import batch_of
from pipeline.plt.evaluate import _scored
from pipeline.plt.head import NO_TARGET
from pipeline.schema import packed_schema
from pipeline.sequences import flatten, rows_of

L = 12


def row(spans: list[list[int]], **changes: Any) -> dict[str, Any]:
    """A sequence of spans, each a list of the lengths of its pieces."""
    lengths = [n for span in spans for n in span]
    n_real = sum(lengths)
    made = {
        "token_ids": [*range(100, 100 + n_real), *[0] * (L - n_real)],
        "n_real": n_real,
        "cu_seqlens": np.cumsum([0, *map(sum, spans)]).tolist(),
        "piece_bounds": np.cumsum([0, *lengths]).tolist(),
        "doc_ids": [f"{i:032x}" for i in range(len(lengths))],
        "doc_offsets": [0] * len(lengths),
        "pool": "code",
        "groups": [f"g{i}" for i in range(len(lengths))],
    }
    return made | changes


ROWS = [row([[3, 2], [4]]), row([[12]]), row([[1], [1, 1, 1], [2, 5]]), row([[2, 2, 2]])]


def block(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=packed_schema(L, joined=True))


def test_spans_and_pieces_are_told_apart() -> None:
    found = rows_of(block(ROWS), where="here")
    assert found.n_pieces.tolist() == [3, 1, 6, 3]
    assert found.n_spans.tolist() == [2, 1, 3, 1]
    assert found.joins.tolist() == [0, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1]
    assert found.closes.tolist() == [0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1]
    assert found.span_starts.tolist() == [0, 5, 0, 0, 1, 4, 0]
    assert found.span_ends.tolist() == [5, 9, 12, 1, 4, 11, 6]
    # A slice of a block, as the trainer reads it.
    part = rows_of(block(ROWS).slice(2, 2), where="here")
    assert (part.n_spans.tolist(), part.span_starts.tolist()) == ([3, 1], [0, 1, 4, 0])
    plain = pa.RecordBatch.from_pylist(
        [{k: v for k, v in row([[3], [4]]).items() if k != "piece_bounds"}], schema=packed_schema(L)
    )
    assert rows_of(plain, where="here").n_spans.tolist() == [2]


def test_attention_and_targets_go_through_a_span() -> None:
    batch, by_hand = batch_of([rows_of(block(ROWS), where="here")]), batch_by_hand(ROWS)
    assert torch.equal(batch.doc_index_BT, by_hand.doc_index_BT)
    assert torch.equal(batch.targets_BT, by_hand.targets_BT)
    assert batch.targets_BT[0, 2] == 103  # the last of a piece predicts the first of the one that joins it
    assert batch.targets_BT[0, 4] == NO_TARGET


def test_losses_are_those_of_pieces() -> None:
    found = rows_of(block(ROWS), where="here")
    masked = np.zeros(18, bool)
    masked[6] = True
    batch, numbers = _scored([found], first=5, masked=masked)
    assert numbers[0].tolist() == [5, 5, 5, -1, -1, 7, 7, 7, -1, -1, -1, -1]
    assert numbers[2].tolist() == [-1, 10, 11, -1, 13, 13, 14, 14, 14, 14, -1, -1]
    assert batch.targets_BT[0, 3] == NO_TARGET


def test_flat_batches_bound_what_attends_to_itself() -> None:
    assert flatten(ROWS[:1])["cu_seqlens"].tolist() == [0, 5, 9, 12]
    assert flatten(ROWS[:1])["position_ids"][0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cu_seqlens": [0, 4, 9]}, "are not all among its bounds of pieces"),
        ({"cu_seqlens": [0, 5, 8]}, "cu_seqlens do not rise from 0 to n_real = 9"),
        ({"cu_seqlens": [3, 5, 9]}, "cu_seqlens do not rise"),
        ({"cu_seqlens": [0, 5, 5, 9]}, "cu_seqlens do not rise"),
        ({"cu_seqlens": []}, "cu_seqlens do not rise"),
        ({"piece_bounds": [0, 3, 5]}, "piece_bounds do not rise"),
        ({"piece_bounds": [0, 5, 9]}, "2 pieces, 3 doc_ids"),
    ],
)
def test_rows_that_cannot_be_are_errors(changes: dict[str, Any], said: str) -> None:
    for rows in ([row([[3, 2], [4]], **changes)], [ROWS[2], row([[3, 2], [4]], **changes), ROWS[3]]):
        with pytest.raises(SchemaError, match=said):
            rows_of(block(rows), where="here")
