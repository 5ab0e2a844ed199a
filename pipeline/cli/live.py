"""A training as a person watches it: a live block of numbers in a terminal, plain lines in a log. Needs torch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipeline.engine.aside import stderr_taken
from pipeline.engine.live_line import console_of
from pipeline.engine.progress import printable
from pipeline.plt.events import Evaluated, Started, Stepped, TrainEvent
from pipeline.plt.narrate import event_lines

_RECENT = 20  # updates that losses and speeds are averaged over: a choice, steady to the eye and soon up to date


@contextmanager
def show_training(console: Console | None = None) -> Iterator[Callable[[TrainEvent], None]]:
    """Give an `on_event`. Lines that stay go above the block, which shows the newest state and goes away at the end."""
    console = console or console_of()
    board = _Board()
    live = None
    if console.is_terminal and not console.is_dumb_terminal:
        live = Live(console=console, refresh_per_second=4, transient=True, redirect_stderr=console.stderr)

    def show(event: TrainEvent) -> None:
        board.take(event)
        for line in event_lines(event):
            if live is None or not isinstance(event, Stepped):
                console.print(f"  {printable(line)}", highlight=False, markup=False, soft_wrap=True)
        if live is not None:
            rows = "\n".join(f"{name:<15}{value}" for name, value in board.rows())
            live.update(Text(rows, no_wrap=True, overflow="ellipsis"))

    # A console on standard error cannot take from it what it writes itself; there Python's own writers are caught.
    aside = nullcontext() if live is None or console.stderr else stderr_taken(partial(_print, console))
    with aside, live or nullcontext():
        yield show


def _print(console: Console, line: str) -> None:
    console.print(printable(line), highlight=False, markup=False, soft_wrap=True, style="dim")


@dataclass
class _Board:
    """The newest state of a training."""

    n_steps: int = 0
    recent: deque[Stepped] = field(default_factory=lambda: deque(maxlen=_RECENT))
    held_out: str = "-"

    def take(self, event: TrainEvent) -> None:
        match event:
            case Started():
                self.n_steps, self.held_out = event.n_steps, "-"
                self.recent.clear()
            case Stepped():
                self.recent.append(event)
            case Evaluated(evaluation=found):
                pools = ", ".join(f"{p.pool} {p.loss:.3f}" for p in found.pools)
                self.held_out = f"{found.loss:.3f} ({pools}) after step {found.step}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """Means over the last updates; the time left counts updates only, not evaluations."""
        if not self.recent:
            yield "step", f"0/{self.n_steps}"
            return
        steps, seconds = [e.step for e in self.recent], sum(e.seconds for e in self.recent)
        each = seconds / len(steps)
        yield "step", f"{steps[-1].step}/{self.n_steps}, {(self.n_steps - steps[-1].step) * each:,.0f} s left"
        code, text = _mean(s.code_loss for s in steps), _mean(s.text_loss for s in steps)
        yield "loss", f"{_mean(s.loss for s in steps)}   code {code}   text {text}"
        yield "held out", self.held_out
        n_tokens = sum(e.tokens_per_second * e.seconds for e in self.recent)
        mfu = [e.mfu for e in self.recent if e.mfu is not None]
        used = f", MFU {sum(mfu) / len(mfu):.1%}" if mfu else ""
        yield "speed", f"{n_tokens / seconds:,.0f} tokens/s, {each * 1e3:,.0f} ms a step{used}"
        yield "loader wait", f"{sum(e.wait_seconds for e in self.recent) / seconds:.1%} of the time"
        yield "lr, grad norm", f"{steps[-1].lr:.2e}, {steps[-1].grad_norm:.2f}"


def _mean(losses: Iterable[float]) -> str:
    present = [loss for loss in losses if loss == loss]  # NaN: the update held no token of that pool
    return f"{sum(present) / len(present):.4f}" if present else "-"
