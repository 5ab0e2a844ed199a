"""Arrow files that lie about themselves: refused in words before anything is allocated for them or follows them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.arrow_files import read_arrow, refuse_bombs
from pipeline.engine.mapped import write_mapped
from pipeline.engine.store import open_store
from pipeline.errors import LoopmixError, SchemaError, StoreError
from pipeline.plt.distributed import ALONE
from pipeline.plt.shards import open_shards
from pipeline.reading.stream_files import rises
from pipeline.schema import TOKENS, packed_schema
from pipeline.sequences import rows_of

SEQ_LEN = 8
SCHEMA = packed_schema(SEQ_LEN)
IDS = ("a" * 32, "b" * 32)


def rows(n: int = 2) -> pa.Table:
    row = {
        "token_ids": list(range(SEQ_LEN)),
        "n_real": SEQ_LEN,
        "cu_seqlens": [0, 3, SEQ_LEN],
        "doc_ids": list(IDS),
        "doc_offsets": [0, 5],
        "pool": "code",
        "groups": ["C", "C"],
    }
    return pa.Table.from_pylist([row] * n, schema=SCHEMA)


def written(table: pa.Table, *, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The first place in the file with other bytes."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def named_twice(data: bytes) -> bytes:
    """The footer lists the same batch in the places of both."""
    n = struct.unpack_from("<i", data, len(data) - 10)[0]
    footer = data[len(data) - 10 - n : len(data) - 10]
    blocks = [footer.index(struct.pack("<q", at)) for at in batch_places(data)]
    mine = footer[blocks[0] : blocks[0] + 24]
    return data[: len(data) - 10 - n] + footer.replace(footer[blocks[1] : blocks[1] + 24], mine) + data[-10:]


def batch_places(data: bytes) -> list[int]:
    from pipeline.arrow_bodies import blocks_of

    return list(blocks_of(pa.BufferReader(data)))


def with_inner_nulls() -> bytes:
    """The type says that no list holds a null; the buffers do."""
    table = rows()
    batch = table.to_batches()[0]
    values = pa.array([1, None] * SEQ_LEN, pa.uint32())
    kind = SCHEMA.field("token_ids").type
    lists = pa.Array.from_buffers(kind, 2, [None], children=[values])
    return written(pa.Table.from_batches([batch.set_column(0, SCHEMA.field("token_ids"), lists)]))


def claims(n_bytes: int) -> bytes:
    """A packed file whose longest buffer says that it unpacks to so much."""
    data = written(pa.concat_tables([rows(2000)]).combine_chunks(), compression="zstd")
    at = data.index(struct.pack("<q", 2000 * SEQ_LEN * 4))
    return data[:at] + struct.pack("<q", n_bytes) + data[at + 8 :]


BOUNDS = struct.pack("<3i", 0, 3, 6)
LIES: dict[str, tuple[bytes, str]] = {
    "offsets beyond the values": (swapped(BOUNDS, struct.pack("<3i", 0, 1 << 30, 6))(written(rows())), "Offset"),
    "offsets below zero": (swapped(BOUNDS, struct.pack("<3i", -4, 3, 6))(written(rows())), ""),
    "offsets that fall": (swapped(BOUNDS, struct.pack("<3i", 0, 7, 6))(written(rows())), ""),
    "names that are no text": (swapped(b"a" * 32, b"\xff" * 32)(written(rows())), "UTF8"),
    "nulls where none may be": (with_inner_nulls(), "nulls in its lists"),
    "2**40 bytes to unpack": (claims(2**40), "it says that it unpacks to"),
    "2**62 bytes to unpack": (claims(2**62), "it says that it unpacks to"),
    "less than nothing to unpack": (claims(-2), ""),
    "one batch named twice": (named_twice(written(pa.concat_tables([rows(1), rows(2)]))), "names one batch several"),
    "a footer of 2 GB": (written(rows())[:-10] + struct.pack("<i", 2**31 - 1) + b"ARROW1", "has no footer"),
    "a footer below zero": (written(rows())[:-10] + struct.pack("<i", -5) + b"ARROW1", "has no footer"),
    "no footer": (written(rows())[:-40], ""),
    "nothing": (b"", ""),
    "only its name": (b"ARROW1\0\0ARROW1", ""),
}  # fmt: skip


def run_of(folder: Path, data: bytes) -> Path:
    (folder / "packed").mkdir()
    (folder / "packed/part-00000-of-00001.arrow").write_bytes(data)
    return folder


def one_line(error: LoopmixError, where: Path) -> str:
    said = str(error)
    assert said.startswith(str(where / "packed/part-00000-of-00001.arrow"))
    assert said.isprintable()
    assert "Error(" not in said
    return said


@pytest.mark.parametrize("lie", LIES)
def test_a_packed_shard_that_lies_is_refused_by_the_trainer_and_by_readers_of_runs(tmp_path: Path, lie: str) -> None:
    data, why = LIES[lie]
    run = run_of(tmp_path, data)
    before = pa.total_allocated_bytes()
    with pytest.raises(StoreError) as trainer:
        open_shards(run, ranks=ALONE)
    assert why in one_line(trainer.value, run)
    store = open_store(str(run))
    for read in (
        lambda: store.read_ipc_whole("packed/part-00000-of-00001.arrow", schema=SCHEMA),
        lambda: store.read_ipc("packed/part-00000-of-00001.arrow", schema=SCHEMA, columns=SCHEMA.names),
    ):
        with pytest.raises(StoreError) as reader:
            read()
        assert why in one_line(reader.value, run)
    assert pa.total_allocated_bytes() - before < 1 << 22


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_a_packed_shard_that_does_not_lie_is_read(tmp_path: Path, compression: str | None) -> None:
    table = rows(300)
    run = run_of(tmp_path, written(table, compression=compression))
    assert sum(block.num_rows for block in open_shards(run, ranks=ALONE).blocks) == 300
    store = open_store(str(run))
    assert store.read_ipc_whole("packed/part-00000-of-00001.arrow", schema=SCHEMA).equals(table)
    found = store.read_ipc("packed/part-00000-of-00001.arrow", schema=SCHEMA, columns=["pool", "n_real"])
    assert found.equals(table.select(["pool", "n_real"]))


def test_columns_that_are_not_asked_for_are_not_looked_into(tmp_path: Path) -> None:
    run = run_of(tmp_path, LIES["names that are no text"][0])
    with pa.memory_map(str(run / "packed/part-00000-of-00001.arrow")) as file:
        assert read_arrow(file, ["n_real", "nobody"]).column_names == ["n_real"]


@pytest.mark.parametrize("other", [pa.dictionary(pa.int32(), pa.string()), pa.large_string()])
def test_another_type_is_a_schema_error(tmp_path: Path, other: pa.DataType) -> None:
    table = rows()
    table = table.set_column(5, "pool", table["pool"].cast(other))
    run = run_of(tmp_path, written(table))
    with pytest.raises(SchemaError, match="column 'pool' has type"):
        open_shards(run, ranks=ALONE)
    with pytest.raises(SchemaError, match="column 'pool' has type"):
        open_store(str(run)).read_ipc_whole("packed/part-00000-of-00001.arrow", schema=SCHEMA)


def test_a_pipe_in_the_place_of_a_packed_shard_is_refused(tmp_path: Path) -> None:
    import os

    (tmp_path / "packed").mkdir()
    os.mkfifo(tmp_path / "packed/part-00000-of-00001.arrow")
    with pytest.raises(StoreError, match=r"part-00000-of-00001\.arrow: is no file; remove what stands in its place"):
        open_shards(tmp_path, ranks=ALONE)


# --- rows ------------------------------------------------------------------------------------------------------------


def test_bounds_that_pass_where_numbers_end_do_not_rise() -> None:
    kind = pa.list_(pa.field("element", pa.int32(), nullable=False))
    wrapped = pa.array([[0, 1, -(2**31), -1, SEQ_LEN]], kind)
    assert not rises(wrapped, np.array([SEQ_LEN], np.int32), seq_len=SEQ_LEN)
    assert rises(pa.array([[0, 1, SEQ_LEN]], kind), np.array([SEQ_LEN], np.int32), seq_len=SEQ_LEN)


def test_bounds_beyond_the_sequence_do_not_rise() -> None:
    bounds = pa.array([[0, SEQ_LEN + 1]], pa.list_(pa.int32()))
    assert not rises(bounds, np.array([SEQ_LEN + 1], np.int32), seq_len=SEQ_LEN)


@pytest.mark.parametrize(
    ("offsets", "why"), [([0], "1 doc_offsets"), ([0, -1], "doc_offsets below zero"), ([0, 1, 2], "3 doc_offsets")]
)
def test_offsets_of_documents_that_cannot_be_are_refused(offsets: list[int], why: str) -> None:
    table = rows(1).set_column(4, SCHEMA.field("doc_offsets"), pa.array([offsets], SCHEMA.field("doc_offsets").type))
    with pytest.raises(SchemaError, match=why):
        rows_of(table.to_batches()[0], where="x")


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_mapped_table_whose_lists_hold_nulls_is_refused(tmp_path: Path) -> None:
    kind = TOKENS.schema.field("token_ids").type
    offsets = pa.py_buffer(np.array([0, 2], np.int64))
    lists = pa.Array.from_buffers(kind, 1, [None, offsets], children=[pa.array([1, None], pa.uint32())])
    columns = [pa.array(["a" * 32]), lists, pa.array([2], pa.int64())]
    with (tmp_path / "t.arrow").open("wb") as file:
        write_mapped(file, pa.Table.from_arrays(columns, schema=TOKENS.schema))
    with pytest.raises(StoreError, match="nulls in its lists"):
        open_store(str(tmp_path)).read_mapped("t.arrow", schema=TOKENS.schema)


def test_a_mapped_table_that_claims_to_unpack_beyond_its_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.arrow").write_bytes(claims(2**40))
    with pytest.raises(StoreError, match="it says that it unpacks to"):
        open_store(str(tmp_path)).read_mapped("t.arrow", schema=SCHEMA)


def test_a_file_of_ours_is_no_bomb() -> None:
    refuse_bombs(pa.BufferReader(written(rows(3000))))
