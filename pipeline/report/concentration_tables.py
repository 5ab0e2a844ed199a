"""The report's tables and notice on what comes from one place."""

from collections.abc import Iterator

from pipeline.report.concentration import Concentration, LargePlace
from pipeline.report.formats import exact, percent, plain
from pipeline.report.table import COUNT, PATH, PERCENT, TEXT, Column, ReportTable

# A pool of which one place gives a twentieth learns its habits: boilerplate, names, one generator's output.
MAX_PLACE_FRAC = 0.05
_DOCUMENTS, _TOKENS, _SHARE = Column("documents"), Column("tokens packed", COUNT), Column("of the pool", PERCENT)


def places_table(found: Concentration, *, folders: bool = True) -> ReportTable:
    """Repositories and, with `folders`, the folders below them above the share."""
    columns = [Column("repository, or source: folder", TEXT), Column("pool", TEXT), Column("folder", PATH, 1)]
    shown = [p for p in found.places if folders or not p.folder]
    rows = [(p.name, p.pool, p.folder or "all of it", p.n_docs, p.n_tokens, p.frac) for p in shown]
    note = f"of at least {percent(found.min_frac)} of a pool's packed tokens; the deepest folder that holds nearly all"
    held = [f"{exact(n)} documents of {pool}" for pool, n in found.n_over_docs.items() if n]
    if held:
        note += f"; kept out because their repository is at its cap: {', '.join(held)}"
    return ReportTable("What comes from one place", [*columns, _DOCUMENTS, _TOKENS, _SHARE], rows, note)


def marks_table(found: Concentration) -> ReportTable:
    """What documents that are not a project's own sources give."""
    columns = [Column("mark", TEXT), Column("pool", TEXT), _DOCUMENTS, _TOKENS, _SHARE, Column("at most", PERCENT)]
    columns.append(Column("over the cap"))
    rows = []
    for m in found.marks:
        over = None if m.max_frac is None else m.n_over_docs
        rows.append((m.mark, m.pool, m.n_docs, m.n_packed_tokens, m.frac, m.max_frac, over))
    return ReportTable(
        "What marked documents give", columns, rows, "without phases, balance.code.max_mark_frac caps a mark"
    )


def concentrated(found: Concentration, *, in_phases: bool) -> Iterator[str]:
    """One sentence for each pool in which a place gives more than MAX_PLACE_FRAC; a mixture with phases has no caps."""
    for pool, cap in found.max_repo_fracs.items():
        large = [p for p in found.places if p.pool == pool and not p.folder and p.frac > MAX_PLACE_FRAC]
        if not large:
            continue
        named = ", ".join(f"{plain(p.name)} {percent(p.frac)}{_mostly(found, p)}" for p in large[:3])
        more = f" and {len(large) - 3} more" if len(large) > 3 else ""
        hint = "no setting caps it in phases" if in_phases else f"balance.{pool}.max_repo_frac caps it"
        hint = f"; {hint}" if cap is None and any(p.is_repo for p in large) else ""
        yield f"Much of the {pool} comes from one place: {named}{more}{hint}."


def _mostly(found: Concentration, place: LargePlace) -> str:
    """The folder that gives most of it, where that is not all of it."""
    below = [p for p in found.places if (p.pool, p.name) == (place.pool, place.name) and p.folder]
    most = max(below, key=lambda p: p.n_tokens, default=None)
    return f" ({percent(most.frac)} in {plain(most.folder)})" if most is not None else ""
