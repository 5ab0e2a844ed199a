"""Tasks side by side in processes of this machine, with the face of the executors in `executor.py`."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import StageError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ProcessExecutor:
    """`n_workers` fresh Python processes. They are spawned: a process with torch's threads must not be forked."""

    n_workers: int

    def map(self, task: Callable[[Item], Result], items: Sequence[Item], *, name: str) -> Iterator[tuple[Item, Result]]:
        """Yield (item, task(item)) in completion order. The first failure ends the map with its error."""
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.n_workers, mp_context=context, initializer=_end_with, initargs=(os.getpid(),))
        try:
            futures = {pool.submit(task, item): item for item in items}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise StageError(f"{name}: a worker process died ({error}); run the same line again to go on") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def describe(self) -> str:
        return f"in {self.n_workers} processes"


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: after a kill nobody else would tell it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
