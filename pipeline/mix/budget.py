"""Exact token budgets in integer arithmetic: how many tokens of each group enter, and which document is cut.

Sizes are Python integers and fractions, so a budget of 10^13 tokens is met to the token.
"""

from collections.abc import Mapping
from fractions import Fraction

from pipeline.errors import ConfigError
from pipeline.mix.feasible import why_empty, why_too_large
from pipeline.mix.pool import Pool

# Sequences of a pool from which on its budget ends with a sequence; what is lost, at most one of them, is less than
# a thirtieth of the pool.
_MANY_SEQUENCES = 32
# Room that is left in whole sequences, as a share: packing leaves gaps, and one token too many would need one more.
_ROOM = Fraction(1, 2000)


def pool_budgets(code: Pool, text: Pool, *, total: int | None, seq_len: int | None = None) -> tuple[int, int]:
    """Tokens of (code, text) in the exact ratio code.parts : text.parts.

    Without `total` the mixture is as large as both pools allow, and no document is repeated only to make it grow; with
    `seq_len` it is rounded down to what fills whole sequences of so many tokens.
    ConfigError if one pool is empty or `total` is more than there is.
    """
    for name, pool in (("code", code), ("text", text)):
        if pool.capacity() == 0:
            raise ConfigError(f"balance: {why_empty(name, pool)}")
    unit = min(code.capacity() // code.parts, text.capacity() // text.parts)
    if total is None:
        # The larger pool sets the size: the smaller may be repeated up to its copies to match it, the larger is not.
        unit = min(unit, max(code.total // code.parts, text.total // text.parts))
        unit = _whole(unit, seq_len) if seq_len is not None else unit
    else:
        wanted = total // (code.parts + text.parts)
        if wanted > unit:
            raise ConfigError(f"balance.total_tokens: {why_too_large(code, text, total=total)}")
        unit = wanted
    if unit == 0:
        raise ConfigError(
            f"balance: {code.parts}:{text.parts} cannot be met: code holds {code.capacity():,} tokens and text "
            f"{text.capacity():,}, fewer than one for each part; add sources or give smaller parts"
        )
    return unit * code.parts, unit * text.parts


def _whole(unit: int, seq_len: int) -> int:
    """Of `unit` tokens those that fill whole sequences, where there are many: then every multiple does so too."""
    n_sequences = unit // seq_len
    return int(n_sequences * seq_len * (1 - _ROOM)) if n_sequences >= _MANY_SEQUENCES else unit


def most_of(code: Pool, text: Pool) -> int:
    """The largest total that both pools can fill in their ratio."""
    return min(code.capacity() // code.parts, text.capacity() // text.parts) * (code.parts + text.parts)


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
