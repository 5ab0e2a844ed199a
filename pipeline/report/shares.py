"""Groups and their shares: before, kept, after, against the target and against the paper's table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from pipeline.config import PoolBalance
from pipeline.language.shares import OTHERS, PAPER_SHARES
from pipeline.report.count_documents import KEPT
from pipeline.report.numbers import Group, PaperShare

_DROPS = ("ingest", "rules", "exact", "near")


def groups_of(rows: Sequence[dict[str, Any]], *, pool: str, wanted: PoolBalance) -> tuple[Group, ...]:
    """The groups of one pool from sums per (pool, group, stage, fate), most packed tokens first.

    A group that the mixture names but the input lacks is there too, with zeros: that is what one looks for.
    """
    sums: dict[str, Counter[str]] = defaultdict(Counter, {name: Counter() for name in wanted.shares if name != OTHERS})
    for row in rows:
        if row["pool"] == pool:
            _add(sums[row["group"]], row)
    n_bytes, n_kept, n_packed = (sum(s[key] for s in sums.values()) for key in ("n_bytes", "n_tokens", "n_packed"))
    targets = _targets({name: s["n_tokens"] for name, s in sums.items()}, wanted=wanted)
    groups = [
        Group(
            pool=pool,
            name=name,
            n_docs=s["n_docs"],
            n_bytes=s["n_bytes"],
            n_ingest_docs=s["ingest"],
            n_rules_docs=s["rules"],
            n_exact_docs=s["exact"],
            n_near_docs=s["near"],
            n_surplus_docs=s["surplus"],
            n_packed_docs=s["entered"],
            n_kept_tokens=s["n_tokens"],
            n_packed_tokens=s["n_packed"],
            n_copies=s["n_copies"],
            before_frac=s["n_bytes"] / max(1, n_bytes),
            kept_frac=s["n_tokens"] / max(1, n_kept),
            after_frac=s["n_packed"] / max(1, n_packed),
            target_frac=targets.get(name),
            max_frac=wanted.max_frac.get(name),
        )
        for name, s in sums.items()
    ]
    return tuple(sorted(groups, key=lambda g: (-g.n_packed_tokens, -g.n_bytes, g.name)))


def _add(sums: Counter[str], row: dict[str, Any]) -> None:
    """Add a row of the cube; its stage says where the documents went."""
    for key, column in (("n_docs", "n_docs"), ("n_bytes", "n_bytes"), ("n_copies", "n_copies")):
        sums[key] += row[column]
    sums["n_packed"] += row["n_packed_tokens"]
    if row["stage"] == KEPT:
        sums["n_tokens"] += row["n_tokens"]
        sums["surplus" if row["fate"] == "surplus" else "entered"] += row["n_docs"]
    else:
        assert row["stage"] in _DROPS, row
        sums[row["stage"]] += row["n_docs"]


def _targets(n_tokens: dict[str, int], *, wanted: PoolBalance) -> dict[str, float]:
    """Wanted share of each group; `others` is divided by kept tokens among groups not named. Empty: natural."""
    if not wanted.shares:
        return {}
    scale = sum(wanted.shares.values())
    unnamed = sum(n for name, n in n_tokens.items() if name not in wanted.shares)
    rest = wanted.shares.get(OTHERS, 0.0)
    return {
        name: (wanted.shares[name] if name in wanted.shares else rest * n / max(1, unnamed)) / scale
        for name, n in n_tokens.items()
    }


def paper_shares(groups: Sequence[Group]) -> tuple[PaperShare, ...]:
    """The paper's table beside ours; languages that it does not name are summed as others."""
    named = [name for name in PAPER_SHARES if name != OTHERS]
    rows = [_paper_share(name, [g for g in groups if g.name == name]) for name in named]
    return (*rows, _paper_share(OTHERS, [g for g in groups if g.name not in named]))


def _paper_share(name: str, groups: Sequence[Group]) -> PaperShare:
    """One row of the comparison, summed over the groups it stands for."""
    targets = [g.target_frac for g in groups if g.target_frac is not None]
    return PaperShare(
        name=name,
        before_frac=sum(g.before_frac for g in groups),
        kept_frac=sum(g.kept_frac for g in groups),
        after_frac=sum(g.after_frac for g in groups),
        target_frac=sum(targets) if targets else None,
        paper_frac=PAPER_SHARES[name] / 100,
    )


def largest(groups: Sequence[Group], *, limit: int) -> tuple[Group, ...]:
    """The first `limit` groups and one row for all others, so that columns still add up."""
    if len(groups) <= limit + 1:
        return tuple(groups)
    rest = groups[limit:]
    targets = [g.target_frac for g in rest if g.target_frac is not None]
    total = {field: sum(getattr(g, field) for g in rest) for field in _SUMMED}
    name = f"{len(rest)} others"
    return (
        *groups[:limit],
        Group(pool=rest[0].pool, name=name, target_frac=sum(targets) if targets else None, max_frac=None, **total),
    )


_SUMMED = (
    "n_docs",
    "n_bytes",
    "n_ingest_docs",
    "n_rules_docs",
    "n_exact_docs",
    "n_near_docs",
    "n_surplus_docs",
    "n_packed_docs",
    "n_kept_tokens",
    "n_packed_tokens",
    "n_copies",
    "before_frac",
    "kept_frac",
    "after_frac",
)
