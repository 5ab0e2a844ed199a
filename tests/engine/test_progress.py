"""What a run says while it works: console lines, and the log that stays in the run folder."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.engine import progress as progress_module
from pipeline.engine.logged import logs_of
from pipeline.engine.progress import Progress, RunLog, printable
from pipeline.engine.store import Store, open_store
from pipeline.errors import StoreError


def events(store: Store) -> list[dict[str, Any]]:
    (name,) = store.files("logs")
    return [json.loads(line) for line in store.read_bytes(f"logs/{name}").splitlines()]


def work(progress: Progress) -> None:
    """A start, a stage that stands, a step of two items, a warning."""
    with progress.recorded(version="1", mixture="small"):
        progress.skipped("documents")
        with progress.step("languages", n_items=3, n_done=1) as advance:
            for _ in range(2):
                advance({"n_docs": 5, "n_bytes": 100})
        progress.warn("shard 2 was skipped")


@pytest.mark.parametrize("root", ["{}", "memory://{}"])
@pytest.mark.parametrize("quiet", [False, True])
def test_log_holds_every_event_when_written_to_any_store(tmp_path: Path, root: str, quiet: bool) -> None:
    store = open_store(root.format(tmp_path))
    complaints: list[str] = []
    work(Progress(Console(quiet=True), quiet=quiet, log=RunLog(store, complaints.append)))
    found = events(store)
    assert [e["event"] for e in found] == ["start", "skipped", "step", "step_end", "warning", "end"]
    start, skipped, step, step_end, warning, end = found
    assert (start["version"], start["mixture"], skipped["step"]) == ("1", "small", "documents")
    assert (step["step"], step["n_items"], step["n_done"]) == ("languages", 3, 1)
    assert (step_end["n_done"], step_end["n_docs"], step_end["n_bytes"]) == (3, 10, 200)
    assert step_end["seconds"] > 0
    assert warning["message"] == "shard 2 was skipped"
    assert end["ok"] is True
    assert all(e["time"].endswith("+00:00") for e in found)
    assert complaints == []


@pytest.mark.parametrize(
    ("error", "traced"),
    [(StoreError("disk is full"), False), (ValueError("a defect"), True), (SystemExit(), True)],
)
def test_log_says_what_ended_a_run_when_it_fails(tmp_path: Path, error: BaseException, traced: bool) -> None:
    store = open_store(str(tmp_path))
    progress = Progress(Console(quiet=True), log=RunLog(store, pytest.fail))
    with pytest.raises(type(error)), progress.recorded(), progress.step("tokens", n_items=1, n_done=0):
        raise error
    *_, said, end = events(store)
    assert (said["event"], said["kind"], said["message"]) == ("error", type(error).__name__, str(error))
    assert ("traceback" in said) == traced
    assert (end["event"], end["ok"], "stopped" in end) == ("end", False, False)


def test_log_of_a_run_that_was_stopped_ends_so_and_says_no_error(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    progress = Progress(Console(quiet=True), log=RunLog(store, pytest.fail))
    with pytest.raises(KeyboardInterrupt), progress.recorded(), progress.step("tokens", n_items=1, n_done=0):
        raise KeyboardInterrupt
    *before, end = events(store)
    assert [e["event"] for e in before] == ["start", "step"]
    assert (end["event"], end["ok"], end["stopped"]) == ("end", False, True)


def test_log_is_readable_line_by_line_when_the_run_still_works(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    progress = Progress(Console(quiet=True), log=RunLog(store, pytest.fail))
    with progress.step("tokens", n_items=1, n_done=0):
        assert [e["event"] for e in events(store)] == ["step"]


def test_two_logs_do_not_mix_when_they_begin_at_once(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for _ in range(2):
        RunLog(store, pytest.fail).write("start")
    assert len(store.files("logs")) == 2


@pytest.mark.parametrize("root", ["{}", "memory://{}"])
def test_logs_are_in_the_order_of_their_starts_when_the_clock_is_set_back(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, started = open_store(root.format(tmp_path)), []
    for year in (2026, 2031, 2026, 2026, 2032):
        monkeypatch.setattr(progress_module, "_now", lambda year=year: datetime(year, 5, 6, 7, 8, 9, tzinfo=UTC))
        log = RunLog(store, pytest.fail)
        log.write("start")
        log.write("end")
        started.append(log.path)
    assert logs_of(store) == started
    times = [path.removeprefix("logs/").partition("-")[0] for path in started]
    assert times == [f"{time}Z" for time in ("20260506T070809", "20310506T070809", "20310506T070810",
                                             "20310506T070811", "20320506T070809")]  # fmt: skip


def test_a_log_is_named_by_the_clock_beside_what_is_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_now", lambda: datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC))
    assert progress_module._stamp(["notes.txt", "99991231T235959Z-0.jsonl"]) == "20260506T070809Z"


@pytest.mark.parametrize("root", ["{}", "memory://{}"])
def test_run_goes_on_and_says_so_once_when_its_log_cannot_be_written(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(root.format(tmp_path))
    (tmp_path / "logs").write_text("a file where the folder should be")

    def refuse(*_: Any) -> None:
        raise RuntimeError("bucket is closed")  # as a storage client may: no OSError

    monkeypatch.setattr(Store, "write_bytes", refuse)
    complaints: list[str] = []
    work(Progress(Console(quiet=True), quiet=True, log=RunLog(store, complaints.append)))
    (complaint,) = complaints
    assert "cannot be written" in complaint


def shown(message: str) -> str:
    out = io.StringIO()
    Progress(Console(file=out, force_terminal=True)).say(message)
    return out.getvalue()


def test_control_characters_are_shown_not_sent_when_a_path_holds_them() -> None:
    assert shown("run \x1b[2J\x07\x9bx\u202e \udc80 ä") == "run \\x1b[2J\\x07\\x9bx\\u202e \\udc80 ä\n"
    assert printable("two\nlines") == "two\\nlines"


def test_console_shows_plain_lines_when_it_is_no_terminal() -> None:
    out = io.StringIO()
    work(Progress(Console(file=out, width=100)))
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["documents", "done", "before"]
    assert lines[1].startswith("  languages                          3/3, ")
    assert lines[2] == "warning: shard 2 was skipped"
    assert len(lines) == 3


def test_console_shows_a_bar_and_leaves_a_line_when_it_is_a_terminal() -> None:
    out = io.StringIO()
    work(Progress(Console(file=out, width=100, force_terminal=True)))
    assert "\x1b[?25l" in out.getvalue(), "no bar was shown: a live display hides the cursor"
    assert "\x1b[?25h" in out.getvalue(), "the cursor was not given back"
    assert "3/3, " in out.getvalue()


def test_console_shows_nothing_when_quiet() -> None:
    out = io.StringIO()
    work(Progress(Console(file=out, force_terminal=True), quiet=True))
    assert out.getvalue() == ""
