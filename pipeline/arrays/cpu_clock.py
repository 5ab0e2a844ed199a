"""CPU time of this process and of the children that work for it.

The clock on the wall says how busy the machine was; this says what work cost, on an idle machine and a loaded one.
"""

import os
import time

_lived = {"seconds": 0.0}


def cpu_seconds() -> float:
    """CPU seconds, user and system: this process, its children that ended, and what living ones reported."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system + _lived["seconds"]


def report_child(seconds: float) -> None:
    """Add CPU seconds of a child that lives on: the kernel counts it only when it has ended.

    Negative once it has: the kernel counts all of it from then on.
    """
    _lived["seconds"] += seconds
