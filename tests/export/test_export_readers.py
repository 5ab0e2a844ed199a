"""Every format, read back by the project whose format it is: equal to the token, in order, with all bounds."""

from __future__ import annotations

import json
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ask_readers import ask_readers
from export_runs import EOS, NARROW, SEQ_LEN, WIDE, Truth, export_run

from pipeline.export import export_data
from pipeline.schema import packed_schema

VOCABULARIES = pytest.mark.parametrize("vocab_size", [NARROW, WIDE])
Runs = dict[int, Truth]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A run with ids that fit two bytes, and one with ids that do not."""
    folder = tmp_path_factory.mktemp("runs")
    return {size: export_run(folder / str(size), vocab_size=size) for size in (NARROW, WIDE)}


def read_back(runs: Runs, folder: Path, *, to: str) -> list[tuple[Truth, dict[str, Any]]]:
    """Each run, and what the project's own reader finds in its export."""
    asked = []
    for size, truth in runs.items():
        out = export_data(truth.run, to=to, out=folder / str(size)).folder
        asked.append(json.dumps({"folder": str(out), "seq_len": SEQ_LEN, "vocab_size": size, "eos_id": EOS}))
    return list(zip(runs.values(), ask_readers(to, *asked, folder=folder), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="Megatron-LM has wheels for Linux alone")
def test_megatron_reads_every_piece_and_every_sequence(runs: Runs, tmp_path: Path) -> None:
    for truth, found in read_back(runs, tmp_path, to="megatron"):
        assert found["pieces"] == truth.pieces
        assert found["sequences"] == [0, *accumulate(len(row["doc_ids"]) for row in truth.rows)]
        assert found["type"] == ("uint16" if truth.vocab_size == NARROW else "int32")


def test_streaming_reads_every_column_of_every_sequence(runs: Runs, tmp_path: Path) -> None:
    for truth, found in read_back(runs, tmp_path, to="mds"):
        assert [row | {"token_ids": row.pop("tokens")} for row in found["rows"]] == truth.rows


def test_olmo_reads_every_piece_and_chooses_the_type_of_ids(runs: Runs, tmp_path: Path) -> None:
    for truth, found in read_back(runs, tmp_path, to="olmo"):
        assert found["ids"] == truth.stream
        assert found["pieces"] == truth.pieces
        assert found["type"] == ("uint16" if truth.vocab_size == NARROW else "uint32")


def test_nanotron_reads_the_stream_and_where_pieces_begin(runs: Runs, tmp_path: Path) -> None:
    for truth, found in read_back(runs, tmp_path, to="nanotron"):
        n = len(truth.stream) // SEQ_LEN
        assert n > 3
        assert found["input_ids"] == [truth.stream[i * SEQ_LEN :][:SEQ_LEN] for i in range(n)]
        starts = {0, *accumulate(map(len, truth.pieces))}
        positions: list[int] = []
        for place in range(n * SEQ_LEN):  # a window begins with position 0, wherever in a piece it does
            positions.append(0 if place in starts or place % SEQ_LEN == 0 else positions[-1] + 1)
        assert found["positions"] == [positions[i * SEQ_LEN :][:SEQ_LEN] for i in range(n)]


@VOCABULARIES
def test_parquet_holds_the_columns_as_they_are(runs: Runs, tmp_path: Path, vocab_size: int) -> None:
    truth = runs[vocab_size]
    out = export_data(truth.run, to="parquet", out=tmp_path / "out").folder
    files = sorted(out.glob("*.parquet"))
    assert [file.name for file in files] == ["part-00000.parquet", "part-00001.parquet"]  # none for the empty one
    tables = [pq.read_table(file) for file in files]
    assert all(table.schema.equals(packed_schema(SEQ_LEN)) for table in tables)
    assert pa.concat_tables(tables).to_pylist() == truth.rows


@VOCABULARIES
def test_datasets_loads_sequences_and_documents(runs: Runs, tmp_path: Path, vocab_size: int) -> None:
    datasets = pytest.importorskip("datasets")
    truth = runs[vocab_size]
    out = export_data(truth.run, to="huggingface", out=tmp_path / "out").folder
    cache = str(tmp_path / "cache")
    assert datasets.load_dataset(str(out), split="train", cache_dir=cache).to_list() == truth.rows
    documents = datasets.load_dataset(str(out), "documents", split="train", cache_dir=cache)
    assert [d["path"] for d in documents] == ["src/a.py", "src/c.js", "e.txt", "h.txt"]
    assert datasets.get_dataset_config_names(str(out)) == ["sequences", "documents"]
    for row in documents:
        assert (row["repo"], row["revision"]) == ("some/repo", "abc123")
