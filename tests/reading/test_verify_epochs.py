"""Copies that meet are found from the stream alone; what the plan says of it is believed for the number of copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from pipeline.phased import Phased
from pipeline.reading import verify_epochs
from pipeline.reading.verify_epochs import epochs_hold
from pipeline.schema import packed_schema

SEQ = 64


class Planted:
    """A run of which only plan and stream are there: `stream` names the documents of each sequence."""

    def __init__(
        self, stream: Sequence[Sequence[int]], *, n_tokens: int = 2, copies: int = 2, batch: int | None = None
    ) -> None:
        self.phases = (Phased(None, "", "packed", SEQ, 1, 1, batch, None),)
        self._stream, self._n_tokens, self._copies = stream, n_tokens, copies

    def plan(self, _: object) -> Iterator[pa.Table]:
        n = 1 + max(doc for row in self._stream for doc in row)
        yield pa.table({"n_tokens": [self._n_tokens] * n, "n_copies": [self._copies] * n, "cut_tokens": [0] * n})

    def packed(self, _: object) -> Iterator[pa.Table]:
        half = len(self._stream) // 2
        for part in (self._stream[:half], self._stream[half:]):
            rows = [
                {
                    "token_ids": [0] * SEQ,
                    "n_real": 2 * len(docs),
                    "cu_seqlens": [2 * i for i in range(len(docs) + 1)],
                    "doc_ids": [f"{doc:032x}" for doc in docs],
                    "doc_offsets": [0] * len(docs),
                    "pool": "code",
                    "groups": ["C"] * len(docs),
                }
                for docs in part
            ]
            yield pa.Table.from_pylist(rows, schema=packed_schema(SEQ))


def hold(stream: Sequence[Sequence[int]], **more: Any) -> tuple[bool, str]:
    return epochs_hold(Planted(stream, **more))  # type: ignore[arg-type]


EPOCH = [[2 * i, 2 * i + 1] for i in range(20)]


def test_whole_epochs_after_each_other_hold() -> None:
    kept, said = hold(EPOCH + EPOCH)
    assert kept
    assert said == "40 documents stand up to 2 times; copies are at least 1.00 of an epoch apart"


def test_a_stream_without_copies_says_so() -> None:
    assert hold(EPOCH, copies=1) == (True, "no document stands in the stream twice")


@pytest.mark.parametrize("most", [20_000_000, 7])
def test_two_copies_in_one_sequence_are_found(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(verify_epochs, "_MOST_PIECES", most)
    kept, said = hold([*EPOCH[:-1], [38, 39, 0], *EPOCH[1:], [1, 1]])
    assert not kept
    assert said.startswith("1 times two copies stand in one sequence; 40 documents")


def test_copies_nearer_than_half_an_epoch_are_found_but_where_documents_are_large() -> None:
    near = EPOCH[::-1] + EPOCH
    kept, said = hold(near)
    assert not kept
    assert "two copies are less than half an epoch apart" in said
    kept, said = hold(near, n_tokens=SEQ * 40)
    assert kept
    assert said.endswith("apart, as a document of 2,560 tokens is a large part of one")


def test_copies_in_one_global_batch_are_found() -> None:
    assert hold(EPOCH + EPOCH, batch=20)[0]
    assert hold(EPOCH + EPOCH, batch=40) == (
        False,
        "40 times two copies stand in one global batch of 40 sequences; 40 documents stand up to 2 times; copies are "
        "at least 1.00 of an epoch apart",
    )
