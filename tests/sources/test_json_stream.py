"""JSON rows in every shape: lines, arrays, records and objects over several lines, in any UTF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Source
from pipeline.errors import StoreError
from pipeline.sources import plan_slices, read_slice
from pipeline.sources.json_stream import MARK, rows_of, shape_of, split_values

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
TEXTS = st.text(alphabet='ab"\\{}[],:é\n\r\x1e\U0001f600 ', max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"content": TEXTS, "more": st.lists(TEXTS | st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=3)}
    ),
    min_size=1,
    max_size=5,
)


def _written(rows: list[Any], *, shape: str, ascii_only: bool) -> str:
    if shape == "array":
        return json.dumps(rows, ensure_ascii=ascii_only)
    if shape == "wide array":
        return json.dumps(rows, ensure_ascii=ascii_only, indent=2)
    if shape == "records":
        return "".join(f"\x1e{json.dumps(row, ensure_ascii=ascii_only, indent=1)}\n" for row in rows)
    indent = 2 if shape == "wide" else None
    return "\n".join(json.dumps(row, ensure_ascii=ascii_only, indent=indent) for row in rows)


@pytest.mark.parametrize("shape", ["array", "wide array", "records", "lines", "wide"])
@given(rows=ROWS, ascii_only=st.booleans(), encoding=st.sampled_from(ENCODINGS), size=st.integers(1, 9))
def test_every_row_is_found_where_it_starts(
    shape: str, rows: list[Any], ascii_only: bool, encoding: str, size: int
) -> None:
    text = _written(rows, shape=shape, ascii_only=ascii_only)
    raw, plain = text.encode(encoding), (MARK if encoding == "utf-8-sig" else b"") + text.encode()
    blocks = [raw[k : k + size] for k in range(0, len(raw), size)]
    found = []
    for offset, row in rows_of(blocks, shape=shape_of(raw[:4096]), offset=0, cap=10**6, where="here"):
        assert row is not None
        assert plain[offset : offset + len(row)] == row
        if row := row.removeprefix(MARK).strip():
            found.append(json.loads(row))
    assert found == rows


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'[{"content": "x"}, {"content": "y"}', "ends inside its array: is cut short"),
        (b'[{"content": "x"}, {"content": "y', "ends inside its array: is cut short"),
        (b'{\n"content": "x"', "ends inside an object: is cut short"),
        (b'[{"content": "x"}]]', "a bracket closes what none opened"),
    ],
)
def test_array_is_an_error_when_it_does_not_end(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(raw)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    (piece,) = plan_slices(source, shard_bytes=1 << 20)
    with pytest.raises(StoreError, match=message):
        read_slice(source, piece, max_document_bytes=100)


def test_element_is_a_row_of_its_own_when_it_is_no_object(tmp_path: Path, rows_of: Any) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"content": "x"}, 5, "y", [{"content": "z"}], null, {"content": "w"}, ]\n')
    rows = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path)))
    assert [row["problem"] for row in rows] == [None, *["unreadable_row"] * 4, None]
    assert [row["content"] for row in rows if row["problem"] is None] == [b"x", b"w"]


def test_element_is_passed_over_when_it_is_too_long() -> None:
    blocks = [b'[{"a": "', b"x" * 50, b"y" * 50, b'"}, {"b": 1}]']
    assert list(split_values(blocks, cap=20, where="here")) == [(1, None), (112, b'{"b": 1}')]


@pytest.mark.parametrize("shape", ["array", "records", "wide", "lines"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_file_gives_the_same_rows_however_large_its_shards_are(
    tmp_path: Path, rows_of: Any, shape: str, encoding: str, suffix: str
) -> None:
    import gzip

    rows = [{"content": f"x = {k} é", "path": f"{k}.py"} for k in range(300)]
    raw = _written(rows, shape=shape, ascii_only=False).encode(encoding)
    (tmp_path / f"a.json{suffix}").write_bytes(gzip.compress(raw) if suffix else raw)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    whole = rows_of(source)
    assert [row["content"].decode() for row in whole] == [row["content"] for row in rows]
    assert rows_of(source, shard_bytes=2_000) == whole
    assert len({row["doc_id"] for row in whole}) == len(rows)


def test_half_a_pair_of_utf16_costs_one_character(tmp_path: Path, rows_of: Any) -> None:
    raw = '{"content": "a'.encode("utf-16-le") + b"\x3d\xd8" + 'b"}\n'.encode("utf-16-le")
    (tmp_path / "a.jsonl").write_bytes(raw)
    (row,) = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path)))
    assert (row["content"].decode(), row["n_replaced"], row["problem"]) == ("a\ufffdb", 1, None)
