"""Items as Ray tasks: a window of them, the nodes that are there, and what is done when one fails.

Ray itself repeats nothing here. A task that fails for want of memory must not be repeated as it was, one whose node is
gone is not to blame, and one whose worker dies again and again is: only the driver can tell these apart, and it has the
item in its hand. No state is in Ray, so repeating a task is submitting its item again.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from pipeline.engine.executor import Waiting, failure, number_of
from pipeline.engine.ray_workers import result_of, submitter
from pipeline.errors import LoopmixError, StageError, WorkerDied

Item = TypeVar("Item")
Result = TypeVar("Result")

# How often the driver asks which nodes are there: a plain choice, of no weight beside tasks of seconds.
ASK_SECONDS = 5.0
# Of an item whose node went away. On machines that are taken back at any time this may be often, but not always the
# same item: more means that the item takes nodes with it.
MAX_LOST = 20


@dataclass
class _Attempt:
    """An item, and what became of it so far."""

    item: Any
    n_deaths: int = 0  # of workers
    n_lost: int = 0  # with their node


@dataclass(frozen=True)
class RayExecutor:
    """Ray core tasks, one per item, twice as many as can run. Needs `ray.init`; see `connect`."""

    address: str

    def map(self, task: Callable[[Item], Result], items: Sequence[Item], *, name: str) -> Iterator[tuple[Item, Result]]:
        """Yield (item, task(item)) in completion order. The first failure ends the map with its LoopmixError.

        An item that runs out of memory, or whose worker dies twice, comes again when all others are done: with half of
        a node's CPUs, so that fewer run beside it, and then alone. Raises WorkerDied where its worker dies even so.
        """
        attempts: Iterable[_Attempt] = map(_Attempt, items)  # as they are given out: a hundred thousand hold much
        is_ours = self.address == "local"
        submit, most_lost = submitter(task, compares=not is_ours), 0 if is_ours else MAX_LOST
        for crowd in _CROWDS:
            short: list[_Attempt] = []
            yield from _Round(submit, name, crowd, short, most_lost).work_off(attempts)
            attempts = short
            if not short:
                return

    def describe(self) -> str:
        nodes = Cluster()
        return f"Ray at {self.address}, {nodes.n_cpus} CPUs on {nodes.n_nodes} nodes"


def _one(_: int) -> int:
    return 1


def _half(largest: int) -> int:
    return max(1, largest // 2)


def _all(largest: int) -> int:
    return largest


# CPUs that a task takes, of those of the largest node: one whatever it does, as more would leave cores idle behind the
# longest item; the others for items that were short of memory.
_CROWDS: tuple[Callable[[int], int], ...] = (_one, _half, _all)


@dataclass
class Cluster:
    """The CPUs of the cluster, asked for now and then: nodes come and go while a run works."""

    n_cpus: int = 1
    largest: int = 1  # of one node
    n_nodes: int = 1
    asked: float = field(default=-1e9)
    complained: bool = False

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Ask again if it is time."""
        if time.monotonic() - self.asked < ASK_SECONDS:
            return
        import ray

        self.asked = time.monotonic()
        cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        # A cluster that starts its nodes on demand has none yet: tasks that wait are what makes it start them.
        self.n_cpus, self.largest, self.n_nodes = max(1, sum(cpus)), max(1, *cpus, 1), sum(n > 0 for n in cpus)

    def complain(self) -> None:
        """Say once that the work waits for nodes: where none is ever started, it would wait in silence."""
        if not self.n_nodes and not self.complained:
            self.complained = True
            print("note: no node of the cluster has CPUs; waiting for one", file=sys.stderr)


@dataclass
class _Round:
    """One pass over items, each with as many CPUs as `crowd` says. Items that need more room are put into `short`."""

    submit: Callable[..., Any]
    name: str
    crowd: Callable[[int], int]
    short: list[_Attempt]
    most_lost: int  # of one item, with its node; a cluster of one node has no other
    nodes: Cluster = field(default_factory=Cluster)
    # Ray calls back once for each task, whatever the window; waiting for any of a window costs as much as it is wide.
    done: SimpleQueue[tuple[int, Future[Any]]] = field(default_factory=SimpleQueue)
    running: dict[int, tuple[_Attempt, Any]] = field(default_factory=dict)
    n_submitted: int = 0

    def work_off(self, attempts: Iterable[_Attempt]) -> Iterator[tuple[Any, Any]]:
        waiting = Waiting(attempts)
        n_each = self.crowd(self.nodes.largest)
        try:
            while True:
                # Twice as many as can run: a worker that ends finds its next task there already.
                while len(self.running) < max(2, 2 * self.nodes.n_cpus // n_each) and (attempt := waiting.take()):
                    self._start(attempt, n_each)
                if not self.running:
                    return
                if ended := self._next():
                    attempt, future = ended
                    error = future.exception()
                    if error is None:
                        yield attempt.item, result_of(future.result())
                    elif self._comes_again(attempt, error):
                        waiting.again.append(attempt)
                self.nodes.look()
                if self.crowd(self.nodes.largest) < n_each:  # the node that could hold them is gone
                    n_each = self.crowd(self.nodes.largest)
                    self._cancel()
        finally:
            self._cancel()

    def _start(self, attempt: _Attempt, n_cpus: int) -> None:
        number, self.n_submitted = self.n_submitted, self.n_submitted + 1
        reference = self.submit(attempt.item, name=_called(self.name, attempt.item), num_cpus=n_cpus)
        self.running[number] = attempt, reference
        reference.future().add_done_callback(lambda future: self.done.put((number, future)))

    def _next(self) -> tuple[_Attempt, Future[Any]] | None:
        """The next task that has ended; None where none does before it is time to look at the nodes again."""
        try:
            number, future = self.done.get(timeout=ASK_SECONDS)
        except Empty:
            if not self.nodes.n_nodes and not self.most_lost:
                raise StageError(
                    f"{self.name}: the Ray cluster on this machine has ended; run the same command again"
                ) from None
            self.nodes.complain()
            return None
        return self.running.pop(number)[0], future

    def _cancel(self) -> None:
        import ray

        for _, reference in self.running.values():
            ray.cancel(reference)

    def _comes_again(self, attempt: _Attempt, error: BaseException) -> bool:
        """Whether the item is to be tried again in this round; if not it is put off to the next, or raises."""
        from ray.exceptions import (
            NodeDiedError,
            ObjectLostError,
            OutOfMemoryError,
            RayTaskError,
            TaskCancelledError,
            WorkerCrashedError,
        )

        match error:
            case RayTaskError(cause=LoopmixError() as cause):
                raise cause from None
            case RayTaskError():
                raise failure(self.name, attempt.item, error.cause or error) from error
            case TaskCancelledError():  # by us, as no node could hold it
                return True
            case NodeDiedError() | ObjectLostError():
                attempt.n_lost += 1
                if attempt.n_lost > self.most_lost:
                    raise failure(self.name, attempt.item, error) from error
                return True
            case OutOfMemoryError():
                if self.crowd is _CROWDS[-1]:
                    raise _no_memory(self.name, attempt.item, error) from error
            case WorkerCrashedError():
                attempt.n_deaths += 1
                if attempt.n_deaths == 1:  # the machine's fault as likely as the item's
                    return True
                if self.crowd is _CROWDS[-1]:
                    raise _worker_died(self.name, attempt) from error
            case _:
                raise failure(self.name, attempt.item, error) from error
        self.short.append(attempt)
        return False


def _no_memory(name: str, item: Any, error: BaseException) -> StageError:
    said, called = " ".join(str(error).split()), re.escape(_called(name, item))
    # Of Ray's page about its choice, what the task held and what the node had; another Ray may word it otherwise.
    size = r"([\d.]+ ?[KMGT]?B)"
    held = re.search(rf"task name={called}, .*?actual memory used={size}", said)
    node = re.search(rf"Memory on the node \(IP: ([^,)]+).*? was {size} used / {size} limit", said)
    where = f"on node {node[1]} {node[2]} of {node[3]} were in use" if node else said[:300]
    return StageError(
        f"{name}: item {number_of(item)} needs more memory than a node has, though it ran there alone: "
        f"{f'it held {held[1]}, ' if held else ''}{where}; "
        "use nodes with more memory, or make shards smaller (ingest.shard_bytes), and run the same command again"
    )


def _called(name: str, item: Any) -> str:
    """The task's name in Ray's dashboard and messages."""
    return f"{name}[{number_of(item)}]"


def _worker_died(name: str, attempt: _Attempt) -> WorkerDied:
    return WorkerDied(
        f"{name}: item {number_of(attempt.item)} took {attempt.n_deaths} workers with it, at last alone on its node: "
        "a library crashes on it, or the system ended it for want of memory; Ray's and the kernel's logs say which",
        item=attempt.item,
    )
