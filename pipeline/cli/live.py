"""A training as a person watches it: a live table in a terminal, plain lines in a log. Knows no torch.

Events are told apart by what they carry; the trainer defines them, and this file must load where torch is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

_REMEMBERED = 20  # updates over which losses and speeds are averaged


@contextmanager
def show_training(console: Console | None = None) -> Iterator[Callable[[Any], None]]:
    """Give an `on_event`. Lines that stay go above the table, which shows the newest state and goes away at the end."""
    from pipeline.plt.narrate import event_lines

    console = console or Console()
    board = _Board()

    def say(event: Any, *, quiet: bool) -> None:
        for line in event_lines(event):
            if not (quiet and type(event).__name__ == "Stepped"):
                console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)

    if not console.is_terminal:
        yield lambda event: say(event, quiet=False)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:

        def show(event: Any) -> None:
            board.take(event)
            say(event, quiet=True)
            live.update(board.table())

        yield show


@dataclass
class _Board:
    """The newest state of a training."""

    n_steps: int = 0
    step: Any = None
    recent: deque[Any] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    held_out: str = "-"

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "Started":
            self.n_steps, self.step, self.held_out = event.n_steps, None, "-"
            self.recent.clear()
        elif kind == "Stepped":
            self.step = event.step
            self.recent.append(event)
        elif kind == "Evaluated":
            pools = ", ".join(f"{p.pool} {p.loss:.3f}" for p in event.evaluation.pools)
            self.held_out = f"{event.evaluation.loss:.3f} ({pools}) after step {event.evaluation.step}"

    def table(self) -> Table:
        """Means over the last updates; the time left counts updates only, not evaluations."""
        table = Table(show_header=False, box=None, padding=(0, 2))
        if self.step is None:
            table.add_row("step", f"0/{self.n_steps}")
            return table
        seconds = sum(e.seconds for e in self.recent)
        n_tokens = sum(e.tokens_per_second * e.seconds for e in self.recent)
        left = (self.n_steps - self.step.step) * seconds / len(self.recent)
        table.add_row("step", f"{self.step.step}/{self.n_steps}, {left:,.0f} s left")
        table.add_row(
            "loss", self._loss("loss") + f"   code {self._loss('code_loss')}   text {self._loss('text_loss')}"
        )
        table.add_row("held out", self.held_out)
        speed = f"{n_tokens / seconds:,.0f} tokens/s, {seconds / len(self.recent) * 1e3:,.0f} ms a step"
        mfu = [e.mfu for e in self.recent if e.mfu is not None]
        table.add_row("speed", speed + (f", MFU {sum(mfu) / len(mfu):.1%}" if mfu else ""))
        table.add_row("loader wait", f"{sum(e.wait_seconds for e in self.recent) / seconds:.1%} of the time")
        table.add_row("lr, grad norm", f"{self.step.lr:.2e}, {self.step.grad_norm:.2f}")
        return table

    def _loss(self, name: str) -> str:
        found = [getattr(e.step, name) for e in self.recent]
        found = [loss for loss in found if loss == loss]  # a pool may be missing from an update
        return f"{sum(found) / len(found):.4f}" if found else "-"
