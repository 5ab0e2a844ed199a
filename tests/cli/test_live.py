"""What a training shows: a live table in a terminal, lines in a log."""

from __future__ import annotations

import io
import math

from rich.console import Console

from pipeline.cli.live import show_training
from pipeline.plt.events import Evaluated, Started, Stepped
from pipeline.results import Evaluation, GroupLoss, TrainStep


def _events() -> list:
    started = Started(1000, 50, 0, 512, 100, 8, 4000, 0, "NVIDIA H200", "bfloat16", 2, "flex")
    pools = (GroupLoss("code", "", 10, 2.5), GroupLoss("text", "", 10, 3.5))
    steps = [TrainStep(n, 4.0, 1e-3, 0.5, 0, 0, 3.0, math.nan) for n in (1, 2)]
    return [
        started,
        Evaluated(Evaluation(0, 20, 3.0, pools, ()), seconds=1.0),
        *(Stepped(step, tokens_per_second=1000.0, seconds=0.5, wait_seconds=0.05, mfu=0.45) for step in steps),
    ]


def _shown(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    with show_training(console) as show:
        for event in _events():
            show(event)
    return out.getvalue()


def test_training_when_watched_in_a_terminal_shows_its_newest_state():
    shown = _shown(terminal=True)
    for text in ("2/50, 24 s left", "MFU 45.0%", "1,000 tokens/s, 500 ms a step", "10.0% of the time", "code 3.0000"):
        assert text in shown
    assert "text -" in shown, "a pool that no update held has no loss"


def test_training_when_written_to_a_log_gives_lines():
    shown = _shown(terminal=False)
    assert "2 x NVIDIA H200 (bfloat16, flex)" in shown
    assert "step     1  loss  4.0000" in shown and "MFU 45.0%" in shown
    assert "\x1b" not in shown
