"""A file that gives no document is an error that says what the file looks like and what to write."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices, read_slice

GOOD = b'{"content": "x = 1\\n"}\n'


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.py"), io.BytesIO(b""))
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.py", "x")
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"content": ["x"]}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("b.jsonl", b"content,path\nx,y\nz,w\n", r"CSV with the columns \['content', 'path'\]; write it as parquet"),
        ("b.jsonl", "content,path\nx,y\nz,w\n".encode("utf-16-le"), r"CSV with the columns \['content', 'path'\]"),
        ("b.jsonl", b'content\tpath\n"a,b"\ty\nz\tw', r"TSV with the columns \['content', 'path'\]"),
        (
            "b.jsonl",
            b'{"text": "x"}\n{"text": "y", "id": 1}\n',
            r"has no key 'content'.*found \['id', 'text'\].*columns",
        ),
        ("b.json", b'[{"text": "x"}, {"text": "y"}]', r"has no key 'content'.*found \['text'\]"),
        ("b.jsonl", b'{"content": ["x"]}\n{"content": 5}\n', "its 'content' holds int and list, expected text"),
        ("b.jsonl", b'{"content": null}\n', "its 'content' holds null, expected text"),
        ("b.jsonl", _tar(), "is no JSON lines file but a tar archive; unpack it"),
        ("b.jsonl.gz", gzip.compress(_tar(), mtime=0), "is no JSON lines file but a tar archive; unpack it"),
        ("b.jsonl", _zip(), "is no JSON lines file but a zip archive; unpack it"),
        ("b.jsonl", gzip.compress(GOOD, mtime=0), "is no JSON lines file but gzip data; name it .gz"),
        ("b.jsonl.gz", GOOD, "it is not gzip but JSON; use kind: jsonl"),
        ("b.jsonl.zst", gzip.compress(GOOD, mtime=0), "it is not Zstandard but gzip data; name it .gz"),
        ("b.jsonl", _parquet(), "is no JSON lines file but parquet; use kind: parquet"),
        ("b.jsonl", b"<!DOCTYPE html>\n<html><body>404</body></html>", "but an HTML page, perhaps an error page"),
        ("b.jsonl", b"<?xml version='1.0'?><a/>", "it looks like XML; use kind: directory"),
        ("b.jsonl", b"", "holds no row; it looks like an empty file; fetch it again"),
        ("b.jsonl", b"\n  \n", "holds no row; it looks like a file of white space"),
        ("b.jsonl", b"name: a\nvalue\n", "text that begins with 'name: a value'; use kind: directory"),
        (
            "b.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git LFS pointer; .*lfs pull",
        ),
        ("b.parquet", GOOD, "it looks like JSON; use kind: jsonl"),
        ("b.parquet", b"", "it looks like an empty file"),
        ("b.parquet", b"a,b\n1,2\n", "it looks like CSV"),
        ("b.parquet", b"<html>", "it looks like an HTML page"),
    ],
)
def test_file_without_a_document_is_named(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    kind = "parquet" if name.endswith("parquet") else "jsonl"
    (tmp_path / ("a." + kind)).write_bytes(_parquet() if kind == "parquet" else GOOD)
    (tmp_path / name).write_bytes(raw)
    source = Source(name="s", kind=kind, path=str(tmp_path))
    with pytest.raises(StoreError, match=message) as caught:
        for piece in plan_slices(source, shard_bytes=1024):
            read_slice(source, piece, max_document_bytes=100)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_good_row_makes_a_file_readable(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"junk\n" * 150 + GOOD)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    (piece,) = plan_slices(source, shard_bytes=1 << 20)
    assert read_slice(source, piece, max_document_bytes=100).num_rows == 151


def test_part_of_a_file_is_judged_by_many_rows_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD * 1_000 + b"junk\n" * 20_000)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    first, *_, last = plan_slices(source, shard_bytes=20_000)
    assert read_slice(source, first, max_document_bytes=100).num_rows > 100
    with pytest.raises(StoreError, match="none of its first"):
        read_slice(source, last, max_document_bytes=100)
    (tmp_path / "a.jsonl").write_bytes(GOOD * 1_000 + b"junk\n" * 50)
    *_, last = plan_slices(source, shard_bytes=240)
    assert set(read_slice(source, last, max_document_bytes=100)["problem"].to_pylist()) == {"unreadable_row"}


def test_another_key_in_one_file_is_that_files_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"text": "x"}]))
    (tmp_path / "b.jsonl").write_bytes(GOOD)
    source = Source(name="s", kind="jsonl", path=str(tmp_path))
    (piece,) = plan_slices(source, shard_bytes=100_000)
    with pytest.raises(
        StoreError, match=r"a\.json: none of its first 1 rows gives a document; it has no key 'content'"
    ):
        read_slice(source, piece, max_document_bytes=100)


def test_another_key_in_all_files_stops_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"text": "x"}]))
    with pytest.raises(ConfigError, match=r"columns\.content: a\.json has no key 'content'.*found \['text'\]"):
        plan_slices(Source(name="s", kind="jsonl", path=str(tmp_path)), shard_bytes=100)
