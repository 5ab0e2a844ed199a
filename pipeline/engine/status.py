"""How a run stands, read from its folder by whoever can: no process is asked, so any machine that sees the files may.

Who works on it says the lease, what is done the manifest, what is being done the log of the start that holds the lease.
Numbers of a step are as old as its last finished item; how old they are is said by the clock of this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pipeline.engine.lease import holder, lives
from pipeline.engine.logged import LogEvent, events_of, logs_of
from pipeline.engine.manifest import MANIFEST, read_manifest
from pipeline.engine.run_folder import STAGES
from pipeline.engine.store import Store
from pipeline.errors import StoreError

MAX_WARNINGS = 3  # shown, the latest: one screen
_MAX_LOGS = 20  # read back in time for one that held the lease: starts that were refused leave logs as well

State = Literal["working", "dead", "stopped", "failed", "finished"]


@dataclass(frozen=True)
class Step:
    """The step that was in work at the last sign of life."""

    name: str
    n_items: int
    n_done: int
    n_docs: int = 0
    n_bytes: int = 0
    seconds: float = 0.0  # since it began in this start
    n_before: int = 0  # items that stood already when it began
    said: str = ""  # when, UTC

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before the first item of this start is done."""
        new = self.n_done - self.n_before
        return (self.n_items - self.n_done) * self.seconds / new if new > 0 else None


@dataclass(frozen=True)
class Status:
    """A run at one moment."""

    run: str
    mixture: str
    state: State
    driver: str  # who works on it, or did; "" where no log says so
    stages: tuple[str, ...]  # of the last start, in their order; () where it did not come so far
    done: tuple[str, ...]  # of them, by the manifest
    step: Step | None
    problems: tuple[str, ...]  # shards of the input that were skipped
    warnings: tuple[str, ...]
    error: str  # what ended the last start; "" if nothing did
    by_hand: bool  # whoever ran the last start stopped it, as with Ctrl-C
    replaces: bool  # the last start was one with --replace, which begins anew
    log: str

    @property
    def stage(self) -> tuple[int, str] | None:
        """Number, from 1, and name of the first stage that is not done."""
        left = [(number, name) for number, name in enumerate(self.stages, 1) if name not in self.done]
        return left[0] if left else None


@dataclass
class _Told:
    """What one log says, event by event."""

    path: str
    driver: str = ""
    host: str = ""
    started: str = ""
    mixture: str = ""
    stages: tuple[str, ...] = ()
    step: Step | None = None
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    ended: bool | None = None  # well or not; None: it did not end, or was killed
    by_hand: bool = False  # that end
    replaces: bool = False

    def take(self, event: LogEvent) -> None:
        """Add one event. Of kinds that a later version may add, none is needed."""
        match event.event:
            case "start":
                self.host, self.started, self.mixture = event.host, event.time, event.mixture
                self.replaces = "--replace" in event.command
            case "lease":
                self.driver = event.driver
            case "stages":
                self.stages = event.stages
            case "step" | "progress":
                self.step = _step(event, before=self.step)
            case "step_end":
                self.step = None
            case "warning":
                self.warnings.append(event.message)
            case "error":
                self.error = f"{event.kind}: {event.message}"
            case "end":
                self.ended, self.by_hand = event.ok, event.stopped


def _step(event: LogEvent, *, before: Step | None) -> Step:
    n_before = event.n_done if event.event == "step" or before is None else before.n_before
    numbers = (event.n_items, event.n_done, event.n_docs, event.n_bytes, event.seconds)
    return Step(event.step, *numbers, n_before=n_before, said=event.time)


def status_of(store: Store) -> Status:
    """How the run in `store` stands. StoreError where no run is.

    Watches the heartbeat for up to `lease.WATCH_SECONDS` where the driver's process cannot be looked at from here.
    """
    held = holder(store)
    told = _told(store, driver=None if held is None else held.driver)
    if told is None and held is None and not store.exists(MANIFEST):
        raise StoreError(f"{store.root}: holds no run; make one with `loopmix curate`")
    told = told or _Told("")
    manifest = read_manifest(store)
    entries = manifest["stages"]
    done = tuple(name for name in told.stages if name in entries) or tuple(entries)
    state: State
    if held is not None:
        state = "working" if lives(store, held) else "dead"
    elif told.ended is False:
        state = "stopped" if told.by_hand else "failed"
    else:
        is_ended = told.ended is True or not told.started  # a log that is lost, or says nothing, speaks for nothing
        state = "finished" if is_ended and set(done) >= set(told.stages or STAGES) else "stopped"
    problems = [f"{n}: shard {i}: {said}" for n, made in entries.items() for i, said in made["problems"].items()]
    return Status(
        run=store.root,
        mixture=str(manifest.get("name", told.mixture)),
        state=state,
        driver=str(held) if held is not None else f"a driver on {told.host}, since {told.started}" if told.host else "",
        stages=told.stages,
        done=done,
        step=told.step if state in ("working", "dead", "stopped") else None,
        problems=tuple(problems),
        warnings=tuple(told.warnings),
        error=told.error,
        by_hand=told.by_hand,
        replaces=told.replaces,
        log=store.full(told.path) if told.path else "",
    )


def _told(store: Store, *, driver: str | None) -> _Told | None:
    """The log of `driver`, else of the last start that held the lease, else the last; None where there is no log."""
    newest: _Told | None = None
    for path in logs_of(store)[: -_MAX_LOGS - 1 : -1]:
        told = _Told(path)
        for event in events_of(store, path):
            told.take(event)
        if told.driver and driver in (None, told.driver):
            return told
        newest = newest or told
    # A driver that holds the lease and has not yet logged it is at its very first moment: nothing is known of it.
    return newest if driver is None else None


def seconds_since(said: str) -> float:
    """How long ago a log said something, by this machine's clock."""
    return (datetime.now(UTC) - datetime.fromisoformat(said)).total_seconds()


def last(lines: Sequence[str], most: int = MAX_WARNINGS) -> list[str]:
    """The last of `lines`, and a word on how many stand before them."""
    more = [f"({len(lines) - most} more before these)"] if len(lines) > most else []
    return [*more, *lines[-most:]]
