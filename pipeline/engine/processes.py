"""Tasks side by side in processes of this machine, with the face of the executors in `executor.py`.

Each process gets one item at a time, so that of a process that died one knows what it was at. They are forked from a
server that has imported what they need (`forking.py`).
"""

from __future__ import annotations

import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline.engine.executor import Waiting, failure, number_of, work_on
from pipeline.engine.forking import WORKER_NAME, begin_server, uninterrupted
from pipeline.errors import LoopmixError, StageError, WorkerDied

Item = TypeVar("Item")
Result = TypeVar("Result")

# Of one item, before it is tried with no other beside it; once more there.
MAX_DEATHS = 2
# Of one process. One that the server forks is lost with it, and a server that was ended takes a moment to be gone.
MAX_STARTS, _AGAIN_SECONDS = 3, 0.2
# A task peaks at 0.9 GB with shards of 64 MB, and holds as many times more or less with others (docs/speed.md).
TASK_BYTES_PER_SHARD_BYTE = 14


@contextmanager
def processes(
    n_workers: int, *, preload: Sequence[str] = (), meanwhile: Sequence[str] = ()
) -> Iterator[ProcessExecutor]:
    """An executor of so many processes, which end with the block. `preload` names modules that they need, `meanwhile`
    what this process will need: that is imported while the first items are worked on."""
    executor = ProcessExecutor(n_workers, begin_server(preload), list(meanwhile))
    try:
        yield executor
    finally:
        executor.close()


def workers_that_fit(shard_bytes: int) -> int:
    """How many tasks this machine can do at once: one a core, while they fit into the memory that is free."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = _free_bytes()
    return n_cores if free is None else max(1, min(n_cores, free // (TASK_BYTES_PER_SHARD_BYTE * shard_bytes)))


def _free_bytes() -> int | None:
    """None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


@dataclass(eq=False)
class _Worker:
    process: Any
    connection: Connection

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()


@dataclass
class _Trial:
    item: Any
    n_deaths: int = 0


@dataclass
class ProcessExecutor:
    """`n_workers` processes, started when there is work and kept from map to map; see `processes`."""

    n_workers: int
    _method: Literal["forkserver", "spawn"] = "forkserver"  # of starting them
    _unread: list[str] = field(default_factory=list)  # modules that this process will need
    _idle: list[_Worker] = field(default_factory=list)
    _late: dict[Connection, _Worker] = field(default_factory=dict)  # at an item of a map that was left
    # Those of maps that nobody closed too: left to the garbage collector, a connection can be closed twice.
    _alive: set[_Worker] = field(default_factory=set)

    def map(self, task: Callable[[Item], Result], items: Sequence[Item], *, name: str) -> Iterator[tuple[Item, Result]]:
        """Yield (item, task(item)) in completion order. The first failure ends the map with its LoopmixError.

        An item whose process dies twice comes again, alone, when all others are done; WorkerDied where it dies again.
        """
        short: list[_Trial] = []
        trials = map(_Trial, items)  # as they are given out: a hundred thousand hold much
        yield from self._round(task, trials, short, name=name, width=self.n_workers)
        yield from self._round(task, short, None, name=name, width=1)

    def _round(
        self,
        task: Callable[[Any], Any],
        attempts: Iterable[_Trial],
        short: list[_Trial] | None,
        *,
        name: str,
        width: int,
    ) -> Iterator[tuple[Any, Any]]:
        waiting, busy = Waiting(attempts), dict[Connection, tuple[_Worker, _Trial]]()
        try:
            while True:
                while len(busy) < width and (attempt := waiting.take()):
                    worker = self._give(pickle.dumps((task, name, attempt.item)))
                    busy[worker.connection] = worker, attempt
                if not busy:
                    return
                while self._unread:
                    import_module(self._unread.pop())
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    worker, attempt = busy.pop(connection)
                    try:
                        is_done, answer = pickle.loads(connection.recv_bytes())  # noqa: S301 - of our own process
                    except (EOFError, OSError):
                        self._end(worker)
                        self._died(attempt, waiting, short, name=name)
                        continue
                    self._idle.append(worker)
                    if not is_done:
                        raise answer
                    yield attempt.item, answer
        except GeneratorExit:  # nobody wants the rest: what runs comes to its end, and its answer is not read
            self._late |= {connection: worker for connection, (worker, _) in busy.items()}
            busy.clear()
            raise
        finally:
            for worker, _ in busy.values():  # what they were at is not committed, or it is: both are fine
                self._end(worker)

    def _died(self, attempt: _Trial, waiting: Waiting[_Trial], short: list[_Trial] | None, *, name: str) -> None:
        attempt.n_deaths += 1
        if short is None:
            raise WorkerDied(
                f"{name}: item {number_of(attempt.item)} took {attempt.n_deaths} processes with it, at last alone: a "
                "library crashes on it, or the system ended it for want of memory; the kernel's log says which",
                item=attempt.item,
            )
        (waiting.again if attempt.n_deaths < MAX_DEATHS else short).append(attempt)

    def _give(self, call: bytes) -> _Worker:
        """The process that got the call. One that died while it had nothing to do is no item's fault."""
        while self._late and not self._idle:
            self._await_late()
        while self._idle:
            worker = self._idle.pop()
            try:
                worker.connection.send_bytes(call)
            except OSError:
                self._end(worker)
                continue
            return worker
        worker = self._start()
        with suppress(OSError):  # dead already: whoever waits for its answer sees it
            worker.connection.send_bytes(call)
        return worker

    def _await_late(self) -> None:
        for connection in wait(list(self._late)):
            assert isinstance(connection, Connection)
            worker = self._late.pop(connection)
            try:
                connection.recv_bytes()
            except (EOFError, OSError):
                self._end(worker)
            else:
                self._idle.append(worker)

    def _start(self) -> _Worker:
        context: Any = get_context(self._method)
        for _ in range(MAX_STARTS):
            # New ends each time: a process that was forked just before its server ended has the old ones.
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, name=WORKER_NAME, args=(theirs,), daemon=True)
            try:
                with uninterrupted():
                    process.start()  # begins the server again where it has ended
            except (EOFError, ConnectionError):
                ours.close()
                time.sleep(_AGAIN_SECONDS)
                continue
            finally:
                theirs.close()
            worker = _Worker(process, ours)
            self._alive.add(worker)
            return worker
        raise StageError(
            f"no worker process begins: the server that they are forked from ended {MAX_STARTS} times, killed or for "
            "want of memory (the kernel's log says which); run the same line again, or with the executor inline"
        )

    def _end(self, worker: _Worker) -> None:
        if worker in self._alive:
            self._alive.remove(worker)
            worker.end()

    def close(self) -> None:
        """End the processes, those that are at work as well."""
        self._idle.clear()
        self._late.clear()
        for worker in list(self._alive):
            self._end(worker)

    def describe(self) -> str:
        return f"in {self.n_workers} processes"


def _work(connection: Connection) -> None:
    """What a process does: one item after another, until the driver is gone."""
    _end_with(os.getppid())
    with suppress(EOFError, ConnectionError):  # the second where the driver left with an answer unread
        while True:
            connection.send_bytes(pickle.dumps(_answer(connection.recv_bytes())))


def _answer(call: bytes) -> tuple[bool, Any]:
    """(True, result) or (False, LoopmixError)."""
    task, name, item = pickle.loads(call)  # noqa: S301 - of the driver that started this process
    try:
        return True, work_on(task, item)
    except LoopmixError as error:
        return False, error
    except Exception as error:  # noqa: BLE001 - a defect; it ends the run where the item was given out
        found: StageError = failure(name, item, error)
        found.add_note(traceback.format_exc())  # the traceback itself stays here
        return False, found


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: after a kill nobody else would tell it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
