"""What rules do, as tables: each reason, each with its languages, and documents to open."""

from collections import defaultdict
from collections.abc import Sequence

from pipeline.reading.rule_effects import RuleEffect, RuleEffects
from pipeline.report.formats import measured, size
from pipeline.report.table import COUNT, ID, PATH, SIZE, TEXT, Column, Kind, ReportTable

_COUNTS = (
    Column("hit", COUNT),
    Column("bytes", SIZE, 2),
    Column("no other rule", COUNT),
    Column("their bytes", SIZE, 3),
    Column("alone", COUNT),
    Column("bytes alone", SIZE, 1),
)
_NUMBER = Kind(measured)
_MAX_KEYS = 12  # on one line; --json names all
_NOTE = (
    "no other rule: documents that no other rule hits; alone: of these, those that nothing else keeps out either, so "
    "they would come back without it"
)


def by_reason(effects: RuleEffects) -> ReportTable:
    """One row a reason, the most that it alone drops first."""
    sums: dict[str, list[int]] = {}
    for effect in effects.effects:
        sums[effect.reason] = [a + b for a, b in zip(sums.get(effect.reason, [0] * 6), _counts(effect), strict=True)]
    most_alone = sorted(sums.items(), key=lambda item: (-item[1][5], -item[1][1], item[0]))
    rows = [(reason, *counts) for reason, counts in most_alone]
    return ReportTable("What each rule drops", [Column("rule", TEXT), *_COUNTS], rows, _NOTE)


def _counts(effect: RuleEffect) -> tuple[int, ...]:
    docs = effect.n_docs, effect.n_bytes, effect.n_beyond_docs, effect.n_beyond_bytes
    return *docs, effect.n_alone_docs, effect.n_alone_bytes


def by_language(effects: RuleEffects, *, limit: int | None = None) -> ReportTable:
    """One row a reason and language; with `limit` only that many languages of each reason, the most bytes first."""
    rows, seen = [], defaultdict[str, int](int)
    for effect in effects.effects:
        seen[effect.reason] += 1
        if limit is None or seen[effect.reason] <= limit:
            rows.append((effect.reason, effect.language, *_counts(effect)))
    columns = [Column("rule", TEXT), Column("language", TEXT), *_COUNTS]
    return ReportTable("What each rule drops, by language", columns, rows)


def examples(effects: RuleEffects) -> ReportTable:
    """Documents of each rule, those that it alone drops first, chosen by a key of their bytes."""
    rows = [(e.reason, "alone" if e.alone else "", e.language, e.value, e.path, e.doc_id) for e in effects.examples]
    columns = [Column("rule", TEXT), Column("", TEXT, 3), Column("language", TEXT, 1)]
    columns += [Column("measured", _NUMBER, 2), Column("path", PATH), Column("document", ID, 4)]
    return ReportTable("Documents to look at", columns, rows, "their text: loopmix why RUN PATH --text")


def totals(effects: RuleEffects, not_counted: Sequence[str] = ()) -> list[str]:
    """What would change against the run itself, as lines; `not_counted` are keys that differ and are not looked at."""
    lines = [f"kept by the run: {effects.n_kept_docs:,} of {effects.n_docs:,} documents, {size(effects.n_kept_bytes)}"]
    changes = bool(effects.n_dropped_docs or effects.n_restored_docs)
    if changes or not_counted:
        lines += [
            f"would go too: {effects.n_dropped_docs:,} documents, {size(effects.n_dropped_bytes)}",
            f"would come back: {effects.n_restored_docs:,} documents, {size(effects.n_restored_bytes)}",
        ]
    else:
        lines.append("these rules keep the same documents")
    if changes:
        lines.append("duplicates of what goes or comes are decided by a new run alone")
    if not_counted:
        more = f" and {len(not_counted) - _MAX_KEYS:,} more" if len(not_counted) > _MAX_KEYS else ""
        lines.append(f"not counted: {', '.join(not_counted[:_MAX_KEYS])}{more}")
    return lines
