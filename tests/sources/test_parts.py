"""Open slices: what cannot be entered in the middle, cut into shards while it is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Source
from pipeline.errors import StoreError
from pipeline.sources import Slice, plan_slices, read_parts, read_slice
from pipeline.sources.arrow_rows import BATCH_BYTES
from pipeline.sources.parquet import _batches
from pipeline.sources.parts import bytes_of_a_part, cut_rows, rows_between
from pipeline.sources.raw import RawDocument
from pipeline.sources.slices import ROW_BYTES, InputFile

LIMITS = {"max_document_bytes": 9_000}
SHARD = 4_096
CONTENTS = [f"{i} ".encode() * (i * 37 % 400 + 1) for i in range(90)]
CONTENTS[50] *= 8  # larger than a shard


def _lines(contents: list[bytes] = CONTENTS) -> bytes:
    return b"".join(json.dumps({"content": c.decode()}).encode() + b"\n" for c in contents)


def _frames(data: bytes) -> bytes:
    """Two Zstandard frames, one that holds nothing and one that is to be skipped."""
    half, pack = len(data) // 2, zstandard.ZstdCompressor().compress
    return pack(data[:half]) + pack(b"") + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + pack(data[half:])


FORMS = {
    "a.jsonl.gz": lambda: gzip.compress(_lines(), mtime=0),
    "members.jsonl.gz": lambda: gzip.compress(_lines()[:9_001]) + gzip.compress(b"") + gzip.compress(_lines()[9_001:]),
    "a.jsonl.zst": lambda: zstandard.ZstdCompressor().compress(_lines()),
    "frames.jsonl.zst": lambda: _frames(_lines()),
    "bom.jsonl.zst": lambda: zstandard.ZstdCompressor().compress(b"\xef\xbb\xbf" + _lines()),
    "array.json": lambda: json.dumps([{"content": c.decode()} for c in CONTENTS]).encode(),
    "wide.jsonl": lambda: _lines().decode().encode("utf-16"),
    "wide.jsonl.gz": lambda: gzip.compress(_lines().decode().encode("utf-16")),
}


def _source(path: Path, kind: str = "jsonl", **more: Any) -> Source:
    return Source.model_validate({"name": "s", "kind": kind, "path": str(path), **more})


def _assert_cut(source: Source, *, contents: list[bytes] = CONTENTS) -> list[Slice]:
    """Every open slice makes several shards, each like its own part of the slice, together like the whole of it."""
    made = []
    for piece in plan_slices(source, shard_bytes=SHARD):
        assert piece.is_open
        tables = list(read_parts(source, piece, shard_bytes=SHARD, **LIMITS))
        parts = piece.parts([first for first, _ in tables])
        assert not any(part.is_open for part in parts)
        assert [read_slice(source, part, **LIMITS) for part in parts] == [table for _, table in tables]
        assert pa.concat_tables([t for _, t in tables]).equals(read_slice(source, piece, **LIMITS))
        for _, table in tables:
            assert sum(map(len, table["content"].to_pylist())) <= SHARD or table.num_rows == 1
        made += [(part, table) for part, (_, table) in zip(parts, tables, strict=True)]
    assert len(made) > 5
    read = [c for _, table in made for c in table["content"].to_pylist()]
    assert read == contents
    return [part for part, _ in made]


@pytest.mark.parametrize("name", FORMS)
def test_a_file_of_any_form_is_cut_and_gives_the_rows_of_small_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FORMS[name]())
    parts = _assert_cut(_source(tmp_path))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a.jsonl").write_bytes(_lines())
    rows = [read_slice(_source(tmp_path), part, **LIMITS)["input_row"].to_pylist() for part in parts]
    plain = _source(tmp_path / "plain")
    (whole,) = plan_slices(plain, shard_bytes=1 << 20)
    if name not in ("array.json", "bom.jsonl.zst"):  # there a row begins at another byte
        assert [row for part in rows for row in part] == read_slice(plain, whole, **LIMITS)["input_row"].to_pylist()


def test_a_row_group_and_an_arrow_stream_are_cut(tmp_path: Path) -> None:
    table = pa.table({"content": [c.decode() for c in CONTENTS]})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pq.write_table(table, tmp_path / "a/a.parquet", use_dictionary=False)
    _assert_cut(_source(tmp_path / "a", "parquet"))
    with pa.ipc.new_stream(tmp_path / "b/data.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=40)
    (tmp_path / "b/state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    _assert_cut(_source(tmp_path / "b", "huggingface"))


def test_text_that_a_row_group_holds_once_and_gives_often_is_cut_too(tmp_path: Path) -> None:
    contents = [b"same" * 200, b"other" * 100] * 60
    pq.write_table(pa.table({"content": [c.decode() for c in contents]}), tmp_path / "a.parquet")
    (piece,) = plan_slices(_source(tmp_path, "parquet"), shard_bytes=SHARD)
    assert piece.n_bytes < SHARD
    _assert_cut(_source(tmp_path, "parquet"), contents=contents)


def test_lists_of_files_are_cut_inside_a_row(tmp_path: Path) -> None:
    rows = [{"repo": str(r), "files": [{"content": f"{r}-{k} " * 60} for k in range(40)]} for r in range(3)]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))
    contents = [entry["content"].encode() for row in rows for entry in row["files"]]
    _assert_cut(_source(tmp_path, explode="files"), contents=contents)


def test_what_holds_a_shard_or_nothing_stays_the_slice_that_it_was(tmp_path: Path) -> None:
    for name, data in {"a": _lines(CONTENTS[:3]), "b": b""}.items():
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(data))
    source = _source(tmp_path)
    for piece, n in zip(plan_slices(source, shard_bytes=SHARD), (3, 0), strict=True):
        ((first, table),) = read_parts(source, piece, shard_bytes=SHARD, **LIMITS)
        (part,) = piece.parts([first])
        assert (table.num_rows, part.to_dict()) == (n, piece.to_dict())


def test_shards_are_given_before_the_damage_behind_them_is_found(tmp_path: Path) -> None:
    noise = [str(hash((i, "x")) ** 90)[:2_000].encode() for i in range(900)]  # more than what is unpacked at once
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(_lines(noise), 1)[:-20])
    source = _source(tmp_path)
    (piece,) = plan_slices(source, shard_bytes=SHARD)
    tables = read_parts(source, piece, shard_bytes=SHARD, **LIMITS)
    assert next(tables)[1].num_rows
    with pytest.raises(StoreError, match=r"a\.jsonl\.gz: is damaged, cut short"):
        list(tables)


def test_a_size_that_is_known_is_divided_evenly_and_a_guess_is_not() -> None:
    known = Slice("s", (InputFile("a.parquet", 1, ""),), n_bytes=65)
    assert [bytes_of_a_part(known, shard_bytes=n) for n in (64, 65, 22)] == [33, 65, 22]
    assert bytes_of_a_part(Slice("s", (InputFile("a.json.gz", 1, ""),), n_bytes=65), shard_bytes=64) == 64


@given(
    sizes=st.lists(st.integers(0, 3_000)), part_bytes=st.integers(1, 5_000), max_rows=st.integers(1, 9), step=st.just(3)
)
def test_rows_are_cut_where_the_next_one_would_be_too_much(
    sizes: list[int], part_bytes: int, max_rows: int, step: int
) -> None:
    rows = [RawDocument("f", i * step, b"x" * n) for i, n in enumerate(sizes)]
    expected: list[list[RawDocument]] = []
    for row in rows:
        last = expected[-1] if expected else []
        fits = sum(len(r.content or b"") for r in (*last, row)) <= part_bytes and len(last) < max_rows
        if last and fits:
            last.append(row)
        else:
            expected.append([row])
    cut = cut_rows(iter(rows), part_bytes=part_bytes, shard_bytes=max_rows * ROW_BYTES)
    found = [(first, list(part)) for first, part in cut]
    assert found == [(part[0].input_row, part) for part in expected]
    edges = [first for first, _ in found] + [-1]
    assert [list(rows_between(rows, first=a, last=b)) for a, b in pairwise(edges)] == expected


def test_nothing_is_read_behind_the_last_row_of_a_part() -> None:
    def rows() -> Iterator[RawDocument]:
        yield from (RawDocument("f", i, b"") for i in (0, 5, 9))
        raise AssertionError

    assert [r.input_row for r in rows_between(rows(), first=5, last=8)] == [5]


def test_batches_of_large_rows_are_small_though_their_footer_calls_them_small(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["x" * 1_000_000] * 200}), tmp_path / "a.parquet")
    opened = pq.ParquetFile(tmp_path / "a.parquet")
    assert opened.metadata.row_group(0).total_byte_size < BATCH_BYTES
    found = list(_batches(opened, source=_source(tmp_path, "parquet"), groups=range(1), where="a"))
    assert sum(batch.num_rows for batch in found) == 200
    assert max(batch.nbytes for batch in found) <= BATCH_BYTES


def test_a_row_group_is_begun_once_unless_its_first_rows_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    whole = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, batch_size: int, **more: object) -> Iterator[pa.RecordBatch]:
        begun.append(batch_size)
        return whole(self, batch_size, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    for text, times in (("x", 1), ("x" * 1_000_000, 2)):
        pq.write_table(pa.table({"content": [text] * 200}), tmp_path / "a.parquet")
        opened, source = pq.ParquetFile(tmp_path / "a.parquet"), _source(tmp_path, "parquet")
        begun.clear()
        assert sum(batch.num_rows for batch in _batches(opened, source=source, groups=range(1), where="a")) == 200
        assert len(begun) == times
