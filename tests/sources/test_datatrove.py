"""Readers of datatrove as sources."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices, read_slice

pytest.importorskip("datatrove")


def _source(reader: str, *, path: Path | str = "", n_slices: int = 1, columns: Any = None, **options: Any) -> Source:
    return Source(
        name="trove",
        kind="datatrove",
        path=str(path),
        reader=reader,
        reader_options=options,
        n_slices=n_slices,
        columns=Columns(**(columns or {})),
    )


def _fill(folder: Path) -> Path:
    for k in range(3):
        table = pa.table(
            {
                "text": [f"One {k}.", f"Two {k}."],
                "id": [f"{k}a", f"{k}b"],
                "url": [f"https://{k}", None],
                "licence": [["MIT"], []],
            }
        )
        pq.write_table(table, folder / f"{k}.parquet")
    return folder


def test_reader_gives_its_documents_rank_by_rank(tmp_path: Path, rows_of: Any) -> None:
    source = _source("ParquetReader", path=_fill(tmp_path), n_slices=2, columns={"path": "url", "license": "licence"})
    slices = plan_slices(source, shard_bytes=1024)
    assert [(piece.files, piece.first, piece.last) for piece in slices] == [((), 0, 1), ((), 1, 2)]
    rows = rows_of(source)
    assert [(row["content"].decode(), row["path"], row["license"], row["input_row"]) for row in rows] == [
        ("One 0.", "https://0", "MIT", 0),
        ("Two 0.", "datatrove#1", None, 1),
        ("One 2.", "https://2", "MIT", 2),
        ("Two 2.", "datatrove#3", None, 3),
        ("One 1.", "https://1", "MIT", 2**40),
        ("Two 1.", f"datatrove#{2**40 + 1}", None, 2**40 + 1),
    ]
    assert len({row["doc_id"] for row in rows}) == 6
    assert {row["input_file"] for row in rows} == {"datatrove"}


def test_reader_gives_the_id_as_path_when_none_is_mapped(tmp_path: Path, rows_of: Any) -> None:
    rows = rows_of(_source("ParquetReader", data_folder=str(_fill(tmp_path)), limit=1))
    assert [row["path"] for row in rows] == ["0a"]


def test_slice_is_empty_when_there_are_more_ranks_than_files(tmp_path: Path) -> None:
    source = _source("ParquetReader", path=_fill(tmp_path), n_slices=5)
    tables = [read_slice(source, piece, max_document_bytes=100) for piece in plan_slices(source, shard_bytes=1024)]
    assert [table.num_rows for table in tables] == [2, 2, 2, 0, 0]


def test_jsonl_reader_is_a_source(tmp_path: Path, rows_of: Any) -> None:
    pytest.importorskip("orjson", reason="datatrove's JsonlReader needs orjson")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "Hello.", "id": "x", "stars": 3}) + "\n")
    (row,) = rows_of(_source("JsonlReader", path=tmp_path, columns={"stars": "stars"}))
    assert (row["content"], row["path"], row["stars"]) == (b"Hello.", "x", 3)


def test_warc_reader_is_a_source(tmp_path: Path, rows_of: Any) -> None:
    for module in ("warcio", "cchardet", "magic"):
        pytest.importorskip(module, reason=f"datatrove's WarcReader needs {module}")
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>Hello.</p>"
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Target-URI: https://x/\r\n"
        "WARC-Date: 2024-01-02T03:04:05Z\r\nWARC-Identified-Payload-Type: text/html\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    (tmp_path / "a.warc").write_bytes(head.encode() + body + b"\r\n\r\n")
    (row,) = rows_of(_source("WarcReader", path=tmp_path, columns={"path": "url", "revision_time": "date"}))
    assert (row["content"], row["path"]) == (b"<p>Hello.</p>", "https://x/")
    assert row["revision_time"].isoformat() == "2024-01-02T03:04:05+00:00"


@pytest.mark.parametrize("reader", ["os.system", "BaseReader", "PipelineStep", "nothing", "base"])
def test_planning_fails_when_the_reader_is_not_one_of_datatrove(reader: str) -> None:
    with pytest.raises(ConfigError, match=rf"sources\.trove\.reader: '{reader}'.*'ParquetReader'"):
        plan_slices(_source(reader), shard_bytes=1024)


def test_planning_fails_when_options_are_wrong(tmp_path: Path) -> None:
    _fill(tmp_path)
    with pytest.raises(ConfigError, match=r"sources\.trove\.reader_options: ParquetReader refuses .*colour"):
        plan_slices(_source("ParquetReader", path=tmp_path, colour="red"), shard_bytes=1024)
    with pytest.raises(ConfigError, match="data_folder"):
        plan_slices(_source("ParquetReader"), shard_bytes=1024)
    with pytest.raises(ConfigError, match="shuffle_files: must be false"):
        plan_slices(_source("ParquetReader", path=tmp_path, shuffle_files=True), shard_bytes=1024)


def test_planning_fails_when_the_reader_finds_no_file(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, StoreError), match=r"sources\.trove: .*nowhere"):
        plan_slices(_source("ParquetReader", path=tmp_path / "nowhere"), shard_bytes=1024)
    with pytest.raises(ConfigError, match="finds no file"):
        plan_slices(_source("ParquetReader", path=_fill(tmp_path), glob_pattern="*.zip"), shard_bytes=1024)


def test_slice_is_an_error_when_the_reader_fails(tmp_path: Path) -> None:
    source = _source("ParquetReader", path=_fill(tmp_path))
    (piece,) = plan_slices(source, shard_bytes=1024)
    (tmp_path / "1.parquet").write_bytes(b"junk")
    with pytest.raises(StoreError, match=r"sources\.trove: ParquetReader failed on rank 0 of 1: ArrowInvalid"):
        read_slice(source, piece, max_document_bytes=100)


def test_planning_fails_clearly_when_datatrove_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datatrove.pipeline", None)
    with pytest.raises(ConfigError, match=r"needs datatrove .*loopmix\[datatrove\]"):
        plan_slices(_source("ParquetReader"), shard_bytes=1024)
