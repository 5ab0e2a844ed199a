"""Groups and their shares: before, kept, after, against the target and against the paper's table."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from pipeline.language.shares import PAPER_SHARES
from pipeline.mix.pool import Pool
from pipeline.report.count_documents import from_row
from pipeline.report.numbers import Group, PaperShare
from pipeline.schema import OTHERS
from pipeline.targets import PoolBalance

_NO_SUM = ("pool", "name", "target_frac", "max_frac")  # fields of a group that do not add up
_SUMMED = tuple(field.name for field in fields(Group) if field.name not in _NO_SUM)
_COUNTS = tuple(name for name in _SUMMED if name.startswith("n_"))


def groups_of(rows: Sequence[dict[str, Any]], *, pool: str, wanted: PoolBalance) -> tuple[Group, ...]:
    """The groups of one pool from its sums per group, most packed tokens first.

    A group that the mixture names but the input lacks is there too, with zeros: that is what one looks for.
    """
    sums = {name: dict.fromkeys(_COUNTS, 0) for name in wanted.shares if name != OTHERS}
    sums |= {row["group"]: row for row in rows if row["pool"] == pool}
    whole = {name: max(1, sum(row[name] for row in sums.values())) for name in _COUNTS}
    targets = _targets({name: row["n_kept_tokens"] for name, row in sums.items()}, wanted=wanted)
    groups = [
        from_row(
            Group,
            row | {"pool": pool, "name": name},
            before_frac=row["n_bytes"] / whole["n_bytes"],
            kept_frac=row["n_kept_tokens"] / whole["n_kept_tokens"],
            after_frac=row["n_packed_tokens"] / whole["n_packed_tokens"],
            target_frac=targets.get(name),
            max_frac=wanted.max_frac.get(name),
        )
        for name, row in sums.items()
    ]
    return tuple(sorted(groups, key=lambda g: (-g.n_packed_tokens, -g.n_bytes, g.name)))


def _targets(n_tokens: dict[str, int], *, wanted: PoolBalance) -> dict[str, float]:
    """Wanted share of each group, of those that lack tokens too. Empty: natural, or as equal as tokens allow."""
    if wanted.unimax is not None or not (wanted.shares or wanted.temperature is not None):
        return {}
    # A group that has a share and no tokens still wants it: one token of its own keeps it among the wanted.
    there = {name: max(n, 1) if name in wanted.shares else n for name, n in n_tokens.items()}
    weights = Pool(there, wanted.shares, {}, 1, 1, exponent=wanted.exponent).weights()
    scale = sum(weights.values())
    return {name: float(weights.get(name, 0) / scale) for name in n_tokens}


def paper_shares(groups: Sequence[Group]) -> tuple[PaperShare, ...]:
    """The paper's table beside ours; languages that it does not name are summed as others."""
    named = [name for name in PAPER_SHARES if name != OTHERS]
    parts = {name: [g for g in groups if g.name == name] for name in named}
    parts[OTHERS] = [g for g in groups if g.name not in named]
    return tuple(
        from_row(PaperShare, _total(mine), name=name, paper_frac=PAPER_SHARES[name] / 100)
        for name, mine in parts.items()
    )


def largest(groups: Sequence[Group], *, limit: int) -> tuple[Group, ...]:
    """The first `limit` groups and one row for all others, so that columns still add up."""
    if len(groups) <= limit + 1:
        return tuple(groups)
    rest = groups[limit:]
    others = from_row(Group, _total(rest), pool=rest[0].pool, name=f"{len(rest)} others", max_frac=None)
    return (*groups[:limit], others)


def _total(groups: Sequence[Group]) -> dict[str, Any]:
    """Groups as one; without any target its target is none."""
    targets = [g.target_frac for g in groups if g.target_frac is not None]
    total = {name: sum(getattr(g, name) for g in groups) for name in _SUMMED}
    return total | {"target_frac": sum(targets) if targets else None}
