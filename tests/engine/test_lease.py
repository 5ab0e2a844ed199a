"""One driver at a time works on a run, and a dead one does not block the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import lease
from pipeline.engine.lease import LEASE, hold
from pipeline.engine.store import Store, open_store
from pipeline.errors import StoreError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "WATCH_SECONDS", 0.4)


def leave(folder: Path, **changes: Any) -> str:
    """A lease as another driver would have left it; returns its id."""
    text = {
        "driver": "d" * 32,
        "host": "elsewhere",
        "boot": "",
        "pid": 1,
        "pid_started": "",
        "started": "then",
    }
    (folder / LEASE).write_text(json.dumps(text | changes))
    return str((text | changes)["driver"])


def test_a_second_driver_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    name = rf"driver on .+ \(process {os.getpid()}, since .+\) works on it"
    with hold(store), pytest.raises(StoreError, match=name), hold(store):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lease_ends_with_its_work_even_if_that_fails(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with pytest.raises(ZeroDivisionError), hold(store):
        raise ZeroDivisionError
    with hold(store):
        assert (tmp_path / LEASE).exists()
    assert list(tmp_path.iterdir()) == []


def test_the_lease_of_a_killed_process_is_taken_over_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "WATCH_SECONDS", 3600.0)  # it must not be waited for
    code = (
        "import os, sys; from pipeline.engine.lease import hold; from pipeline.engine.store import Store, open_store\n"
        "with hold(open_store(sys.argv[1])): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, cwd=Path(__file__).parents[2])
    dead = json.loads((tmp_path / LEASE).read_text())
    with hold(open_store(str(tmp_path))):
        assert json.loads((tmp_path / LEASE).read_text())["driver"] != dead["driver"]
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_dead_but_not_reaped_holds_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        deadline = time.monotonic() + 600
        while lease._started(child.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert lease._started(child.pid) == ""
    finally:
        child.wait()


def test_a_number_that_another_process_bears_by_now_is_no_sign_of_life(tmp_path: Path) -> None:
    leave(tmp_path, boot=lease._boot(), pid=os.getpid(), pid_started="1")
    with hold(open_store(str(tmp_path))):
        pass


def test_a_driver_elsewhere_lives_while_its_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "WATCH_SECONDS", 600.0)  # the first beat ends it
    store = open_store(str(tmp_path))
    with hold(store):
        mine = lease._read(store)  # our thread keeps its heart going
        assert mine is not None
        assert lease.lives(store, replace(mine, boot="another machine"))


def test_a_driver_elsewhere_is_dead_when_its_heart_stands_still(tmp_path: Path) -> None:
    leave(tmp_path)
    with hold(open_store(str(tmp_path))):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_claim_whose_driver_died_does_not_block_the_next(tmp_path: Path) -> None:
    dead = leave(tmp_path)
    (tmp_path / f"{LEASE}.{dead}").write_text((tmp_path / LEASE).read_text())
    with hold(open_store(str(tmp_path))):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"driver": 5}', '{"driver": "x"}', '{"driver": "../x", "beat": 1}']
)
def test_a_lease_that_is_no_lease_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / LEASE).write_text(text)
    with pytest.raises(StoreError, match=r"lease\.json: is no lease; remove it"), hold(open_store(str(tmp_path))):
        pass


def test_who_lost_the_lease_commits_no_table_and_leaves_the_lease_alone(tmp_path: Path) -> None:
    with hold(open_store(str(tmp_path))) as store:
        store.write_bytes("tables/tokens/part", b"mine")
        leave(tmp_path)
        for path in ("tables/tokens/part", "packed/part", "manifest.json"):
            with pytest.raises(StoreError, match="another driver has taken this run over"):
                store.write_bytes(path, b"too late")
        store.write_bytes("work/tokens/mark/part", b"harmless")
        with pytest.raises(StoreError, match="another driver has taken this run over"):
            store.rename("work/tokens/mark/part", "tables/tokens/part")
    assert (tmp_path / "tables/tokens/part").read_bytes() == b"mine"
    assert json.loads((tmp_path / LEASE).read_text())["driver"] == "d" * 32


def test_who_lost_the_lease_commits_no_table_to_object_storage(tmp_path: Path) -> None:
    place = f"memory://{tmp_path.name}"
    open_store(place).write_bytes(LEASE, json.dumps({"driver": "d" * 32}).encode())
    with pytest.raises(StoreError, match="another driver has taken this run over"):
        Store(place, driver="e" * 32).write_bytes("tables/tokens/part", b"too late")
    assert not open_store(place).exists("tables/tokens/part")


def test_a_lease_is_written_once_whatever_its_heart_does(tmp_path: Path) -> None:
    """Else a heartbeat could put a driver that was taken for dead back into its successor's place."""
    with hold(open_store(str(tmp_path))) as store:
        before = (tmp_path / LEASE).stat()
        deadline = time.monotonic() + 600
        beats = set[bytes]()
        while len(beats) < 4:
            beats.add(lease._beats(store))
            assert time.monotonic() < deadline, "its heart does not beat"
            time.sleep(0.01)
        after = (tmp_path / LEASE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(tmp_path.iterdir()) == []


def test_a_heart_beats_on_where_the_lease_could_not_be_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one answer that a server owes would let a driver at work be taken for dead."""
    find, failed = Store.find, list[str]()

    def once(self: Store, path: str) -> bytes | None:
        if path == LEASE and len(failed) < 2:
            failed.append(path)
            raise StoreError("no answer")
        return find(self, path)

    with hold(open_store(str(tmp_path))) as store:
        monkeypatch.setattr(Store, "find", once)
        deadline = time.monotonic() + 600
        while not lease._beats(store):
            assert time.monotonic() < deadline, "its heart does not beat"
            time.sleep(0.01)
    assert len(failed) == 2


def test_who_ends_removes_its_lease_only_under_a_claim(tmp_path: Path) -> None:
    """Whoever took it for dead holds the claim, and may have written its own lease by the time ours is removed."""
    with hold(open_store(str(tmp_path))) as store:
        text = json.loads((tmp_path / LEASE).read_text())
        (tmp_path / f"{LEASE}.{text['driver']}").write_text(json.dumps(text | {"driver": "e" * 32}))
    assert store.exists(LEASE)


def test_a_full_disk_does_not_keep_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Store, path: str, data: bytes) -> bool:
        raise StoreError("no space left")

    with hold(open_store(str(tmp_path))):
        monkeypatch.setattr(Store, "create", refuse)
    assert not (tmp_path / LEASE).exists()


def test_a_driver_whose_lease_was_removed_says_so(tmp_path: Path) -> None:
    with hold(open_store(str(tmp_path))) as store:
        (tmp_path / LEASE).unlink()
        with pytest.raises(StoreError, match=r"lease\.json: was removed or overwritten"):
            store.write_bytes("tables/tokens/part", b"mine")


def test_a_lease_holds_on_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = open_store(str(tmp_path))
    with hold(store), pytest.raises(StoreError, match="works on it"), hold(store):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lease_holds_on_another_filesystem(tmp_path: Path) -> None:
    store = open_store(f"memory://{tmp_path.name}")
    with hold(store), pytest.raises(StoreError, match="works on it"), hold(store):
        pass
    assert not store.exists(LEASE)
