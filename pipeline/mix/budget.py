"""Exact token budgets in integer arithmetic: how many tokens of each group enter, and which document is cut.

Sizes are Python integers and fractions, so a budget of 10^13 tokens is met to the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import ConfigError
from pipeline.schema import OTHERS


@dataclass(frozen=True)
class Pool:
    """What one pool has and how it shall be shared. `available` counts each document once."""

    available: Mapping[str, int]
    shares: Mapping[str, float]
    max_frac: Mapping[str, float]
    max_copies: int
    parts: int

    @property
    def total(self) -> int:
        return sum(self.available.values())

    def limits(self, budget: int) -> dict[str, int]:
        """The most that each group may contribute to `budget`."""
        return {
            group: min(n * self.max_copies, int(_exact(self.max_frac.get(group, 1.0)) * budget))
            for group, n in self.available.items()
            if not self.shares or group in self.shares or OTHERS in self.shares
        }

    def capacity(self) -> int:
        """The largest budget whose limits can still fill it."""
        low, high = 0, self.total * self.max_copies
        while low < high:
            middle = (low + high + 1) // 2
            if sum(self.limits(middle).values()) >= middle:
                low = middle
            else:
                high = middle - 1
        return low

    def weights(self) -> dict[str, Fraction]:
        """Relative wanted shares. `others` is divided by availability among the groups that are not named."""
        groups = {g: n for g, n in self.available.items() if n > 0}
        if not self.shares:
            return {g: Fraction(n) for g, n in groups.items()}
        unnamed = {g: n for g, n in groups.items() if g not in self.shares}
        rest = sum(unnamed.values())
        weights = {g: _exact(self.shares[g]) for g in groups if g in self.shares}
        for group, n in unnamed.items():
            weights[group] = _exact(self.shares.get(OTHERS, 0.0)) * Fraction(n, rest)
        return weights


def _exact(decimal: float) -> Fraction:
    """The decimal number that was written: 0.15 is 15/100, not the binary fraction below it."""
    return Fraction(repr(decimal))


def pool_budgets(code: Pool, text: Pool, *, total: int | None) -> tuple[int, int]:
    """Tokens of (code, text) in the exact ratio code.parts : text.parts.

    Without `total` the mixture is as large as both pools allow, and no document is repeated only to make it grow.
    ConfigError if one pool is empty or `total` is more than there is.
    """
    for name, pool in (("code", code), ("text", text)):
        if pool.capacity() == 0:
            raise ConfigError(f"balance: no {name} tokens are left to mix; check sources, rules and balance.{name}")
    unit = min(code.capacity() // code.parts, text.capacity() // text.parts)
    if total is None:
        # The larger pool sets the size: the smaller may be repeated up to its copies to match it, the larger is not.
        unit = min(unit, max(code.total // code.parts, text.total // text.parts))
    else:
        wanted = total // (code.parts + text.parts)
        if wanted > unit:
            most = unit * (code.parts + text.parts)
            raise ConfigError(
                f"balance.total_tokens: {total:,} is more than the pools hold, at most {most:,} at "
                f"balance.max_copies {code.max_copies}; lower it, allow more copies or add sources"
            )
        unit = wanted
    if unit == 0:
        raise ConfigError("balance: the pools hold too few tokens for one token of each part; add sources")
    return unit * code.parts, unit * text.parts


def allocate(pool: Pool, budget: int) -> dict[str, int]:
    """Tokens per group, summing to `budget` exactly.

    Water-filling: everyone gets in proportion to its weight; a group that reaches its limit stays there and the rest
    is shared again. Rounding goes to the largest remainders, ties to the group's name.
    """
    limits = pool.limits(budget)
    weights = {g: w for g, w in pool.weights().items() if w > 0 and limits.get(g, 0) > 0}
    fixed: dict[str, int] = {}
    while True:
        left = budget - sum(fixed.values())
        open_weights = {g: w for g, w in weights.items() if g not in fixed}
        scale = sum(open_weights.values())
        if not open_weights:
            break
        full = [g for g, w in open_weights.items() if left * w / scale >= limits[g]]
        if not full:
            return fixed | _round(open_weights, left, limits=limits)
        fixed |= {g: limits[g] for g in full}
    if sum(fixed.values()) != budget:
        raise ConfigError(f"balance: the shares can fill {sum(fixed.values()):,} of {budget:,} tokens; relax them")
    return fixed


def _round(weights: Mapping[str, Fraction], total: int, *, limits: Mapping[str, int]) -> dict[str, int]:
    scale = sum(weights.values())
    exact = {g: total * w / scale for g, w in weights.items()}
    out = {g: int(x) for g, x in exact.items()}
    # Largest remainders first, as in proportional elections: no group is off by a whole token from its exact share.
    by_remainder = sorted(exact, key=lambda g: (out[g] - exact[g], g))
    missing = total - sum(out.values())
    for group in by_remainder[:missing]:
        out[group] += 1
        assert out[group] <= limits[group]
    return out
