"""Rows that could not be read are counted by source and file, and said in report and verify."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hand_run import hand_run, renamed
from handmade import documents, make_run, write_documents

from pipeline.config import Ingest
from pipeline.reading.unread import Unread
from pipeline.reading.unread import unread_of as unread_by
from pipeline.reading.verify import Finding, _inputs
from pipeline.reading.work import working
from pipeline.report.compute import compute
from pipeline.report.document_tables import source_drops_table
from pipeline.report.terminal_table import draw


def _run(folder: Path, *, max_unreadable_frac: float) -> Any:
    """Source a: 100 rows of a file over two shards, two of them unread. Source b: three files of a row, one unread."""
    run = make_run(folder, ingest=Ingest(max_unreadable_frac=max_unreadable_frac))
    problems = [["unreadable_row"] + [None] * 49, ["missing_object"] + ["too_large"] * 4 + [None] * 45]
    tables = [
        documents(k, ["x"] * 50, source=["a"] * 50, input_file=["a.jsonl"] * 50, problem=problem)
        for k, problem in enumerate(problems)
    ]
    files = ["1.py", "2.py", "3.py"]
    tables.append(documents(2, ["x"] * 3, source=["b"] * 3, input_file=files, problem=[None, "unreadable_row", None]))
    tables = write_documents(run, tables)
    return SimpleNamespace(
        n_shards=3,
        tables=tables,
        mixture=run.mixture,
        manifest={"stages": {"documents": {"counts": {}, "problems": {}}}},
    )


def unread_of(run: Any) -> tuple[Unread, ...]:
    with working() as work:
        return unread_by(run, work)


def inputs(run: Any) -> Finding:
    with working() as work:
        return _inputs(run, work)


def test_unread_rows_are_counted_by_source_and_file(tmp_path: Path) -> None:
    run = _run(tmp_path, max_unreadable_frac=0.01)
    expected = [Unread("b", None, 3, 1), Unread("a", None, 100, 2), Unread("a", "a.jsonl", 100, 2)]
    assert list(unread_of(run)) == expected
    finding = inputs(run)
    assert (finding.kept, finding.look) == (True, True)
    assert "1 of 3 rows of source b; 2 of 100 rows of source a; 2 of 100 rows of a.jsonl of source a" in finding.detail


def test_few_unread_rows_are_nothing_to_look_at(tmp_path: Path) -> None:
    run = _run(tmp_path, max_unreadable_frac=0.02)
    assert list(unread_of(run)) == [Unread("b", None, 3, 1)]
    run = _run(tmp_path, max_unreadable_frac=0.5)
    assert unread_of(run) == ()
    assert not inputs(run).look


def test_report_and_verify_say_what_was_not_read(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    numbers = compute(run)
    assert numbers.unread == ()
    assert sum(numbers.source_docs.values()) == numbers.totals.n_docs
    by_reason: dict[str, int] = {}
    for drop in numbers.source_drops:
        by_reason[drop.reason] = by_reason.get(drop.reason, 0) + drop.n_docs
    assert by_reason == {drop.reason: drop.n_docs for drop in numbers.drops}
    rows = {row[0]: row[1:] for row in source_drops_table(numbers).rows}
    assert sum(rows["all documents"]) == numbers.totals.n_docs
    assert sum(rows["near_duplicate"]) == 1
    assert draw(source_drops_table(numbers), width=100) is not None


def test_report_warns_of_sources_that_were_not_read(tmp_path: Path) -> None:
    shards = renamed(d={"reasons": ("unreadable_row", "unknown_language")})
    numbers = compute(hand_run(tmp_path, shards=shards))
    (one,) = numbers.unread
    assert (one.source, one.input_file, one.n_unread_docs) == ("web", None, 1)
    assert ("warn", f"Rows that could not be read: {one}.") in [(n.level, n.message) for n in numbers.notices]
