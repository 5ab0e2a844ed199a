"""Folders that `save_to_disk` wrote, made here by hand: the library itself is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices, read_slice


def _save(folder: Path, *, texts: list[list[str]], key: str = "text") -> Path:
    folder.mkdir(parents=True)
    names = [f"data-{k:05}-of-{len(texts):05}.arrow" for k in range(len(texts))]
    for name, some in zip(names, texts, strict=True):
        table = pa.table({key: pa.array(some, pa.large_string()), "path": [f"{t}.py" for t in some]})
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train", "_fingerprint": "f"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def _source(folder: Path, **more: Any) -> Source:
    return Source(name="s", kind="huggingface", path=str(folder), columns=Columns(content="text"), **more)


def test_files_are_read_in_the_order_of_the_state(tmp_path: Path, rows_of: Any) -> None:
    folder = _save(tmp_path / "d", texts=[["a", "b", "c"], ["d"]])
    (folder / "cache-1.arrow").write_bytes(b"no part of it")
    rows = rows_of(_source(folder))
    assert [(r["content"], r["path"], r["input_file"][:10], r["input_row"]) for r in rows] == [
        (b"a", "a.py", "data-00000", 0),
        (b"b", "b.py", "data-00000", 1),
        (b"c", "c.py", "data-00000", 2),
        (b"d", "d.py", "data-00001", 0),
    ]


def test_splits_lie_in_folders_of_their_own(tmp_path: Path, rows_of: Any) -> None:
    for split in ("test", "train"):
        _save(tmp_path / "d" / split, texts=[[split]])
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [row["content"] for row in rows_of(_source(tmp_path / "d"))] == [b"test", b"train"]
    assert [row["content"] for row in rows_of(_source(tmp_path / "d", include=("train",)))] == [b"train"]


@pytest.mark.parametrize("damage", ["gone", "cut", "no end", "junk"])
def test_file_is_one_bad_slice_when_it_is_damaged(tmp_path: Path, damage: str) -> None:
    folder = _save(tmp_path / "d", texts=[["a"] * 9, ["b"] * 9])
    path = folder / "data-00001-of-00002.arrow"
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": raw[:300], "no end": raw[:-8], "junk": b"{}" * 99}[damage])
    good, bad = plan_slices(_source(folder), shard_bytes=1024)
    assert read_slice(_source(folder), good, max_document_bytes=10).num_rows == 9
    with pytest.raises(StoreError, match=r"data-00001-of-00002\.arrow: (is (damaged|gone)|it is no Arrow file)"):
        read_slice(_source(folder), bad, max_document_bytes=10)


def test_a_file_whose_offsets_lead_out_of_its_text_is_one_bad_slice(tmp_path: Path) -> None:
    """A process that followed such an offset would read foreign memory, or end."""
    folder = _save(tmp_path / "d", texts=[["a"]])
    offsets = pa.py_buffer(np.array([0, 1 << 31, 3], np.int64))
    column = pa.Array.from_buffers(pa.large_string(), 2, [None, offsets, pa.py_buffer(b"abc")])
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), pa.schema([("text", column.type)])) as writer:
        writer.write_batch(pa.record_batch([column], ["text"]))
    (bad,) = plan_slices(_source(folder), shard_bytes=1024)
    with pytest.raises(StoreError, match=r"data-00000-of-00001\.arrow: is damaged"):
        read_slice(_source(folder), bad, max_document_bytes=10)


def test_folder_is_refused_when_it_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"holds no state\.json.*kind: parquet"):
        plan_slices(_source(tmp_path), shard_bytes=1024)
    folder = _save(tmp_path / "d", texts=[["a"]], key="body")
    with pytest.raises(ConfigError, match=r"columns\.content: .*has no column 'text'; found \['body', 'path'\]"):
        plan_slices(_source(folder), shard_bytes=1024)
    for state in (
        "[]",
        '{"_data_files": [{"filename": "../x.arrow"}]}',
        '{"_data_files": [], "_indices_data_files": [1]}',
    ):
        (folder / "state.json").write_text(state)
        with pytest.raises(ConfigError, match=r"state\.json: (is no state|names '.*' ?, which leads|chooses rows)"):
            plan_slices(_source(folder), shard_bytes=1024)
