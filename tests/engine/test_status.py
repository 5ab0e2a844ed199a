"""How a run stands, told from its files: who works on it, at what, and what became of it."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hand_run import hand_run
from rich.console import Console

from pipeline.cli.main import main
from pipeline.engine import lease, progress
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.lease import BEAT, LEASE, hold
from pipeline.engine.manifest import read_manifest, write_manifest
from pipeline.engine.progress import Progress, RunLog
from pipeline.engine.run import Run
from pipeline.engine.status import Step, last, status_of
from pipeline.engine.store import open_store
from pipeline.errors import StageError, StoreError
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"
STAGES = ["documents", "languages", "packed"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "WATCH_SECONDS", 0.4)


def told(folder: Path, name: str, *events: dict[str, Any]) -> None:
    """A log as a start leaves it; each event a second after the one before, the last a minute ago."""
    (folder / "logs").mkdir(exist_ok=True)
    first = datetime.now(UTC) - timedelta(seconds=60 + len(events))
    lines = [{"time": (first + timedelta(seconds=i)).isoformat()} | e for i, e in enumerate(events)]
    (folder / "logs" / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def event(of: str, **values: Any) -> dict[str, Any]:
    return {"event": of, **values}


def working(driver: str) -> list[dict[str, Any]]:
    """What a driver says that finished two items in a step of which one stood before."""
    step = {"step": "languages", "n_items": 7, "n_docs": 30, "n_bytes": 4_000_000}
    return [
        event("start", host="node7", mixture="hand"),
        event("lease", driver=driver),
        event("stages", stages=STAGES),
        event("warning", message="a key has no effect"),
        event("step", **step | {"n_done": 1, "n_docs": 0, "n_bytes": 0}),
        event("progress", **step, n_done=3, seconds=20.0),
    ]


class Failing(InlineExecutor):
    """Fails in the middle of packing."""

    def map(self, task: Any, items: Any, *, name: str) -> Any:
        if name == "packed.segment":
            raise StageError(f"{name}: a worker fell over")
        return super().map(task, items, name=name)


def leave(folder: Path, driver: str) -> None:
    """The lease of a driver on another machine."""
    about = {"host": "node7", "boot": "", "pid": 1, "pid_started": "", "started": "then"}
    (folder / LEASE).write_text(json.dumps({"driver": driver, **about}))


def test_a_run_that_another_machine_works_on_says_step_and_time_left(tmp_path: Path) -> None:
    leave(tmp_path, "d" * 32)
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32))
    beat, stop = tmp_path / BEAT, threading.Event()

    def live() -> None:
        n = 0
        while not stop.wait(0.02):
            n += 1
            beat.write_text(str(n))

    beating = threading.Thread(target=live)
    beating.start()
    try:
        found = status_of(open_store(str(tmp_path)))
    finally:
        stop.set()
        beating.join()
    assert (found.state, found.stages, found.warnings) == ("working", tuple(STAGES), ("a key has no effect",))
    assert "node7" in found.driver
    assert found.step is not None
    assert (found.step.n_done, found.step.n_items) == (3, 7)
    assert found.step.seconds_left == 40.0, "two items of this start took 20 s, and four are left"
    assert found.stage == (1, "documents")


def test_a_driver_that_shows_no_sign_of_life_is_dead(tmp_path: Path) -> None:
    leave(tmp_path, "d" * 32)
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32))
    found = status_of(open_store(str(tmp_path)))
    assert found.state == "dead"
    assert found.step is not None, "where it died"


def test_a_start_that_was_refused_does_not_hide_the_one_that_works(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with hold(store) as held:
        told(tmp_path, "20260101T000000Z-0.jsonl", *working(held.driver))
        refused = [event("start", host="node8"), event("error", kind="StoreError", message="a driver works on it")]
        told(tmp_path, "20260102T000000Z-0.jsonl", *refused, event("end", ok=False))
        found = status_of(store)
    assert (found.state, found.error) == ("working", "")
    assert found.log.endswith("20260101T000000Z-0.jsonl")
    after = status_of(store)  # that driver is gone without an end, and left no lease
    assert (after.state, after.log) == ("stopped", found.log)


def test_a_driver_that_has_logged_nothing_yet_is_not_given_the_log_of_another(tmp_path: Path) -> None:
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32))
    with hold(open_store(str(tmp_path))) as held:
        found = status_of(held)
    assert (found.state, found.step, found.stages, found.log) == ("working", None, (), "")


@pytest.mark.parametrize(("ok", "state"), [(False, "failed"), (True, "stopped")])
def test_what_ended_the_last_start_is_said(tmp_path: Path, ok: bool, state: str) -> None:
    """`ok` with stages that the manifest does not have: somebody removed them."""
    ends = [event("error", kind="StageError", message="tokens failed on item 3")] if not ok else []
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32), *ends, event("end", ok=ok))
    found = status_of(open_store(str(tmp_path)))
    assert (found.state, found.error) == (state, "" if ok else "StageError: tokens failed on item 3")


@pytest.mark.parametrize(("stopped", "said"), [(True, "stopped by whoever ran it"), (False, "failed; mend the cause")])
def test_a_start_that_was_stopped_has_not_failed(tmp_path: Path, stopped: bool, said: str) -> None:
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32), event("end", ok=False, stopped=stopped))
    result = CliRunner().invoke(main, ["status", str(tmp_path)])
    rows = {line[:10].rstrip(): line[10:] for line in result.output.splitlines()}
    assert rows["state"].startswith(said) and rows["state"].endswith(" run the same command again to go on") == stopped
    assert ("step" in rows) == stopped, "where it goes on"
    assert "error" not in rows
    as_json = json.loads(CliRunner().invoke(main, ["status", str(tmp_path), "--json"]).output)
    assert (as_json["state"], as_json["by_hand"]) == (("stopped", True) if stopped else ("failed", False))


@pytest.mark.parametrize("end", [[], [{"ok": False}], [{"ok": False, "stopped": True}]])
def test_no_command_that_begins_anew_is_advised_to_go_on(tmp_path: Path, end: list[dict[str, Any]]) -> None:
    command = ["loopmix", "curate", "m.yaml", "--out", "run", "--replace"]
    start = event("start", host="h", mixture="m", command=command)
    told(tmp_path, "20260101T000000Z-0.jsonl", start, *(event("end", **one) for one in end))
    said = CliRunner().invoke(main, ["status", str(tmp_path)]).output
    assert " ".join(said.split()).count("run the same command without --replace") == 1


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32))
    with (tmp_path / "logs" / "20260101T000000Z-0.jsonl").open("a") as log:
        log.write('{"time": "2026-01-01T00:00:00+00:00", "event": "step_e')
    found = status_of(open_store(str(tmp_path)))
    assert found.step is not None
    assert found.step.name == "languages"


def test_a_step_that_is_over_is_not_shown(tmp_path: Path) -> None:
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32), event("step_end", step="languages"))
    assert status_of(open_store(str(tmp_path))).step is None


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no run; make one"):
        status_of(open_store(str(tmp_path)))


def test_no_time_is_foretold_before_an_item_is_done() -> None:
    assert Step("tokens", 10, 4, n_before=4, seconds=3.0).seconds_left is None


@pytest.mark.parametrize("root", ["{}", "memory://{}"])
def test_a_real_run_is_finished_and_one_that_failed_says_why(tmp_path: Path, root: str) -> None:
    store = open_store(root.format(tmp_path / "run"))
    mixture = load_mixture(MIXTURE)

    def start(executor: InlineExecutor, **changes: Any) -> None:
        shown = Progress(Console(quiet=True), quiet=True, log=RunLog(store, pytest.fail))
        with shown.recorded(host="here", mixture=mixture.name):
            curate(Run(store, mixture.model_copy(update=changes), executor, shown))

    start(InlineExecutor())
    found = status_of(store)
    assert (found.state, found.mixture, found.step, found.stage) == ("finished", "small-corpus", None, None)
    assert found.done == found.stages
    assert found.stages[0] == "documents"
    with pytest.raises(StageError):
        start(Failing(), pack=mixture.pack.model_copy(update={"seq_len": 64}))
    found = status_of(store)
    assert (found.state, found.error) == ("failed", "StageError: packed.segment: a worker fell over")
    assert found.stage == (found.stages.index("packed") + 1, "packed")
    error = {"time": "2999-01-01T00:00:00+00:00", **event("error", kind="StoreError", message="refused")}
    store.write_bytes("logs/29990101T000000Z-0.jsonl", json.dumps(error).encode())  # of a start that took no lease
    assert status_of(store) == found


def test_a_step_says_its_progress_to_the_log_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a store that cannot append, the last one is kept."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PUT_SECONDS", 0.0)
    n_said = {}
    for root in (str(tmp_path), f"memory://{tmp_path}"):
        store = open_store(root)
        shown = Progress(Console(quiet=True), quiet=True, log=RunLog(store, pytest.fail))
        with shown.step("tokens", n_items=5, n_done=1) as advance:
            for _ in range(3):
                advance({"n_docs": 5})
        (name,) = store.files("logs")
        said = [json.loads(line) for line in store.read_bytes(f"logs/{name}").splitlines()]
        n_said[root.partition(":")[0] == "memory"] = [e["n_done"] for e in said if e["event"] == "progress"]
        assert said[-1]["event"] == "step_end"
    assert n_said == {False: [2, 3, 4], True: [4]}


def test_what_waits_for_the_next_write_of_a_log_is_written_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PUT_SECONDS", 0.2)
    store = open_store(f"memory://{tmp_path}")
    log = RunLog(store, pytest.fail)
    for event in ("start", "step", "step_end"):
        log.write(event)
    for _ in range(500):
        if len(store.read_bytes(log.path).splitlines()) == 3:
            break
        time.sleep(0.02)
    assert [json.loads(line)["event"] for line in store.read_bytes(log.path).splitlines()] == [
        "start",
        "step",
        "step_end",
    ]


def test_status_fits_eighty_columns_and_sends_no_control_character(tmp_path: Path) -> None:
    leave(tmp_path, "d" * 32)
    warnings = [event("warning", message=f"{n}: shard of a\x1b]0;evil\x07 file was skipped " * 4) for n in range(5)]
    told(tmp_path, "20260101T000000Z-0.jsonl", *working("d" * 32), *warnings)
    result = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "(3 more before these)" in result.output, "six warnings, of which three are shown"
    assert "its driver is dead; run the same command again to go on" in result.output
    assert "languages 3 of 7, 0.2 MB/s, 2 documents/s" in result.output
    wrapped = [line for line in result.output.splitlines() if not line.startswith(("run ", "log "))]
    assert max(map(len, wrapped)) <= 80
    as_json = json.loads(CliRunner().invoke(main, ["status", str(tmp_path), "--json"]).output)
    assert (as_json["state"], as_json["stage"]) == ("dead", {"number": 1, "name": "documents"})
    assert as_json["step"]["seconds_left"] == 40.0


def test_only_the_last_lines_are_shown() -> None:
    assert last(["a", "b"], most=2) == ["a", "b"]
    assert last(["a", "b", "c"], most=2) == ["(1 more before these)", "b", "c"]


@pytest.mark.parametrize("log", [None, b"", b"\0\xff rubbish\n", b"{}\n"], ids=str)
@pytest.mark.parametrize(("without", "state"), [(None, "finished"), ("ledger", "stopped")])
def test_where_the_log_says_nothing_the_stages_do(
    tmp_path: Path, log: bytes | None, without: str | None, state: str
) -> None:
    run = hand_run(tmp_path)
    if without:
        manifest = read_manifest(run.store)
        del manifest["stages"][without]
        write_manifest(run.store, manifest)
    if log is not None:
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs/20260101T000000Z-0.jsonl").write_bytes(log)
    assert status_of(run.store).state == state
