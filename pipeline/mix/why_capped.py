"""Why caps on repositories and marks leave too little, and the nearest that can be made."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pipeline.errors import ConfigError
from pipeline.mix.caps import CappedPool, Fit, fit
from pipeline.mix.quota import N_BUCKETS

_REPO = "max_repo_frac"


def why_under_caps(pools: Mapping[str, CappedPool], made: Fit, *, total: int, found: int) -> str:
    """Why `total` cannot be reached, though it could without the caps; `found` tokens can be."""
    held = [said for name in pools for said in _held(name, pools[name], made.ceilings[name])]
    return (
        f"{total:,} is more than the pools hold under their caps, at most {found:,}: {', '.join(held)}; "
        f"write balance.total_tokens: {found} or raise a cap"
    )


def _held(name: str, pool: CappedPool, ceilings: np.ndarray) -> list[str]:
    """The caps that keep documents out."""
    held = [cap for cap, ceiling in zip(pool.counts.caps, ceilings.tolist(), strict=True) if ceiling < N_BUCKETS]
    repos = [cap for cap in held if cap.repo]
    said = [f"balance.{name}.{cap.key} {float(cap.frac):g} is reached" for cap in held if not cap.repo]
    if repos:
        n = f"{len(repos):,} {'repository' if len(repos) == 1 else 'repositories'}"
        said.insert(0, f"balance.{name}.{_REPO} {float(repos[0].frac):g} holds {n} down")
    return said


def why_nothing_left(pools: Mapping[str, CappedPool], *, total: int | None) -> str:
    """Why no mixture at all can be made under the caps, and how far they would have to be raised."""
    said = []
    for name, pool in pools.items():
        caps = pool.counts.caps
        n_repos, marks = sum(1 for cap in caps if cap.repo), [cap.key for cap in caps if not cap.repo]
        parts = [f"{_REPO} {float(caps[0].frac):g} on {n_repos:,} repositories"] if n_repos else []
        if parts or marks:
            said.append(f"balance.{name} has {', '.join(parts + marks)}")
    enough = _enough(pools, total=total)
    more = f"times {enough} each they leave some" if enough else "no higher ones leave any"
    return (
        f"the caps leave no mixture, because too little lies outside of what they hold down: {'; '.join(said)}; "
        f"{more}; raise them, or add sources"
    )


def _enough(pools: Mapping[str, CappedPool], *, total: int | None) -> int | None:
    """The least power of two by which all caps must be raised for a mixture to be possible."""
    lowest = min((cap.frac for pool in pools.values() for cap in pool.counts.caps if cap.frac), default=Fraction(1))
    times = 2
    while lowest * times < 2:
        try:
            fit({name: _raised(pool, times) for name, pool in pools.items()}, total=total)
        except ConfigError:
            times *= 2
        else:
            return times
    return None


def _raised(pool: CappedPool, times: int) -> CappedPool:
    """The same pool under caps so many times as high."""
    caps = [replace(cap, frac=min(Fraction(1), cap.frac * times)) for cap in pool.counts.caps]
    return replace(pool, counts=replace(pool.counts, caps=caps))
