"""What a mixture wanted and cannot have: shares that its tokens do not fill, groups that it would read too often.

Said, or refused, as soon as the budgets are known: before a token is packed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import ConfigError, first_of
from pipeline.mix.caps import CappedPool, Fit
from pipeline.mix.pool import Pool, exact
from pipeline.schema import OTHERS
from pipeline.targets import Balance

MANY_EPOCHS = 4  # beyond it repeats help little: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models"
_MAX_NAMED = 5


@dataclass(frozen=True)
class Unmet:
    """A group whose share cannot be met: as parts of its pool's tokens, what is wanted and what it gives."""

    group: str
    wanted: Fraction
    given: Fraction
    available: int  # its tokens, once each


def unmet_shares(pool: Pool, tokens: Mapping[str, int]) -> list[Unmet]:
    """Groups with a share of their own in `pool` that give less of the `tokens` of all groups, the furthest off first.

    Less than a token is no shortage: shares are rounded. What max_frac keeps down is wanted so.
    """
    budget, scale = sum(tokens.values()), sum(exact(share) for share in pool.shares.values())
    found = []
    for group, share in pool.shares.items():
        wanted = min(exact(share) / scale, exact(pool.max_frac.get(group, 1.0)))
        given = tokens.get(group, 0)
        if group != OTHERS and given < wanted * budget - 1:
            found.append(Unmet(group, wanted, Fraction(given, max(1, budget)), pool.available.get(group, 0)))
    return sorted(found, key=lambda one: (one.given - one.wanted, one.group))


def say_unmet(pools: Mapping[str, CappedPool], made: Fit, *, config: Balance) -> Iterator[str]:
    """One sentence for each pool with shares that cannot be met, and for each with groups that are read often.

    ConfigError where the mixture refuses the one (`exact_shares`) or the other (`max_group_epochs`).
    """
    parts = sum(pool.parts for pool in pools.values())
    for name in pools:
        held, tokens = made.held[name], made.tokens[name]
        if missing := unmet_shares(held, tokens):
            said = f"balance.{name}: {_not_met(held, missing, tokens=tokens, parts=parts)}"
            if config.exact_shares:
                raise ConfigError(f"{said}; or leave balance.exact_shares out")
            yield f"{said}; as it is, the others fill it up"
        yield from often(name, held, tokens=tokens, limit=config.max_group_epochs)


def _not_met(pool: Pool, missing: list[Unmet], *, tokens: Mapping[str, int], parts: int) -> str:
    lacking = first_of([_lacking(one, copies=pool.max_copies) for one in missing], most=_MAX_NAMED)
    budget = sum(tokens.values())
    largest = sorted(tokens.items(), key=lambda pair: (-pair[1], pair[0]))
    nearest = first_of([f"{group} {n / budget:.2%}" for group, n in largest], most=_MAX_NAMED)
    said = f"shares cannot be met: {lacking}; the nearest that can is {nearest}"
    if (most := _largest_exact(pool, missing)) > 0:
        return f"{said}; all are met up to balance.total_tokens: {most // pool.parts * parts}"
    return f"{said}; no total meets all of them"


def _lacking(one: Unmet, *, copies: int) -> str:
    if one.available == 0:
        return f"{one.group} wants {float(one.wanted):.2%} and is not there"
    times = "once" if copies == 1 else f"{copies} times"
    return (
        f"{one.group} wants {float(one.wanted):.2%} and gives {float(one.given):.2%}, "
        f"its {one.available:,} tokens {times}"
    )


def _largest_exact(pool: Pool, missing: list[Unmet]) -> int:
    """The largest budget of the pool that meets the shares which are missed now."""
    return min(int(one.available * pool.max_copies / one.wanted) for one in missing)


def often(name: str, pool: Pool, *, tokens: Mapping[str, int], limit: float) -> Iterator[str]:
    """A sentence if groups give so many `tokens` that they are read more than four times.

    ConfigError where that is more often than `limit`.
    """
    epochs = {group: Fraction(n, pool.available[group]) for group, n in tokens.items() if n}
    many = sorted((group for group, n in epochs.items() if n > MANY_EPOCHS), key=lambda g: (-epochs[g], g))
    shown = first_of([f"{group} {float(epochs[group]):.1f} times" for group in many], most=_MAX_NAMED)
    if many and epochs[many[0]] > exact(limit):
        allow = -(-epochs[many[0]].numerator // epochs[many[0]].denominator)
        raise ConfigError(
            f"balance.{name}: would read {shown}, above balance.max_group_epochs {limit:g}; ask for fewer tokens or "
            f"fewer copies, or write balance.max_group_epochs: {allow} if that is meant"
        )
    if many:
        yield f"balance.{name}: reads {shown}; above {MANY_EPOCHS} epochs repeats help little"
