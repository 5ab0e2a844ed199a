"""The server that processes are forked from. It imports what they need, once, while the driver still starts.

It knows nothing of ours before it is asked, so that a command can begin it with its first line.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from typing import Final, Literal

# What a curation's processes import; the first leaves pandas out, which arrays of plug-ins may be of.
PRELOADED: Final = ("pipeline.arrays.without_pandas", "pipeline.preloaded")
WORKER_NAME: Final = "loopmix worker"  # by which a process knows whose it is while it imports its driver's script
_imports: list[tuple[str, ...]] = []  # of the one server that a process can have


def begin_server(modules: Sequence[str]) -> Literal["forkserver", "spawn"]:
    """Begin it, unless it runs, and return how processes that may have imported `modules`, and nothing else, are
    started: `forkserver`, or `spawn` where the server of this process has imported others."""
    if not _imports:
        _imports.append(tuple(modules))
        forkserver.set_forkserver_preload(list(modules))
    if _imports != [tuple(modules)]:
        return "spawn"
    with uninterrupted():
        forkserver.ensure_running()  # again, where somebody has ended it
    return "forkserver"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that begin here do not see Ctrl-C, which a terminal sends to all: who began them ends them."""
    resource_tracker.ensure_running()  # which lets the signal through again when it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
