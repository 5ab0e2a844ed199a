"""What stages cost, by a clock that the test moves: each pays for its work, and the first for what all share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine import markers
from pipeline.engine.manifest import read_manifest, record
from pipeline.engine.markers import Marker, Outcome, do_item, parse_marker
from pipeline.engine.run import run_maps
from pipeline.engine.stage import MapStage
from pipeline.engine.tables import Tables
from pipeline.fields import Frozen
from pipeline.schema import DOCUMENTS, JUDGED, OVERLAPS, Table
from tests.handmade import documents, done_of, make_run


class Clock:
    def __init__(self) -> None:
        self.spent = 0.0

    def work(self, seconds: float) -> None:
        self.spent += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(markers, "cpu_seconds", lambda: moved.spent)
    return moved


def test_an_item_costs_what_its_task_used(clock: Clock) -> None:
    def task(_: int, payload: float) -> Outcome:
        clock.work(payload)
        return Outcome((), {})

    clock.work(5.0)
    assert do_item(task, 0, 0.25).cpu_seconds == 0.25


def test_neighbouring_stages_pay_for_themselves_and_the_first_for_the_text(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def making(table: Table, seconds: float) -> MapStage:
        def annotate(docs: pa.Table, *, config: Any) -> pa.Table:
            clock.work(seconds)
            return pa.table({f.name: pa.nulls(docs.num_rows, f.type) for f in table.schema}, schema=table.schema)

        return MapStage(table, 1, annotate, Frozen(), ("doc_id", "content"))

    run = make_run(tmp_path)
    Tables(run.store, 1, DOCUMENTS.name).write(DOCUMENTS, 0, data=documents(0, ["a", "b"]))
    read = Tables.read

    def costly(self: Tables, table: Table, shard: int, **options: Any) -> pa.Table:
        clock.work(8.0 if table is DOCUMENTS else 0.0)
        return read(self, table, shard, **options)

    monkeypatch.setattr(Tables, "read", costly)
    monkeypatch.setattr(Tables, "write", lambda *_, **__: run.store.write_bytes("tables/any", b""))
    stages = [making(JUDGED, 1.0), making(OVERLAPS, 2.0)]
    run_maps(run, run.store, stages, marks={s.name: "m" for s in stages}, rows=["all"])
    entries = read_manifest(run.store)["stages"]
    assert (entries["judged"]["cpu_seconds"], entries["overlaps"]["cpu_seconds"]) == (9.0, 2.0)


def test_the_manifest_adds_up_all_steps_or_says_that_it_cannot(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    counted, before = (
        Marker((), {}, None, 1.0, 0.5),
        parse_marker(b'{"files":[],"counts":{},"problem":null,"seconds":2}'),
    )
    assert before is not None  # a marker of a version that did not count
    record(
        run.store,
        run.mixture,
        "all",
        mark="m",
        version=1,
        done=done_of([counted]),
        inner=done_of([counted, counted]).cost,
    )
    record(run.store, run.mixture, "part", mark="m", version=1, done=done_of([counted]), inner=done_of([before]).cost)
    stages = read_manifest(run.store)["stages"]
    assert (stages["all"]["seconds"], stages["all"]["cpu_seconds"]) == (3.0, 1.5)
    assert (stages["part"]["seconds"], stages["part"]["cpu_seconds"]) == (3.0, None)
