"""A comparison in a terminal, a few screens; the page and --json have every row."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pipeline.compare import tables
from pipeline.compare.found import KINDS, DocumentChanges, RunComparison
from pipeline.report.formats import exact, plain
from pipeline.report.table import ReportTable
from pipeline.report.terminal_table import table_lines

N_ROWS = 12
N_EXAMPLES = 3


def lines(found: RunComparison, *, width: int) -> Iterator[str]:
    """The whole of it, from the most to the least asked for; only names that hold no space make a line wider."""
    yield f"A  {plain(found.a.run)}"
    yield f"B  {plain(found.b.run)}"
    yield from _wrapped("", headline(found), width)
    for table in _tables(found):
        yield ""
        yield from table_lines(table)
    if found.documents is not None:
        yield from _examples(found.documents, width)


def headline(found: RunComparison) -> str:
    """What one wants to know first."""
    if found.same is not None:
        n_files, n_bytes = exact(found.same.n_files), exact(found.same.n_bytes)
        proof = f"no difference: {n_files} files, {n_bytes} bytes were hashed in both runs and are equal"
        return f"{proof}; settings that differ: {len(found.settings)}" if found.settings else proof
    documents = found.documents
    assert documents is not None
    changed = {kind: n for kind, n in documents.counts.items() if n}
    if not changed:
        alike = "no document differs in fate, tokens, language, keeper, reasons or bytes"
        return f"{alike}; the runs are not the same bytes, see the stages"
    n_left, n_entered = documents.counts["left"], documents.counts["entered"]
    alone = documents.counts["only_a"], documents.counts["only_b"]
    only = f"; {exact(alone[0])} are in A alone, {exact(alone[1])} in B alone" if any(alone) else ""
    moved = f"B drops {exact(n_left)} that A keeps, and keeps {exact(n_entered)} that A drops"
    return f"of {exact(documents.n_both)} documents in both runs {moved}{only}"


def _tables(found: RunComparison) -> Iterator[ReportTable]:
    yield tables.runs_table(found)
    if found.settings:
        yield tables.settings_table(found).head(3 * N_ROWS)
    if found.same is not None:
        return
    yield tables.stages_table(found)
    if inputs := tables.inputs_table(found):
        yield inputs
    documents = found.documents
    assert documents is not None
    yield tables.kinds_table(documents)
    yield tables.flows_table(documents)
    if documents.reasons:
        yield tables.reasons_table(documents).head(N_ROWS)
    code, text = ([g for g in documents.groups if g.pool == pool] for pool in ("code", "text"))
    yield tables.shares_table("Languages of the code pool", "language", code).head(N_ROWS)
    yield tables.shares_table("Sources of the text pool", "source", text).head(N_ROWS)
    yield tables.shares_table("All sources", "source", documents.sources).head(N_ROWS)
    if documents.moves:
        yield tables.moves_table(documents).head(N_ROWS)
    yield tables.balance_table(found)
    for table in (tables.verdicts_table(found), tables.notices_table(found)):
        if table is not None:
            yield table


def _examples(documents: DocumentChanges, width: int) -> Iterator[str]:
    """Documents, each on a few lines: a table of them would not fit."""
    for kind, meaning in KINDS.items():
        shown = [e for e in documents.examples if e.kind == kind]
        if not shown:
            continue
        yield ""
        yield f"{meaning} ({exact(documents.counts[kind])}), as"
        for example in shown[:N_EXAMPLES]:
            yield from _wrapped("  ", f"{example.path} ({example.doc_id})", width)
            for name, side in (("A", example.a), ("B", example.b)):
                if (text := tables.said(side)) is not None:
                    yield from _wrapped(f"    {name}    ", text, width)
            yield from _wrapped("    why  ", example.cause, width)


def _wrapped(before: str, text: str, width: int) -> list[str]:
    """Text behind a word, and its further lines below its beginning."""
    wrapper = textwrap.TextWrapper(
        width,
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(plain(text))
