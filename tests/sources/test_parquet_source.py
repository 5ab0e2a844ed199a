"""Parquet: row groups, column mappings of well-known data sets, and damage."""

from __future__ import annotations

import decimal
import io
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import arrow_rows, parquet, plan_slices, read_slice


def _source(place: Path | str, **columns: Any) -> Source:
    return Source(name="rows", kind="parquet", path=str(place), columns=Columns(**columns))


def _write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_stack_like_columns_are_mapped(tmp_path: Path, rows_of: Any) -> None:
    _write(
        tmp_path / "train-00000-of-00001.parquet",
        {
            "content": ["a\n", "b\n", "c\n"],
            "max_stars_repo_path": ["a.py", "d/b.py", None],
            "max_stars_repo_name": ["me/x", "me/y", "me/z"],
            "max_stars_repo_head_hexsha": ["1", "2", "3"],
            "max_stars_repo_licenses": [["MIT", "Apache-2.0"], [], None],
            "max_stars_count": pa.array([5.0, None, 0.0]),
            "max_stars_repo_stars_event_min_datetime": ["2015-01-01T00:00:00.000Z", None, "soon"],
        },
    )
    source = _source(
        tmp_path,
        path="max_stars_repo_path",
        repo="max_stars_repo_name",
        revision="max_stars_repo_head_hexsha",
        license="max_stars_repo_licenses",
        stars="max_stars_count",
        revision_time="max_stars_repo_stars_event_min_datetime",
    ).model_copy(update={"license": "unknown"})
    rows = rows_of(source)
    assert [row["path"] for row in rows] == ["a.py", "d/b.py", "train-00000-of-00001.parquet#2"]
    assert [row["repo"] for row in rows] == ["me/x", "me/y", "me/z"]
    assert [row["license"] for row in rows] == ["MIT AND Apache-2.0", "unknown", "unknown"]
    assert [row["stars"] for row in rows] == [5, None, 0]
    assert [row["revision_time"] for row in rows] == [datetime(2015, 1, 1, tzinfo=UTC), None, None]


def test_fineweb_like_columns_are_mapped(tmp_path: Path, rows_of: Any) -> None:
    _write(
        tmp_path / "a.parquet",
        {"text": ["One.", "Two."], "id": ["<urn:1>", "<urn:2>"], "url": ["https://x", "https://y"], "n": [1, 2]},
    )
    rows = rows_of(_source(tmp_path, content="text", path="url", revision="id"))
    assert [(row["content"], row["path"], row["revision"]) for row in rows] == [
        (b"One.", "https://x", "<urn:1>"),
        (b"Two.", "https://y", "<urn:2>"),
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
)
def test_content_may_be_any_text_or_bytes_type(tmp_path: Path, rows_of: Any, kind: pa.DataType) -> None:
    values = ["a\n", None, "größer\n", "a\n"]
    if pa.types.is_dictionary(kind):
        column = pa.array(values).dictionary_encode()
    else:
        column = pa.array([v.encode() if v else None for v in values], pa.binary()).cast(kind)
    _write(tmp_path / "a.parquet", {"content": column})
    assert [(row["content"], row["problem"]) for row in rows_of(_source(tmp_path))] == [
        (b"a\n", None),
        (b"", "unreadable_row"),
        ("größer\n".encode(), None),
        (b"a\n", None),
    ]


def test_nested_columns_are_found_by_dots_unless_spelt_so(tmp_path: Path, rows_of: Any) -> None:
    meta = pa.array([{"license": ["MIT"], "deep": {"n": 3}, "unused": 1}, None])
    _write(tmp_path / "a.parquet", {"content": ["x", "y"], "meta": meta, "meta.path": ["p", "q"]})
    rows = rows_of(_source(tmp_path, license="meta.license", stars="meta.deep.n", path="meta.path"))
    assert [(row["license"], row["stars"], row["path"]) for row in rows] == [("MIT", 3, "p"), (None, None, "q")]


@pytest.mark.parametrize(
    ("column", "micros"),
    [
        (pa.array([1], pa.timestamp("s")), 1_000_000),
        (pa.array([1_500], pa.timestamp("ns", tz="Europe/Berlin")), 1),
        (pa.array([date(1970, 1, 2)]), 86_400_000_000),
        (pa.array(["1970-01-01T00:00:01+00:00"]), 1_000_000),
    ],
)
def test_times_are_utc_microseconds_when_their_types_differ(tmp_path: Path, column: pa.Array, micros: int) -> None:
    _write(tmp_path / "a.parquet", {"content": ["x"], "when": column})
    source = _source(tmp_path, revision_time="when")
    (piece,) = plan_slices(source, shard_bytes=1024)
    table = read_slice(source, piece, max_document_bytes=10)
    assert table.column("revision_time").cast(pa.int64()).to_pylist() == [micros]


def test_time_is_absent_when_no_calendar_holds_it(tmp_path: Path, rows_of: Any) -> None:
    moments = pa.array([2**62, -(2**62), 0], pa.timestamp("us"))
    _write(tmp_path / "a.parquet", {"content": ["x", "y", "z"], "when": moments})
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert [row["revision_time"] for row in rows_of(_source(tmp_path, revision_time="when"))] == [None, None, epoch]


def test_text_columns_survive_when_they_hold_broken_utf8(tmp_path: Path, rows_of: Any) -> None:
    broken = pa.array([b"a\xff.py"]).view(pa.string())
    latin = pa.array(["Die Prüfung schlägt fehl.\n".encode("cp1252")]).view(pa.string())
    _write(tmp_path / "a.parquet", {"content": latin, "path": broken})
    (row,) = rows_of(_source(tmp_path, path="path"))
    assert row["path"] == r"a\xff.py"
    assert (row["content"].decode(), row["encoding"]) == ("Die Prüfung schlägt fehl.\n", "cp1252")


@given(
    sizes=st.lists(st.integers(0, 7), max_size=6), shard_bytes=st.integers(1_024, 20_000), width=st.integers(1, 2_000)
)
def test_slices_partition_row_groups_and_rows_keep_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard_bytes: int, width: int
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    texts = [f"{k} ".ljust(width, "x") for k in range(sum(sizes))]
    with pq.ParquetWriter(folder / "a.parquet", pa.schema([("content", pa.string())]), compression="none") as writer:
        rest = list(texts)
        for size in sizes:
            writer.write_table(pa.table({"content": pa.array(rest[:size], pa.string())}))
            rest = rest[size:]
    source = _source(folder)
    slices = plan_slices(source, shard_bytes=shard_bytes)
    edges = [piece.first for piece in slices] + [slices[-1].last]
    assert edges[0] == 0
    assert edges[-1] == pq.read_metadata(folder / "a.parquet").num_row_groups
    assert [piece.last for piece in slices] == edges[1:]
    tables = [read_slice(source, piece, max_document_bytes=1 << 20) for piece in slices]
    rows = pa.concat_tables(tables).to_pylist()
    assert [(row["content"].decode(), row["input_row"]) for row in rows] == [(t, k) for k, t in enumerate(texts)]


def test_slice_never_spans_two_files(tmp_path: Path, rows_of: Any) -> None:
    for name in ("b.parquet", "a.parquet", "sub/c.parquet", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        _write(tmp_path / name, {"content": [name]})
    slices = plan_slices(_source(tmp_path), shard_bytes=1 << 30)
    assert [[file.path for file in piece.files] for piece in slices] == [
        ["a.parquet"],
        ["b.parquet"],
        ["sub/c.parquet"],
    ]
    assert [row["input_file"] for row in rows_of(_source(tmp_path))] == ["a.parquet", "b.parquet", "sub/c.parquet"]


def test_empty_file_is_a_slice_without_rows_when_parquet(tmp_path: Path, rows_of: Any) -> None:
    _write(tmp_path / "a.parquet", {"content": pa.array([], pa.string())})
    assert len(plan_slices(_source(tmp_path), shard_bytes=1024)) == 1
    assert rows_of(_source(tmp_path)) == []


@pytest.mark.parametrize("raw", [b"", b"PAR1", b"no parquet at all" * 9])
def test_file_is_one_bad_slice_when_its_footer_is_damaged(tmp_path: Path, raw: bytes) -> None:
    _write(tmp_path / "a.parquet", {"content": ["x"]})
    (tmp_path / "b.parquet").write_bytes(raw)
    good, bad = plan_slices(_source(tmp_path), shard_bytes=1024)
    assert read_slice(_source(tmp_path), good, max_document_bytes=10).num_rows == 1
    with pytest.raises(
        StoreError, match=r"b\.parquet: (is damaged, cut short or cannot be read|it is not parquet; it looks like)"
    ):
        read_slice(_source(tmp_path), bad, max_document_bytes=10)


def test_file_is_an_error_when_a_page_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"line {k}\n" for k in range(500)]
    _write(path, {"content": texts}, compression="none", use_dictionary=False, write_page_checksum=True)
    raw = path.read_bytes()
    spot = raw.index(b"line 250")
    path.write_bytes(raw[:spot] + b"LINE" + raw[spot + 4 :])
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1 << 20)
    with pytest.raises(StoreError, match=r"a\.parquet: is damaged.*(CRC|checksum)"):
        read_slice(_source(tmp_path), piece, max_document_bytes=100)


def test_file_is_an_error_or_a_whole_when_any_byte_is_flipped(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"content": [f"line {k}\n" for k in range(60)]}), buffer, write_page_checksum=True)
    raw = buffer.getvalue()
    source = _source(tmp_path)
    for spot in range(0, len(raw), 7):
        (tmp_path / "a.parquet").write_bytes(raw[:spot] + bytes([raw[spot] ^ 0x55]) + raw[spot + 1 :])
        try:
            for piece in plan_slices(source, shard_bytes=1 << 20):
                read_slice(source, piece, max_document_bytes=100)
        except (StoreError, ConfigError) as error:
            assert "a.parquet" in str(error)


def test_planning_fails_when_a_mapped_column_is_missing_or_cannot_be_meant(tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", {"content": ["x"], "n": [1], "s": pa.array([{"a": 1}])})
    with pytest.raises(
        ConfigError, match=r"rows\.columns\.content: .*a\.parquet has no column 'text'; found \['content'"
    ):
        plan_slices(_source(tmp_path, content="text"), shard_bytes=1024)
    with pytest.raises(ConfigError, match=r"rows\.columns\.license: .*no column 's\.b'"):
        plan_slices(_source(tmp_path, license="s.b"), shard_bytes=1024)
    with pytest.raises(ConfigError, match=r"rows\.columns\.content: column 'n' .* is int64, expected text or bytes"):
        plan_slices(_source(tmp_path, content="n"), shard_bytes=1024)
    with pytest.raises(ConfigError, match=r"rows\.columns\.revision_time: column 'n' .* expected a timestamp"):
        plan_slices(_source(tmp_path, revision_time="n"), shard_bytes=1024)


def test_slice_is_an_error_when_row_groups_are_gone(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", {"content": ["x"] * 10}, row_group_size=2)
    *_, last = plan_slices(_source(tmp_path), shard_bytes=1)
    assert (last.first, last.last) == (4, 5)
    _write(path, {"content": ["x"]})
    with pytest.raises(StoreError, match="run again"):
        read_slice(_source(tmp_path), last, max_document_bytes=10)


def test_file_is_an_error_when_it_gives_fewer_rows_than_its_footer_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "a.parquet", {"content": ["x"] * 3_000})
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1 << 20)
    whole = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **b: list(whole(*a, **b))[:-1])
    with pytest.raises(StoreError, match="gave 2944 rows, its footer says 3000"):
        read_slice(_source(tmp_path), piece, max_document_bytes=10)


def test_rows_that_are_larger_than_the_footer_says_are_read_by_fewer(
    tmp_path: Path, rows_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that is repeated stands once in the file, and as often as it is said in memory."""
    _write(tmp_path / "a.parquet", {"content": ["x" * 1_000] * 99, "path": [f"{k}" for k in range(99)]})
    whole, asked = pq.ParquetFile.iter_batches, []

    def noting(self: pq.ParquetFile, batch_size: int, **options: Any) -> Any:
        asked.append(batch_size)
        return whole(self, batch_size, **options)

    monkeypatch.setattr(arrow_rows, "BATCH_BYTES", 10_000)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noting)
    assert [row["path"] for row in rows_of(_source(tmp_path, path="path"))] == [f"{k}" for k in range(99)]
    assert asked == [64, 9]  # ten texts alone would fit
    monkeypatch.setattr(arrow_rows, "BATCH_BYTES", 1_000_000)
    asked.clear()
    assert len(rows_of(_source(tmp_path, path="path"))) == 99
    assert asked == [64]
    monkeypatch.setattr(parquet, "BATCH_BYTES", 10_000)  # and where the footer says how large they are, at once
    _write(tmp_path / "a.parquet", {"content": [f"{k}".ljust(1_000, "x") for k in range(99)]})
    asked.clear()
    assert len(rows_of(_source(tmp_path))) == 99
    assert asked == [9]


def test_planned_row_groups_are_an_error_when_the_footer_has_fewer(tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", {"content": ["x"]})
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1024)
    with pytest.raises(StoreError, match="has 1 row groups, planned were 2; run again"):
        read_slice(_source(tmp_path), replace(piece, last=2), max_document_bytes=10)


def test_rows_are_the_same_when_parquet_lies_on_another_file_system(tmp_path: Path, rows_of: Any) -> None:
    path = _write(tmp_path / "a.parquet", {"content": [f"{k}" for k in range(50)]}, row_group_size=10)
    fsspec.filesystem("memory").pipe("/sources-rows/a.parquet", path.read_bytes())
    here = rows_of(_source(tmp_path), shard_bytes=1)
    assert len(here) == 50
    assert rows_of(_source("memory://sources-rows"), shard_bytes=1) == here


ID = uuid.UUID(int=0x1234)


@pytest.mark.parametrize(
    ("field", "column", "expected"),
    [
        ("stars", pa.array([decimal.Decimal("12.00")], pa.decimal128(10, 2)), 12),
        ("stars", pa.array([decimal.Decimal("12")], pa.decimal256(40, 0)), 12),
        ("revision", pa.array([decimal.Decimal("20.10")], pa.decimal128(10, 2)), "20.10"),
        ("revision", pa.array([ID.bytes], pa.uuid()), str(ID)),
        ("revision", pa.array([b"\xff\x00\x10\x80"], pa.binary(4)), "ff001080"),
        ("revision", pa.array([b"abcdef\0\0"], pa.binary(8)), "abcdef"),
        ("revision", pa.array(['"v1"'], pa.json_()), "v1"),
        ("revision", pa.array(["v1"], pa.large_string()).dictionary_encode(), "v1"),
        ("license", pa.array(['["MIT", "ISC"]'], pa.json_()), "MIT AND ISC"),
        ("license", pa.array([["MIT", "ISC"]], pa.list_view(pa.string())), "MIT AND ISC"),
        ("license", pa.array([["MIT", "ISC"]], pa.large_list_view(pa.string())), "MIT AND ISC"),
        ("license", pa.array([["MIT", "ISC"]], pa.list_(pa.string(), 2)), "MIT AND ISC"),
        ("license", pa.array([["MIT", "ISC"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), "MIT AND ISC"),
        ("content", pa.array([b"abcd"], pa.binary(4)), b"abcd"),
        ("content", pa.array(['{"a": 1}'], pa.json_()), b'{"a": 1}'),
        ("content", pa.array([b"ab"], pa.binary()).dictionary_encode(), b"ab"),
    ],
)
def test_column_is_read_whatever_its_type_wraps(
    tmp_path: Path, rows_of: Any, field: str, column: pa.Array, expected: Any
) -> None:
    columns = {"content": pa.array(["x"]), "odd": column}
    _write(tmp_path / "a.parquet", columns)
    (row,) = rows_of(_source(tmp_path, **{field: "odd"}))
    assert (row[field], row["problem"], row["lost_fields"]) == (expected, None, [])


def test_run_end_encoded_columns_are_read_as_plain_ones() -> None:
    runs = pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["a", "b"]))
    batch = pa.record_batch({"content": runs, "path": runs})
    source = Source(name="s", kind="parquet", path="x", columns=Columns(path="path"))
    rows = arrow_rows.rows_of(batch, input_file="f", first_row=5, source=source)
    assert [(r.input_row, r.content, r.metadata.path) for r in rows] == [(5, b"a", "a"), (6, b"a", "a"), (7, b"b", "b")]


def test_optional_column_is_null_where_a_file_lacks_it_and_lost_where_it_is_of_another_type(
    tmp_path: Path, rows_of: Any
) -> None:
    _write(tmp_path / "a.parquet", {"content": ["1"], "license": ["MIT"]})
    _write(tmp_path / "b.parquet", {"content": ["2"]})
    _write(tmp_path / "c.parquet", {"content": ["3", "4"], "license": [{"a": 1}, None]})
    rows = rows_of(_source(tmp_path, license="license"))
    assert [(row["content"], row["license"], row["lost_fields"]) for row in rows] == [
        (b"1", "MIT", []),
        (b"2", None, []),
        (b"3", None, ["license"]),
        (b"4", None, []),
    ]


def test_file_without_contents_is_one_bad_slice_beside_good_ones(tmp_path: Path) -> None:
    _write(tmp_path / "a.parquet", {"content": ["1"]})
    _write(tmp_path / "b.parquet", {"text": ["2"] * 10}, row_group_size=1)
    _write(tmp_path / "c.parquet", {"content": pa.array([None, None], pa.string())})
    good, bad, nulls = plan_slices(_source(tmp_path), shard_bytes=1)
    assert read_slice(_source(tmp_path), good, max_document_bytes=10).num_rows == 1
    with pytest.raises(StoreError, match=r"b\.parquet has no column 'content'; found \['text'\]; write it with"):
        read_slice(_source(tmp_path), bad, max_document_bytes=10)
    with pytest.raises(StoreError, match=r"c\.parquet: none of its .* 2 rows gives a document; .* nothing but nulls"):
        read_slice(_source(tmp_path), nulls, max_document_bytes=10)


@pytest.mark.parametrize(
    ("fields", "columns", "message"),
    [
        (("content", "n", "content"), {}, "the column 'content' stands twice, as columns 1 and 3; rename one"),
        (("n", "content", "n"), {"path": "n"}, "the column 'n' stands twice, as columns 1 and 3"),
    ],
)
def test_name_that_stands_twice_is_an_error_with_both_places(
    tmp_path: Path, fields: tuple[str, ...], columns: dict[str, str], message: str
) -> None:
    table = pa.Table.from_arrays([pa.array(["x"])] * len(fields), names=list(fields))
    pq.write_table(table, tmp_path / "a.parquet")
    (piece,) = plan_slices(_source(tmp_path, **columns), shard_bytes=1024)
    with pytest.raises(StoreError, match=rf"a\.parquet: {message}"):
        read_slice(_source(tmp_path, **columns), piece, max_document_bytes=10)


def test_name_that_stands_twice_does_no_harm_where_it_is_not_mapped(tmp_path: Path, rows_of: Any) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["x"])] * 3, names=["content", "n", "n"]), tmp_path / "a.parquet")
    assert [row["content"] for row in rows_of(_source(tmp_path))] == [b"x"]


def test_field_that_stands_twice_in_a_struct_is_an_error(tmp_path: Path) -> None:
    twice = pa.StructArray.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    batch = pa.record_batch({"content": pa.array(["x"]), "m": twice})
    with pytest.raises(StoreError, match=r"here: the field 'a' of 'm\.a' stands twice, as 1 and 2"):
        arrow_rows.check_content(batch.schema, source=_source(tmp_path, path="m.a"), where="here")
