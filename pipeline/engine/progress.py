"""What a run says while it works: to a person on the console, and as one JSON line an event into RUN/logs/.

The console shows a live bar in a terminal and plain lines elsewhere, the same numbers in both. The log is for whoever
looks afterwards, above all at a cluster job whose console nobody kept. It is no part of a run's bytes.
"""

from __future__ import annotations

import json
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from pipeline.errors import LoopmixError

if TYPE_CHECKING:
    from pipeline.engine.store import Store

Advance = Callable[[dict[str, int]], None]

LINE_SECONDS = 10.0  # how often a console that is no terminal, and the log, get a line: a plain choice, six a minute
_ROW = "  {:<34} {}"  # wide enough for the names of all steps but fused map stages, which may stick out


def printable(text: str) -> str:
    """`text` on one line with its control characters shown, not sent: a path may hold what would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass
class RunLog:
    """RUN/logs/<start>-<random>.jsonl: two drivers that start in the same second write two files.

    A local file grows line by line. Object stores cannot append, so there each event writes the whole file again; it
    stays small, as steps are events and items are not. Failing to write never ends the run: `complain` is called once.
    """

    store: Store
    complain: Callable[[str], None]
    path: str = field(default_factory=lambda: f"logs/{_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.jsonl")
    _lines: list[str] = field(default_factory=list)
    _broken: bool = False
    _last: str = ""

    def write(self, event: str, **values: Any) -> None:
        """Add one event with the time it happened, in UTC."""
        if self._broken:
            return
        said = {"time": _now().isoformat(timespec="milliseconds"), "event": event} | values
        if event == self._last == "progress" and not self.store.is_local:
            self._lines.pop()  # of what is written whole each time, the last one is enough
        self._last = event
        self._lines.append(json.dumps(said, default=str) + "\n")
        try:
            if self.store.is_local:
                file = Path(self.store.full(self.path))
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8") as opened:
                    opened.write(self._lines.pop())
            else:
                self.store.write_bytes(self.path, "".join(self._lines).encode())
        except Exception as error:  # noqa: BLE001 - storage clients raise kinds of their own, and no log is worth a run
            self._broken = True
            self.complain(f"the log {self.path} cannot be written ({error}); the run goes on without it")


@dataclass
class _Meter:
    """Rates of one step since it began in this process; work done before does not count towards them."""

    n_items: int
    n_done: int
    n_before: int
    n_docs: int = 0
    n_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-3)  # never zero: it divides

    def add(self, counts: dict[str, int]) -> None:
        self.n_done += 1
        self.n_docs += counts.get("n_docs", 0)
        self.n_bytes += counts.get("n_bytes", 0)

    def counts(self) -> dict[str, int]:
        return {"n_items": self.n_items, "n_done": self.n_done, "n_docs": self.n_docs, "n_bytes": self.n_bytes}

    def text(self) -> str:
        seconds = self.seconds
        parts = [f"{self.n_done}/{self.n_items}"]
        if self.n_bytes:
            parts.append(f"{self.n_bytes / seconds / 1e6:.1f} MB/s")
        if self.n_docs:
            parts.append(f"{self.n_docs / seconds:,.0f} documents/s")
        new = self.n_done - self.n_before
        if new > 0 and self.n_done < self.n_items:
            parts.append(f"{(self.n_items - self.n_done) * seconds / new:.0f} s left")
        else:
            parts.append(f"{seconds:.1f} s")
        return ", ".join(parts)


@dataclass(frozen=True)
class Progress:
    """Shows steps on `console`, nothing with `quiet`; `log` gets them in any case."""

    console: Console
    quiet: bool = False
    log: RunLog | None = None

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
        """Log a start with `values`, and an end with the seconds and what went wrong, if anything did."""
        started = time.monotonic()
        self.event("start", **values)
        try:
            yield
        except BaseException as error:
            said = {"kind": type(error).__name__, "message": str(error)}
            if not isinstance(error, LoopmixError | KeyboardInterrupt):  # a defect, or a kill: where was it?
                said["traceback"] = "".join(traceback.format_exception(error))
            self.event("error", **said)
            self.event("end", ok=False, seconds=round(time.monotonic() - started, 3))
            raise
        self.event("end", ok=True, seconds=round(time.monotonic() - started, 3))

    def skipped(self, step: str) -> None:
        """Say that a stage stands already."""
        self.say(_ROW.format(step, "done before"))
        self.event("skipped", step=step)

    def stay(self, step: str, *, n_shards: int, of: int) -> None:
        """Say how many shards of a table that is made anew are kept as they are."""
        if n_shards:
            self.say(_ROW.format(step, f"{n_shards:,} of {of:,} shards stay"))

    @contextmanager
    def step(self, step: str, *, n_items: int, n_done: int) -> Iterator[Advance]:
        """Show one step while it works; the caller calls the yielded function with each item's counts."""
        meter = _Meter(n_items, n_done, n_before=n_done)
        self.event("step", step=step, n_items=n_items, n_done=n_done)
        with self._shown(step, meter) as advance:
            yield advance
        self.say(_ROW.format(step, meter.text()))
        self.event("step_end", step=step, **meter.counts(), seconds=round(meter.seconds, 3))

    @contextmanager
    def _shown(self, step: str, meter: _Meter) -> Iterator[Advance]:
        live = self.console.is_terminal and not self.quiet
        columns = (TextColumn(_ROW.format(step, "")), BarColumn(bar_width=24), TextColumn("{task.description}"))
        bars = Bars(*columns, console=self.console, transient=True)
        task = bars.add_task(meter.text(), total=meter.n_items, completed=meter.n_done)
        said = time.monotonic()

        def advance(counts: dict[str, int]) -> None:
            nonlocal said
            meter.add(counts)
            bars.update(task, completed=meter.n_done, description=meter.text())
            if time.monotonic() - said >= LINE_SECONDS and meter.n_done < meter.n_items:
                said = time.monotonic()
                self.event("progress", step=step, **meter.counts(), seconds=round(meter.seconds, 3))
                if not live:
                    self.say(_ROW.format(step, meter.text()))

        if live:
            bars.start()
        try:
            yield advance
        finally:
            if live:
                bars.stop()


def silent() -> Progress:
    """For tests and library use."""
    return Progress(Console(quiet=True), quiet=True)


def _now() -> datetime:
    return datetime.now(UTC)
