"""The report of a run: manifest and ledger -> numbers -> terminal tables, report.json and one self-contained page.

numbers.py, language_decisions.py    everything the report says, as data; compute.py makes it from the run's tables
count_documents.py, count_sources.py, count_decisions.py, stream.py    one pass over each of what they are named for
duplicates.py, shares.py, notices.py    families of copies; targets and the paper's table; what to look at first
training.py, validation.py, loops.py    a trained model, the verdict on a mixture, what each loop of a model does
table.py    what a table is; *_tables.py define each once, terminal_table.py and markup.py draw it
terminal.py, page.py, overview.py, sections.py, charts.py (plot.py, svg.py)    where tables and charts stand
samples_page.py, text_markup.py    the pages of texts beside it, drawn by reading/samples.py
identity.py, record.py, advice.py, downloads.py    what it is of, who made it, what to do about notices, tables as files
brief.py, standing.py    the few lines that end a run, and whether its report need not be made again
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine.run_folder import RunFiles

if TYPE_CHECKING:
    from pipeline.reading.work import Work
    from pipeline.report.numbers import Numbers

__all__ = ["count", "counted", "save", "write_report"]

PAGE, NUMBERS, SCHEMA = "report/index.html", "report/report.json", "report/report.schema.json"


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


def counted(run: RunFiles, *, work: Work | None = None) -> Numbers:
    """The same, read from the report in the run where that stands, so that nothing is counted twice."""
    from pipeline.report.standing import standing_numbers

    return standing_numbers(run) or count(run, work=work)


def save(run: RunFiles, numbers: Numbers, *, work: Work | None = None) -> str:
    """Write report.json, its schema, the page, those of samples and the papers; returns the page's full path.

    `work` says where samples are drawn, by default in this process. StoreError where the run is read-only.
    """
    from pipeline.publish import publish
    from pipeline.reading.samples import has_texts
    from pipeline.report.brief import brief_of
    from pipeline.report.numbers import schema, to_json
    from pipeline.report.page import render
    from pipeline.report.standing import remember

    pages = _samples(run, numbers, work) if has_texts(run) else []
    written = [
        (NUMBERS, to_json(numbers)),
        (SCHEMA, schema()),
        *pages,
        (PAGE, render(numbers, has_samples=bool(pages))),
    ]
    files = [run.store.write_bytes(path, data) for path, data in written]
    files += publish(run)  # what goes with the data where they are given away
    if numbers.training is None:  # a model lies outside of the run
        remember(run.store, brief_of(numbers), files)
    return run.store.full(PAGE)


def _samples(run: RunFiles, numbers: Numbers, work: Work | None) -> list[tuple[str, bytes]]:
    """Path and bytes of each page of samples."""
    from pipeline.reading.samples import draw_samples
    from pipeline.reading.work import working
    from pipeline.report.samples_page import sample_pages

    families = [family.keeper_id for family in numbers.duplicates.families]
    with working() if work is None else nullcontext(work) as here:
        return list(sample_pages(numbers, draw_samples(run, here, families=families)))
