"""The report in a terminal, as wide as it is; 80 columns and plain text where the output is piped."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from pipeline.report import (
    concentration_tables,
    decision_tables,
    document_tables,
    privacy_tables,
    rule_tables,
    stream_tables,
    training_tables,
)
from pipeline.report.brief import brief_of, drawn
from pipeline.report.formats import exact, number, percent, plain
from pipeline.report.forms import forms_table
from pipeline.report.numbers import Numbers
from pipeline.report.repositories import repositories_table
from pipeline.report.shares import largest
from pipeline.report.table import ReportTable
from pipeline.report.terminal_table import draw

# Rows that a reader takes in at a glance, so that the whole report is a few screens; the page has all of them.
N_LANGUAGES = 15
N_REASONS = 12
N_SOURCES = 6  # columns that fit beside each other; the page has all
N_PAIRS = 10
N_BORDER = 8
N_UNTOLD = 5
N_FAMILIES = 5
N_PLACES = 8
N_KINDS = 10


def print_report(numbers: Numbers, console: Console) -> None:
    """Print the numbers from the most to the least asked for; report.json has every digit and every row."""
    for part in _parts(numbers):
        console.print()
        console.print(draw(part, width=console.width) if isinstance(part, ReportTable) else part, soft_wrap=False)


def _parts(numbers: Numbers) -> Iterator[RenderableType | ReportTable]:
    decisions, duplicates = numbers.language_decisions, numbers.duplicates
    paper = {p.name: p.paper_frac for p in numbers.paper}
    code, text = (largest(numbers.of_pool(pool), limit=N_LANGUAGES) for pool in ("code", "text"))
    yield drawn(brief_of(numbers))
    yield document_tables.groups_table("Languages of the code pool", "language", code, paper=paper)
    yield document_tables.groups_table("Sources of the text pool", "source", text, paper={})
    if numbers.prose_languages:
        yield decision_tables.prose_languages_table(numbers).head(N_LANGUAGES)
    if numbers.forms:
        yield forms_table(numbers.forms).head(N_LANGUAGES)
    if numbers.repositories is not None:
        yield repositories_table(numbers.repositories)
    yield decision_tables.decisions_table(numbers)
    yield _confidences(numbers)
    if decisions.prose_in_formats:
        yield decision_tables.formats_table(numbers)
    if decisions.untold:
        yield decision_tables.untold_table(decisions, n_each=N_UNTOLD)
    if decisions.confusions:
        yield decision_tables.pairs_table(decisions).head(1 + N_PAIRS)
    if decisions.border:
        yield decision_tables.border_table(decisions).head(N_BORDER)
    if decisions.disagreements:
        yield decision_tables.disagreements_table(numbers)
        yield decision_tables.misnamed_table(decisions, n_each=1)
    yield document_tables.flow_table(numbers)
    if numbers.drops:
        yield document_tables.drops_table(numbers).head(N_REASONS)
        yield rule_tables.by_reason(numbers.rule_effects).head(N_REASONS)
        if len(numbers.source_docs) <= N_SOURCES:
            yield document_tables.source_drops_table(numbers)
    if numbers.lost_fields:
        yield document_tables.lost_fields_table(numbers)
    yield document_tables.duplicates_table(duplicates)
    if duplicates.families:
        yield document_tables.families_table(duplicates).head(N_FAMILIES)
    if numbers.concentration.places:
        yield concentration_tables.places_table(numbers.concentration, folders=False).head(N_PLACES)
    if numbers.concentration.marks:
        yield concentration_tables.marks_table(numbers.concentration)
    if numbers.privacy.kinds:
        yield privacy_tables.kinds_table(numbers.privacy).head(N_KINDS)
    if numbers.phases:
        yield stream_tables.phases_table(numbers.phases)
    for stream in numbers.streams:
        yield stream_tables.packing_table(numbers, stream.packing)
    yield stream_tables.work_table(numbers)
    yield from _training(numbers)


def _confidences(numbers: Numbers) -> RenderableType:
    """How sure the verdicts from content are, as two histograms of one line."""
    found = numbers.language_decisions
    docs, volume = ([getattr(b, field) for b in found.confidences] for field in ("n_docs", "n_bytes"))
    bars = [Text(f"{name:<9} 0 {_bars(sums)} 1") for name, sums in (("documents", docs), ("bytes", volume))]
    unsure = sum(b.n_docs for b in found.confidences if b.high <= 0.5)
    share = f"{percent(unsure / max(1, found.n_content_docs))} of these lie below a confidence of 0.5"
    note = Text(f"content decided for {exact(found.n_content_docs)} documents; {share}", style="dim")
    return Stack(Text("Confidence of verdicts from content", style="bold"), *bars, note)


def _bars(sums: Sequence[int]) -> str:
    """A histogram of one line; what is there but small is told apart from nothing."""
    most = max(1, *sums)
    return "".join(" " if n == 0 else "▁▂▃▄▅▆▇█"[min(7, 8 * n // most)] for n in sums)


def _training(numbers: Numbers) -> Iterator[RenderableType | ReportTable]:
    """What training on the run showed, if a model was given."""
    training = numbers.training
    if training is None:
        return
    lines = [plain(training.message)]
    if training.evaluations:
        first, last = training.evaluations[0], training.evaluations[-1]
        lines.append(
            f"held-out loss {number(first.loss)} at step {first.step}, {number(last.loss)} at step {last.step}"
        )
    yield Stack(Text("Training", style="bold"), *map(Text, lines))
    if training.checks:
        yield training_tables.checks_table(training.checks)
