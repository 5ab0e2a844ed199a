"""What a parser made of the documents that it was asked to read, by language."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.report.formats import exact, plain
from pipeline.report.table import PERCENT, TEXT, Column, ReportTable
from pipeline.schema import LANGUAGES, QUALITY

BROKEN_FRAC = 0.1  # of a document's visible bytes in errors: beyond it is no dialect or macro, which all grammars miss


@dataclass(frozen=True)
class ParsedLanguage:
    """Documents of one language that were parsed: all, or a sample (`quality.parse`)."""

    language: str
    n_docs: int
    n_with_errors: int  # any syntax error
    n_broken: int  # more than BROKEN_FRAC of the visible bytes in errors
    n_died: int  # not parsed: the grammar crashed on them, or did not end


def count_syntax(run: RunFiles, work: Work) -> tuple[ParsedLanguage, ...]:
    """Languages of which documents were parsed, those with most first."""
    parsed, errors, broken, died = counters = tuple(Counter[str]() for _ in range(4))
    for found in work.each(partial(_count, run.tables), work.shards(run), name="report.syntax"):
        for counter, more in zip(counters, found, strict=True):
            counter.update(more)
    rows = [ParsedLanguage(name, parsed[name], errors[name], broken[name], died[name]) for name in parsed | died]
    return tuple(sorted(rows, key=lambda row: (-row.n_docs, row.language)))


def _count(tables: Tables, span: Span) -> tuple[Counter[str], ...]:
    """Documents of some shards by language: parsed, with any error, broken, and those that killed the parser."""
    parsed, errors, broken, died = (Counter[str]() for _ in range(4))
    for shard in span.items:
        found = tables.read(QUALITY, shard, columns=["parse_error_frac", "parser_died"])
        language = tables.read(LANGUAGES, shard, columns=["language"])["language"]
        share = found["parse_error_frac"]
        for counter, mask in (
            (parsed, share.is_valid()),
            (errors, pc.greater(share, 0)),
            (broken, pc.greater(share, BROKEN_FRAC)),
            (died, found["parser_died"]),
        ):
            counter.update(language.filter(mask).to_pylist())
    return parsed, errors, broken, died


def syntax_table(found: tuple[ParsedLanguage, ...]) -> ReportTable:
    """Shares of what was parsed."""
    columns = [Column("language", TEXT), Column("parsed"), Column("with errors", PERCENT)]
    columns += [Column("broken", PERCENT), Column("parser died", priority=1)]
    rows = [(p.language, p.n_docs, _of(p.n_with_errors, p), _of(p.n_broken, p), p.n_died) for p in found]
    note = f"broken: more than {BROKEN_FRAC:.0%} of the visible bytes in syntax errors"
    return ReportTable("Syntax", columns, rows, note)


def _of(n: int, parsed: ParsedLanguage) -> float:
    return n / max(1, parsed.n_docs)


def killers(found: tuple[ParsedLanguage, ...]) -> Iterator[str]:
    """One sentence if documents killed their parsers."""
    if named := ", ".join(f"{plain(p.language)} {exact(p.n_died)}" for p in found if p.n_died):
        yield f"Documents on which a grammar crashed or did not end, so that they are not parsed: {named}."
