"""The report's tables on documents: groups and their shares, what was dropped, duplicates, licences."""

from collections.abc import Sequence
from typing import Any

from pipeline.report.formats import FLOW_WORDS, between, exact, license_name
from pipeline.report.numbers import Duplicates, Group, License, Numbers, PaperShare
from pipeline.report.table import (
    BAR,
    COUNT,
    PATH,
    PERCENT,
    POINTS,
    SIZE,
    TEXT,
    THOUSANDTHS,
    TIMES,
    Column,
    ReportTable,
)

DOCUMENTS, KEPT, OF_ALL, BYTES = Column("documents"), Column("kept"), Column("of all", PERCENT), Column("bytes", SIZE)
SHARES = tuple(Column(title, PERCENT) for title in ("before", "kept", "after", "target"))
# Licences come as their authors spell them, so most are rare; the largest ones are what a lawyer looks at.
N_LICENSES = 25


def groups_table(title: str, name: str, groups: Sequence[Group], *, paper: dict[str, float]) -> ReportTable:
    """Every group with every number; `paper` names the paper's shares.

    Copies are packed over kept tokens: below 1 some stay out, above 1 some repeat.
    """
    with_limit, rows = any(g.max_frac is not None for g in groups), []
    for g in groups:
        copies = g.n_packed_tokens / g.n_kept_tokens if g.n_kept_tokens else None
        row = [g.name, g.n_docs, g.n_kept_docs, g.n_bytes, g.n_kept_tokens, g.n_packed_tokens, copies, *_shares(g)]
        rows.append((*row, *([g.max_frac] if with_limit else []), *([paper.get(g.name)] if paper else [])))
    columns = [Column(name, TEXT), DOCUMENTS, KEPT, Column("bytes", SIZE, 3), Column("tokens kept", COUNT, 2)]
    columns += [Column("tokens packed"), Column("copies", TIMES, 1), *SHARES]
    columns += [Column("at most", PERCENT, 1)] if with_limit else []
    columns += [Column("paper", PERCENT)] if paper else []
    note = "before: share of bytes; kept, after: of tokens before and after balancing"
    return ReportTable(title, columns, rows, note)


def _shares(of: Group | PaperShare) -> tuple[Any, ...]:
    """Values of SHARES. Natural: the mixture asks for no share, so what is there decides."""
    return of.before_frac, of.kept_frac, of.after_frac, "natural" if of.target_frac is None else of.target_frac


def paper_table(numbers: Numbers) -> ReportTable:
    """The languages that the paper names."""
    columns = [Column("language", TEXT), *SHARES, Column("paper", PERCENT), Column("difference", POINTS)]
    rows = [(p.name, *_shares(p), p.paper_frac, p.after_frac - p.paper_frac) for p in numbers.paper]
    return ReportTable("Against the paper's mixture (LoopCoder-v2)", columns, rows)


# --- what was left out -----------------------------------------------------------------------------------------------


def flow_table(numbers: Numbers) -> ReportTable:
    """From all documents to those in the mixture."""
    n_docs = max(1, numbers.totals.n_docs)
    rows = [(FLOW_WORDS[s.stage], s.n_docs, s.n_docs / n_docs, s.n_bytes, s.n_tokens) for s in numbers.flow]
    columns = [Column("stage", TEXT), DOCUMENTS, OF_ALL, BYTES, Column("tokens")]
    return ReportTable("What was left after each stage", columns, rows)


def drops_table(numbers: Numbers) -> ReportTable:
    """Every reason, the most frequent first."""
    n_docs = max(1, numbers.totals.n_docs)
    counted = [(d, (d.n_docs, d.n_docs / n_docs, d.n_code_docs, d.n_text_docs)) for d in numbers.drops]
    rows = [(d.reason, d.meaning, d.stage, *counts, d.n_bytes, d.n_only_docs) for d, counts in counted]
    columns = [Column("reason", TEXT), Column("meaning", TEXT, 3), Column("stage", TEXT), DOCUMENTS, OF_ALL]
    columns += [Column("code", COUNT, 1), Column("text", COUNT, 2), BYTES, Column("only reason")]
    note = "only reason: documents that nothing else keeps out, so they would come back without it"
    return ReportTable("Why documents were dropped", columns, rows, note)


def source_drops_table(numbers: Numbers) -> ReportTable:
    """Reasons down, sources across: documents of each source that a reason was given to, all reasons of a document."""
    sources = list(numbers.source_docs)
    counts = {(d.reason, d.source): d.n_docs for d in numbers.source_drops}
    reasons = dict.fromkeys(reason for reason, _ in counts)  # which stand in the ledger's order
    rows = [("all documents", *numbers.source_docs.values())]
    rows += [(reason, *(counts.get((reason, source), 0) for source in sources)) for reason in reasons]
    return ReportTable("Reasons by source", [Column("reason", TEXT), *(Column(s, COUNT) for s in sources)], rows)


def lost_fields_table(numbers: Numbers) -> ReportTable:
    """What stood beside the content and could not be read."""
    rows = [(one.field, one.n_docs) for one in numbers.lost_fields]
    return ReportTable("Fields that could not be read", [Column("field", TEXT), DOCUMENTS], rows)


def outcomes_table(numbers: Numbers) -> ReportTable:
    """Each document once, at the first stage that objected, so a row's counts add up to its documents."""
    rows = []
    for g in sorted(numbers.groups, key=lambda g: (-g.n_docs, g.pool, g.name)):
        lost = (g.n_exact_docs + g.n_near_docs) / max(1, g.n_docs)
        counts = (g.n_ingest_docs, g.n_rules_docs, g.n_exact_docs, g.n_near_docs, g.n_surplus_docs, g.n_packed_docs)
        rows.append((g.name, g.n_docs, *counts, lost))
    counted = map(Column, ("ingest", "rules", "exact", "near", "surplus", "packed"))
    columns = [Column("group", TEXT), DOCUMENTS, *counted, Column("lost to duplicates", PERCENT)]
    return ReportTable("Where each group's documents went", columns, rows)


# --- duplicates ------------------------------------------------------------------------------------------------------

_NUMBERED = (Column("what", TEXT), Column("number"))


def duplicates_table(duplicates: Duplicates) -> ReportTable:
    """What was found and what was dropped; lines about what did not happen are left out."""
    d, last = duplicates, duplicates.sizes[-1:]
    rows: list[tuple[str, int | None]] = [
        ("groups of equal documents", d.n_groups),
        ("documents beyond the first of a group", d.n_repeats),
        *((f"groups of {between(s.low, s.high)} documents, the largest", s.n_groups) for s in last),
        ("pairs compared", d.n_candidates),
        (f"pairs verified at {d.min_similarity:g} or more", d.n_pairs),
        *_header_rows(d),
        ("documents dropped as equal", d.n_exact_docs),
        ("documents dropped as near duplicates", d.n_near_docs),
    ]
    if d.n_known_docs:
        rows.append(("documents near to a run in `against`", d.n_known_docs))
    if d.n_crowded_buckets:
        rows.append(("crowded buckets, compared with their keepers only", d.n_crowded_buckets))
        rows.append(("comparisons inside them", d.n_crowd_compared))
        rows.append(("kept documents beyond their limit, not compared with", d.n_crowd_unlisted))
    return ReportTable("Duplicates", _NUMBERED, rows)


def _header_rows(d: Duplicates) -> list[tuple[str, int | None]]:
    if not d.n_header_docs:
        return []
    return [
        ("documents with a rights comment, which does not count", d.n_header_docs),
        ("pairs of documents that these comments alone would have made near, estimated", d.n_header_pairs),
    ]


def sizes_table(duplicates: Duplicates) -> ReportTable:
    """The bars of the two histograms."""
    d = duplicates
    rows: list[tuple[str, int | str]] = [
        (f"groups of {between(s.low, s.high)}", f"{exact(s.n_groups)} ({exact(s.n_docs)} documents)") for s in d.sizes
    ]
    rows += [(f"pairs of similarity {b.low:.2f} to {b.high:.2f}", b.n) for b in d.similarities]
    rows += [(f"dropped at similarity {b.low:.2f} to {b.high:.2f}", b.n) for b in d.dropped_similarities if b.n]
    return ReportTable("Groups by size, pairs by similarity", _NUMBERED, rows)


def families_table(duplicates: Duplicates) -> ReportTable:
    """Who stands for the most others."""
    rows = [
        (f.path, f.source, f.language, f.n_docs, f.n_near_docs, f.min_similarity, f.n_bytes)
        for f in duplicates.families
    ]
    columns = [Column("kept document", PATH), Column("from", TEXT, 3), Column("language", TEXT)]
    columns += [Column("dropped for it"), Column("of these near", COUNT, 1)]
    columns += [Column("least similar", THOUSANDTHS), Column("bytes", SIZE, 2)]
    return ReportTable("Largest families", columns, rows)


def licenses_table(numbers: Numbers) -> ReportTable:
    """Classes, then the licences with most packed tokens."""
    total = max(1, sum(c.n_packed_tokens for c in numbers.license_classes))

    def row(x: License, name: str) -> tuple[Any, ...]:
        share = x.n_packed_tokens / total
        counts = (x.n_packed_tokens, x.n_kept_tokens, x.n_docs, x.n_kept_docs)
        return (name, x.license_class, share, *counts, (share, "code"))

    classes = tuple(row(c, f"all {c.license_class}") for c in numbers.license_classes)
    every = tuple(row(x, license_name(x.name)) for x in numbers.licenses)
    columns = [Column("licence", TEXT), Column("class", TEXT), OF_ALL, Column("tokens packed"), Column("tokens kept")]
    return ReportTable("Licences", (*columns, DOCUMENTS, KEPT, Column("", BAR)), classes + every).head(
        len(classes) + N_LICENSES
    )
