"""The budgets of one phase: exact in its ratio, out of what may enter it and the phases before it have left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipeline.errors import ConfigError, first_of
from pipeline.mix.budget import allocate, most_of, pool_budgets
from pipeline.mix.feasible import groups_of
from pipeline.mix.pool import Pool
from pipeline.mix.unmet import often, unmet_shares
from pipeline.phases import Phase
from pipeline.schema import POOLS
from pipeline.targets import Balance

_MAX_NAMED = 5
Given = Mapping[str, Mapping[str, int]]  # pool -> group -> tokens


@dataclass(frozen=True)
class Held:
    """Tokens of one pool that may enter a phase, by group, copies used and bucket of the key; arrays of shape [n]."""

    group: np.ndarray  # text
    used: np.ndarray
    bucket: np.ndarray
    n_tokens: np.ndarray
    most: int  # copies that a document may have
    n_buckets: int

    def by_layer(self, group: str) -> np.ndarray:
        """Tokens of a group by copies used and bucket, int64 [most, n_buckets]."""
        mine = self.group == group
        out = np.zeros((self.most, self.n_buckets), np.int64)
        np.add.at(out, (self.used[mine], self.bucket[mine]), self.n_tokens[mine])
        return out

    def sums(self, n_tokens: np.ndarray) -> dict[str, int]:
        """The sum of one number of each row, by group."""
        groups = sorted(set(self.group.tolist()))
        return {group: int(n_tokens[self.group == group].sum()) for group in groups}


@dataclass(frozen=True)
class PhasePools:
    """What one phase finds and wants; `before` are the phases that have chosen already."""

    phase: Phase
    wanted: Balance
    held: Mapping[str, Held]
    before: tuple[str, ...]

    @cached_property
    def pools(self) -> dict[str, Pool]:
        """Both pools. Natural shares follow what is left, each copy that may still be had counted."""
        found = {}
        for name, of in (("code", self.wanted.code), ("text", self.wanted.text)):
            held = self.held[name]
            room = held.sums(held.n_tokens * (held.most - held.used))
            found[name] = Pool(
                held.sums(held.n_tokens), of.shares, of.max_frac, held.most, of.parts, room, of.exponent, room=room
            )
        return found

    @property
    def where(self) -> str:
        """The key that an error names."""
        return f"phases.{self.phase.name}"

    def limits(self) -> str:
        """In words what keeps documents out of the phase."""
        phase = self.phase
        said = [f"min_tokens {phase.min_tokens:,}"] if phase.min_tokens else []
        said += [f"{pool} {n} {least:g}" for pool in POOLS for n, least in sorted(phase.min_quality.of(pool).items())]
        of = f" that may enter ({', '.join(said)})" if said else ""
        return of + (f" after phase {' and phase '.join(self.before)}" if self.before else "")


def budgets_of(pools: PhasePools, *, seq_len: int | None) -> Given:
    """Tokens of each pool and group, exact. ConfigError, with the nearest that can be had, where they are not there."""
    code, text = pools.pools["code"], pools.pools["text"]
    for name, pool in pools.pools.items():
        if pool.total == 0:
            raise ConfigError(f"{pools.where}: no {name} is left{pools.limits()}; lower its limits, or add sources")
    total, parts = pools.phase.tokens, code.parts + text.parts
    if total is not None and total < parts:
        raise ConfigError(f"{pools.where}.tokens: {total:,} is too few to be divided {code.parts}:{text.parts}")
    if total is not None and 0 < (most := most_of(code, text)) < total // parts * parts:
        name = min(POOLS, key=lambda n: pools.pools[n].capacity() // pools.pools[n].parts)
        pool = pools.pools[name]
        raise ConfigError(
            f"{pools.where}.tokens: {total:,} is more than is left, at most {most:,}: {name} limits it with "
            f"{pool.capacity():,} tokens{pools.limits()} ({groups_of(pool.room or {})}); write tokens: {most}, let "
            "documents repeat (balance.max_copies), or ask less of other phases"
        )
    try:
        budgets = dict(zip(POOLS, pool_budgets(code, text, total=total, seq_len=seq_len), strict=True))
        return {name: allocate(pools.pools[name], budgets[name]) for name in POOLS}
    except ConfigError as error:
        raise ConfigError(f"{pools.where}: {str(error).removeprefix('balance: ')}") from None


def say_unmet_phase(pools: PhasePools, given: Given, *, exact: bool) -> Iterator[str]:
    """A sentence for each pool with shares that cannot be met; ConfigError where they must be, `exact`."""
    for name, pool in pools.pools.items():
        missing = unmet_shares(pool, given[name])
        if not missing:
            continue
        lacking = [
            f"{one.group} wants {float(one.wanted):.2%} and gives {float(one.given):.2%}, with {one.available:,} tokens"
            for one in missing
        ]
        said = f"{pools.where}: shares of {name} cannot be met{pools.limits()}: {first_of(lacking, most=_MAX_NAMED)}"
        if exact:
            raise ConfigError(f"{said}; ask for fewer tokens, or leave balance.exact_shares out")
        yield f"{said}; the others fill it up"


def total_often(everything: pa.Table, given: Mapping[int, Given], *, limit: float) -> Iterator[str]:
    """Sentences on groups that all phases together read often; `everything` are the tokens of all that is kept."""
    for name in POOLS:
        total: dict[str, int] = {}
        for of in given.values():
            for group, n in of[name].items():
                total[group] = total.get(group, 0) + n
        mine = [(r["group"], r["n_tokens"]) for r in everything.to_pylist() if r["pool"] == name]
        held = {group: sum(n for g, n in mine if g == group) for group in total}
        yield from often(name, Pool(held, {}, {}, 1, 1), tokens=total, limit=limit)
