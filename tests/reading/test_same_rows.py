"""Tables of a run that are joined by the place of a row: one that has other rows gives no answer, but its name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hand_run import hand_run
from handmade import doc_id

from pipeline.browse.opened import open_document
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.forget.listing import read_entries
from pipeline.forget.matching import match
from pipeline.reading.lookup import why
from pipeline.reading.masked import masked_rows
from pipeline.reading.verify import verify
from pipeline.reading.work import working
from pipeline.report import count
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, LEDGER, QUALITY, REDACTED, SIGNATURES, Table

Change = Callable[[RunFiles, Table], None]


def written(change: Callable[[pa.Table], pa.Table]) -> Change:
    def changed(run: RunFiles, table: Table) -> None:
        tables = Tables(run.store, run.n_shards)
        tables.write(table, 0, data=change(tables.read(table, 0)))

    return changed


def swap(run: RunFiles, table: Table) -> None:
    first, second = (Path(run.store.full(run.tables.path(table, shard))) for shard in (0, 1))
    first.rename(aside := first.with_name("aside"))
    second.rename(first)
    aside.rename(second)


CHANGES: dict[str, Change] = {
    "two shards swapped": swap,
    "a row less": written(lambda rows: rows.slice(1)),
    "rows in another order": written(lambda rows: rows.take(pa.array([1, 0, *range(2, len(rows))]))),
    "an id of nobody": written(
        lambda rows: rows.set_column(0, rows.schema.field(0), pa.array(["f" * 32, *rows["doc_id"].to_pylist()[1:]]))
    ),
}


def opened(run: RunFiles) -> None:
    with working() as work:
        open_document(run, doc_id(0, 1), work)


# Of one that was kept: nobody's text is compared with its own, which would read the tables once more.
ASKED: dict[str, Callable[[RunFiles], object]] = {"why": lambda run: list(why(run, doc_id(0, 2))), "browse": opened}
COUNTED: dict[str, Callable[[RunFiles], object]] = {
    "report": count,
    "forget": lambda run: match(run, read_entries(["path:src/a.py"], where="list.txt")),
}
JOINED = [(name, table) for name, tables in (
    ("report", (LANGUAGES, EXACT_DUPS, QUALITY, REDACTED, LEDGER)),
    ("forget", (DOCUMENTS, SIGNATURES)),
) for table in tables]  # fmt: skip
REFUSED = r"/tables/.*part-0000\d-of-00002\.parquet: has .* in .*/tables/.*parquet; .*; curate the run again"


def refused(folder: Path, question: Callable[[RunFiles], object], change: str, table: Table) -> None:
    """What is answered of a sound run is refused of one that was changed."""
    run = hand_run(folder)
    question(RunFiles(run.store))
    CHANGES[change](run, table)
    with pytest.raises(StoreError, match=REFUSED):
        question(RunFiles(run.store))


@pytest.mark.parametrize("table", [DOCUMENTS, LANGUAGES, EXACT_DUPS, QUALITY, REDACTED], ids=lambda table: table.name)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("question", ASKED)
def test_a_question_about_a_document_is_refused(tmp_path: Path, question: str, change: str, table: Table) -> None:
    refused(tmp_path, ASKED[question], change, table)


@pytest.mark.parametrize(("counted", "table"), JOINED, ids=str)
@pytest.mark.parametrize("change", ["two shards swapped", "a row less"])
def test_what_counts_all_documents_is_refused(tmp_path: Path, counted: str, change: str, table: Table) -> None:
    refused(tmp_path, COUNTED[counted], change, table)


@pytest.mark.parametrize("change", CHANGES)
def test_a_text_is_not_masked_by_the_finds_of_another(tmp_path: Path, change: str) -> None:
    run = hand_run(tmp_path)
    CHANGES[change](run, REDACTED)
    with pytest.raises(StoreError, match=REFUSED):
        masked_rows(run, 0, [2])


def test_verify_reads_on_and_says_by_itself_which_table_it_is(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    CHANGES["a row less"](run, LANGUAGES)
    details = {finding.promise: finding.detail for finding in verify(run, quick=True) if finding.kept is False}
    assert details["alignment"] == "shard 0 of languages has other rows than documents"


def test_the_same_file_read_again_may_have_changed_and_a_task_takes_no_rows_along(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    before = run.tables.read(LEDGER, 0)
    CHANGES["a row less"](run, LEDGER)
    assert len(run.tables.read(LEDGER, 0)) == len(before) - 1
    assert len(pickle.loads(pickle.dumps(run.tables)).read(LANGUAGES, 0)) == len(before)
    with pytest.raises(StoreError, match=r"has 5 rows, but 4 in"):
        run.tables.read(LANGUAGES, 0)
