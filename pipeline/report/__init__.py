"""The report of a run: manifest and ledger -> numbers -> terminal tables, report.json and one self-contained page.

numbers.py, language_decisions.py    everything the report says, as data; compute.py makes it from the run's tables
count_documents.py, count_sources.py, count_decisions.py, stream.py    one pass over each of what they are named for
duplicates.py, shares.py, notices.py    families of copies; targets and the paper's table; what to look at first
training.py, validation.py, loops.py    a trained model, the verdict on a mixture, what each loop of a model does
table.py    what a table is; *_tables.py define each once, terminal_table.py and markup.py draw it
terminal.py, page.py, overview.py, sections.py, charts.py (plot.py, svg.py)    where tables and charts stand
brief.py, standing.py    the few lines that end a run, and whether its report need not be made again
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine.run_folder import RunFiles

if TYPE_CHECKING:
    from pipeline.reading.work import Work
    from pipeline.report.numbers import Numbers

__all__ = ["count", "save", "write_report"]

PAGE, NUMBERS = "report/index.html", "report/report.json"


def write_report(run: RunFiles, *, model: Path | None = None) -> tuple[Numbers, str]:
    """Count, write report.json and index.html into the run, and return the numbers and the page's full path.

    Raises StoreError for an unfinished or damaged run, CheckpointError for a `model` that is no model folder.
    """
    numbers = count(run, model=model)
    return numbers, save(run, numbers)


def count(run: RunFiles, *, model: Path | None = None, work: Work | None = None) -> Numbers:
    """Everything the report says; `work` says where it is counted. Raises as `write_report` does."""
    from pipeline.report.compute import compute

    return compute(run, model=model, work=work)


def save(run: RunFiles, numbers: Numbers) -> str:
    """Write report.json and the page; returns the page's full path. StoreError where the run is read-only."""
    from pipeline.report.brief import brief_of
    from pipeline.report.numbers import to_json
    from pipeline.report.page import render
    from pipeline.report.standing import remember

    files = [run.store.write_bytes(NUMBERS, to_json(numbers)), run.store.write_bytes(PAGE, render(numbers))]
    if numbers.training is None:  # a model lies outside of the run
        remember(run.store, brief_of(numbers), files)
    return run.store.full(PAGE)
