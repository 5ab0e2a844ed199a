"""The report of a run: manifest and ledger -> numbers -> terminal tables, report.json and one self-contained page.

numbers.py    everything the report says, as data         compute.py   from the run's tables to these numbers
count_documents.py, count_decisions.py, stream.py   one pass over the documents, their languages, the sequences
shares.py     shares, targets, the paper's table           training.py  a trained model's curves and verdict
notices.py    what to look at first
terminal.py   tables for 80 columns                        page.py      the page; charts.py, svg.py draw
"""

from __future__ import annotations

from pathlib import Path

from pipeline.engine.run_folder import RunFiles
from pipeline.report.numbers import Numbers, to_json

__all__ = ["Numbers", "write_report"]

PAGE, NUMBERS = "report/index.html", "report/report.json"


def write_report(run: RunFiles, *, model: Path | None = None) -> tuple[Numbers, str]:
    """Count, write report.json and index.html into the run, and return the numbers and the page's full path.

    Raises StoreError for an unfinished or damaged run, CheckpointError for a `model` that is no model folder.
    """
    from pipeline.report.compute import compute
    from pipeline.report.page import render

    numbers = compute(run, model=model)
    run.store.write_bytes(NUMBERS, to_json(numbers))
    run.store.write_bytes(PAGE, render(numbers))
    return numbers, run.store.full(PAGE)
