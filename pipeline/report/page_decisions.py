"""The page's section on how languages were decided: by what, how surely, and which documents are in doubt."""

from __future__ import annotations

from pipeline.report import charts
from pipeline.report.formats import CLAIM_WORDS, NOTHING, decided, exact, number, percent, size
from pipeline.report.language_decisions import BorderDocument, ConfidenceBin, Confusion, Disagreement, LanguageDecisions
from pipeline.report.markup import Html, bar, element, figure, section, table
from pipeline.report.numbers import Numbers


def decisions(numbers: Numbers) -> Html:
    """Every number of the section, from the general to the single document."""
    t = numbers.language_decisions
    guide = (
        "Names and declarations come first; content decides where they leave a choice. The classifier's confidence "
        "belongs to the document; that of a rule is the share of its verdicts that are right on labelled files. Look "
        "for bars on the left and for pairs of languages with many close documents; “loopmix why” tells one document's "
        "story."
    )
    sure = _sure(t)
    first = figure(charts.sureness_chart(t.confidences), sure) if t.n_content_docs else sure
    found = [_pairs(t), _disagreements(numbers)]
    parts = [first, _decisions(numbers), element("div", *found, css="two"), _misnamed(t), _border(t)]
    return section("decisions", "How languages were decided", *(p for p in parts if p is not None), guide=guide)


def _decisions(numbers: Numbers) -> Html:
    """By what, and in which pool the documents are."""
    n_docs = max(1, numbers.totals.n_docs)
    return table(
        "What decided the language",
        ("decided by", "in words", "pool", "documents", "of all", "bytes", "tokens kept", "mean confidence", ""),
        rows=[
            (
                d.decided_by,
                decided(d.decided_by),
                d.pool,
                exact(d.n_docs),
                percent(d.n_docs / n_docs),
                size(d.n_bytes),
                exact(d.n_kept_tokens),
                f"{d.mean_confidence:.3f}",
                bar(d.n_docs / n_docs, colour=d.pool),
            )
            for d in numbers.language_decisions.decisions
        ],
        names=3,
    )


def _sure(t: LanguageDecisions) -> Html:
    """The surest first; verdicts from names stand apart."""

    def row(b: ConfidenceBin) -> tuple[str, ...]:
        counts = (exact(b.n_docs), percent(b.n_docs / max(1, t.n_content_docs)), size(b.n_bytes))
        return (f"{b.low:.2f} to {b.high:.2f}", *counts, exact(b.n_path_docs), size(b.n_path_bytes))

    columns = ("confidence", "from content", "of these", "bytes", "from names", "bytes")
    return table("How sure it was", columns, rows=[row(b) for b in reversed(t.confidences)])


def _pairs(t: LanguageDecisions) -> Html:
    """Ordered pairs: taken for the first, nearly taken for the second."""
    more = t.n_close_pairs - len(t.confusions)
    title = f"Confusable pairs; close: the runner-up lies within {t.max_margin:g}" + (
        f"; {more} more pairs" if more else ""
    )
    columns = ("language", "runner-up", "close", "bytes", "all", "mean margin")

    def row(c: Confusion) -> tuple[str, ...]:
        counts = (exact(c.n_close_docs), size(c.n_close_bytes), exact(c.n_docs))
        return (c.language, c.runner_up, *counts, number(c.mean_margin))

    every = ("all pairs", "", exact(t.n_close_docs), "", exact(t.n_ranked_docs), "")
    return table(title, columns, rows=[*(row(c) for c in t.confusions), every], names=2)


def _disagreements(numbers: Numbers) -> Html:
    """Counts for each way in which name and content disagree."""
    t, n_docs = numbers.language_decisions, max(1, numbers.totals.n_docs)

    def row(d: Disagreement) -> tuple[str, ...]:
        counts = (exact(d.n_docs), percent(d.n_docs / n_docs), size(d.n_bytes))
        return (_claim(d), d.content_kind, *counts, exact(d.n_kept_docs), exact(d.n_kept_tokens))

    columns = ("name says", "looks like", "documents", "of all", "bytes", "kept", "tokens kept")
    every = ("all of them", "", exact(t.n_misnamed_docs), percent(t.n_misnamed_docs / n_docs), "", "", "")
    title = "Content that is not what its name says"
    return table(title, columns, rows=[*(row(d) for d in t.disagreements), every], names=2)


def _claim(d: Disagreement) -> str:
    return CLAIM_WORDS.get(d.name_says, d.name_says)


def _misnamed(t: LanguageDecisions) -> Html | None:
    """A few documents of each kind, kept ones first."""
    rows = [
        (m.path, _claim(d), d.content_kind, m.language, m.pool, m.decided_by, "kept" if m.keep else "dropped", m.doc_id)
        for d in t.disagreements
        for m in d.documents
    ]
    columns = ("path", "name says", "looks like", "language", "pool", "decided by", "fate", "doc_id")
    return table("Some of them", columns, rows=rows, names=len(columns)) if rows else None


def _border(t: LanguageDecisions) -> Html | None:
    """The least sure ones among those that content decided."""
    columns = ("path", "language", "runner-up", "decided by", "doc_id", "confidence", "runner-up has")

    def row(u: BorderDocument) -> tuple[str, ...]:
        names = (u.path, u.language, u.runner_up or NOTHING, u.decided_by, u.doc_id)
        return (*names, number(u.confidence), number(u.runner_up_confidence))

    rows = [row(u) for u in t.border]
    return (
        table("At the border: the least sure documents that were kept", columns, rows=rows, names=5) if rows else None
    )
