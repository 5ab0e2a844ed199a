"""JSON lines: bad rows, byte ranges, compression, and lines that are too long to hold."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import Slice, plan_slices, read_slice
from pipeline.sources.caps import InputCaps
from pipeline.sources.json_stream import split_lines
from pipeline.sources.rows import document_id

GOOD = b'{"content": "x = 1\\n"}'


def _source(place: Path | str, **columns: Any) -> Source:
    return Source(name="lines", kind="jsonl", path=str(place), columns=Columns(**columns))


def test_rows_carry_the_mapped_keys_when_they_are_there(tmp_path: Path, rows_of: Any) -> None:
    row = {
        "text": "Grüße\n",
        "meta": {"license": ["MIT", "ISC"], "when": "2024-05-01T00:00:00Z"},
        "file": "src/a.py",
        "from": "me/mine",
        "sha": "abc",
        "n": 7,
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"text": "bare"}), encoding="utf-8")
    columns = {
        "content": "text",
        "license": "meta.license",
        "revision_time": "meta.when",
        "path": "file",
        "repo": "from",
        "revision": "sha",
        "stars": "n",
    }
    full, bare = rows_of(_source(tmp_path, **columns))
    assert full["content"] == "Grüße\n".encode()
    assert (full["path"], full["repo"], full["revision"]) == ("src/a.py", "me/mine", "abc")
    assert (full["license"], full["stars"]) == ("MIT AND ISC", 7)
    assert full["revision_time"].isoformat() == "2024-05-01T00:00:00+00:00"
    offset = len(json.dumps(row)) + 1
    assert bare["path"] == f"a.jsonl#{offset}"
    assert bare["doc_id"] == document_id("lines", input_file="a.jsonl", input_row=offset)
    assert (bare["repo"], bare["license"], bare["stars"], bare["revision_time"]) == (None, None, None, None)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b'{"content": "cut',
        b'["content"]',
        b'"content"',
        b"12",
        b"null",
        b'{"other": "x"}',
        b'{"content": null}',
        b'{"content": 5}',
        b'{"content": ["x"]}',
        b'{"content": "\\x41"}',
        b'{"content": "x",}',
        b'{"content": "x", "n": }',
        b'{"content": "x", "n": 1',
        b'{"content": "x", "deep": ' + b"[" * 100_000 + b"]" * 99_999 + b"}",
        b"[" * 100_000,
        b'{"content": "x"} {"content": "y"}',
        b"\xef\xbb\xbf" + GOOD,
    ],
)
def test_line_is_a_row_of_its_own_when_it_cannot_be_read(tmp_path: Path, rows_of: Any, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    rows = rows_of(_source(tmp_path))
    assert [row["problem"] for row in rows] == [None, "unreadable_row", None]
    assert rows[1]["content"] == b""
    assert rows[1]["input_row"] == len(GOOD) + 1


def test_row_keeps_its_path_when_only_its_content_is_bad(tmp_path: Path, rows_of: Any) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD + b'\n{"content": 5, "p": "a.py"}\n')
    assert [(row["problem"], row["path"]) for row in rows_of(_source(tmp_path, path="p"))][1] == (
        "unreadable_row",
        "a.py",
    )


def test_blank_lines_are_no_documents_and_marks_no_content(tmp_path: Path, rows_of: Any) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\n  \t\n" + GOOD)
    rows = rows_of(_source(tmp_path))
    assert [(row["input_row"], row["content"], row["problem"]) for row in rows] == [
        (0, b"x = 1\n", None),
        (len(GOOD) + 10, b"x = 1\n", None),
    ]


def test_content_is_judged_like_bytes_when_it_is_odd(tmp_path: Path, rows_of: Any) -> None:
    lines = [{"content": ""}, {"content": "\ufeffx"}, {"content": "a\0b"}, {"content": "y" * 200}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    rows = rows_of(_source(tmp_path), max_document_bytes=100)
    assert [(row["problem"], row["encoding"], row["content"]) for row in rows] == [
        ("empty", "utf-8", b""),
        (None, "utf-8-sig", b"x"),
        ("binary", "binary", b""),
        ("too_large", "unread", b""),
    ]


LINES = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: json.dumps({"content": text}).encode()),
        st.text(max_size=20).map(lambda text: json.dumps({"content": text}, ensure_ascii=False).encode()),
        st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")),
        st.sampled_from([b"", b"  ", b"{}", b"\r"]),
    ),
    max_size=12,
)


@given(lines=LINES, ends=st.booleans(), cuts=st.lists(st.integers(0, 400), max_size=6), crlf=st.booleans())
def test_rows_are_the_same_when_the_file_is_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ends: bool, cuts: list[int], crlf: bool
) -> None:
    end = b"\r\n" if crlf else b"\n"
    raw = end.join([GOOD, *lines]) + end * ends
    folder = tmp_path_factory.mktemp("cut")
    (folder / "a.jsonl").write_bytes(raw)
    source = _source(folder)
    (whole,) = plan_slices(source, shard_bytes=1 << 20)
    edges = sorted({0, *(cut for cut in cuts if cut <= len(raw))})
    pieces = [replace(whole, first=first, last=last) for first, last in zip(edges, [*edges[1:], -1], strict=True)]
    expected = read_slice(source, whole, max_document_bytes=100)
    parts = [read_slice(source, piece, max_document_bytes=100) for piece in pieces]
    assert pa.concat_tables(parts).to_pylist() == expected.to_pylist()
    assert expected.num_rows == sum(bool(line.strip()) for line in raw.split(b"\n"))


@given(raw=st.lists(st.sampled_from([b"\n", b"ab", b"c" * 9, b"\r"])).map(b"".join), size=st.integers(1, 7))
def test_lines_come_out_whole_when_blocks_are_any(raw: bytes, size: int) -> None:
    blocks = [raw[k : k + size] for k in range(0, len(raw), size)]
    found = list(split_lines(blocks, offset=5, cap=8))
    assert [n for n, _ in found] == [5 + k for k in _starts(raw)]
    expected = raw.split(b"\n")[: len(found)]
    assert [line for _, line in found] == [line if len(line) <= 8 else None for line in expected]


def _starts(raw: bytes) -> list[int]:
    starts = [0, *(k + 1 for k, byte in enumerate(raw) if byte == 10)]
    return [start for start in starts if start < len(raw)]


def test_large_files_are_cut_and_small_ones_share_a_slice(tmp_path: Path, rows_of: Any) -> None:
    for name in ("a", "b", "d", "e"):
        (tmp_path / f"{name}.jsonl").write_bytes((GOOD + b"\n") * 20)
    (tmp_path / "c.jsonl").write_bytes((GOOD + b"\n") * 1_000)
    slices = plan_slices(_source(tmp_path), shard_bytes=4_096)
    shapes = [([file.path for file in piece.files], piece.first, piece.last) for piece in slices]
    assert shapes[0] == (["a.jsonl", "b.jsonl"], 0, -1)
    assert shapes[-1] == (["d.jsonl", "e.jsonl"], 0, -1)
    middle = shapes[1:-1]
    assert len(middle) == 6
    assert [names for names, _, _ in middle] == [["c.jsonl"]] * 6
    assert [first for _, first, _ in middle[1:]] == [last for _, _, last in middle[:-1]]
    assert sum(piece.n_bytes for piece in slices) == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert rows_of(_source(tmp_path), shard_bytes=4_096) == rows_of(_source(tmp_path), shard_bytes=10**9)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".json.zstd", ".ndjson.gz"])
def test_rows_are_the_same_when_the_file_is_compressed(tmp_path: Path, rows_of: Any, suffix: str) -> None:
    raw = b"\n".join([GOOD, b"", b"junk", GOOD]) + b"\n" + GOOD * 3_000 + b"\n" + GOOD
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    (plain / "a.jsonl").write_bytes(raw)
    half = len(raw) // 2
    squeeze = gzip.compress if suffix.endswith("gz") else zstandard.compress
    (packed / f"a{suffix}").write_bytes(squeeze(raw[:half]) + squeeze(b"") + squeeze(raw[half:]))
    expected, found = rows_of(_source(plain)), rows_of(_source(packed))
    same = [name for name in expected[0] if name not in ("doc_id", "input_file", "path")]
    assert [[row[name] for name in same] for row in found] == [[row[name] for name in same] for row in expected]
    assert {row["input_file"] for row in found} == {f"a{suffix}"}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "plain", "tail"])
def test_compressed_file_is_an_error_when_it_is_damaged(tmp_path: Path, suffix: str, damage: str) -> None:
    squeeze = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    raw = squeeze(b"".join(b'{"content": "%d"}\n' % (k * k) for k in range(5_000)))
    broken = {
        "cut": raw[: len(raw) // 2],
        "flip": raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 255]) + raw[len(raw) // 2 + 1 :],
        "empty": b"",
        "plain": GOOD,
        "tail": raw + b"junk after the end",
    }[damage]
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(broken)
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1 << 20)
    with pytest.raises(
        StoreError, match=rf"a\.jsonl\{suffix}: is damaged, cut short or cannot be read; fetch it again"
    ):
        read_slice(_source(tmp_path), piece, max_document_bytes=100)


def test_nothing_is_an_error_unless_it_was_packed_as_such(tmp_path: Path, rows_of: Any) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(b""))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b""))
    assert rows_of(_source(tmp_path)) == []
    (tmp_path / "c.jsonl").write_bytes(b"")
    with pytest.raises(StoreError, match=r"c\.jsonl: holds no row; it looks like an empty file"):
        rows_of(_source(tmp_path))


def test_zstandard_file_is_read_when_its_window_is_long(tmp_path: Path, rows_of: Any) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    squeeze = zstandard.ZstdCompressor(compression_params=parameters)
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    (tmp_path / "a.jsonl.zst").write_bytes(skippable + squeeze.compress(GOOD + b"\n"))
    assert [row["content"] for row in rows_of(_source(tmp_path))] == [b"x = 1\n"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (gzip.compress(GOOD, mtime=0), r"name it \.gz"),
        (zstandard.compress(GOOD), r"name it \.zst"),
        (b"PAR1....PAR1", "kind: parquet"),
        (b"BZh91AY", "bzip2"),
    ],
)
def test_plain_file_is_an_error_when_it_is_something_else(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(raw)
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1 << 20)
    with pytest.raises(StoreError, match=what):
        read_slice(_source(tmp_path), piece, max_document_bytes=100)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_line_is_passed_over_without_holding_it_when_it_is_huge(tmp_path: Path, suffix: str) -> None:
    huge = b'{"content": "' + b"x" * 80_000_000 + b'"}'
    squeeze = {"": bytes, ".gz": lambda b: gzip.compress(b, 1), ".zst": zstandard.compress}[suffix]
    (tmp_path / f"a.jsonl{suffix}").write_bytes(squeeze(GOOD + b"\n" + huge + b"\n" + GOOD))
    source = _source(tmp_path)
    (piece,) = plan_slices(source, shard_bytes=1 << 30)
    tracemalloc.start()
    rows = read_slice(source, piece, max_document_bytes=1_000, caps=InputCaps(max_unpacked_frac=1e6)).to_pylist()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["problem"] for row in rows] == [None, "too_large", None]
    assert rows[2]["input_row"] == len(GOOD) + len(huge) + 2
    assert peak < 60_000_000


def test_planning_fails_when_no_row_has_the_content_key(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "x"}\n{"text": "y", "id": 1}\n')
    with pytest.raises(ConfigError, match=r"sources\.lines\.columns\.content: a\.jsonl .*'content'.*\['id', 'text'\]"):
        plan_slices(_source(tmp_path), shard_bytes=1024)


def test_folder_is_searched_for_its_suffixes_and_links_only_by_glob(tmp_path: Path, rows_of: Any) -> None:
    store, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    snapshot.mkdir()
    (store / "1f").write_bytes(GOOD)
    (snapshot / "a.jsonl").symlink_to(store / "1f")
    (snapshot / "README.md").write_bytes(b"#")
    with pytest.raises(ConfigError, match="1 links were not followed"):
        plan_slices(_source(snapshot), shard_bytes=1024)
    assert [row["path"] for row in rows_of(_source(snapshot / "*.jsonl"))] == ["a.jsonl#0"]
    assert [row["path"] for row in rows_of(_source(snapshot / "a.jsonl"))] == ["a.jsonl#0"]


def test_file_is_an_error_when_it_changed_since_planning(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1024)
    path.write_bytes(GOOD + b"\n" + GOOD)
    with pytest.raises(StoreError, match="run again"):
        read_slice(_source(tmp_path), piece, max_document_bytes=100)
    path.unlink()
    with pytest.raises(StoreError, match="run again"):
        read_slice(_source(tmp_path), piece, max_document_bytes=100)
    with pytest.raises(StoreError, match="leads out"):
        read_slice(
            _source(tmp_path),
            Slice("lines", (replace(piece.files[0], path="../a.jsonl"),)),
            max_document_bytes=100,
        )


def test_remote_file_is_an_error_when_it_changed_since_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/sources-tag/a.jsonl", GOOD)
    plain = MemoryFileSystem.info
    tag = "one"
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path, **more: {**plain(self, path, **more), "ETag": tag})
    source = _source("memory://sources-tag/a.jsonl")
    (piece,) = plan_slices(source, shard_bytes=1024)
    assert read_slice(source, piece, max_document_bytes=100).num_rows == 1
    tag = "two"
    with pytest.raises(StoreError, match=r"version='two'.*planned was .*version='one'.*run again"):
        read_slice(source, piece, max_document_bytes=100)
    tag = "one"
    memory.pipe("/sources-tag/a.jsonl", GOOD + b"\n")
    with pytest.raises(StoreError, match="planned was"):
        read_slice(source, piece, max_document_bytes=100)


def test_rows_are_the_same_when_the_file_lies_on_another_file_system(tmp_path: Path, rows_of: Any) -> None:
    raw = (GOOD + b"\n") * 500
    (tmp_path / "a.jsonl").write_bytes(raw)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(raw))
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/sources-lines/{path.name}": path.read_bytes() for path in tmp_path.iterdir()})
    here = rows_of(_source(tmp_path), shard_bytes=2_000)
    assert rows_of(_source("memory://sources-lines"), shard_bytes=2_000) == here
    assert rows_of(_source("memory://sources-lines/*.jsonl")) == here[:500]
