"""Shares of copied text, recounted with sets; pieces against a ledger."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StoreError
from pipeline.ruin import copies
from pipeline.ruin.copies import contained
from pipeline.ruin.ledger import Entry, read_ledger, read_max_copies
from pipeline.ruin.overlap import Seen, grams
from pipeline.ruin.rows import repeated_rows, short_rows, wrong_labels
from pipeline.ruin.sample import PackedPieces, list_pieces, read_spellings
from pipeline.schema import packed_schema

SEQ_LEN = 64


def block(rows: list[list[tuple[str, list[int]]]], *, pool: str = "code", group: str = "C") -> pa.RecordBatch:
    """A block of sequences, each a list of (doc_id, ids); offsets go on where a document goes on."""
    offsets: dict[str, int] = {}
    made = []
    for row in rows:
        ids = [i for _, of in row for i in of]
        bounds = np.cumsum([0] + [len(of) for _, of in row]).tolist()
        starts = []
        for doc, of in row:
            starts.append(offsets.get(doc, 0))
            offsets[doc] = starts[-1] + len(of)
        padded = ids + [0] * (SEQ_LEN - len(ids))
        made.append(
            {"token_ids": padded, "n_real": len(ids), "cu_seqlens": bounds, "doc_ids": [d for d, _ in row],
             "doc_offsets": starts, "pool": pool, "groups": [group] * len(row)}
        )  # fmt: skip
    return pa.RecordBatch.from_pylist(made, schema=packed_schema(SEQ_LEN))


@pytest.mark.parametrize("seed", range(3))
def test_the_contained_share_is_that_of_sets(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(copies, "_MIN_STEP", 1)  # every run of tokens is an anchor
    rng = np.random.default_rng(seed)
    common = rng.integers(1, 50, 40).tolist()
    docs = {f"d{i}": rng.integers(1, 50, 20).tolist() + (common if i % 2 else []) for i in range(6)}
    docs["d7"] = docs["d1"][:50]
    blocks = [
        block([[(d, ids)] for d, ids in list(docs.items())[:3]]),
        block([[(d, ids)] for d, ids in list(docs.items())[3:]]),
    ]
    pieces = list_pieces(blocks)
    share, n_anchors = contained(blocks, pieces)
    runs = {d: [tuple(ids[i : i + copies.GRAM]) for i in range(len(ids) - copies.GRAM + 1)] for d, ids in docs.items()}
    for number, doc in enumerate(pieces.doc_ids):
        others = {run for other, of in runs.items() if other != doc for run in of}
        assert n_anchors[number] == len(runs[doc])
        assert share[number] == pytest.approx(sum(r in others for r in runs[doc]) / max(1, len(runs[doc])))


def test_runs_do_not_cross_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_MIN_STEP", 1)
    ids = list(range(1, 31))
    blocks = [block([[("a", ids), ("b", ids[:12]), ("c", ids[12:])]])]
    share, n_anchors = contained(blocks, list_pieces(blocks))
    assert n_anchors.tolist() == [7, 0, 0]
    assert share.tolist() == [0, 0, 0]


def test_a_document_that_repeats_itself_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_MIN_STEP", 1)
    blocks = [block([[("a", [1, 2] * 30)], [("b", list(range(60)))]])]
    share, _ = contained(blocks, list_pieces(blocks))
    assert share.tolist() == [0, 0]


def test_seen_runs_are_those_that_were_shown() -> None:
    text = np.array([*range(1, 40), *range(100, 140)], np.uint32)
    hashes, owners = grams(text, np.array([0, 39]), np.array([39, 40]))
    seen = Seen(hashes)
    seen.show(grams(np.arange(10, 30, dtype=np.uint32), np.array([0]), np.array([20]))[0])
    expected = [i + 1 >= 10 and i + 13 < 30 for i in range(27)] + [False] * 28
    assert seen.met.tolist() == expected
    assert owners.tolist() == [0] * 27 + [1] * 28


def entry(n: int, *, group: str = "C") -> Entry:
    return Entry("a/b.c", "repos", "code", group, 1, n)


def packed(*rows: list[tuple[str, list[int]]]) -> PackedPieces:
    return list_pieces([block(list(rows))])


def test_documents_as_the_ledger_says_are_no_finding() -> None:
    pieces = packed([("a", [1] * 20), ("b", [2] * 10)], [("a", [1] * 5)])
    ledger = {"a": entry(25), "b": entry(10)}
    assert (
        repeated_rows(pieces, ledger, max_copies=1) == short_rows(pieces, ledger) == wrong_labels(pieces, ledger) == []
    )
    assert repeated_rows(pieces, {}, max_copies=1) == short_rows(pieces, {}) == wrong_labels(pieces, {}) == []


def test_a_row_that_stands_twice_is_named() -> None:
    pieces = packed([("a", [1] * 20)], [("a", [1] * 20)], [("b", [2] * 10)])
    (finding,) = repeated_rows(pieces, {"a": entry(20), "b": entry(10)}, max_copies=1)
    assert (finding.group, finding.kind, finding.status, finding.n_found) == ("C", "repeated_rows", "fail", 1)
    assert finding.examples == ("a",)


def test_a_missing_piece_is_named() -> None:
    (finding,) = short_rows(packed([("a", [1] * 20)]), {"a": entry(30)})
    assert (finding.kind, finding.examples, finding.of_ledger) == ("truncated", ("a",), True)


def test_another_group_than_the_ledgers_is_named() -> None:
    (finding,) = wrong_labels(packed([("a", [1] * 20)]), {"a": entry(20, group="C++")})
    assert (finding.pool, finding.group, finding.kind) == ("code", "C", "wrong_label")


def test_without_a_ledger_a_piece_may_stand_as_often_as_the_mixture_says() -> None:
    pieces = list_pieces([block([[("a", [1] * 20)], [("b", [2] * 10)]]), block([[("a", [1] * 20)]])])
    (finding,) = repeated_rows(pieces, {}, max_copies=1)
    assert (finding.examples, finding.n_docs) == (("a",), 2)
    assert repeated_rows(pieces, {}, max_copies=2) == []


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "tables" / "ledger"
    folder.mkdir(parents=True)
    (folder / "part-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match=r"part-00000-of-00001\.parquet: cannot be read as a ledger"):
        read_ledger(tmp_path)


def test_the_ledger_gives_packed_documents_only(tmp_path: Path) -> None:
    folder = tmp_path / "tables" / "ledger"
    folder.mkdir(parents=True)
    columns = {"doc_id": ["a", "b"], "path": ["x", "y"], "source": ["s", "s"], "pool": ["code"] * 2, "group": ["C"] * 2}
    pq.write_table(pa.table(columns | {"n_copies": [1, 1], "n_packed_tokens": [5, 0]}), folder / "part-0.parquet")
    assert read_ledger(tmp_path) == {"a": Entry("x", "s", "code", "C", 1, 5)}
    assert read_ledger(tmp_path / "nowhere") == {}
    (tmp_path / "manifest.json").write_text('{"mixture": {"balance": {"max_copies": 3}}}')
    assert (read_max_copies(tmp_path), read_max_copies(tmp_path / "nowhere")) == (3, 1)
    (tmp_path / "manifest.json").write_text(
        '{"mixture": {"balance": {"code": {"unimax": {"max_epochs": 6}}, "text": {}}}}'
    )
    assert read_max_copies(tmp_path) == 6


def test_the_token_that_ends_documents_is_the_one_that_the_encoder_takes(tmp_path: Path) -> None:
    added = [{"id": 1, "content": "<eos>"}, {"id": 2, "content": "<|endoftext|>"}]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"added_tokens": added, "model": {"vocab": {"a": 0, "<eos>": 1, "<|endoftext|>": 2}}}))
    spellings = read_spellings(path)
    assert spellings.eos_id == 2
    assert spellings.join(np.array([0, 1, 0, 2])) == b"aa"  # special tokens spell nothing
    path.write_text(json.dumps({"added_tokens": [], "model": {"vocab": {"a": 0}}}))
    assert read_spellings(path).eos_id == -1
