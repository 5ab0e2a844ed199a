"""The groups whose shares are searched, their natural shares, how often each may repeat, and what the target weighs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, first_of
from pipeline.language.shares import PAPER_SHARES
from pipeline.propose.pieces import Floats, Ints, PieceTable
from pipeline.propose.shares import fill
from pipeline.schema import OTHERS, POOLS


@dataclass(frozen=True)
class MixGroup:
    """One group of the search: a group of the run, or `others`, all groups of its pool that are not named."""

    pool: str
    name: str
    members: tuple[int, ...]  # places in `PieceTable.names`
    n_packed: int  # tokens in the stream
    n_tokens: int  # distinct ones

    @property
    def key(self) -> str:
        return f"{self.pool}/{self.name}"


@dataclass(frozen=True)
class Groups:
    """All of them, code first, each pool by size with `others` last; columns are [n_groups]."""

    each: tuple[MixGroup, ...]
    of_piece: Ints  # for each piece its place in `each`
    pool: Ints  # place in POOLS
    pool_frac: Floats  # the pool's part of all tokens of the stream
    natural: Floats  # share in its pool, as in the run

    @property
    def weights(self) -> Floats:
        """The natural target: every token of the stream weighs the same."""
        found: Floats = self.pool_frac * self.natural
        return found


def choose_groups(pieces: PieceTable, n_groups: int) -> Groups:
    """The `n_groups` largest groups of the stream, and the rest of each pool as one."""
    if n_groups > len(pieces.names):
        raise ConfigError(f"--groups {n_groups}: the run has {len(pieces.names)} groups; give at most as many")
    by_size = sorted(range(len(pieces.names)), key=lambda i: (-int(pieces.n_packed[i]), pieces.names[i]))
    named = by_size[:n_groups]
    distinct = np.bincount(pieces.group, weights=pieces.length, minlength=len(pieces.names)).astype(np.int64)
    each = []
    for of in POOLS:
        of_pool = [i for i in by_size if pieces.names[i][0] == of]
        parts = [(pieces.names[i][1], [i]) for i in of_pool if i in named]
        rest = [i for i in of_pool if i not in named]
        for name, members in [*parts, *([(OTHERS, rest)] if rest else [])]:
            packed, own = (int(counts[members].sum()) for counts in (pieces.n_packed, distinct))
            each.append(MixGroup(of, name, tuple(members), packed, own))
    pools = [group.pool for group in each]
    if len(each) == len(set(pools)):
        raise ConfigError(
            f"--groups {n_groups}: no pool is divided ({first_of(_keys(each), most=4)}), so there are no shares to "
            "search; give more groups, or curate a run with several"
        )
    place = np.empty(len(pieces.names), np.int64)
    for number, group in enumerate(each):
        place[list(group.members)] = number
    n_packed = np.array([group.n_packed for group in each], np.float64)
    pool = np.array([POOLS.index(name) for name in pools])
    of_pool_tokens = np.array([n_packed[pool == number].sum() for number in pool])
    return Groups(tuple(each), place[pieces.group], pool, of_pool_tokens / n_packed.sum(), n_packed / of_pool_tokens)


def _keys(each: Sequence[MixGroup]) -> list[str]:
    return [group.key for group in each]


def repetition_limits(groups: Groups, *, max_epochs: float, mixture_tokens: int) -> Floats:
    """The largest share of each group: so many passes over its tokens in a mixture of `mixture_tokens`.

    Counted are the tokens that the run packed, each once; what the run left over as surplus is not seen here.
    """
    n_tokens = np.array([group.n_tokens for group in groups.each])
    limits: Floats = np.minimum(1.0, max_epochs * n_tokens / (mixture_tokens * groups.pool_frac))
    for number, pool in enumerate(POOLS):
        mine = groups.pool == number
        if mine.any() and limits[mine].sum() < 1:
            largest = int(mixture_tokens * limits[mine].sum())
            raise ConfigError(
                f"--mixture-tokens {mixture_tokens}: {max_epochs:g} passes over all {pool} tokens of the run fill less "
                f"than that; give at most {largest}, or raise --max-epochs"
            )
    return limits


def target_weights(groups: Groups, wanted: Sequence[str]) -> Floats:
    """Weights of the groups' losses, which add up to one: `GROUP=WEIGHT` lines, or the natural shares."""
    if not wanted:
        return groups.weights
    weights = np.zeros(len(groups.each))
    for line in wanted:
        name, _, number = line.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or not 0 < weight < math.inf:
            raise ConfigError(f"--target {line!r}: expected GROUP=WEIGHT with a weight above zero, as in code/Python=1")
        weights[_find(groups, name)] += weight
    found: Floats = weights / weights.sum()
    return found


def _find(groups: Groups, name: str) -> int:
    keys = _keys(groups.each)
    places = [i for i, group in enumerate(groups.each) if name in (group.key, group.name)]
    if len(places) == 1:
        return places[0]
    if places:
        both = " or ".join(keys[i] for i in places)
        raise ConfigError(f"--target {name!r}: both pools have such a group; write {both}")
    near = difflib.get_close_matches(name, [*keys, *(key.partition("/")[2] for key in keys)], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {first_of(keys, most=12)}"
    raise ConfigError(f"--target {name!r}: is none of the groups of this search; {hint}")


def own_shares(groups: Groups, *, weights: Floats, limits: Floats) -> Floats:
    """The trivial rule: as much of each group as the target weighs it, inside the limits; the rest as it is."""
    return fill(weights, limits=limits, pool=groups.pool, spare=groups.natural)


def paper_shares(groups: Groups) -> tuple[float | None, ...]:
    """What the LoopCoder-v2 report's shares of the code tokens would give each group; of text it tells nothing.

    Its `others` is divided among the code groups that it does not name by what the run has of them, as a mixture does.
    """
    code = [group for group in groups.each if group.pool == POOLS[0]]
    named = {
        group.name: PAPER_SHARES[group.name] for group in code if group.name != OTHERS and group.name in PAPER_SHARES
    }
    unnamed = sum(group.n_packed for group in code if group.name not in named)
    rest = sum(PAPER_SHARES.values()) - sum(named.values())
    scale = sum(PAPER_SHARES.values()) if unnamed else sum(named.values())
    found: list[float | None] = []
    for group in groups.each:
        if group.pool != POOLS[0]:
            found.append(None)
        elif group.name in named:
            found.append(named[group.name] / scale)
        else:
            found.append(rest * group.n_packed / unnamed / scale)
    return tuple(found)
