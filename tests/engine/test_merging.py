"""Channels of many sources: merged in rounds, and every gather reads what it would have read without."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, StoppingExecutor, digests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import exchange, merging, stage
from pipeline.engine.exchange import Channel, ExchangeLayer
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.markers import Marker, Outcome, WorkStep, parse_marker, to_bytes, write_marker
from pipeline.engine.merging import windows
from pipeline.engine.pieces import ExchangeIndex, write_pieces
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.stage import Job, Workplace
from pipeline.engine.store import Block, Store, open_store
from pipeline.engine.tables import Tables
from pipeline.errors import StageError, StoreError
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

Rows = list[list[tuple[int, str]]]  # of each source: partition and value
rows = st.lists(st.lists(st.tuples(st.integers(0, 6), st.text(max_size=3)), max_size=6), min_size=1, max_size=12)


def job_in(store: Store, executor: Executor | None = None) -> Job:
    return Job(Workplace(executor or InlineExecutor(), silent()), Tables(store, 1, "stage"), "stage", "mark", None)


def send(channel: Channel, sources: Rows, source: int, _: None) -> Outcome:
    partition, value = zip(*sources[source], strict=True) if sources[source] else ((), ())
    table = pa.table({"value": pa.array(value, pa.string()), "source": pa.array([source] * len(value), pa.int64())})
    return Outcome((channel.scatter(source, table, partition=np.array(partition, np.int64)),), {"n": len(value)})


def filled(job: Job, sources: Rows, *, n: int, by_source: bool = False) -> Channel:
    """A channel of these rows, scattered by a step of the job."""
    channel = job.channel("send", n_sources=len(sources), n_partitions=n, by_source=by_source)
    done = job.step("send", partial(send, channel, sources), items=len(sources))
    assert done.counts["n"] == sum(len(s) for s in sources)
    return channel


def expected(sources: Rows, partition: int) -> list[dict[str, Any]]:
    every = enumerate(sources)
    return [{"value": value, "source": i} for i, sent in every for k, value in sent if k == partition]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merges of two files into three bands: three rounds for eight sources."""
    monkeypatch.setattr(exchange, "FAN_IN", 2)
    monkeypatch.setattr(exchange, "N_BANDS", 3)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def many(n: int) -> Rows:
    return [[(k, f"{source} {k}") for k in range(source % 3, 7, 2)] for source in range(n)]


@pytest.mark.usefixtures("narrow")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(rows, st.integers(1, 400), st.integers(0, 10**9))
def test_a_gather_reads_the_same_rows_in_the_same_order(
    tmp_path_factory: pytest.TempPathFactory, sources: Rows, window: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "WINDOW_BYTES", window)
        store = open_store(str(tmp_path_factory.mktemp("run")))
        channel = filled(job_in(store, ShuffledExecutor(seed)), sources, n=7)
    assert (len(channel.layers) > 1) == (len(sources) > 2)
    assert [channel.gather(k).to_pylist() for k in range(7)] == [expected(sources, k) for k in range(7)]
    assert channel.everything().to_pylist() == [row for k in range(7) for row in expected(sources, k)]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("remote", [False, True])
def test_no_gather_reads_more_files_than_it_may_and_only_the_last_layer_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    store = open_store(f"memory://{tmp_path.name}" if remote else str(tmp_path))
    channel = filled(job_in(store), many(11), n=7)
    assert [(layer.n_groups, layer.n_bands) for layer in channel.layers] == [(11, 1), (6, 3), (3, 7), (2, 7)]
    assert store.folders("work/stage/mark") == ["send-merge-3"]
    read: list[int] = []
    index = ExchangeLayer.index
    monkeypatch.setattr(ExchangeLayer, "index", lambda self, at, i: read.append(i) or index(self, at, i))
    assert channel.gather(4).to_pylist() == expected(many(11), 4)
    assert read == [4, 11]


def test_windows_hold_so_many_bytes_or_one_partition() -> None:
    def index(sizes: dict[int, int]) -> ExchangeIndex:
        start = np.cumsum([0, *sizes.values()])
        return ExchangeIndex(
            "f", pa.schema([]), np.array(list(sizes), np.int64), start, np.zeros(len(sizes), np.uint64)
        )

    indices = [index({2: 4, 3: 4, 5: 30, 6: 1, 9: 50}), index({3: 2, 4: 1, 5: 30, 7: 9, 8: 1}), index({})]
    assert list(windows(indices, 2, 9, n_bytes=10)) == [(2, 4), (4, 5), (5, 6), (6, 8), (8, 9)]
    assert list(windows(indices, 3, 5, n_bytes=7)) == [(3, 5)]
    assert list(windows([index({})], 0, 4, n_bytes=7)) == [(0, 4)]


def test_up_to_the_fan_in_nothing_is_merged(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    step = WorkStep("stage", "mark", "send")
    counts = [len(Channel(store, step, "send", n, 8_192).layers) for n in (1, 64, 65, 4_096, 4_097, 100_000)]
    assert counts == [1, 1, 2, 2, 3, 3]
    last = Channel(store, step, "send", 100_000, 8_192).layers[-1]
    assert last.n_groups <= exchange.FAN_IN
    assert last.n_files == 25 * 256  # so no merge writes more than some hundredths of a percent


@pytest.mark.parametrize(("n_bands", "n"), [(1, 5), (3, 7), (7, 7), (16, 8_192), (16, 33), (256, 8_191)])
def test_bands_cut_the_partitions_and_later_ones_are_inside_earlier_ones(n_bands: int, n: int) -> None:
    layer = ExchangeLayer(WorkStep("s", "m"), "f", 1, n_bands, n)
    bounds = [layer.partitions(band) for band in range(n_bands)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert all(layer.band_of(k) == band for band, (first, last) in enumerate(bounds) for k in range(first, last))
    later = ExchangeLayer(WorkStep("s", "m"), "f", 1, min(n, 16 * n_bands), n)
    for band in range(later.n_bands):
        first, last = later.partitions(band)
        assert layer.band_of(first) == layer.band_of(last - 1)


# --- stops and damage ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("narrow")
def test_a_job_that_is_stopped_anywhere_goes_on_to_the_same_files(tmp_path: Path) -> None:
    sources, undisturbed = many(5), StoppingExecutor(10_000)
    filled(job_in(open_store(str(tmp_path / "whole")), undisturbed), sources, n=7)
    whole, n_items = digests(tmp_path / "whole" / "work"), 10_000 - undisturbed.at
    assert n_items == 5 + 3 * 3 + 2 * 7
    for at in range(1, n_items + 1):
        store, again = open_store(str(tmp_path / f"{at}")), StoppingExecutor(10_000)
        with pytest.raises(KeyboardInterrupt):
            filled(job_in(store, StoppingExecutor(at)), sources, n=7)
        filled(job_in(store, again), sources, n=7)
        assert (at - 1) + (10_000 - again.at) == n_items  # nothing is done twice
        assert digests(tmp_path / f"{at}" / "work") == whole


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_stop_while_merged_files_are_removed_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    store, sources, removed = open_store(str(tmp_path)), many(9), []
    remove = Store.remove

    def half(self: Store, path: str) -> None:
        removed.append(path)
        if len(removed) == at:
            for name in list(self.files(path))[::2]:
                remove(self, f"{path}/{name}")
            raise KeyboardInterrupt
        remove(self, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "remove", half)
        filled(job_in(store), sources, n=7)
    again = StoppingExecutor(10_000)
    channel = filled(job_in(store, again), sources, n=7)
    assert 10_000 - again.at == sum(layer.n_files for layer in channel.layers[at + 1 :])
    assert store.folders("work/stage/mark") == ["send-merge-3"]
    assert channel.gather(4).to_pylist() == expected(sources, 4)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("damage", ["gone", "flip", "no marker"])
def test_a_merged_file_that_is_lost_is_made_anew_from_the_start(tmp_path: Path, damage: str) -> None:
    store, sources = open_store(str(tmp_path)), many(9)
    channel = filled(job_in(store), sources, n=7)
    whole = digests(tmp_path / "work")
    file = tmp_path / channel.layers[-1].file(9)
    match damage:
        case "gone":
            file.unlink()
        case "flip":
            data = file.read_bytes()
            file.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        case "no marker":
            (tmp_path / channel.layers[-1].step.folder / "00009.json").unlink()
    filled(job_in(store), sources, n=7)
    assert digests(tmp_path / "work") == whole


# --- what a gather believes ------------------------------------------------------------------------------------------

DAMAGES = ["flip", "index", "cut", "swap", "unmarked", "unnamed", "short", "other partitions"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("fan_in", [2, 64])
def test_a_gather_refuses_what_no_marker_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, fan_in: int
) -> None:
    monkeypatch.setattr(exchange, "FAN_IN", fan_in)
    monkeypatch.setattr(exchange, "N_BANDS", 1)
    store = open_store(str(tmp_path))
    channel = filled(job_in(store), [[(0, f"{source}-one"), (1, f"{source}-two")] for source in range(4)], n=2)
    layer = channel.layers[-1]
    assert len(channel.layers) == (2 if fan_in == 2 else 1)
    first, file = tmp_path / layer.file(0), tmp_path / layer.file(1)
    markers = [tmp_path / layer.step.folder / f"0000{item}.json" for item in (0, 1)]
    good, entry = file.read_bytes(), parse_marker(markers[1].read_bytes()).files[0]  # type: ignore[union-attr]
    match damage:
        case "flip":
            at = good.rindex(b"-two")
            file.write_bytes(good[:at] + b"+two" + good[at + 4 :])
        case "index":
            at = entry.blocks[0].start + entry.blocks[0].n_bytes - 1  # the hash of the last batch
            file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        case "cut":
            file.write_bytes(good[: len(good) // 2])
        case "swap":  # a sound file of the same size that another configuration might have left
            assert first.stat().st_size == len(good)
            file.write_bytes(first.read_bytes())
        case "unmarked":
            markers[1].unlink()
        case "unnamed":
            markers[1].write_bytes(markers[0].read_bytes())
        case "short":
            markers[1].write_bytes(to_bytes(Marker((replace(entry, blocks=()),), {}, None, 0.0)))
        case "other partitions":
            table = pa.table({"value": ["x"], "source": [1]})
            made = write_pieces(store, layer.file(1), [(1, table)], schema=table.schema, n_partitions=3)
            markers[1].write_bytes(to_bytes(Marker((made,), {}, None, 0.0)))
    with pytest.raises(StoreError, match=r"(run the same command|curate the run) again"):
        channel.gather(1)


def test_an_item_of_a_version_that_listed_each_piece_is_done_again(tmp_path: Path) -> None:
    store, sources = open_store(str(tmp_path)), many(2)
    channel = filled(job_in(store), sources, n=7)
    path = tmp_path / channel.step.folder / "00001.json"
    entry = parse_marker(path.read_bytes()).files[0]  # type: ignore[union-attr]
    older = replace(entry, blocks=(Block(0, 8, "0" * 16), Block(8, 8, "0" * 16)))
    path.write_bytes(to_bytes(Marker((older,), {"n": len(sources[1])}, None, 0.0)))
    assert filled(job_in(store), sources, n=7).gather(3).to_pylist() == expected(sources, 3)


def test_who_reads_file_by_file_must_say_so(tmp_path: Path) -> None:
    store, sources = open_store(str(tmp_path)), many(70)
    channel = filled(job_in(store), sources[:2], n=7)
    with pytest.raises(StageError, match="by_source"):
        channel.gather_from(0, 0)
    with pytest.raises(StageError, match="by_source"):
        channel.gather_each(0)
    store = open_store(str(tmp_path / "other"))
    channel = filled(job_in(store), sources, n=7, by_source=True)
    assert len(channel.layers) == 1
    found = [table["value"].to_pylist() for table in channel.gather_each(4)]
    assert found == [[value for k, value in sent if k == 4] for sent in sources]


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_neither_file_nor_marker_grows_with_empty_partitions(tmp_path: Path) -> None:
    sizes = []
    for n in (2, 8_192):
        store = open_store(str(tmp_path / f"{n}"))
        channel = filled(job_in(store), [[(0, "a"), (1, "b")]], n=n)
        file, marker = channel.layers[0].file(0), f"{channel.step.folder}/00000.json"
        sizes.append((len(store.read_bytes(file)), len(store.read_bytes(marker)) // 10))
    assert sizes[0] == sizes[1]


def test_a_piece_of_several_batches_is_read_whole(tmp_path: Path) -> None:
    """Text of more than 2 GB does not fit one batch; here each row is one."""

    class Large:
        def __init__(self, table: pa.Table) -> None:
            self._table = table

        def combine_chunks(self) -> Large:
            return self

        def to_batches(self) -> list[pa.RecordBatch]:
            return self._table.to_batches(max_chunksize=1)

    store = open_store(str(tmp_path))
    channel = Channel(store, WorkStep("stage", "mark", "send"), "send", 1, 3)
    table = pa.table({"value": ["a", "b", "c"]})
    pieces: Any = [(0, table.slice(0, 1)), (1, Large(table)), (2, table.slice(2, 1))]
    entry = write_pieces(store, channel.layers[0].file(0), pieces, schema=table.schema, n_partitions=3)
    write_marker(store, channel.step, 0, marker=Marker((entry,), {}, None, 0.0))
    assert [channel.gather(k)["value"].to_pylist() for k in range(3)] == [["a"], ["a", "b", "c"], ["c"]]
    assert pa.ipc.open_stream(tmp_path / entry.path).read_all()["value"].to_pylist() == ["a", "a", "b", "c", "c"]


@pytest.mark.parametrize("by_source", [False, True])
@pytest.mark.parametrize("n", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_thousands_of_sources_never_hold_many_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, by_source: bool
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    before, peak = len(list(Path("/proc/self/fd").iterdir())), 0
    read = pa.ipc.read_record_batch

    def counted(*arguments: Any) -> pa.RecordBatch:
        nonlocal peak
        peak = max(peak, len(list(Path("/proc/self/fd").iterdir())))
        return read(*arguments)

    monkeypatch.setattr(pa.ipc, "read_record_batch", counted)
    sources = [[(source % 2, f"{source}")] for source in range(n)]
    channel = filled(job_in(open_store(str(tmp_path))), sources, n=2, by_source=by_source)
    found = channel.gather_each(1) if by_source else [channel.gather(1)]
    assert [value for table in found for value in table["value"].to_pylist()] == [f"{s}" for s in range(1, n, 2)]
    assert 0 < peak <= before + exchange.FAN_IN


# --- the whole path --------------------------------------------------------------------------------------------------


def test_a_run_that_merges_all_it_can_has_the_bytes_of_one_that_merges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = load_mixture(Path(__file__).parents[1] / "data" / "mixture.yaml")
    merged: list[str] = []

    def noted(channel: Channel, *item: Any) -> Outcome:
        merged.append(channel.name)
        return merging.merge_files(channel, *item)

    monkeypatch.setattr(stage, "merge_files", noted)
    curate(Run(open_store(str(tmp_path / "plain")), mixture, InlineExecutor(), silent()))
    assert not merged
    monkeypatch.setattr(exchange, "FAN_IN", 2)
    curate(Run(open_store(str(tmp_path / "merged")), mixture, InlineExecutor(), silent()))
    assert {"band", "hash", "number", "offer", "shingle"} <= set(merged)
    for folder in ("tables", "packed"):
        assert digests(tmp_path / "plain" / folder) == digests(tmp_path / "merged" / folder)
