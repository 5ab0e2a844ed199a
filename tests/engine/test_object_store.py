"""A run folder on an object store: what is asked of the server, what a fault may do, and who may overwrite what."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import obstore
import pyarrow as pa
import pytest
from object_server import CREDENTIALS, FAULTS, ObjectServer, object_server

from pipeline.engine import object_disk
from pipeline.engine import store as stores
from pipeline.engine.exchange import Channel
from pipeline.engine.lease import LEASE, hold
from pipeline.engine.markers import Marker, WorkStep, write_marker
from pipeline.engine.object_disk import ObjectDisk
from pipeline.engine.pieces import WHOLE_BYTES
from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store, open_store
from pipeline.errors import StoreError
from pipeline.schema import EXACT_DUPS


@pytest.fixture(scope="module")
def running() -> Iterator[ObjectServer]:
    with object_server() as server:
        yield server


@pytest.fixture
def server(running: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server without faults, named by the environment; pauses between retries are short."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": running.url}).items():
        monkeypatch.setenv(name, value)
    quick = {"init_backoff": timedelta(milliseconds=2), "max_backoff": timedelta(milliseconds=20), "base": 2}
    monkeypatch.setattr(object_disk, "_RETRIES", object_disk._RETRIES | {"backoff": quick})
    monkeypatch.setattr(stores, "_SEEN", {})
    running.forget()
    yield running
    running.fails, running.faults, running.before = 0.0, FAULTS, None


@pytest.fixture
def store(server: ObjectServer, request: pytest.FixtureRequest) -> Store:
    return open_store(f"s3://bucket/{random.Random(request.node.nodeid).getrandbits(64):x}/run")


def rows(n: int = 2) -> pa.Table:
    numbers = np.random.default_rng(0).integers(0, 2**64, n, np.uint64)
    columns = {"doc_id": [f"{k:032x}" for k in range(n)], "group_position": numbers, "group_size": [2] * n}
    return pa.table(columns | {"is_first": [True] * n}, schema=EXACT_DUPS.schema)


def held(store: Store, driver: str = "d" * 32) -> Store:
    """The store of a driver that has the lease."""
    store.write_bytes(LEASE, json.dumps({"driver": driver}).encode())
    return Store(store.root, driver=driver)


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_a_small_file_is_one_request_to_write_and_one_to_read(server: ObjectServer, store: Store) -> None:
    entry = store.write_bytes("a/b/file", b"12345")
    assert store.read_bytes("a/b/file") == b"12345"
    assert store.find("a/b/none") is None
    assert store.is_intact(entry, by_hash=False)
    assert store.is_intact(entry, by_hash=True)
    assert dict(server.forget().requests) == {"PUT": 1, "GET": 3, "HEAD": 1}


def test_many_files_are_read_and_asked_for_by_few_requests(server: ObjectServer, store: Store) -> None:
    entries = [store.write_bytes(f"state/x/{k}.json", str(k).encode()) for k in range(30)]
    server.forget()
    found = store.read_many([*(e.path for e in entries), "state/x/none.json"])
    assert found == {f"state/x/{k}.json": str(k).encode() for k in range(30)}
    assert dict(server.forget().requests) == {"GET": 31}
    wrong = [FileEntry("state/x/3.json", 2, ""), FileEntry("state/x/none.json", 1, "")]
    assert store.intact([*entries, *wrong], by_hash=False) == [True] * 30 + [False] * 2
    assert dict(server.forget().requests) == {"LIST": 1}
    assert store.intact([entries[0], wrong[0]], by_hash=True) == [True, False]
    assert store.sizes("state") == {e.path: e.n_bytes for e in entries}
    assert (store.files("state/x")["3.json"], store.folders("state")) == (1, ["x"])
    server.forget()
    store.remove_files(e.path for e in entries[:5])
    store.remove("state/x")
    assert dict(server.forget().requests) == {"DELETE": 2, "LIST": 1}
    assert store.sizes("") == {}


@pytest.mark.parametrize("n_rows", [3, 100_000])
def test_a_small_exchange_file_is_one_request_beside_its_marker(
    server: ObjectServer, store: Store, n_rows: int
) -> None:
    channel = Channel(store, WorkStep("stage", "mark", "send"), "send", 1, 4)
    numbers = pa.table({"n": np.arange(n_rows)})
    entry = channel.scatter(0, numbers, partition=np.arange(n_rows) * 4 // n_rows)
    write_marker(store, channel.step, 0, marker=Marker((entry,), {}, None, 0.0))
    server.forget()
    assert pa.concat_tables(channel.gather(k) for k in range(4))["n"].to_pylist() == list(range(n_rows))
    is_small = entry.n_bytes <= WHOLE_BYTES
    assert is_small == (n_rows == 3)
    # the marker, the index, and the piece where it did not come along; of three rows one partition has none
    assert server.forget().requests["GET"] == 4 * (2 if is_small else 3)


def test_some_columns_cost_their_bytes_and_the_end_of_the_file(server: ObjectServer, store: Store) -> None:
    table = rows(80_000)
    entry = store.write_parquet("t.parquet", table, schema=EXACT_DUPS.schema)
    assert entry.n_bytes > 2 * object_disk.TAIL_BYTES
    server.forget()
    found = store.read_parquet("t.parquet", schema=EXACT_DUPS.schema, columns=["group_position"])
    assert found["group_position"].equals(table["group_position"])
    asked = server.forget()
    n_groups = -(-80_000 // 16_384)
    assert asked.requests["GET"] <= 1 + n_groups
    assert asked.n_read <= 1.05 * 8 * 80_000 + object_disk.TAIL_BYTES
    assert store.read_parquet("t.parquet", schema=EXACT_DUPS.schema).equals(table)


def test_a_footer_longer_than_what_is_fetched_first_is_read_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_parquet("t.parquet", rows(100), schema=EXACT_DUPS.schema)
    monkeypatch.setattr(object_disk, "TAIL_BYTES", 64)
    assert store.read_parquet("t.parquet", schema=EXACT_DUPS.schema).equals(rows(100))


def test_columns_of_a_mapped_table_and_of_an_ipc_file_come_back(store: Store) -> None:
    table = rows(20_000)
    store.write_mapped("m.arrow", table, schema=EXACT_DUPS.schema)
    found = store.read_mapped("m.arrow", schema=EXACT_DUPS.schema, columns=["group_position"])
    assert found["group_position"].equals(table["group_position"])
    store.write_ipc("i.arrow", table.to_batches(), schema=EXACT_DUPS.schema)
    assert store.read_ipc_whole("i.arrow").equals(table)


def test_ranges_are_there_whole_or_an_error(server: ObjectServer, store: Store) -> None:
    data = bytes(range(256)) * 400
    store.write_bytes("file", data)
    server.forget()
    ranges = [(5, 10), (90_000, 3), (20, 0), (40, 8)]
    found = store.read_ranges("file", ranges)
    assert [f.to_pybytes() for f in found] == [data[a : a + n] for a, n in ranges]
    assert server.forget().requests["GET"] == 2  # two of them lie side by side
    assert [f.address % 64 for f in found if f.size] == [5, 90_000 % 64, 40]
    for range_ in ((len(data) - 2, 3), (len(data) + 9, 1)):
        with pytest.raises(StoreError, match=r"ends before byte|cannot be read"):
            store.read_ranges("file", [range_])


def test_a_store_that_is_pickled_holds_no_secret(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "TOPSECRET")
    store.write_bytes("file", b"1")
    data = pickle.dumps(store)
    assert b"TOPSECRET" not in data
    assert pickle.loads(data).read_bytes("file") == b"1"


# --- whole or not at all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bytes", [10, 300_000, 700_000])
def test_a_large_file_is_sent_in_parts_and_appears_whole(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr(object_disk, "_SPOOLED_BYTES", 200_000)
    data = np.random.default_rng(0).bytes(n_bytes)
    entry = store.write_stream(
        "work/part", lambda file: [file.write(data[k : k + 999]) for k in range(0, n_bytes, 999)]
    )
    assert store.read_bytes("work/part") == data
    assert store.is_intact(entry, by_hash=True)


def test_parts_are_used_where_a_file_is_larger_than_one(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_disk, "_PART_BYTES", 5 << 20)
    data = np.random.default_rng(0).bytes(12 << 20)
    before = []
    server.before = lambda kind, name: before.append(bool(list_of(server, store))) if kind == "PUT" else None
    store.write_bytes("work/part", data)
    server.before = None
    asked = server.forget()
    assert (asked.requests["PUT"], asked.requests["POST"]) == (3, 2)
    assert before == [False] * 3  # nothing stands until all parts do
    assert store.read_bytes("work/part") == data


def list_of(server: ObjectServer, store: Store) -> dict[str, int]:
    return store.sizes("work")


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_write_that_ends_early_leaves_nothing(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    monkeypatch.setattr(object_disk, "_SPOOLED_BYTES", 1_000)

    def fill(file: HashingFile) -> None:
        file.write(b"half" * 1_000)
        raise error

    with pytest.raises(error):
        store.write_stream("tables/x/part-00000-of-00001.parquet", fill)
    assert server.forget().total == 0


# --- who may overwrite what ------------------------------------------------------------------------------------------

SHARD = "tables/x/part-00000-of-00002.parquet"
WRITES: dict[str, Callable[[Store, str, bytes], object]] = {
    "bytes": lambda store, path, data: store.write_bytes(path, data),
    "stream": lambda store, path, data: store.write_stream(path, lambda file: file.write(data)),
}


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize(("path", "asks"), [(SHARD, "PUT"), ("manifest.json", "PUT"), ("manifest.json", "HEAD")])
def test_a_write_that_comes_late_does_not_replace_what_the_next_driver_wrote(
    server: ObjectServer, store: Store, how: str, path: str, asks: str
) -> None:
    """The old driver has asked whose the lease is, or what it may replace, and stands still before that arrives."""

    def meanwhile(kind: str, name: str) -> None:
        if kind == asks and path in name:
            server.before = None
            WRITES[how](held(store, "e" * 32), path, b"of the next")

    for stands in (False, True):
        if stands:
            store.write_bytes(path, b"before")
        old = held(store)
        server.before = meanwhile
        with pytest.raises(StoreError, match="another driver has taken this run over"):
            WRITES[how](old, path, b"late")
        assert store.read_bytes(path) == b"of the next"
        store.remove(path)


def test_a_shard_that_stands_is_replaced_by_whom_the_lease_names(server: ObjectServer, store: Store) -> None:
    driver = held(store)
    for data in (b"one", b"two", b"two"):
        driver.write_bytes(SHARD, data)
        assert store.read_bytes(SHARD) == data


def test_a_new_shard_costs_one_request_and_the_lease_is_asked_at_times(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = held(store)
    server.forget()
    for k in range(5):
        driver.write_bytes(f"tables/x/part-0000{k}-of-00005.parquet", b"x")
    assert dict(server.forget().requests) == {"PUT": 5, "GET": 1}
    monkeypatch.setattr(stores, "_BELIEVED_SECONDS", 0.0)
    held(store, "e" * 32)
    with pytest.raises(StoreError, match="another driver"):
        driver.write_bytes("tables/x/part-00009-of-00010.parquet", b"x")
    assert not store.exists("tables/x/part-00009-of-00010.parquet")


def test_a_file_changes_its_name_and_takes_nobody_elses(server: ObjectServer, store: Store) -> None:
    driver = held(store)
    driver.write_bytes(SHARD, b"one")
    driver.rename(SHARD, "tables/x/part-00001-of-00003.parquet")
    assert store.sizes("tables") == {"tables/x/part-00001-of-00003.parquet": 3}
    driver.write_bytes(SHARD, b"old")
    driver.rename("tables/x/part-00001-of-00003.parquet", SHARD)  # of a count of shards that was before
    assert store.sizes("tables") == {SHARD: 3}
    assert store.read_bytes(SHARD) == b"one"


def test_a_rename_that_comes_late_takes_nothing_from_the_next_driver(server: ObjectServer, store: Store) -> None:
    driver, target = held(store), "tables/x/part-00001-of-00003.parquet"
    driver.write_bytes(SHARD, b"late")

    def meanwhile(kind: str, name: str) -> None:
        if kind == "COPY":
            server.before = None
            held(store, "e" * 32).write_bytes(target, b"of the next")

    server.before = meanwhile
    with pytest.raises(StoreError, match="another driver has taken this run over"):
        driver.rename(SHARD, target)
    assert store.read_bytes(target) == b"of the next"


def test_a_driver_that_lost_the_lease_removes_nothing(store: Store, tmp_path: Path) -> None:
    for place in (store, open_store(str(tmp_path))):
        driver = held(place)
        place.write_bytes(SHARD, b"of the next")
        held(place, "e" * 32)
        with pytest.raises(StoreError, match="another driver has taken this run over"):
            driver.remove("tables")
        with pytest.raises(StoreError, match="another driver has taken this run over"):
            driver.remove_files([SHARD])
        assert place.read_bytes(SHARD) == b"of the next"


# --- the lease -------------------------------------------------------------------------------------------------------


def test_one_of_many_creates_a_name(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda k: store.create("lease.json", f"driver {k}".encode()), range(8)))
    assert sum(won) == 1
    assert store.read_bytes("lease.json") == f"driver {won.index(True)}".encode()


def test_a_name_is_ours_even_if_the_answer_was_lost(server: ObjectServer, store: Store) -> None:
    server.fails, server.faults = 0.5, ("lost",)
    assert all(store.create(f"name{k}", str(k).encode()) for k in range(12))
    assert not any(store.create(f"name{k}", b"of another") for k in range(12))


def test_the_lease_keeps_a_second_driver_out_and_leaves_nothing(server: ObjectServer, store: Store) -> None:
    with hold(store), pytest.raises(StoreError, match="works on it"), hold(store):
        pass
    assert store.sizes("") == {}


def test_storage_that_overwrites_what_is_created_is_refused(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(self: ObjectDisk, path: str, data: bytes) -> bool:
        obstore.put(self.writes, path, data)
        return True

    monkeypatch.setattr(ObjectDisk, "create", careless)
    with pytest.raises(StoreError, match="knows no conditional PUT"), hold(store):
        pass
    assert store.sizes("") == {}


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_fifth_of_the_requests_meets_is_asked_again(server: ObjectServer, store: Store, fault: str) -> None:
    driver, table = held(store), rows(4_000)
    server.fails, server.faults = 0.2, (fault,)
    for k in range(5):
        path = f"tables/x/part-0000{k}-of-00005.parquet"
        entry = driver.write_parquet(path, table, schema=EXACT_DUPS.schema)
        driver.write_bytes("manifest.json", str(k).encode())
        assert driver.read_parquet(path, schema=EXACT_DUPS.schema, columns=["doc_id"]).num_rows == 4_000
        assert driver.is_intact(entry, by_hash=True)
        driver.rename(path, path.replace("00005", "00006"))
        assert len(driver.files("tables/x")) == 1
        driver.remove("tables/x")
    server.fails = 0.0
    assert store.files("tables/x") == {}
    assert store.read_bytes("manifest.json") == b"4"


@pytest.mark.parametrize("fault", ["503", "429", "reset", "partial"])
def test_a_server_that_never_answers_is_one_clear_line(server: ObjectServer, store: Store, fault: str) -> None:
    entry = store.write_parquet("t.parquet", rows(), schema=EXACT_DUPS.schema)
    driver = held(store)
    server.fails, server.faults = 1.0, (fault,)
    asks: list[Callable[[], object]] = [
        lambda: store.read_bytes("t.parquet"),
        lambda: store.read_many(["t.parquet"]),
        lambda: store.read_parquet("t.parquet", schema=EXACT_DUPS.schema),
        lambda: store.files(""),
        lambda: store.sizes(""),
        lambda: store.is_intact(entry, by_hash=True),
    ]
    if fault != "partial":  # what is cut off behind a PUT has been done
        asks += [lambda: driver.write_bytes("x", b"1"), lambda: store.create("y", b"1"), lambda: store.exists("x")]
    for ask in asks:
        with pytest.raises(StoreError, match=r"^s3://bucket/[^\n]*$") as caught:
            ask()
        assert len(str(caught.value)) < 600


def test_whom_the_store_refuses_is_told_in_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*asked: object, **options: object) -> None:
        raise obstore.exceptions.PermissionDeniedError("Access Denied\n\nDebug source:\nall of it")

    monkeypatch.setattr(obstore, "get", refuse)
    with pytest.raises(StoreError, match=r"^s3://bucket/[^\n]* cannot be read: Access Denied; run the same[^\n]*$"):
        store.read_bytes("x")


def test_a_bucket_that_is_not_there_is_one_clear_line(server: ObjectServer) -> None:
    with pytest.raises(StoreError, match=r"^s3://nowhere/run[^\n]*NoSuchBucket"):
        open_store("s3://nowhere/run").write_bytes("x", b"1")
