"""Documents that end the process which works on them: found by trying, listed in the run, and read without their text.

    RUN/state/poisonous.json    {"format": 1, "documents": [{"source", "input_file", "input_row", "path", "step"}]}

A parser that a stranger's text drives into a fault, or out of memory, takes its worker with it, and every retry too.
The shard is then tried in parts, each in a process of its own, until it is known which documents do that. They keep
their row, with the reason `crashed_worker`. The list decides bytes, so it is part of what `documents` is made of.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from pipeline.arrays.warm import compile_once
from pipeline.engine.stage import MapStage
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.errors import StageError, StoreError, first_of, unfit
from pipeline.schema import DOCUMENTS

_LIST = "state/poisonous.json"
_FORMAT = 1
_MAX_NAMED = 5  # documents that a message lists: one line
_PLACE = ("source", "input_file", "input_row", "path")

Stages = tuple[tuple[MapStage, Tables], ...]


@dataclass(frozen=True)
class Poisonous:
    """Where a document comes from that ends its worker, and in which step it did."""

    source: str
    input_file: str
    input_row: int
    path: str
    step: str


class PoisonedError(StageError):
    """Documents that end their worker were found and listed; the same line again goes on without them."""


def read_poisonous(store: Store) -> tuple[Poisonous, ...]:
    """The list of a run. StoreError for a damaged one: without it the run would end its workers again."""
    data = store.find(_LIST)
    if data is None:
        return ()
    try:
        said = json.loads(data)
        if said["format"] != _FORMAT:
            raise ValueError(f"format {said['format']!r}, expected {_FORMAT}")
        return tuple(Poisonous(**one) for one in said["documents"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{store.full(_LIST)}: is damaged: {unfit(error)}; remove it and run again") from error


def list_poisonous(store: Store, found: Sequence[Poisonous]) -> PoisonedError:
    """Add documents to the list of a run; the error that says so."""
    before = read_poisonous(store)
    names = first_of([f"{one.path} of source {one.source}" for one in found], most=_MAX_NAMED)
    if set(found) <= set(before):
        raise StageError(f"{found[0].step}: {names} ends its worker without its text too; exclude it")
    every = sorted({*before, *found}, key=lambda one: (one.source, one.input_file, one.input_row))
    said = {"format": _FORMAT, "documents": [asdict(one) for one in every]}
    store.write_bytes(_LIST, json.dumps(said, indent=1, sort_keys=True).encode())
    return PoisonedError(f"{found[0].step}: {names} ended every process that worked on it; left out as crashed_worker")


def find_poisonous(stages: Stages, shard: int, *, step: str, lacking: Sequence[str]) -> list[Poisonous]:
    """The documents of a shard that end a process each by itself; none where no single one does.

    StageError where the process ends without any text too: a plug-in or a library does that, and each trial of each
    document would say the same.
    """
    wanted = tuple((stage, tables) for stage, tables in stages if stage.name in lacking)
    places = wanted[0][1].read(DOCUMENTS, shard, columns=_PLACE)

    def survives(first: int, last: int) -> bool:
        return _ends_well(wanted, shard, first, last)

    ends = {0, max(0, places.num_rows - 1)}
    if not any(_ends_well(wanted, shard, row, row + 1, blank=True) for row in ends):
        raise StageError(f"{step}: its process ends on documents without text too, so by what runs there and by none "
                         "of them; try its plug-ins alone")  # fmt: skip
    rows = poisonous_rows(places.num_rows, survives=survives)
    return [Poisonous(**places.slice(row, 1).to_pylist()[0], step=step) for row in rows]


def poisonous_rows(n_rows: int, *, survives: Callable[[int, int], bool]) -> list[int]:
    """The rows each of which does not survive alone, given whether rows [first, last) do.

    Takes about log2(n_rows) trials for each, beside one or two.
    """
    found: list[int] = []
    start = 0
    while start < n_rows and not survives(start, n_rows):
        good, bad = start, n_rows  # [start, good) survives, [start, bad) does not
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if survives(start, middle) else (good, middle)
        if survives(bad - 1, bad):  # several together, as memory is used up
            return found
        found.append(bad - 1)
        start = bad
    return found


def _ends_well(stages: Stages, shard: int, first: int, last: int, *, blank: bool = False) -> bool:
    """Whether a process of its own can work on these rows. One that raises an error does not die of it."""
    process = multiprocessing.get_context("spawn").Process(target=_try, args=(stages, shard, first, last, blank))
    process.start()
    process.join()
    return process.exitcode == 0


def _try(stages: Stages, shard: int, first: int, last: int, blank: bool) -> None:
    compile_once()
    try:
        annotate_rows(stages, shard, first=first, last=last, blank=blank)
    except Exception as error:  # noqa: BLE001 - an error of its own is no death; the worker's says it
        print(f"{type(error).__name__} on rows {first} to {last} of shard {shard}", file=sys.stderr)


def annotate_rows(stages: Stages, shard: int, *, first: int, last: int, blank: bool = False) -> dict[str, Any]:
    """The tables that neighbouring map stages make of some rows of a shard; of `blank` ones without their text."""
    documents = stages[0][1].read(DOCUMENTS, shard, columns=sorted({c for s, _ in stages for c in s.columns}))
    documents = documents.slice(first, last - first)
    if blank and "content" in documents.schema.names:
        nothing = pa.repeat(pa.scalar(b"", documents["content"].type), len(documents))
        documents = documents.set_column(documents.schema.get_field_index("content"), "content", nothing)
    made: dict[str, pa.Table] = {}
    for stage, tables in stages:
        inputs = [
            made[table.name].select(list(names))
            if table.name in made
            else tables.read(table, shard, columns=names).slice(first, last - first)
            for table, names in stage.inputs
        ]
        made[stage.name] = stage.annotate(documents.select(list(stage.columns)), *inputs, config=stage.config)
    return made
