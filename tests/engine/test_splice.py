"""Other columns behind a Parquet file, and values blanked in its pages: read by Arrow, with its checksums."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.pages import blank
from pipeline.engine.parquet import write_table
from pipeline.engine.splice import cut_back, footer_of, spliced
from pipeline.engine.store import open_store
from pipeline.engine.thrift import I32, Reader, varint_of_length, written

N = 20_000  # more than one row group


def table(n: int = N) -> pa.Table:
    rng = random.Random(3)
    words = [rng.choice(["int", "return", "while", "static"]) for _ in range(400)]
    contents = [(" ".join(rng.choices(words, k=rng.randint(0, 30))) + str(i)).encode() for i in range(n)]
    return pa.table(
        {
            "doc_id": pa.array([f"{i:032x}" for i in range(n)]),
            "content": pa.array(contents, pa.large_binary()),
            "changed": pa.array([c if i % 5 == 0 else None for i, c in enumerate(contents)], pa.large_binary()),
            "reasons": pa.array([["a"] * (i % 3) for i in range(n)], pa.list_(pa.field("element", pa.string()))),
            "n_tokens": pa.array(range(n), pa.int64()),
            "problem": pa.array([None] * n, pa.string()),
        },
        schema=pa.schema(
            [
                pa.field("doc_id", pa.string(), nullable=False),
                pa.field("content", pa.large_binary(), nullable=False),
                pa.field("changed", pa.large_binary()),
                pa.field("reasons", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
                pa.field("n_tokens", pa.int64(), nullable=False),
                pa.field("problem", pa.string()),
            ]
        ),
    )


def file_of(made: pa.Table) -> bytes:
    sink = io.BytesIO()
    write_table(made, sink)
    return sink.getvalue()


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read()


def test_a_footer_is_written_as_it_was_read() -> None:
    data = file_of(table())
    metadata, start = footer_of(data)
    assert written(metadata) == data[start:-8]


def test_columns_behind_a_file_are_read_instead_of_its_own_and_nothing_else_changes() -> None:
    before = table()
    new = before.select(["reasons", "n_tokens", "problem"])
    new = new.set_column(1, before.schema.field("n_tokens"), pa.array(range(1, N + 1), pa.int64()))
    new = new.set_column(2, before.schema.field("problem"), pa.array(["forgotten"] + [None] * (N - 1), pa.string()))
    data = file_of(before)
    tail = spliced(data, new, write_table)
    after = read(data + tail)
    assert after.schema.equals(before.schema)
    for name in before.column_names:
        assert after[name].equals((new if name in new.column_names else before)[name]), name
    assert len(tail) < 0.3 * len(data)
    sizes = pq.ParquetFile(io.BytesIO(data + tail)).metadata
    assert sizes.num_row_groups == 2
    assert sizes.row_group(0).total_byte_size == sum(
        sizes.row_group(0).column(i).total_uncompressed_size for i in range(sizes.num_columns)
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda d: d[:-1], "does not end"), (lambda d: d[:-8] + b"\xff\xff\xff\x7fPAR1", "footer is longer")],
)
def test_what_is_no_parquet_file_is_not_spliced(damage: object, said: str) -> None:
    data = damage(file_of(table(10)))  # type: ignore[operator]
    with pytest.raises(ValueError, match=said):
        spliced(data, table(10).select(["n_tokens"]), write_table)


def test_columns_of_another_table_are_refused() -> None:
    data = file_of(table(10))
    with pytest.raises(ValueError, match="holds 10 rows, expected 11"):
        spliced(data, table(11).select(["n_tokens"]), write_table)
    with pytest.raises(ValueError, match="has no column"):
        spliced(data, table(10).select(["n_tokens"]).rename_columns(["other"]), write_table)


def test_a_splice_that_was_cut_off_is_taken_back(tmp_path: Path) -> None:
    store, before = open_store(str(tmp_path)), table(100)
    data = file_of(before)
    tail = spliced(data, before.select(["n_tokens"]), write_table)
    for n in (0, 1, len(tail) // 2, len(tail)):
        (tmp_path / "a.parquet").write_bytes(data + tail[:n])
        cut_back(store, "a.parquet", len(data))
        assert (tmp_path / "a.parquet").read_bytes() == data


def test_a_file_that_was_written_anew_is_not_cut(tmp_path: Path) -> None:
    other = file_of(table(120))
    (tmp_path / "a.parquet").write_bytes(other)
    cut_back(open_store(str(tmp_path)), "a.parquet", len(file_of(table(100))))
    assert (tmp_path / "a.parquet").read_bytes() == other
    fake = other[:1_000] + b"PAR1" + other[1_004:]  # the magic by chance, and no footer in front of it
    (tmp_path / "a.parquet").write_bytes(fake)
    cut_back(open_store(str(tmp_path)), "a.parquet", 1_004)
    assert (tmp_path / "a.parquet").read_bytes() == fake


@pytest.mark.parametrize("name", ["content", "changed"])
@pytest.mark.parametrize("rows", [[0], [17_000], [5, 6, 10, 16_380, 16_385, 19_995], list(range(0, N, 50))])
def test_blanked_values_are_zeros_of_the_same_length_under_right_checksums(name: str, rows: list[int]) -> None:
    before = table()
    data = bytearray(file_of(before))
    column = before[name].combine_chunks()
    patches = blank(bytes(data), name, column, np.array(rows))
    for start, new in patches:
        data[start : start + len(new)] = new
    after = read(bytes(data))
    wanted = before[name].to_pylist()
    for row in rows:
        wanted[row] = None if wanted[row] is None else bytes(len(wanted[row]))
    assert after[name].to_pylist() == wanted
    for other in set(before.column_names) - {name}:
        assert after[other].equals(before[other])


def test_pages_of_another_layout_are_refused() -> None:
    made, sink = table(200), io.BytesIO()
    pq.write_table(made, sink, compression="zstd")
    with pytest.raises(ValueError, match="not compressed with LZ4"):
        blank(sink.getvalue(), "content", made["content"].combine_chunks(), np.array([3]))
    sink = io.BytesIO()
    pq.write_table(made, sink, compression="lz4", use_dictionary=False)
    with pytest.raises(ValueError, match="no plain one with a checksum"):
        blank(sink.getvalue(), "content", made["content"].combine_chunks(), np.array([3]))
    with pytest.raises(ValueError, match=r"200 values in its pages, 150 were read|not where their lengths say"):
        blank(file_of(made), "content", made["content"].combine_chunks().slice(0, 150), np.array([3]))


@pytest.mark.parametrize("value", [0, -1, 5, -(2**31), 2**31 - 1, 300])
def test_a_number_may_take_more_bytes_than_it_needs(value: int) -> None:
    said = varint_of_length(value, 5)
    assert said is not None
    assert len(said) == 5
    reader = Reader(said)
    assert (reader.value(I32), reader.at) == (value, 5)
    assert (varint_of_length(value, 1) is None) == (abs(value) > 63)
