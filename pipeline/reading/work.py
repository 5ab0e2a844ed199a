"""How a finished run is read in tasks: over ranges of its shards, each of which returns a few numbers.

Results come in the order of the ranges, and ranges follow from the run alone; so what is found, and said, is the same
in one process, in several, and on a cluster.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from pipeline.engine.ends import ends_kept
from pipeline.engine.executor import Executor
from pipeline.engine.memory import give_back
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store, open_store
from pipeline.errors import LoopmixError
from pipeline.reading.spread import MAX_PARTS, Spread
from pipeline.schema import DOCUMENTS, NEAR_DUPS, PACKED

Result = TypeVar("Result")
# Of up to 40 bytes, and as much again while they are sorted: half a gigabyte.
ROWS_PER_PART = 6_000_000
# Of documents or pieces that one task reads and passes on: a hundred megabytes, and few enough files.
ROWS_PER_TASK = 2_000_000
# Where a run is small: enough for the workers of a machine, and for all tests to cross the borders of tasks.
MIN_TASKS = 64
# What checks take for granted and an earlier one has found broken, such as tables of equal length.
UNCOUNTED = (IndexError, KeyError, ValueError, pa.ArrowException)


class Span(NamedTuple):
    """Items `first` up to but without `end`, and which task they are."""

    number: int
    first: int
    end: int

    @property
    def items(self) -> range:
        return range(self.first, self.end)


@dataclass(frozen=True)
class Work:
    """Where a run is read, how much of it by one task, and where rows wait between tasks."""

    scratch: Store
    executor: Executor | None = None  # None: a loop in this process, which compiles no kernels beforehand
    rows_per_part: int = ROWS_PER_PART
    rows_per_task: int = ROWS_PER_TASK
    memo: dict[str, Any] = field(default_factory=dict)  # what two checks ask for and one has found

    def each(self, task: Callable[[Any], Result], items: Sequence[Any], *, name: str) -> Iterator[Result]:
        """The result of each item, in their order; item k is a tuple that begins with k.

        The first item that fails, by that order and not by the clock, ends it with its own error.
        """
        guarded = partial(_guarded, task)
        early: dict[int, tuple[Result | None, Exception | None]] = {}
        turn = 0
        done = _here(guarded, items) if self.executor is None else self.executor.map(guarded, items, name=name)
        for item, outcome in done:
            early[item[0]] = outcome
            while turn in early:
                result, error = early.pop(turn)
                turn += 1
                if error is not None:
                    raise error
                yield result  # type: ignore[misc]

    def spans(self, n_items: int, *, n_rows: int) -> list[Span]:
        """Ranges of items that hold some `rows_per_task` rows each, where all items hold `n_rows`."""
        n_tasks = min(n_items, max(MIN_TASKS, -(-n_rows // self.rows_per_task)))
        return [Span(k, n_items * k // n_tasks, n_items * (k + 1) // n_tasks) for k in range(n_tasks)]

    def shards(self, run: RunFiles) -> list[Span]:
        """Ranges of the shards of a run's aligned tables."""
        return self.spans(run.n_shards, n_rows=n_docs_of(run))

    def spread(self, name: str, *, width: int, n_sources: int, n_parts: int) -> Spread:
        """Files for rows of `width` words on their way."""
        return Spread(self.scratch, name, width, n_sources, n_parts)

    def n_parts(self, n_rows: int) -> int:
        """In how many partitions so many rows are looked at."""
        return min(MAX_PARTS, max(1, -(-n_rows // self.rows_per_part)))

    def clear(self) -> None:
        """Remove what a check that ended early has left on its way."""
        for folder in self.scratch.folders(""):
            self.scratch.remove(folder)

    def parts(self, spread: Spread) -> list[Span]:
        """The partitions of rows, each a task."""
        return [Span(part, part, part + 1) for part in range(spread.n_parts)]


@contextmanager
def working(
    executor: Executor | None = None,
    *,
    scratch: str | None = None,
    rows_per_part: int = ROWS_PER_PART,
    rows_per_task: int = ROWS_PER_TASK,
) -> Iterator[Work]:
    """Where checks work; `scratch` is a folder or URL that all workers reach, by default this machine's own for
    temporary files. What is put there is removed at the end."""
    if scratch is None:
        with ends_kept(), tempfile.TemporaryDirectory(prefix="loopmix-") as folder:
            yield Work(open_store(folder), executor, rows_per_part, rows_per_task)
        return
    store = open_store(f"{scratch.rstrip('/')}/loopmix-{secrets.token_hex(8)}")
    try:
        with ends_kept():
            yield Work(store, executor, rows_per_part, rows_per_task)
    finally:
        store.remove("")


def n_docs_of(run: RunFiles) -> int:
    """About how many documents there are: believed for the sizes of tasks alone."""
    return int(run.manifest["stages"][DOCUMENTS.name]["counts"].get("n_docs", 0))


def n_pieces_of(run: RunFiles) -> int:
    """About how many pieces of documents are packed: as above."""
    return int(run.manifest["stages"][PACKED]["counts"].get("n_pieces", 0))


def n_pairs_of(run: RunFiles) -> int:
    """About how many pairs are verified: as above."""
    return int(run.manifest["stages"][NEAR_DUPS.name]["counts"].get("n_pairs", 0))


def _guarded(task: Callable[[Any], Result], item: Any) -> tuple[Result | None, Exception | None]:
    """What a task returns, or why it does not: an error of a worker must be the one that this process would meet."""
    try:
        return task(item), None
    except (LoopmixError, *UNCOUNTED) as error:
        return None, error


def _here(task: Callable[[Any], Result], items: Sequence[Any]) -> Iterator[tuple[Any, Result]]:
    for item in items:
        result = task(item)
        give_back()
        yield item, result
