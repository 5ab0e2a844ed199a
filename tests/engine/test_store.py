from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest

from pipeline.engine.store import Store, open_store, part
from pipeline.errors import SchemaError, StoreError
from pipeline.schema import EXACT_DUPS


def table() -> pa.Table:
    return pa.table(
        {
            "doc_id": ["a", "b"],
            "group_position": pa.array([0, 0], pa.uint64()),
            "group_size": pa.array([2, 2], pa.int64()),
            "is_first": [True, False],
        }
    )


def stores(tmp_path: Path) -> list[Store]:
    return [open_store(str(tmp_path / "run")), open_store(f"memory://{tmp_path.name}")]


def test_tables_come_back_equal_on_disk_and_in_memory(tmp_path: Path) -> None:
    for store in stores(tmp_path):
        entry = store.write_parquet("tables/x/part.parquet", table(), schema=EXACT_DUPS.schema)
        assert store.is_intact(entry, by_hash=True)
        assert store.read_parquet("tables/x/part.parquet", schema=EXACT_DUPS.schema).to_pylist() == table().to_pylist()
        only = store.read_parquet("tables/x/part.parquet", schema=EXACT_DUPS.schema, columns=["is_first"])
        assert only.column_names == ["is_first"]
        assert store.files("tables/x") == {"part.parquet": entry.n_bytes}
        store.remove("tables/x")
        store.remove("tables/x")
        assert not store.is_intact(entry, by_hash=False)
        assert store.files("tables/x") == {}


def test_a_write_leaves_nothing_beside_its_file(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write_bytes("a/b/file", b"one")
    store.write_bytes("a/b/file", b"two")
    assert [p.name for p in (tmp_path / "a/b").iterdir()] == ["file"]
    assert store.read_bytes("a/b/file") == b"two"


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    entry = store.write_parquet("t.parquet", table(), schema=EXACT_DUPS.schema)
    good = (tmp_path / "t.parquet").read_bytes()
    noticed = 0
    for place in range(4, len(good) - 8, 37):
        (tmp_path / "t.parquet").write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert not store.is_intact(entry, by_hash=True)
        try:
            same = store.read_parquet("t.parquet", schema=EXACT_DUPS.schema).to_pylist() == table().to_pylist()
        except (StoreError, SchemaError):
            noticed += 1
            continue
        assert same, f"byte {place}: wrong data without an error"
    assert noticed > 0


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not parquet at all"])
def test_damaged_files_are_store_errors(tmp_path: Path, damage: bytes) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / "t.parquet").write_bytes(damage)
    with pytest.raises(StoreError, match=r"t\.parquet.*missing or damaged"):
        store.read_parquet("t.parquet", schema=EXACT_DUPS.schema)
    with pytest.raises(StoreError, match="missing or damaged"):
        store.read_ipc_whole("t.parquet")


def test_missing_file_is_a_store_error(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with pytest.raises(StoreError, match="missing"):
        store.read_parquet("none.parquet", schema=EXACT_DUPS.schema)
    with pytest.raises(StoreError, match="cannot be read"):
        store.read_bytes("none")


def test_links_are_neither_files_nor_folders_of_a_run(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write_bytes("tables/x/part", b"x")
    (tmp_path / "tables/link").symlink_to(tmp_path / "tables/x")
    (tmp_path / "tables/x/link").symlink_to(tmp_path / "tables/x/part")
    assert (store.folders("tables"), store.files("tables/x")) == (["x"], {"part": 1})


def test_a_range_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    for store in stores(tmp_path):
        store.write_bytes("file", b"12345")
        assert store.read_range("file", 1, 3).to_pybytes() == b"234"
        with pytest.raises(StoreError, match="ends before byte 7"):
            store.read_range("file", 4, 3)


def test_what_others_wrote_into_a_folder_is_seen_on_a_file_system_that_remembers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Markers that tasks elsewhere wrote would stay behind for ever."""
    memory = fsspec.filesystem("memory")
    ls, remembered = type(memory).ls, dict[str, Any]()
    monkeypatch.setattr(type(memory), "invalidate_cache", lambda self, path=None: remembered.clear())
    monkeypatch.setattr(
        type(memory), "ls", lambda self, path, **kinds: remembered.setdefault(path, ls(self, path, **kinds))
    )
    store = open_store(f"memory://{tmp_path.name}")
    store.write_bytes("state/a/one.json", b"1")
    assert store.files("state/a") == {"one.json": 1}
    memory.pipe_file(store.full("state/a/two.json"), b"12")
    assert store.files("state/a") == {"one.json": 1, "two.json": 2}


def test_unwritable_place_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        open_store(str(tmp_path)).write_bytes("file/below", b"x")


def test_paths_cannot_leave_the_run(tmp_path: Path) -> None:
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(StoreError, match="leads out of the run"):
            open_store(str(tmp_path)).full(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["is_first"]), "missing"),
        (lambda t: t.append_column("more", pa.array([1, 2])), "not in the schema"),
        (lambda t: t.set_column(2, "group_size", pa.array([1, 2], pa.int32())), "expected int64"),
        (lambda t: t.set_column(0, "doc_id", pa.array(["a", None])), "1 nulls"),
    ],
)
def test_wrong_tables_are_refused_when_written(tmp_path: Path, change: object, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        open_store(str(tmp_path)).write_parquet("t", change(table()), schema=EXACT_DUPS.schema)  # type: ignore[operator]


def test_equal_tables_make_equal_bytes_however_they_are_chunked(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    chunked = pa.concat_tables([table().slice(0, 1), table().slice(1, 1)])
    one = store.write_parquet("one", table(), schema=EXACT_DUPS.schema)
    two = store.write_parquet("two", chunked, schema=EXACT_DUPS.schema)
    assert one.sha256 == two.sha256


def test_shard_names_sort_in_order() -> None:
    assert part(3, 16) == "part-00003-of-00016.parquet"
    assert sorted(part(i, 12) for i in range(12)) == [part(i, 12) for i in range(12)]


def test_a_flipped_byte_in_data_that_does_not_compress_is_found(tmp_path: Path) -> None:
    """Random numbers lie in the file as they are, so nothing but the page's checksum can tell that one is another."""
    numbers = np.random.default_rng(0).integers(0, 2**64, 500, np.uint64)
    rows = {"doc_id": ["a"] * 500, "group_position": numbers, "group_size": [1] * 500, "is_first": [True] * 500}
    store = open_store(str(tmp_path))
    store.write_parquet("t.parquet", pa.table(rows, schema=EXACT_DUPS.schema), schema=EXACT_DUPS.schema)
    good = (tmp_path / "t.parquet").read_bytes()
    at = good.index(int(numbers[250]).to_bytes(8, "little"))
    (tmp_path / "t.parquet").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(StoreError, match="damaged"):
        store.read_parquet("t.parquet", schema=EXACT_DUPS.schema)
