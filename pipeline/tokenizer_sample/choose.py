"""Which candidates enter: pools in their parts, groups by their shares, no repository more than its cap.

The words are those of `balance`, counted in bytes: there are no tokens before there is a tokenizer.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.errors import ConfigError
from pipeline.mix.budget import allocate
from pipeline.mix.pool import Pool
from pipeline.targets import SamplePool
from pipeline.tokenizer_sample.candidates import SampleCandidates


class Wanted(NamedTuple):
    """What a sample shall be."""

    code: SamplePool
    text: SamplePool
    n_bytes: int  # both pools together


@dataclass(frozen=True, slots=True)
class GroupTaken:
    """What a group could give and what it gave, in bytes."""

    pool: str
    group: str
    n_available: int  # after caps of repositories
    n_taken: int
    n_docs: int


def choose(found: SampleCandidates, *, wanted: Wanted) -> tuple[dict[int, int], tuple[GroupTaken, ...]]:
    """The keys of the chosen with how many of their bytes enter, and what each group gave, largest first.

    `found` is in the order of its keys. A group gives its first documents and is met to the byte: of the last one only
    the beginning enters. The smaller pool sets the size where a pool holds less than its part of `n_bytes`.
    """
    pools = {"code": wanted.code, "text": wanted.text}
    n_parts = wanted.code.parts + wanted.text.parts
    rows: dict[str, dict[str, np.ndarray]] = {}
    available: dict[str, dict[str, int]] = {}
    for name, pool in pools.items():
        part = wanted.n_bytes * pool.parts // n_parts
        rows[name] = _by_group(found, _under_cap(found, np.flatnonzero(found.pools == name), cap=_cap(pool, part)))
        available[name] = {group: int(found.n_bytes[mine].sum()) for group, mine in rows[name].items()}
    held = {name: _pool(pools[name], available[name]) for name in pools}
    unit = min(wanted.n_bytes // n_parts, *(held[name].capacity() // pools[name].parts for name in pools))
    if unit == 0:
        raise ConfigError(
            f"tokenizer.sample: code:text as {wanted.code.parts}:{wanted.text.parts} cannot be met in "
            f"{wanted.n_bytes:,} bytes: groups that `shares` allow hold {held['code'].capacity():,} bytes of code and "
            f"{held['text'].capacity():,} of text; name groups that the sources have, or give smaller parts"
        )
    chosen: dict[int, int] = {}
    taken: list[GroupTaken] = []
    for name, pool in pools.items():
        budgets = allocate(held[name], unit * pool.parts)
        for group, budget in budgets.items():
            mine = rows[name][group]
            enters = _filling(found.n_bytes[mine], budget)
            first = mine[: enters.size]
            chosen |= dict(zip(found.keys[first].tolist(), enters.tolist(), strict=True))
            taken.append(GroupTaken(name, group, available[name][group], int(enters.sum()), enters.size))
    return chosen, tuple(sorted(taken, key=lambda one: (one.pool, -one.n_taken, one.group)))


def _cap(pool: SamplePool, part: int) -> int | None:
    return None if pool.max_repo_frac is None else max(1, int(part * pool.max_repo_frac))  # a document each at least


def _pool(wanted: SamplePool, available: dict[str, int]) -> Pool:
    exponent = 1.0 if wanted.temperature is None else wanted.temperature
    return Pool(available, wanted.shares, max_frac={}, max_copies=1, parts=wanted.parts, exponent=exponent)


def _under_cap(found: SampleCandidates, rows: np.ndarray, *, cap: int | None) -> np.ndarray:
    """Of `rows`, each repository's first ones whose bytes reach its cap."""
    if cap is None or not rows.size:
        return rows
    _, repo = np.unique(found.repos[rows], return_inverse=True)
    order = np.argsort(repo, kind="stable")  # within a repository the order of keys stays
    sizes, owners = found.n_bytes[rows][order], repo[order]
    ends = np.cumsum(sizes)
    starts = np.r_[0, np.flatnonzero(np.diff(owners)) + 1]
    before = ends - sizes - np.repeat((ends - sizes)[starts], np.diff(np.r_[starts, owners.size]))
    return np.sort(rows[order[before < cap]])


def _by_group(found: SampleCandidates, rows: np.ndarray) -> dict[str, np.ndarray]:
    """`rows` by group, each in the order of keys."""
    names, group = np.unique(found.groups[rows], return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=names.size))
    return dict(zip(names.tolist(), np.split(rows[order], ends[:-1]), strict=True)) if names.size else {}


def _filling(sizes: np.ndarray, budget: int) -> np.ndarray:
    """How much of the first documents fills `budget`, each of them with at least a byte: int64 [those that enter]."""
    room = budget - (np.cumsum(sizes) - sizes)
    enters = np.minimum(sizes, room)
    return np.asarray(enters[enters > 0])
