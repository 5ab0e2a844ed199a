"""The report's tables on how languages were decided: by what, how surely, and which documents are in doubt."""

import re

from pipeline.report.document_tables import BYTES, DOCUMENTS, KEPT, OF_ALL
from pipeline.report.formats import CLAIM_WORDS, decided, plain
from pipeline.report.language_decisions import LanguageDecisions, ProseInFormat, UntoldExtension
from pipeline.report.numbers import Numbers
from pipeline.report.table import BAR, COUNT, ID, PATH, PERCENT, SIZE, TEXT, THOUSANDTHS, Column, ReportTable

N_NAMED, MAX_NAME_CHARS = 3, 40  # examples in a cell, and what is shown of each
_LANGUAGE, _RUNNER_UP = Column("language", TEXT), Column("runner-up", TEXT)
_NAME_SAYS, _LOOKS_LIKE = Column("name says", TEXT), Column("looks like", TEXT)


def decisions_table(numbers: Numbers) -> ReportTable:
    """By what, and in which pool the documents are."""
    rows = []
    for d in numbers.language_decisions.decisions:
        share = d.n_docs / max(1, numbers.totals.n_docs)
        counts = (d.n_docs, share, d.n_bytes, d.n_kept_tokens, d.mean_confidence)
        rows.append((d.decided_by, decided(d.decided_by), d.pool, *counts, (share, d.pool)))
    columns = [Column("decided by", TEXT), Column("in words", TEXT, 1), Column("pool", TEXT), DOCUMENTS, OF_ALL, BYTES]
    columns += [Column("tokens kept"), Column("mean confidence", THOUSANDTHS), Column("", BAR)]
    return ReportTable("What decided the language", columns, rows)


def confidences_table(decisions: LanguageDecisions) -> ReportTable:
    """The surest first; verdicts from names stand apart."""
    n_docs = max(1, decisions.n_content_docs)
    rows = [
        (f"{b.low:.2f} to {b.high:.2f}", b.n_docs, b.n_docs / n_docs, b.n_bytes, b.n_path_docs, b.n_path_bytes)
        for b in reversed(decisions.confidences)
    ]
    columns = [Column("confidence", TEXT), Column("from content"), Column("of these", PERCENT), BYTES]
    return ReportTable("How sure it was", (*columns, Column("from names"), BYTES), rows)


def pairs_table(decisions: LanguageDecisions) -> ReportTable:
    """Ordered pairs: taken for the first, nearly taken for the second."""
    d = decisions
    rows = [(c.language, c.runner_up, c.n_close_docs, c.n_close_bytes, c.n_docs, c.mean_margin) for c in d.confusions]
    more = d.n_close_pairs - len(d.confusions)
    note = f"close: the runner-up lies within {d.max_margin:g}" + (f"; {more} more pairs" if more else "")
    columns = [_LANGUAGE, _RUNNER_UP, Column("close"), BYTES, Column("all"), Column("mean margin", THOUSANDTHS)]
    every = ("all pairs", "", d.n_close_docs, "", d.n_ranked_docs, "")
    return ReportTable("Confusable pairs", columns, [every, *rows], note)


def border_table(decisions: LanguageDecisions) -> ReportTable:
    """The least sure ones among those that content decided."""
    rows = [
        (u.path, u.language, u.confidence, u.runner_up, u.runner_up_confidence, u.decided_by, u.doc_id)
        for u in decisions.border
    ]
    columns = [Column("path", PATH), _LANGUAGE, Column("confidence", THOUSANDTHS), _RUNNER_UP]
    columns += [Column("runner-up has", THOUSANDTHS), Column("decided by", TEXT, 1), Column("doc_id", ID, 2)]
    return ReportTable("At the border: the least sure documents that were kept", columns, rows)


def disagreements_table(numbers: Numbers) -> ReportTable:
    """Counts for each way in which name and content disagree."""
    found, n_docs = numbers.language_decisions, max(1, numbers.totals.n_docs)
    rows = [
        (_claim(d.name_says), d.content_kind, d.n_docs, d.n_docs / n_docs, d.n_bytes, d.n_kept_docs, d.n_kept_tokens)
        for d in found.disagreements
    ]
    every = ("all of them", "", found.n_misnamed_docs, found.n_misnamed_docs / n_docs, "", "", "")
    columns = (
        _NAME_SAYS,
        _LOOKS_LIKE,
        DOCUMENTS,
        OF_ALL,
        Column("bytes", SIZE, 1),
        KEPT,
        Column("tokens kept", COUNT, 2),
    )
    return ReportTable("Content that is not what its name says", columns, [every, *rows])


def misnamed_table(decisions: LanguageDecisions, *, n_each: int | None = None) -> ReportTable:
    """The documents that were chosen for each kind, or the first `n_each` of them; kept ones first."""
    rows = []
    for d in decisions.disagreements:
        for m in d.documents[:n_each]:
            outcome = "kept" if m.keep else "dropped"
            kinds = (_claim(d.name_says), d.content_kind)
            rows.append((m.path, *kinds, m.language, m.pool, m.decided_by, outcome, m.doc_id))
    columns = [Column("path", PATH), _NAME_SAYS, _LOOKS_LIKE, _LANGUAGE, Column("pool", TEXT, 3)]
    columns += [Column("decided by", TEXT, 2), Column("outcome", TEXT, 1), Column("doc_id", ID, 4)]
    return ReportTable("Some of them", columns, rows)


def prose_languages_table(numbers: Numbers) -> ReportTable:
    """What people speak in the text pool."""
    n_tokens = max(1, sum(found.n_packed_tokens for found in numbers.prose_languages))
    rows = [
        (p.code or "(unsure)", p.n_docs, p.n_bytes, p.n_kept_docs, p.n_kept_tokens, p.n_packed_tokens / n_tokens)
        for p in numbers.prose_languages
    ]
    columns = (_LANGUAGE, DOCUMENTS, BYTES, KEPT, Column("tokens kept"), Column("of the mixture's text", PERCENT))
    note = "select.keep_prose_languages and select.drop_prose_languages choose among them"
    return ReportTable("Natural languages of the text pool", columns, rows, note)


def formats_table(numbers: Numbers) -> ReportTable:
    """Prose between tags, keys and times, which is counted as code unless the mixture moves it."""
    found = numbers.language_decisions.prose_in_formats
    n_tokens = max(1, sum(group.n_kept_tokens for group in numbers.of_pool("code")))
    rows = [
        (f.format, f.n_docs, f.n_bytes, f.n_kept_docs, f.n_kept_tokens, f.n_kept_tokens / n_tokens, _examples(f))
        for f in found
    ]
    columns = (
        Column("format", TEXT),
        DOCUMENTS,
        BYTES,
        KEPT,
        Column("tokens kept"),
        Column("of the code pool's", PERCENT),
        Column("such as", TEXT, 1),
    )
    note = "classify.prose_in sets it apart or moves it to the text pool, select.drop_prose_in drops it"
    return ReportTable("Prose in markup and data", columns, rows, note)


def _examples(found: ProseInFormat) -> str:
    """File names; `loopmix why` finds a document by the end of its path."""
    return ", ".join(plain(re.split(r"[/\\]", one.path)[-1][-MAX_NAME_CHARS:]) for one in found.documents[:N_NAMED])


def _counts(found: UntoldExtension) -> tuple[int, int, int, int]:
    return found.n_docs, found.n_bytes, found.n_kept_docs, found.n_kept_tokens


def untold_table(decisions: LanguageDecisions, *, n_each: int) -> ReportTable:
    """Which extensions they bear, for those who know the language."""
    rows = []
    for name in dict.fromkeys(u.language for u in decisions.untold):
        mine = [u for u in decisions.untold if u.language == name]
        rows.append((name, "all", *(sum(column) for column in zip(*map(_counts, mine), strict=True))))
        rows += [(name, u.extension or "(none)", *_counts(u)) for u in mine[:n_each]]
    columns = (_LANGUAGE, Column("extension", TEXT), DOCUMENTS, BYTES, KEPT, Column("tokens kept"))
    note = (
        "Other code is certainly code, and stays by default. Documents dropped as unreadable, empty, binary and the "
        "like are not here, though the groups count them"
    )
    return ReportTable("In no known language", columns, rows, note)


def _claim(name_says: str) -> str:
    return CLAIM_WORDS.get(name_says, name_says)
