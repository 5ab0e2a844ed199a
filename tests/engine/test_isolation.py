"""No file of one configuration is read by another, however drivers are stopped, go on and are run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import PausingExecutor, StoppingExecutor, digests, make_run

from pipeline.config import Mixture
from pipeline.engine import lease
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.markers import Marker, WorkStep, write_marker
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import LoopmixError, StoreError
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"


def other() -> Mixture:
    """The same input under another threshold of duplicates, another sequence length and another quality rule."""
    m = load_mixture(MIXTURE)
    code = m.quality.code.model_copy(update={"min_alpha_frac": 0.6})
    changes = {
        "near_dups": m.near_dups.model_copy(update={"min_similarity": 0.9}),
        "pack": m.pack.model_copy(update={"seq_len": 64}),
        "quality": m.quality.model_copy(update={"code": code}),
    }
    return m.model_copy(update=changes)


def tables(folder: Path) -> dict[str, bytes]:
    return digests(folder / "tables") | digests(folder / "packed")


def run_of(folder: Path, mixture: Mixture, executor: Any) -> Run:
    return Run(open_store(str(folder)), mixture, executor, silent())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    curate(run_of(folder, load_mixture(MIXTURE), InlineExecutor()))
    return tables(folder)


# The small corpus has some 150 items in all: one stop in each stage, and in the steps of those that exchange.
STOPS = [2, 12, 21, 33, 40, 50, 60, 75, 100, 120, 140]


@pytest.mark.parametrize("at", STOPS)
def test_a_second_driver_is_refused_while_the_first_pauses_and_harms_nothing(
    tmp_path: Path, undisturbed: dict[str, bytes], at: int
) -> None:
    executor = PausingExecutor(at)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(curate, run_of(tmp_path, load_mixture(MIXTURE), executor))
        assert executor.reached.wait(600)
        with pytest.raises(StoreError, match="works on it"):
            curate(run_of(tmp_path, other(), StoppingExecutor(5)))
        executor.go_on.set()
        first.result(600)
    assert tables(tmp_path) == undisturbed


# Before an inner step of select, which reads tables: they are the other driver's by then.
@pytest.mark.parametrize("at", [105, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 161, 9))])
def test_what_a_driver_makes_when_it_wakes_up_after_another_finished_is_not_read(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(lease, "lives", lambda store, found: False)
    executor = PausingExecutor(at)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(curate, run_of(tmp_path, load_mixture(MIXTURE), executor))
        first.add_done_callback(lambda _: executor.reached.set())
        assert executor.reached.wait(600) and not first.done()
        curate(run_of(tmp_path, other(), InlineExecutor()))
        executor.go_on.set()
        with pytest.raises(LoopmixError):  # that it was taken over, or that what it wants to read is gone or another's
            first.result(600)
    curate(run_of(tmp_path, load_mixture(MIXTURE), InlineExecutor()))
    assert tables(tmp_path) == undisturbed


@pytest.mark.parametrize("at", STOPS[::2])  # four runs each
def test_what_an_interrupted_driver_of_another_configuration_leaves_is_not_read(
    tmp_path: Path, undisturbed: dict[str, bytes], at: int
) -> None:
    for mixture, stop in ((load_mixture(MIXTURE), at), (other(), 160 - at), (load_mixture(MIXTURE), at // 2)):
        with pytest.raises(KeyboardInterrupt):
            curate(run_of(tmp_path, mixture, StoppingExecutor(stop)))
    curate(run_of(tmp_path, load_mixture(MIXTURE), InlineExecutor()))
    assert tables(tmp_path) == undisturbed


def test_a_run_that_another_configuration_has_begun_to_change_is_not_finished(tmp_path: Path) -> None:
    curate(run_of(tmp_path, load_mixture(MIXTURE), InlineExecutor()))
    assert RunFiles(open_store(str(tmp_path))).manifest
    with pytest.raises(KeyboardInterrupt):
        curate(run_of(tmp_path, other(), StoppingExecutor(1)))
    with pytest.raises(StoreError, match=r"stages \['judged', .*'ledger'\] are not done"):
        _ = RunFiles(open_store(str(tmp_path))).manifest


def test_a_stopped_process_keeps_its_lease_and_goes_on(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "pipeline", "curate", str(MIXTURE), "--out", str(tmp_path), "--executor", "inline"]
    root = Path(__file__).parents[2]
    first = subprocess.Popen([*command, "--quiet"], cwd=root)
    try:
        deadline = time.monotonic() + 600
        while not (tmp_path / "tables").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGSTOP)
        second = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
        assert len(second.stderr.splitlines()) == 1
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(600) == 0
    assert tables(tmp_path) == undisturbed


# --- what a gather believes ------------------------------------------------------------------------------------------


def sent(folder: Path) -> Channel:
    """Two files of two batches, and the markers of the tasks that wrote them."""
    step = WorkStep("stage", "mark", "send")
    channel = Channel(open_store(str(folder)), step, "send", 2, 2)
    for i in range(2):
        entry = channel.scatter(i, pa.table({"value": [10 * i, 10 * i + 1]}), partition=np.array([0, 1]))
        write_marker(channel.store, step, i, marker=Marker((entry,), {}, None, 0.0))
    return channel


def test_a_gather_reads_its_batches(tmp_path: Path) -> None:
    assert sent(tmp_path).gather(1)["value"].to_pylist() == [1, 11]


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "unmarked", "unnamed", "short"])
def test_a_gather_refuses_what_its_markers_do_not_vouch_for(tmp_path: Path, damage: str) -> None:
    channel = sent(tmp_path)
    files = sorted((tmp_path / "work").rglob("*.arrow"))
    markers = sorted((tmp_path / "state").rglob("*.json"))
    good = files[1].read_bytes()
    match damage:
        case "flip":
            at = good.rindex((11).to_bytes(8, "little"))
            files[1].write_bytes(good[:at] + b"\x63" + good[at + 1 :])
        case "cut":
            files[1].write_bytes(good[: len(good) // 2])
        case "swap":  # a sound file of the same size that another configuration might have left
            files[1].write_bytes(files[0].read_bytes())
        case "unmarked":
            markers[1].unlink()
        case "unnamed":
            markers[1].write_text(markers[0].read_text())
        case "short":
            marker = json.loads(markers[1].read_text())
            marker["files"][0]["blocks"].pop()
            markers[1].write_text(json.dumps(marker))
    with pytest.raises(StoreError, match=r"(run the same command|curate the run) again"):
        channel.gather(1)


def test_markers_and_exchange_files_bear_the_fingerprint_and_the_attempt(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    steps = [WorkStep("stage", "one", "send"), *(WorkStep("stage", "two", "send", attempt) for attempt in "ab")]
    channels = [Channel(run.store, step, "send", 1, 1) for step in steps]
    for value, channel in enumerate(channels):
        entry = channel.scatter(0, pa.table({"value": [value]}), partition=np.array([0]))
        write_marker(run.store, channel.step, 0, marker=Marker((entry,), {}, None, 0.0))
    assert [c.gather(0)["value"].to_pylist() for c in channels] == [[0], [1], [2]]
    assert {json.loads(p.read_text())["files"][0]["path"] for p in (tmp_path / "state").rglob("*.json")} == {
        "work/stage/one/send/part-00000-of-00001.arrow",
        "work/stage/two/a-send/part-00000-of-00001.arrow",
        "work/stage/two/b-send/part-00000-of-00001.arrow",
    }
    assert {p.parent.name for p in (tmp_path / "state").rglob("*.json")} == {"send", "a-send", "b-send"}
