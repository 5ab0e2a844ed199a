"""What a person sees while a run works: a live bar in a terminal, plain lines in a log, the same numbers in both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

Advance = Callable[[dict[str, int]], None]

LINE_SECONDS = 10.0  # how often a log gets a line while a step works


@dataclass
class _Meter:
    """Rates of one step since it began in this process; work done before does not count towards them."""

    n_items: int
    n_done: int
    n_before: int
    n_docs: int = 0
    n_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, counts: dict[str, int]) -> None:
        self.n_done += 1
        self.n_docs += counts.get("n_docs", 0)
        self.n_bytes += counts.get("n_bytes", 0)

    def text(self) -> str:
        seconds = max(time.monotonic() - self.started, 1e-3)
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
    """Shows steps on `console`; with `quiet` nothing."""

    console: Console
    quiet: bool = False

    def say(self, message: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(message, highlight=False, soft_wrap=True, markup=False)

    def skipped(self, step: str) -> None:
        """Say that a stage stands already."""
        self.say(f"  {step:<34} done before")

    @contextmanager
    def step(self, step: str, *, n_items: int, n_done: int) -> Iterator[Advance]:
        """Show one step while it works; the caller calls the yielded function with each item's counts."""
        meter = _Meter(n_items, n_done, n_before=n_done)
        if self.quiet:
            yield meter.add
        elif self.console.is_terminal:
            yield from self._live(step, meter)
        else:
            yield from self._lines(step, meter)
        self.say(f"  {step:<34} {meter.text()}")

    def _live(self, step: str, meter: _Meter) -> Iterator[Advance]:
        columns = (TextColumn(f"  {step:<34}"), BarColumn(bar_width=24), TextColumn("{task.description}"))
        with Bars(*columns, console=self.console, transient=True) as bars:
            task: TaskID = bars.add_task(meter.text(), total=meter.n_items, completed=meter.n_done)

            def advance(counts: dict[str, int]) -> None:
                meter.add(counts)
                bars.update(task, completed=meter.n_done, description=meter.text())

            yield advance

    def _lines(self, step: str, meter: _Meter) -> Iterator[Advance]:
        last = time.monotonic()

        def advance(counts: dict[str, int]) -> None:
            nonlocal last
            meter.add(counts)
            if time.monotonic() - last >= LINE_SECONDS and meter.n_done < meter.n_items:
                last = time.monotonic()
                self.say(f"  {step:<34} {meter.text()}")

        yield advance


def silent() -> Progress:
    """For tests and library use."""
    return Progress(Console(quiet=True), quiet=True)
