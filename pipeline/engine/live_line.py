"""The line that shows a step at work: what fits into the width of the terminal, and never more than one line.

What is left out where there is no room: the rate of documents, then the bar, the rate of bytes and the stage.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_NAME = 34  # columns of a step's name: wide enough for nearly all
_BARS = (24, 12)  # its widths, the first that fits
_MIN_NAME = 12


def console_of(*, stderr: bool = False) -> Console:
    """Standard output, or error, for a person: colours and a live line in a terminal that has both; plain text where
    output is piped, NO_COLOR is set or TERM is dumb (which rich sees), whatever FORCE_COLOR says."""
    is_live = (sys.stderr if stderr else sys.stdout).isatty() and not os.environ.get("NO_COLOR")
    return Console(stderr=stderr, force_terminal=is_live, color_system="auto" if is_live else None)


def shown_name(step: str) -> str:
    """A step's name; of fused stages the first and the last."""
    first, *_, last = step.split("+") if "+" in step else (step, step)
    return f"{first}+...+{last}" if len(step) > _NAME and "+" in step else step


def row(step: str, text: str) -> str:
    """A line that stays: the name and what is said of it."""
    return f"  {shown_name(step):<{_NAME}} {text}"


def duration(seconds: float) -> str:
    """Seconds; minutes and hours where these say more."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_970 else f"{seconds / 3600:.1f} h"


@dataclass
class Meter:
    """Rates of one step since it began in this process; work done before does not count towards them."""

    n_items: int
    n_done: int
    n_before: int
    n_docs: int = 0
    n_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Never zero: it divides."""
        return max(time.monotonic() - self.started, 1e-3)

    def add(self, counts: dict[str, int]) -> None:
        """Count one item that is done."""
        self.n_done += 1
        self.n_docs += counts.get("n_docs", 0)
        self.n_bytes += counts.get("n_bytes", 0)

    def counts(self) -> dict[str, int]:
        """For the log."""
        return {"n_items": self.n_items, "n_done": self.n_done, "n_docs": self.n_docs, "n_bytes": self.n_bytes}

    @property
    def done(self) -> str:
        """Items of all items."""
        return f"{self.n_done:,}/{self.n_items:,}"

    @property
    def volume(self) -> str:
        """The rate of bytes; empty where the step reads no documents."""
        return f"{self.n_bytes / self.seconds / 1e6:.1f} MB/s" if self.n_bytes else ""

    @property
    def documents(self) -> str:
        """The rate of documents. Steps that read none count pairs, groups or rows under that name: no rate to show."""
        return f"{self.n_docs / self.seconds:,.0f} documents/s" if self.n_docs and self.n_bytes else ""

    @property
    def time(self) -> str:
        """What is left at the rate so far; what it took where nothing is left, or nothing known."""
        new = self.n_done - self.n_before
        if new > 0 and self.n_done < self.n_items:
            return f"{duration((self.n_items - self.n_done) * self.seconds / new)} left"
        return f"{self.seconds:.1f} s" if self.seconds < 99.5 else duration(self.seconds)

    def text(self, *, room: int | None = None) -> str:
        """All of it on one line; without rates where `room` is too small for them."""
        full = [self.done, self.volume, self.documents, self.time]
        for left_out in ((), (2,), (1, 2)):
            text = ", ".join(part for i, part in enumerate(full) if part and i not in left_out)
            if room is None or len(text) <= room:
                break
        return text


@dataclass
class LiveLine:
    """One step at work, drawn anew several times a second."""

    step: str
    stage: str  # as in "stage 4 of 15"; empty where that is not known
    meter: Meter

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - 1  # a character in the last column would make some terminals begin a new line
        yield Text(self.fitted(room, is_ascii=options.ascii_only), no_wrap=True, overflow="crop")

    def fitted(self, room: int, *, is_ascii: bool = False) -> str:
        """The line in at most `room` columns."""
        meter, name = self.meter, shown_name(self.step)
        bars = [_bar(meter, width, is_ascii=is_ascii) for width in _BARS]
        tries: Sequence[Sequence[str]] = (
            (self.stage, name, bars[0], meter.done, meter.volume, meter.documents, meter.time),
            (self.stage, name, bars[1], meter.done, meter.volume, meter.documents, meter.time),
            (self.stage, name, bars[1], meter.done, meter.volume, meter.time),
            (self.stage, name, meter.done, meter.volume, meter.time),
            (self.stage, name, meter.done, meter.time),
            (name, meter.done, meter.time),
        )
        for parts in tries:
            line = _joined(parts)
            if len(line) <= room:
                return line
        # The end of a name tells more than its beginning; of a terminal too narrow for anything the rest is cut.
        rest = _joined(("", meter.done, meter.time))
        kept = max(_MIN_NAME, room - len(rest) - 3)
        return _joined((f"...{name[-kept + 3 :]}" if len(name) > kept else name, meter.done, meter.time))[:room]


def _joined(parts: Sequence[str]) -> str:
    return "  " + "  ".join(part for part in parts if part)


def _bar(meter: Meter, width: int, *, is_ascii: bool) -> str:
    full = min(width, width * meter.n_done // max(1, meter.n_items))
    done, left = "#." if is_ascii else "█░"
    return done * full + left * (width - full)
