"""Tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from pathlib import Path

import psutil
import pytest

from pipeline import errors
from pipeline.engine import processes as process_module
from pipeline.engine.processes import processes, workers_that_fit
from pipeline.errors import StageError


def kill_by_list(item: tuple[int, str]) -> int:
    """Item 1 dies as often as its file has letters left."""
    left = Path(item[1])
    if item[0] == 1 and left.read_text():
        left.write_text(left.read_text()[1:])
        os.kill(os.getpid(), 9)
    return item[0]


def who(item: int) -> int:
    return os.getpid()


def test_processes_yield_results_as_they_come_and_hand_errors_on():
    with processes(1) as executor:
        found = []
        with pytest.raises(
            StageError, match="t failed on item x: TypeError: bad operand type"
        ) as failed:  # abs of a text
            for item, result in executor.map(abs, [-1, -2, "x"], name="t"):
                found.append((item, result))
        assert found == [(-1, 1), (-2, 2)]
        assert executor.describe() == "in 1 processes"
        assert "work_on" in failed.value.__notes__[0]  # where it happened


def test_processes_are_kept_from_map_to_map_and_end_with_the_block():
    with processes(2) as executor:
        first = {pid for _, pid in executor.map(who, range(20), name="t")}
        assert os.getpid() not in first and 1 <= len(first) <= 2
        assert {pid for _, pid in executor.map(who, range(20), name="t")} <= first
    assert not [pid for pid in first if psutil.pid_exists(pid)]


def test_processes_that_die_while_they_have_nothing_to_do_are_replaced():
    with processes(2) as executor:
        first = {pid for _, pid in executor.map(who, range(20), name="t")}
        for worker in executor._idle:
            worker.process.kill()
            worker.process.join(60)
        found = list(executor.map(who, range(4), name="t"))
        assert sorted(item for item, _ in found) == [0, 1, 2, 3]
        assert not first & {pid for _, pid in found}


def whose(item: tuple[int, str]) -> tuple[int, int]:
    """Who works on which item; only the first goes by without its file."""
    while item[0] and not Path(item[1]).exists():
        time.sleep(0.01)
    return item[0], os.getpid()


@pytest.mark.parametrize("dies", [False, True])
def test_a_map_that_is_left_early_leaves_its_processes_to_the_next(tmp_path: Path, dies: bool):
    items = [(number, str(tmp_path / "go on")) for number in range(9)]
    with processes(2) as executor:
        for _, (number, _) in executor.map(whose, items, name="t"):
            assert number == 0
            pids = {worker.process.pid for worker in executor._alive}
            break
        (late,) = executor._late.values()
        if dies:
            late.process.kill()
        else:
            (tmp_path / "go on").touch()
        again = list(executor.map(who, range(20), name="t"))  # whose results are not those of what was left
        assert sorted(item for item, _ in again) == list(range(20))
        assert all(isinstance(pid, int) for _, pid in again)
        now = {worker.process.pid for worker in executor._alive}
        assert len(now) == 2 and (now == pids) != dies
    assert not [pid for pid in pids | now if psutil.pid_exists(pid)]


def test_a_map_that_nobody_closed_ends_with_the_block_and_is_nothing_to_collect(capfd: pytest.CaptureFixture[str]):
    with processes(2) as executor:
        ran = executor.map(who, range(20), name="t")
        next(ran)
        pids = [worker.process.pid for worker in executor._alive]
    assert len(pids) == 2 and not [pid for pid in pids if psutil.pid_exists(pid)]
    for worker, _ in ran.gi_yieldfrom.gi_frame.f_locals["busy"].values():
        worker.connection.__del__()  # a collector may begin with it
    ran.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("is_unread", [False, True])
def test_a_process_ends_quietly_when_its_driver_has_left(monkeypatch: pytest.MonkeyPatch, is_unread: bool):
    monkeypatch.setattr(process_module, "_end_with", lambda parent: None)
    ours, theirs = multiprocessing.Pipe()
    if is_unread:  # the system resets what is closed with an answer in it
        theirs.send_bytes(b"an answer")
    ours.close()
    process_module._work(theirs)


@pytest.mark.parametrize("n_deaths", [1, 2])
def test_an_item_whose_process_died_comes_again(tmp_path: Path, n_deaths: int):
    (tmp_path / "left").write_text("x" * n_deaths)
    items = [(i, str(tmp_path / "left")) for i in range(4)]
    with processes(2) as executor:
        done = [number for _, number in executor.map(kill_by_list, items, name="t")]
    assert sorted(done) == [0, 1, 2, 3]
    if n_deaths == 2:
        assert done[-1] == 1  # alone, when all others are done


def test_an_item_that_takes_process_after_process_is_named_when_all_others_are_done(tmp_path: Path):
    (tmp_path / "left").write_text("x" * 9)
    items, done = [(i, str(tmp_path / "left")) for i in range(4)], []
    with processes(2) as executor, pytest.raises(errors.WorkerDied, match="t: item 1 took 3 processes") as died:
        for _, number in executor.map(kill_by_list, items, name="t"):
            done.append(number)
    assert sorted(done) == [0, 2, 3]
    assert died.value.item == items[1]
    assert (tmp_path / "left").read_text() == "x" * 6


def until_it_is_there(path: str) -> bool:
    """Whether a file came within half a minute."""
    for _ in range(300):
        if Path(path).exists():
            return True
        time.sleep(0.1)
    return False


def test_the_driver_imports_what_it_will_need_while_the_first_items_are_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "needed_late.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    with processes(1, meanwhile=["needed_late"]) as executor:
        assert not (tmp_path / "imported").exists()
        assert dict(executor.map(until_it_is_there, [str(tmp_path / "imported")], name="t")).popitem()[1]


def test_only_as_many_tasks_run_as_fit_into_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr("pipeline.engine.processes._free_bytes", lambda: 4_000_000_000)
    assert workers_that_fit(64_000_000) == 4
    assert workers_that_fit(1_000_000_000) == 1
    assert workers_that_fit(1_000_000) == 16


def test_every_error_travels_from_process_to_process():
    """One that does not looks like a worker that died."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LoopmixError)]
    assert len(kinds) > 5
    for kind in kinds:
        options = {errors.StoppedError: {"signal_number": 15}, errors.WorkerDied: {"item": (3, "x")}}.get(kind, {})
        found = pickle.loads(pickle.dumps(kind("a: b", **options)))
        assert type(found) is kind and str(found) == "a: b" and vars(found) == vars(kind("a: b", **options))
