"""A whole run on an object store: the bytes of a local one, whatever the server does and whoever else was at work."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from handmade import PausingExecutor, StoppingExecutor
from object_server import CREDENTIALS, object_server
from obstore.store import MemoryStore

from pipeline.config import Mixture
from pipeline.engine import disks, lease, object_disk
from pipeline.engine import store as stores
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.lease import LEASE
from pipeline.engine.object_disk import ObjectDisk
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.store import Store, open_store
from pipeline.errors import LoopmixError
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"
ROOT = "s3://memory/run"
# Of a run of the small corpus there: what is given out to work on, and PUTs to names that drivers share.
N_ITEMS, N_PUTS = 50, 130


def other() -> Mixture:
    """The same input under another threshold, another sequence length and other rules."""
    m = load_mixture(MIXTURE)
    code = m.quality.code.model_copy(update={"min_alpha_frac": 0.6})
    return m.model_copy(
        update={
            "near_dups": m.near_dups.model_copy(update={"min_similarity": 0.9}),
            "pack": m.pack.model_copy(update={"seq_len": 64}),
            "quality": m.quality.model_copy(update={"code": code}),
        }
    )


def run_of(root: str, mixture: Mixture, executor: Any) -> Run:
    return Run(open_store(root), mixture, executor, silent())


def files_of(store: Store) -> dict[str, bytes]:
    found = store.read_many([*store.sizes("tables"), *store.sizes("packed")])
    return {path: data for path, data in found.items() if "/part-" in path}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of a local run of each mixture."""
    made = {}
    for name, mixture in (("first", load_mixture(MIXTURE)), ("other", other())):
        folder = tmp_path_factory.mktemp(name)
        curate(run_of(str(folder), mixture, InlineExecutor()))
        made[name] = files_of(open_store(str(folder)))
    assert made["first"].keys() & made["other"].keys()
    assert made["first"] != made["other"]
    return made


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> ObjectDisk:
    """An object store in this process, behind the code that speaks to a server."""
    place = MemoryStore()
    disk = ObjectDisk(ROOT, place, place)
    monkeypatch.setattr(disks, "_server", lambda root, settings: disk)
    monkeypatch.setattr(stores, "_SEEN", {})
    return disk


def test_a_run_on_an_object_store_has_the_bytes_of_a_local_one_and_stands(
    memory: ObjectDisk, local: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = PausingExecutor(0)  # never
    curate(run_of(ROOT, load_mixture(MIXTURE), counting))
    assert -counting.at == N_ITEMS
    store = open_store(ROOT)
    assert files_of(store) == local["first"]
    assert store.sizes("work") == {}
    assert not [path for path in store.sizes("") if path.startswith(LEASE)]
    left = {path.split("/")[2] for path in store.sizes("state") if path.count("/") > 2}
    marks = {entry["fingerprint"] for entry in json.loads(store.read_bytes("manifest.json"))["stages"].values()}
    assert left <= marks | {"shards", "cut"}  # of inner steps and exchanges no marker stays behind
    steps = {path.split("/")[3] for path in store.sizes("state") if path.count("/") > 2 and path.split("/")[2] in marks}
    assert steps == {"table"}
    curate(run_of(ROOT, load_mixture(MIXTURE), InlineExecutor()))
    assert files_of(store) == local["first"]


# --- what is asked ---------------------------------------------------------------------------------------------------

ASKS = ("get", "get_ranges", "head", "put", "copy", "delete", "list", "list_with_delimiter")
# For each of 25 shards; 37 were measured, some of which the clock decides (the lease). Without lots 173.
MOST_ASKED = 45


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests by kind."""
    n: Counter[str] = Counter()

    def counted(kind: str, ask: Any) -> Any:
        def one(*arguments: Any, **options: Any) -> Any:
            n[kind] += 1
            return ask(*arguments, **options)

        return one

    for kind in ASKS:
        monkeypatch.setattr(obstore, kind, counted(kind, getattr(obstore, kind)))
    return n


def small_shards() -> Mixture:
    m = load_mixture(MIXTURE)
    return m.model_copy(update={"ingest": m.ingest.model_copy(update={"shard_bytes": 12_000})})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a local run of small shards."""
    folder = tmp_path_factory.mktemp("small")
    curate(run_of(str(folder), small_shards(), InlineExecutor()))
    return files_of(open_store(str(folder)))


def test_a_run_of_small_shards_asks_little_for_each_and_makes_the_bytes_of_a_local_one(
    memory: ObjectDisk, asked: Counter[str], small: dict[str, bytes]
) -> None:
    curate(run_of(ROOT, small_shards(), InlineExecutor()))
    n_asked, store = asked.total(), open_store(ROOT)
    n_shards = len(store.files("tables/documents"))
    assert n_shards > 8
    assert n_asked / n_shards <= MOST_ASKED, asked
    assert store.sizes("work") == {}
    assert files_of(store) == small


# The steps of a run of small shards, each of one task or a few.
@pytest.mark.parametrize("at", [29, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 60, 6))])
def test_a_run_of_small_shards_that_was_stopped_goes_on_to_the_same_bytes(
    memory: ObjectDisk, small: dict[str, bytes], at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        curate(run_of(ROOT, small_shards(), StoppingExecutor(at)))
    store = open_store(ROOT)
    paths = sorted(store.sizes("tables"))
    store.remove_files(paths[:: max(1, len(paths) // 3)])  # and some files of lots are gone
    curate(run_of(ROOT, small_shards(), InlineExecutor()))
    assert files_of(store) == small


# --- two drivers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each driver is on a machine of its own, and the heart of the first beats no more: it is taken for dead."""
    names = iter(range(100))
    own = threading.local()

    def boot() -> str:
        if not hasattr(own, "name"):
            own.name = f"machine {next(names)}"
        return own.name

    monkeypatch.setattr(lease, "_boot", boot)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 600.0)
    monkeypatch.setattr(lease, "WATCH_SECONDS", 0.0)


def taken_over(first: PausingExecutor, executor: Any) -> None:
    """A driver stands still, one of another mixture takes the run over and completes it, and the first, which works by
    `executor`, goes on and is refused."""
    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(curate, run_of(ROOT, load_mixture(MIXTURE), executor))
        try:
            sleeping.add_done_callback(lambda _: first.reached.set())
            assert first.reached.wait(600)
            assert not sleeping.done(), "it ended before the place where it should stand still"
            curate(run_of(ROOT, other(), InlineExecutor()))
        finally:
            first.go_on.set()
        with pytest.raises(LoopmixError):  # that it was taken over, or that what it wants to read is gone or another's
            sleeping.result(600)


# In each stage, and in the steps of those that exchange.
@pytest.mark.parametrize("at", [21, 25, *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, N_ITEMS + 1, 3))])
def test_a_driver_that_wakes_up_after_another_finished_changes_nothing(
    memory: ObjectDisk, elsewhere: None, local: dict[str, dict[str, bytes]], at: int
) -> None:
    pausing = PausingExecutor(at)
    taken_over(pausing, pausing)
    store = open_store(ROOT)
    assert files_of(store) == local["other"]
    curate(run_of(ROOT, load_mixture(MIXTURE), InlineExecutor()))
    assert files_of(store) == local["first"]


@pytest.mark.parametrize("at", [30, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, N_PUTS + 1, 6))])
def test_a_put_that_arrives_after_another_driver_finished_changes_nothing(
    memory: ObjectDisk,
    elsewhere: None,
    local: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """The first driver has asked whose the lease is, and its `at`-th PUT to a shared name stands still on its way."""
    pausing, put = PausingExecutor(at), obstore.put
    own: list[int] = []

    def late(place: Any, path: str, data: Any, **options: Any) -> Any:
        if path.startswith(("tables/", "packed/", "manifest")):
            own.append(threading.get_ident())  # the first to come is the first driver
            if own[0] == own[-1]:
                pausing.at -= 1
                if pausing.at == 0:
                    pausing.reached.set()
                    assert pausing.go_on.wait(600)
        return put(place, path, data, **options)

    monkeypatch.setattr(obstore, "put", late)
    taken_over(pausing, InlineExecutor())
    assert files_of(open_store(ROOT)) == local["other"]


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_on_a_failing_server_has_the_bytes_of_a_local_one(
    local: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"init_backoff": timedelta(milliseconds=2), "max_backoff": timedelta(milliseconds=50), "base": 2}
    monkeypatch.setattr(object_disk, "_RETRIES", object_disk._RETRIES | {"backoff": quick})
    with object_server() as server:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": server.url}).items():
            monkeypatch.setenv(name, value)
        for start in range(2):
            server.fails = 0.1
            curate(run_of(f"s3://bucket/{start}", load_mixture(MIXTURE), InlineExecutor()))
            server.fails = 0.0
            assert files_of(open_store(f"s3://bucket/{start}")) == local["first"]
            assert server.forget().total > 500  # 803 were measured; not that nothing was asked
