"""SIGTERM and SIGINT while training: not the process ends but the step, with a checkpoint, and then the run.

A scheduler that takes a machine away sends SIGTERM and waits; Ctrl-C is SIGINT. The handler only notes the signal. All
processes of a run look at their notes after each step and add them up, so that they stop after the same one.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from pipeline.plt.distributed import Ranks

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether one of the run's processes was asked to end."""

    def __init__(self) -> None:
        self._number = 0

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler. The signal that comes again is not held back: a step may take longer than a person waits."""
        self._number = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def agreed(self, ranks: Ranks) -> int:
        """The signal that any of the processes got, 0 for none. A collective call."""
        if ranks.size == 1:
            return self._number
        # One row a signal, so that two processes with different ones do not add up to a third.
        got = torch.tensor([int(self._number == number) for number in _SIGNALS], device=ranks.device)
        counts = ranks.add_up(got).tolist()
        return next((int(number) for number, count in zip(_SIGNALS, counts, strict=True) if count), 0)


@contextmanager
def hold_signals() -> Iterator[StopRequest]:
    """Note both signals instead of ending. In any but the main thread Python cannot: then they end as ever."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, request.take)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
