"""Small items that one task works off together: rows, markers and what is asked of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, doc_id, documents
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import exchange, lots
from pipeline.engine.beside import make_beside, path_beside, read_beside, small_columns, write_beside
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.held import held, holding
from pipeline.engine.lots import LOT_ITEMS, LotCut, Lots, cut_lots, cut_of
from pipeline.engine.map_stages import _worked_off
from pipeline.engine.markers import Outcome
from pipeline.engine.progress import silent
from pipeline.engine.stage import Job, Workplace
from pipeline.engine.store import Store, open_store
from pipeline.engine.tables import Tables
from pipeline.engine.working import FileHashes, Lot
from pipeline.errors import StageError, StoreError, WorkerDied
from pipeline.schema import DOCUMENTS, EXACT_DUPS

N_SHARDS, N_PARTITIONS = 7, 5
CUT = LotCut(Lots(N_SHARDS, (3, 4, 7)), 1_000)  # of several, of one, of several


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """On a server, where small items share."""
    return open_store(f"memory://{tmp_path.name}")


# --- how items are cut -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3 * lots.LOT_BYTES), max_size=200))
def test_each_item_is_in_one_lot_of_neighbours_that_is_no_larger_than_it_may(n_bytes: list[int]) -> None:
    found = cut_lots(n_bytes)
    assert [item for lot in found for item in lot] == list(range(len(n_bytes)))
    for number, lot in enumerate(found):
        assert {found.of(item) for item in lot} == {number}
        assert len(lot) == 1 or (len(lot) <= LOT_ITEMS and sum(n_bytes[k] for k in lot) <= lots.LOT_BYTES)


def test_large_shards_and_their_partitions_stand_alone_and_small_ones_do_not() -> None:
    large = cut_of([64_000_000] * 10)
    assert [len(large.lots(n)) for n in (1, 10, 40)] == [1, 10, 40]
    small = cut_of([500_000] * 64)
    assert [len(small.lots(n)) for n in (1, 4, 64, 640)] == [1, 4, 4, 10]
    assert not cut_of([]).is_of_several


# --- what items scatter ----------------------------------------------------------------------------------------------


def rows(source: int) -> pa.Table:
    """Some rows of a source; of one none."""
    return pa.table({"value": np.arange(20 * source % 70, dtype=np.int64) + 1_000 * source})


def send(out: Channel, each: Channel, source: int, _: None) -> Outcome:
    table = rows(source)
    files = (
        out.scatter(source, table, partition=table["value"].to_numpy() * 7 % N_PARTITIONS),
        each.scatter(source, table, partition=np.zeros(table.num_rows, np.int64)),
    )
    return Outcome(files, {"n_rows": table.num_rows})


def take(out: Channel, back: Channel, partition: int, _: None) -> Outcome:
    found = out.gather(partition)
    return Outcome((back.scatter(partition, found, partition=found["value"].to_numpy() % N_SHARDS),), {})


@dataclass
class Counting:
    """Works in process and counts the tasks."""

    n: int = 0

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.n += 1
            yield item, task(item)

    def describe(self) -> str:
        return "counted"


def exchanged(store: Store, cut: LotCut, executor: Any) -> tuple[list[Any], Channel]:
    """What arrives at each shard by way of the partitions, and of each source; twice through the same steps."""
    job = Job(Workplace(executor, silent()), Tables(store, N_SHARDS, "stage"), "stage", "mark", None, cut=cut)
    out = job.channel("send", n_sources=N_SHARDS, n_partitions=N_PARTITIONS)
    each = job.channel("send", "each", n_sources=N_SHARDS, n_partitions=1, by_source=True)
    back = job.channel("take", n_sources=N_PARTITIONS, n_partitions=N_SHARDS)
    done = job.step("send", partial(send, out, each), items=N_SHARDS)
    assert done.counts["n_rows"] == sum(rows(k).num_rows for k in range(N_SHARDS))
    assert done.most["n_rows"] == max(rows(k).num_rows for k in range(N_SHARDS))
    job.step("take", partial(take, out, back), items=N_PARTITIONS)
    found: list[Any] = [back.gather(shard)["value"].to_pylist() for shard in range(N_SHARDS)]
    found += [table["value"].to_pylist() for table in each.each_source(0, N_SHARDS)]
    found += [each.gather_from(source, 0)["value"].to_pylist() for source in (0, 2, 5)]
    with holding(store, range(2, 5), {}):  # as a task of some items reads them
        found += [back.gather(shard)["value"].to_pylist() for shard in (2, 3, 4, 6)]
    return found, out


@pytest.mark.parametrize("executor", [InlineExecutor(), ShuffledExecutor(1)])
def test_rows_and_their_order_are_those_of_items_by_themselves(store: Store, tmp_path: Path, executor: Any) -> None:
    alone, _ = exchanged(open_store(str(tmp_path)), lots.ALONE, InlineExecutor())
    together, out = exchanged(store, CUT, executor)
    assert together == alone
    assert any(alone)
    assert len(store.files(out.layers[0].folder)) == 3
    assert sorted(store.files(out.step.folder)) == ["00000-00002.json", "00003.json", "00004-00006.json"]


def test_a_lot_stands_whole_or_is_done_again(store: Store) -> None:
    first, out = exchanged(store, CUT, counting := Counting())
    assert counting.n == 3 + 1  # lots of sources, and all partitions in one
    again, _ = exchanged(store, CUT, counting := Counting())
    assert (again, counting.n) == (first, 0)
    store.write_bytes(out.layers[0].file(2), b"damaged")
    again, _ = exchanged(store, CUT, counting := Counting())
    assert (again, counting.n) == (first, 1)
    store.write_bytes(f"{out.step.folder}/00000-00002.json", b"[]")
    again, _ = exchanged(store, CUT, counting := Counting())
    assert (again, counting.n) == (first, 1)


def test_an_item_that_fails_is_named_and_its_lot_leaves_no_marker(store: Store) -> None:
    def fails(item: int, _: None) -> Outcome:
        if item == 5:
            raise ValueError("sick")
        return Outcome((), {})

    job = Job(Workplace(InlineExecutor(), silent()), Tables(store, N_SHARDS, "stage"), "stage", "mark", None, cut=CUT)
    with pytest.raises(StageError, match=r"stage\.look failed on item 5: ValueError: sick"):
        job.step("look", fails, items=N_SHARDS)
    assert sorted(store.files("state/stage/mark/look")) == ["00000-00002.json", "00003.json"]
    assert held() is None


# --- small columns ---------------------------------------------------------------------------------------------------


def written(store: Store) -> tuple[Tables, list[Any]]:
    tables = Tables(store, N_SHARDS, DOCUMENTS.name)
    contents = [[f"text {shard} {row}" for row in range(shard)] for shard in range(N_SHARDS)]
    entries = [tables.write(DOCUMENTS, k, data=documents(k, contents[k])) for k in range(N_SHARDS)]
    return tables, entries


def test_columns_beside_each_other_are_what_the_files_hold(store: Store) -> None:
    tables, entries = written(store)
    hashes = [entry.sha256 for entry in entries[:3]]
    with holding(store, range(3), {DOCUMENTS.name: hashes}):
        for shard in range(4):  # the last is in no lot
            for columns in (["doc_id", "repo"], ["content", "path"], ["n_bytes"]):
                found = tables.read(DOCUMENTS, shard, columns=columns)
                assert found.equals(documents(shard, [f"text {shard} {row}" for row in range(shard)]).select(columns))
    made = read_beside(store, hashes)
    assert made is not None
    assert made.names == frozenset(small_columns(DOCUMENTS))
    assert "content" not in made.names


def test_columns_are_read_once_for_all_shards_of_a_lot(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = Tables(store, N_SHARDS, DOCUMENTS.name)
    with holding(store, range(3), {}) as here:
        for shard in range(3):
            tables.write(DOCUMENTS, shard, data=documents(shard, ["x"] * shard))
        here.finish()
    hashes = [tables.write(DOCUMENTS, shard, data=documents(shard, ["x"] * shard)).sha256 for shard in range(3)]
    assert store.exists(path_beside(hashes))
    asked: list[str] = []
    find = Store.find
    monkeypatch.setattr(Store, "find", lambda self, path: (asked.append(path), find(self, path))[1])
    monkeypatch.setattr(Store, "read_parquet", lambda *_, **__: pytest.fail("a file was opened"))
    with holding(store, range(3), {DOCUMENTS.name: hashes}):
        found = [tables.read(DOCUMENTS, k, columns=[name]) for name in ("doc_id", "path") for k in range(3)]
    assert found[2]["doc_id"].to_pylist() == [doc_id(2, 0), doc_id(2, 1)]
    assert asked == [path_beside(hashes)]


def test_columns_of_a_file_that_is_another_are_not_put_beside(store: Store) -> None:
    """A task of a driver that was taken for dead may find files of the next one under the same names."""
    tables, entries = written(store)
    hashes = [entry.sha256 for entry in entries[:3]]
    tables.write(DOCUMENTS, 1, data=documents(1, ["of the next"]))
    paths = [entry.path for entry in entries[:3]]
    assert make_beside(store, DOCUMENTS, paths, hashes=hashes) is None
    assert read_beside(store, hashes) is None
    with holding(store, range(3), {DOCUMENTS.name: hashes}):
        assert tables.read(DOCUMENTS, 2, columns=["doc_id"]).num_rows == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_columns_that_are_damaged_are_an_error(store: Store, damage: str) -> None:
    table = pa.table(
        {"doc_id": ["a"], "group_position": [1], "group_size": [1], "is_first": [True]}, schema=EXACT_DUPS.schema
    )
    write_beside(store, EXACT_DUPS, [table, table], hashes=["x", "y"])
    good = store.read_bytes(path_beside(["x", "y"]))
    bad = {"cut": good[:-1], "flip": good[:-9] + b"\xff" + good[-8:], "empty": b""}[damage]
    store.write_bytes(path_beside(["x", "y"]), bad)
    with pytest.raises(StoreError, match="is damaged"):
        read_beside(store, ["x", "y"])


def test_hashes_are_those_of_the_files_of_a_lot() -> None:
    from pipeline.engine.store import FileEntry

    known = FileHashes()
    known.add("documents", [FileEntry(str(k), 1, f"{k:064x}") for k in range(5)])
    assert known.of(range(2, 4)) == {"documents": (f"{2:064x}", f"{3:064x}")}
    assert known.of(range(2, 3)) == {}
    assert "documents" in known
    assert "select" not in known


# --- workers that die ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deadly:
    """The worker dies of lots that hold one of these items."""

    items: frozenset[int]

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for lot in items:
            if self.items & set(lot.items):
                raise WorkerDied("died", item=lot)
            yield lot, task(lot)

    def describe(self) -> str:
        return "deadly"


def lots_of(items: Lots) -> list[Lot]:
    return [Lot(lot, list(lot), {}) for lot in items]


def test_where_a_lot_takes_its_worker_its_items_are_tried_one_by_one() -> None:
    done: list[int] = []
    with pytest.raises(WorkerDied) as death:
        for lot, made in _worked_off(
            Deadly(frozenset({5})), lambda lot: list(lot.payloads), lots_of(CUT.shards), name=""
        ):
            assert made == list(lot.items)
            done += made
    assert death.value.item == Lot(range(5, 6), (5,), {})
    assert done == [0, 1, 2, 3, 4]


def test_a_lot_of_which_no_item_alone_takes_its_worker_is_done() -> None:
    @dataclass(frozen=True)
    class Crowded(Deadly):
        def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
            for lot in items:
                if len(lot.items) > 2 and 0 in lot.items:
                    raise WorkerDied("together", item=lot)
                yield lot, task(lot)

    todo = lots_of(CUT.shards)
    made = [
        one for _, some in _worked_off(Crowded(frozenset()), lambda lot: list(lot.items), todo, name="") for one in some
    ]
    assert sorted(made) == list(range(N_SHARDS))


def test_who_gathers_a_few_files_asks_no_marker(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the markers say came to the driver with the results, or when it looked what stands."""
    monkeypatch.setattr(exchange, "read_lot", lambda *_: pytest.fail("a marker was asked for"))
    first, _ = exchanged(store, CUT, InlineExecutor())
    assert exchanged(store, CUT, InlineExecutor())[0] == first
