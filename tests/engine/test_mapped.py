"""Mapped tables: they come back as they were written, on every kind of disk, and damage never reads as data."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.mapped import content_hash
from pipeline.engine.ranged import aligned
from pipeline.engine.store import Store, open_store
from pipeline.errors import SchemaError, StoreError
from pipeline.schema import DOCUMENTS, LEDGER, QUALITY, TOKENS

IDS = TOKENS.schema.field("token_ids").type


def tokens(lists: list[list[int] | None]) -> pa.Table:
    columns = {
        "doc_id": [f"{i:032x}" for i in range(len(lists))],
        "token_ids": pa.array(lists, IDS),
        "n_tokens": [len(ids or ()) for ids in lists],
    }
    return pa.table(columns, schema=TOKENS.schema)


SOME = tokens([[1, 2, 3], None, [], [76_799]])


def stores(tmp_path: Path) -> list[Store]:
    return [open_store(str(tmp_path / "run")), open_store(f"memory://{tmp_path.name}")]


def test_tables_come_back_equal_on_disk_and_in_memory(tmp_path: Path) -> None:
    for store in stores(tmp_path):
        for number, table in enumerate((SOME, SOME.slice(1, 2), SOME.slice(0, 0), pa.concat_tables([SOME, SOME]))):
            entry = store.write_mapped(f"t{number}.arrow", table, schema=TOKENS.schema)
            assert store.is_intact(entry, by_hash=True)
            assert store.read_mapped(f"t{number}.arrow", schema=TOKENS.schema).equals(table)
            for columns in (["n_tokens", "token_ids"], ["token_ids"], ["doc_id"]):
                got = store.read_mapped(f"t{number}.arrow", schema=TOKENS.schema, columns=columns)
                assert got.equals(table.select(columns))


def test_a_local_file_is_mapped_and_cannot_be_written_through(tmp_path: Path) -> None:
    store = stores(tmp_path)[0]
    store.write_mapped("t.arrow", tokens([list(range(50_000))]), schema=TOKENS.schema)
    before = pa.total_allocated_bytes()
    got = store.read_mapped("t.arrow", schema=TOKENS.schema)["token_ids"].chunk(0)
    assert pa.total_allocated_bytes() - before < 10_000
    assert not np.asarray(got.values).flags.writeable


def test_every_flipped_bit_is_noticed_or_harmless(tmp_path: Path) -> None:
    for store in stores(tmp_path):
        entry = store.write_mapped("t.arrow", SOME, schema=TOKENS.schema)
        good = store.read_bytes("t.arrow")
        noticed = 0
        for place in range(0, len(good), 3):
            bad = good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :]
            store.write_bytes("t.arrow", bad)
            assert not store.is_intact(entry, by_hash=True)
            try:
                got = store.read_mapped("t.arrow", schema=TOKENS.schema)
            except (StoreError, SchemaError):
                noticed += 1
                continue
            assert got.equals(SOME), f"byte {place}: wrong data without an error"
        assert noticed > len(good) // 6
        store.write_bytes("t.arrow", good)
        assert store.read_mapped("t.arrow", schema=TOKENS.schema).equals(SOME)


def test_a_flipped_id_is_an_error_of_the_columns_that_hold_it_alone(tmp_path: Path) -> None:
    store = stores(tmp_path)[0]
    store.write_mapped("t.arrow", SOME, schema=TOKENS.schema)
    good = store.read_bytes("t.arrow")
    place = good.index(np.array([1, 2, 3], np.uint32).tobytes())
    store.write_bytes("t.arrow", good[:place] + b"\7" + good[place + 1 :])
    with pytest.raises(StoreError, match=r"t\.arrow.*damaged.*'token_ids' is not what was written"):
        store.read_mapped("t.arrow", schema=TOKENS.schema)
    assert store.read_mapped("t.arrow", schema=TOKENS.schema, columns=["n_tokens"]).equals(SOME.select(["n_tokens"]))
    believed = store.read_mapped("t.arrow", schema=TOKENS.schema, columns=["token_ids"], is_checked=False)
    assert believed["token_ids"].to_pylist()[0] == [7, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"ARROW1", b"no table at all"])
def test_damaged_and_missing_files_are_store_errors(tmp_path: Path, damage: bytes) -> None:
    for store in stores(tmp_path):
        with pytest.raises(StoreError, match=r"t\.arrow.*missing or damaged"):
            store.read_mapped("t.arrow", schema=TOKENS.schema)
        store.write_bytes("t.arrow", damage)
        with pytest.raises(StoreError, match=r"t\.arrow.*missing or damaged"):
            store.read_mapped("t.arrow", schema=TOKENS.schema)


def test_another_table_is_refused(tmp_path: Path) -> None:
    store = stores(tmp_path)[0]
    with pytest.raises(SchemaError, match="missing"):
        store.write_mapped("t.arrow", SOME.drop_columns(["n_tokens"]), schema=TOKENS.schema)
    store.write_ipc("plain.arrow", SOME.to_batches(), schema=TOKENS.schema)
    with pytest.raises(StoreError, match="not what was written"):
        store.read_mapped("plain.arrow", schema=TOKENS.schema)


@given(st.lists(st.none() | st.lists(st.integers(0, 2**32 - 1), max_size=5)), st.data())
def test_equal_content_has_equal_hashes_wherever_a_slice_begins(
    lists: list[list[int] | None], data: st.DataObject
) -> None:
    array = pa.array(lists, IDS)
    first = data.draw(st.integers(0, len(lists)))
    n = data.draw(st.integers(0, len(lists) - first))
    alone = pa.array(lists[first : first + n], IDS)
    assert content_hash(array.slice(first, n)) == content_hash(alone)
    other = data.draw(st.lists(st.none() | st.lists(st.integers(0, 2**32 - 1), max_size=5)))
    assert (content_hash(pa.array(other, IDS)) == content_hash(array)) == (other == lists)


def test_where_the_nulls_are_is_part_of_the_hash() -> None:
    assert content_hash(pa.array([None, []], IDS)) != content_hash(pa.array([[], None], IDS))
    assert content_hash(pa.array([None, 0], pa.int64())) != content_hash(pa.array([0, None], pa.int64()))


def test_every_type_that_tables_have_can_be_hashed() -> None:
    for table in (DOCUMENTS, LEDGER, QUALITY):
        for field in table.schema:
            if not pa.types.is_map(field.type):
                assert content_hash(pa.nulls(3, field.type)) != content_hash(pa.nulls(2, field.type))


def test_places_that_a_file_aligns_are_aligned_in_memory() -> None:
    for start in (0, 1, 63, 64, 100):
        found = aligned(b"12345", start)
        assert (found.to_pybytes(), found.address % 64) == (b"12345", start % 64)
