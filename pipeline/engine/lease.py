"""Who works on a run: one driver at a time, named in RUN/lease.json.

    {"driver": "5f0c...", "host": "node7", "boot": "...", "pid": 4711, "pid_started": "...", "beat": 12, ...}

Two drivers with different settings would overwrite each other's shards, and each would believe the other's files. So a
second one is refused with the name of the first. On the same host a driver is dead when its process is; elsewhere, when
its heartbeat, a number that its holder raises every few seconds, stands still while we watch. No clocks are compared.

A driver that was taken for dead may wake up. Its store refuses to commit a table once the lease names another driver.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.engine.store import LEASE, Store
from pipeline.errors import StoreError

__all__ = ["LEASE", "hold"]

BEAT_SECONDS = 5.0  # how often the holder shows that it lives
WATCH_SECONDS = 20.0  # four beats: a slow disk or a busy interpreter may swallow two


@contextmanager
def hold(store: Store) -> Iterator[Store]:
    """Hold the run's lease; yields the store that this driver must write through.

    Raises StoreError where another driver holds it. A lease that its driver left behind when it died is taken over.
    """
    mine = _describe()
    _acquire(store, mine)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, mine, stop), name="loopmix lease", daemon=True)
    beating.start()
    try:
        yield replace(store, driver=mine["driver"])
    finally:
        stop.set()
        beating.join()
        if _read(store).get("driver") == mine["driver"]:
            store.remove(LEASE)


def _describe() -> dict[str, Any]:
    """What others need to find out whether this driver lives."""
    return {
        "driver": secrets.token_hex(16),
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": os.getpid(),
        "pid_started": _started(os.getpid()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "beat": 0,
    }


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
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _acquire(store: Store, mine: dict[str, Any]) -> None:
    text = json.dumps(mine).encode()
    found: dict[str, Any] = {}
    for _ in range(3):  # a lost race for a dead driver's lease ends in another look, not in a loop
        if store.create(LEASE, text):
            return
        found = _read(store)
        if not found:  # gone again, or not yet whole
            time.sleep(0.1)
            continue
        if _lives(store, found):
            raise StoreError(
                f"{store.root}: {_name(found)} works on it; wait for it or stop it, or choose another --out"
            )
        # Whoever removes the dead lease under its own name first wins; the others see the winner's in their next look.
        claim = f"{LEASE}.{found['driver']}"
        if store.create(claim, text):
            store.remove(LEASE)
            try:
                if store.create(LEASE, text):
                    return
            finally:
                store.remove(claim)
        elif not _lives(store, _read(store, claim) or mine):
            store.remove(claim)  # its driver died with the claim in its hand
    if not found:
        raise StoreError(f"{store.full(LEASE)}: is no lease; remove it if nobody works on this run")
    raise StoreError(f"{store.root}: other drivers take its lease at the same moment; run the same command again")


def _name(lease: dict[str, Any]) -> str:
    return f"a driver on {lease.get('host')} (process {lease.get('pid')}, since {lease.get('started')})"


def _lives(store: Store, lease: dict[str, Any]) -> bool:
    """Whether the holder still works."""
    if lease.get("boot") and lease["boot"] == _boot():
        return bool(lease["pid_started"]) and _started(int(lease["pid"])) == lease["pid_started"]
    until = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < until:
        time.sleep(min(1.0, BEAT_SECONDS))
        now = _read(store)
        if now.get("driver") != lease["driver"] or now.get("beat") != lease["beat"]:
            return bool(now)
    return False


def _beat(store: Store, mine: dict[str, Any], stop: threading.Event) -> None:
    """Raise the heartbeat until told to stop, or until another driver has the lease."""
    beat = 0
    while not stop.wait(BEAT_SECONDS):
        beat += 1
        try:
            if _read(store).get("driver") != mine["driver"]:
                return
            store.write_bytes(LEASE, json.dumps(mine | {"beat": beat}).encode())
        except StoreError:
            continue  # a full disk stops the work itself with a clear message; the next beat may succeed


def _read(store: Store, path: str = LEASE) -> dict[str, Any]:
    """The lease that stands, or nothing."""
    try:
        found = json.loads(store.read_bytes(path))
    except (StoreError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("driver"), str) else {}
