"""One pool: what its groups hold, what is wanted of them, and how much they can fill."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil

from pipeline.schema import OTHERS


@dataclass(frozen=True)
class Pool:
    """What one pool has and how it shall be shared. `available` counts each document once.

    `natural` are the tokens that natural shares, and those within `others`, follow, raised to `exponent`; None: what is
    available.
    """

    available: Mapping[str, int]
    shares: Mapping[str, float]
    max_frac: Mapping[str, float]
    max_copies: int
    parts: int
    natural: Mapping[str, int] | None = None
    exponent: float = 1.0
    copies_key: str = "balance.max_copies"  # the key of the mixture that says max_copies
    room: Mapping[str, int] | None = None  # the most that each group can give; None: all of it max_copies times

    def with_copies(self, max_copies: int) -> "Pool":
        """The same pool, its documents repeated more or less often."""
        return replace(self, max_copies=max_copies)

    @property
    def total(self) -> int:
        return sum(self.available.values())

    @property
    def wanted(self) -> dict[str, int]:
        """The groups that may enter: all, or those that the shares name."""
        every = not self.shares or OTHERS in self.shares
        return {group: n for group, n in self.available.items() if every or group in self.shares}

    def limits(self, budget: int) -> dict[str, int]:
        """The most that each group may contribute to `budget`, in whole tokens.

        Caps are rounded down. Where they then leave no way to fill the budget (two halves of an odd one), up: a cap is
        exceeded by less than a token.
        """
        room = self._room(budget)
        down = {group: int(n) for group, n in room.items()}
        return down if sum(down.values()) >= budget else {group: ceil(n) for group, n in room.items()}

    def _room(self, budget: int) -> dict[str, Fraction]:
        caps = {group: exact(self.max_frac.get(group, 1.0)) * budget for group in self.wanted}
        return {group: min(Fraction(self._most(group)), caps[group]) for group in self.wanted}

    def _most(self, group: str) -> int:
        return self.available[group] * self.max_copies if self.room is None else self.room[group]

    def capacity(self) -> int:
        """The largest budget that the groups can fill. What fills it can fill every smaller one too."""
        low, high = 0, sum(map(self._most, self.available))
        if sum(self._room(high).values()) >= high:
            return high  # no cap, as in most mixtures: fractions for each turn would take a tenth of a second
        while low < high:
            middle = (low + high + 1) // 2
            if sum(self._room(middle).values()) >= middle:
                low = middle
            else:
                high = middle - 1
        return low

    def weights(self) -> dict[str, Fraction]:
        """Relative wanted shares. `others` is divided among the groups that are not named as they would be alone."""
        natural = self.available if self.natural is None else self.natural
        groups = {g: power(natural[g], self.exponent) for g, n in self.available.items() if n > 0}
        if not self.shares:
            return groups
        unnamed = {g: n for g, n in groups.items() if g not in self.shares}
        rest = sum(unnamed.values())
        weights = {g: exact(self.shares[g]) for g in groups if g in self.shares}
        for group, n in unnamed.items():
            weights[group] = exact(self.shares.get(OTHERS, 0.0)) * n / rest
        return weights


# More digits than a number of tokens has, and the same on every machine, as powers of floats are not.
_DIGITS = Context(prec=50)


def power(n: int, exponent: float) -> Fraction:
    """n ** exponent, exact for 0 and 1, else to fifty digits; nothing stays nothing at any exponent."""
    if n == 0 or exponent == 1:
        return Fraction(n)
    return Fraction(_DIGITS.power(Decimal(n), Decimal(repr(exponent))))


def exact(decimal: float) -> Fraction:
    """The decimal number that was written: 0.15 is 15/100, not the binary fraction below it."""
    return Fraction(repr(decimal))
