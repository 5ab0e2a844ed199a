"""Who works on a run: one driver at a time, named in RUN/lease.json.

    {"driver": "5f0c...", "host": "node7", "boot": "...", "pid": 4711, "pid_started": "...", "started": "..."}

Two drivers with different settings would overwrite each other's shards, and each would believe the other's files. So a
second one is refused with the name of the first. On the same host a driver is dead when its process is; elsewhere, when
its heartbeat, a number that its holder raises every few seconds, stands still while we watch. No clocks are compared.

A driver that was taken for dead may wake up. Its store refuses to commit a table once the lease names another driver.
Nor can it undo that: a lease is written once and never again (the heartbeat is a file of its own), and whoever removes
one, its driver at the end or the next after a death, first takes a claim that names its driver.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.engine.sink import TEMPORARY
from pipeline.engine.store import LEASE, Store
from pipeline.errors import StoreError

__all__ = ["LEASE", "hold", "holder", "lives"]

BEAT_SECONDS = 5.0  # how often the holder shows that it lives
BEAT = f"{LEASE}.beat"
WATCH_SECONDS = 20.0  # four beats: a slow disk or a busy interpreter may swallow two


@contextmanager
def hold(store: Store) -> Iterator[Store]:
    """Hold the run's lease; yields the store that this driver must write through.

    Raises StoreError where another driver holds it. A lease that its driver left behind when it died is taken over.
    """
    mine = _describe()
    _must_refuse_to_overwrite(store, mine)
    _acquire(store, mine)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, mine, stop), name="loopmix lease", daemon=True)
    beating.start()
    try:
        yield replace(store, driver=mine.driver)
    finally:
        stop.set()
        beating.join()
        _release(store, mine)


@dataclass(frozen=True)
class Lease:
    """What others need to find out whether a driver lives."""

    driver: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    host: str
    boot: str
    pid: int
    pid_started: str
    started: str

    def __str__(self) -> str:
        return f"a driver on {self.host} (process {self.pid}, since {self.started})"

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()


_LEASE = TypeAdapter(Lease)


def _describe() -> Lease:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pid = os.getpid()
    return Lease(secrets.token_hex(16), socket.gethostname(), _boot(), pid, _started(pid), started)


def _boot() -> str:
    """Names this boot of this machine and its space of process numbers: host names and numbers alone may repeat, as in
    containers. Empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process began, in the kernel's ticks: tells it from a later one of the same number.

    Empty where it is gone, or the system does not say.
    """
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else numbers[18]  # Z, X: dead, and only not yet reaped by its parent


def _must_refuse_to_overwrite(store: Store, mine: Lease) -> None:
    """StoreError for storage that does not refuse to create what is there: two drivers would both get the lease.

    Asked by trying, because servers that do not know the condition of a PUT ignore it.
    """
    if store.is_local:
        return
    trial = f"{LEASE}.{mine.driver}{TEMPORARY}"
    try:
        is_refused = store.create(trial, b"first") and not store.create(trial, b"second")
    finally:
        store.remove_files([trial])
    if not is_refused:
        raise StoreError(
            f"{store.root}: this storage overwrites what should be created once (it knows no conditional PUT), so "
            "nothing would keep two drivers apart; use storage that does, or a shared disk, for --out"
        )


def _acquire(store: Store, mine: Lease) -> None:
    found: Lease | None = None
    for _ in range(3):  # a lost race for a dead driver's lease ends in another look, not in a loop
        if store.create(LEASE, mine.to_json()):
            return
        found = _read(store)
        if found is None:  # gone again, or not yet whole
            time.sleep(0.1)
            continue
        if lives(store, found):
            raise StoreError(f"{store.root}: {found} works on it; wait for it or stop it, or choose another --out")
        with _claim(store, found, mine) as claimed:
            if claimed and store.create(LEASE, mine.to_json()):
                return
    if found is None:
        raise StoreError(f"{store.full(LEASE)}: is no lease; remove it if nobody works on this run")
    raise StoreError(f"{store.root}: other drivers take its lease at the same moment; run the same command again")


@contextmanager
def _claim(store: Store, old: Lease, mine: Lease) -> Iterator[bool]:
    """Remove `old`, if it still stands, as the only one who may; yields False where another removes it just now."""
    claim = f"{LEASE}.{old.driver}"
    if not store.create(claim, mine.to_json()):
        claimer = _read(store, claim)
        if claimer is not None and not lives(store, claimer):
            store.remove_files([claim])  # its driver died with the claim in its hand
        yield False
        return
    try:
        if _read(store) == old:
            store.remove_files([BEAT, LEASE])
        yield True
    finally:
        store.remove_files([claim])


def _release(store: Store, mine: Lease) -> None:
    """Remove our lease, unless another driver has taken it over."""
    try:
        with _claim(store, mine, mine):
            pass
    except StoreError:  # a full disk takes no claim; the lease must go all the same, or this process would block itself
        if _read(store) == mine:
            store.remove_files([LEASE])


def lives(store: Store, lease: Lease) -> bool:
    """Whether the holder still works. From another machine that takes a look of up to `WATCH_SECONDS`."""
    if lease.boot and lease.boot == _boot():
        return bool(lease.pid_started) and _started(lease.pid) == lease.pid_started
    first = _beats(store)
    until = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < until:
        time.sleep(min(1.0, BEAT_SECONDS))
        now = _read(store)
        if now is None or now.driver != lease.driver:
            return now is not None
        if _beats(store) != first:
            return True
    return False


def holder(store: Store) -> Lease | None:
    """Who holds the run's lease; None where nobody does."""
    return _read(store)


def _beats(store: Store) -> bytes:
    """What the heartbeat says now; empty before the first beat."""
    return store.find(BEAT) or b""


def _beat(store: Store, mine: Lease, stop: threading.Event) -> None:
    """Raise the heartbeat until told to stop, or until another driver has the lease."""
    n_beats = 0
    while not stop.wait(BEAT_SECONDS):
        n_beats += 1
        try:
            found = _read(store)
            if found is None or found.driver != mine.driver:
                return
            store.write_bytes(BEAT, f"{mine.driver} {n_beats}".encode())
        except StoreError:
            continue  # a full disk stops the work itself with a clear message; the next beat may succeed


def _read(store: Store, path: str = LEASE) -> Lease | None:
    """The lease that stands there; None where there is none. StoreError where that cannot be found out."""
    try:
        return _LEASE.validate_json(store.find(path) or b"")
    except ValidationError:
        return None
