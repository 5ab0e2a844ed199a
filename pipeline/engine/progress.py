"""What a run says while it works: to a person on the console, and as one JSON line an event into RUN/logs/.

The console shows a live line in a terminal (`live_line.py`) and plain lines elsewhere, the same numbers in both. The
log is for whoever looks afterwards, above all at a cluster job whose console nobody kept. It is no part of a run's
bytes.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live

from pipeline.engine.aside import stderr_taken
from pipeline.engine.live_line import LiveLine, Meter, row
from pipeline.errors import LoopmixError

if TYPE_CHECKING:
    from pipeline.engine.store import Store

Advance = Callable[[dict[str, int]], None]

LINE_SECONDS = 10.0  # how often a console that is no terminal, and the log, get a line: a plain choice, six a minute
PUT_SECONDS = 5.0  # how often a log on an object store is written while steps come and go
# A lone surrogate is no text that a table could hold.
_ESCAPE = re.compile(r"\\(?:[tnr]|x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")
_STAMP = "%Y%m%dT%H%M%SZ"
_OFTEN = ("step", "step_end", "progress", "skipped", "said")


def printable(text: str) -> str:
    """`text` on one line with its control characters shown, not sent: a path may hold what would steer a terminal."""
    if text.isprintable():  # nearly all are, and pages hold a million characters
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def unprinted(text: str) -> str:
    """The text that `printable` shows so. Escapes of what it would show as it is stay as they are written."""

    def character(escape: re.Match[str]) -> str:
        meant = escape[0].encode().decode("unicode_escape")
        return escape[0] if meant.isprintable() else meant

    return _ESCAPE.sub(character, text)


@dataclass
class RunLog:
    """RUN/logs/<start>-<random>.jsonl: two drivers that start in the same second write two files. Names are in the
    order of the starts, also where the clock was set back between two.

    A local file grows line by line. Object stores cannot append, so there the whole file is written again: for steps
    and their progress every few seconds, for all else at once. It stays small, as steps are events and items are not.
    Failing to write never ends the run: `complain` is called once.
    """

    store: Store
    complain: Callable[[str], None]
    hear: Callable[[str, dict[str, Any]], None] | None = None  # gets each event too; what it raises ends the run
    path: str = ""  # until the first event
    _lines: list[str] = field(default_factory=list)
    _broken: bool = False
    _last: str = ""
    _put_at: float = -PUT_SECONDS  # when it was written last, by this process's clock
    _later: threading.Timer | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)  # what libraries say comes from another thread

    def write(self, event: str, **values: Any) -> None:
        """Add one event with the time it happened, in UTC."""
        if self.hear is not None:
            self.hear(event, dict(values))
        said = {"time": _now().isoformat(timespec="milliseconds"), "event": event} | values
        with self._lock:
            if event == self._last == "progress" and not self.store.is_local:
                self._lines.pop()  # of what is written whole each time, the last one is enough
            self._last = event
            self._lines.append(json.dumps(said, default=str) + "\n")
            wait = 0.0 if self.store.is_local or event not in _OFTEN else self._put_at + PUT_SECONDS - time.monotonic()
            if wait <= 0:
                self._put()
            elif self._later is None:
                self._later = threading.Timer(wait, self._put)
                self._later.daemon = True
                self._later.start()

    def _put(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            if self._later is not None:
                self._later.cancel()
                self._later = None
            if self._broken:
                return
            try:
                self.path = self.path or f"logs/{_stamp(self.store.files('logs'))}-{secrets.token_hex(4)}.jsonl"
                if self.store.is_local:
                    file = Path(self.store.full(self.path))
                    file.parent.mkdir(parents=True, exist_ok=True)
                    with file.open("a", encoding="utf-8") as opened:
                        opened.write(self._lines.pop())
                else:
                    self._put_at = time.monotonic()
                    self.store.write_bytes(self.path, "".join(self._lines).encode())
            except Exception as error:  # noqa: BLE001 - storage clients raise kinds of their own, and no log is worth a run
                self._broken = True
                self.complain(
                    f"the log {self.path or 'of this start'} cannot be written ({error}); the run goes on without it"
                )


@dataclass(frozen=True)
class Progress:
    """Shows steps on `console`, nothing with `quiet`; `log` gets them in any case."""

    console: Console
    quiet: bool = False
    log: RunLog | None = None
    stages: list[str] = field(default_factory=list)  # of this start, in their order; empty until they are known

    @property
    def is_live(self) -> bool:
        """Whether steps are shown by a line that changes, and not by plain lines."""
        return self.console.is_terminal and not self.console.is_dumb_terminal and not self.quiet

    def know(self, stages: Sequence[str]) -> None:
        """Say which stages there are, so that each step can be placed among them."""
        self.stages[:] = stages
        self.event("stages", stages=list(stages))

    def place_of(self, step: str) -> str:
        """Where a step stands, as in "stage 4 of 15" or, of fused stages, "stages 3-8 of 15"; empty if nobody knows."""
        named = [self.stages.index(name) + 1 for name in step.partition(".")[0].split("+") if name in self.stages]
        if not named:
            return ""
        which = f"stage {named[0]}" if len(named) == 1 else f"stages {named[0]}-{named[-1]}"
        return f"{which} of {len(self.stages)}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep what libraries write to standard error out of the live line: it is printed above it, and logged."""
        if not self.is_live:
            yield
            return
        with stderr_taken(self._take):
            yield

    def _take(self, line: str) -> None:
        self.event("said", line=line)
        self.console.print(printable(line), highlight=False, soft_wrap=True, markup=False, style="dim")

    def say(self, message: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(printable(message), highlight=False, soft_wrap=True, markup=False)

    def event(self, event: str, **values: Any) -> None:
        """Something for the log alone."""
        if self.log is not None:
            self.log.write(event, **values)

    def warn(self, message: str) -> None:
        """One line on the console, and an event."""
        self.say(f"warning: {message}")
        self.event("warning", message=message)

    @contextmanager
    def recorded(self, **values: Any) -> Iterator[None]:
        """Log a start with `values`, and an end with the seconds and what went wrong, if anything did: to be stopped by
        whoever runs it is no error."""
        started = time.monotonic()
        self.event("start", **values)
        try:
            yield
        except KeyboardInterrupt:
            self.event("end", ok=False, stopped=True, seconds=round(time.monotonic() - started, 3))
            raise
        except BaseException as error:
            said = {"kind": type(error).__name__, "message": str(error)}
            if not isinstance(error, LoopmixError):  # a defect, or a kill: where was it?
                said["traceback"] = "".join(traceback.format_exception(error))
            self.event("error", **said)
            self.event("end", ok=False, seconds=round(time.monotonic() - started, 3))
            raise
        self.event("end", ok=True, seconds=round(time.monotonic() - started, 3))

    def skipped(self, step: str) -> None:
        """Say that a stage stands already."""
        self.say(row(step, "done before"))
        self.event("skipped", step=step)

    def stay(self, step: str, *, n_shards: int, of: int) -> None:
        """Say how many shards of a table that is made anew are kept as they are."""
        if n_shards:
            self.say(row(step, f"{n_shards:,} of {of:,} shards stay"))

    @contextmanager
    def step(self, step: str, *, n_items: int, n_done: int) -> Iterator[Advance]:
        """Show one step while it works; the caller calls the yielded function with each item's counts."""
        meter = Meter(n_items, n_done, n_before=n_done)
        self.event("step", step=step, n_items=n_items, n_done=n_done)
        with self._shown(step, meter) as advance:
            yield advance
        # In a terminal one line; elsewhere all that is known, as nothing breaks there.
        room = self.console.width - len(row(step, "")) if self.is_live else None
        self.say(row(step, meter.text(room=room)))
        self.event("step_end", step=step, **meter.counts(), seconds=round(meter.seconds, 3))

    @contextmanager
    def _shown(self, step: str, meter: Meter) -> Iterator[Advance]:
        line = LiveLine(step, self.place_of(step), meter)
        # Of standard error `alone` takes care: it sees what no Python object does.
        live = Live(line, console=self.console, refresh_per_second=4, transient=True, redirect_stderr=False)
        said = time.monotonic()

        def advance(counts: dict[str, int]) -> None:
            nonlocal said
            meter.add(counts)
            if time.monotonic() - said >= LINE_SECONDS and meter.n_done < meter.n_items:
                said = time.monotonic()
                self.event("progress", step=step, **meter.counts(), seconds=round(meter.seconds, 3))
                if not self.is_live:
                    self.say(row(step, meter.text()))

        with live if self.is_live else nullcontext():
            yield advance


def silent() -> Progress:
    """For tests and library use."""
    return Progress(Console(quiet=True), quiet=True)


def _stamp(names: Iterable[str]) -> str:
    """The time that a new log beside those of `names` is named by: now, or a second after the last of them."""
    said = _now()
    for name in names:
        with suppress(ValueError, OverflowError):  # no log's name, or the last second that there is
            said = max(said, datetime.strptime(f"{name.partition('-')[0]}+0000", f"{_STAMP}%z") + timedelta(seconds=1))
    return said.strftime(_STAMP)


def _now() -> datetime:
    return datetime.now(UTC)
