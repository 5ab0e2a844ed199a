"""What fills the places of what is taken out: surplus of the same group, one piece for one wherever one is long enough.

A place keeps its length, its sequence and its pool, so that no total, no prefix and no other piece moves. Where one
piece takes the place of one, even the lists of a sequence keep their lengths, and nothing else of a shard is written.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Group = tuple[str, str]  # pool, group


@dataclass(frozen=True)
class FreePlace:
    """A piece that goes: where its tokens stand."""

    sequence: int  # its number in the stream
    start: int
    length: int
    group: Group


@dataclass(frozen=True)
class Spare:
    """A document with tokens that are not in the mixture: those from `used` on."""

    doc_id: str
    position: int
    group: Group
    used: int
    n_tokens: int
    may_cut: bool = True  # False: it enters as a whole or not at all


@dataclass(frozen=True)
class Fill:
    """A piece that comes: tokens [offset, offset + length) of spare number `spare`, at `start` of `sequence`."""

    place: int
    spare: int
    sequence: int
    start: int
    offset: int
    length: int


@dataclass(frozen=True)
class Refill:
    """How all places are filled, or by how many tokens each pool falls short."""

    fills: list[Fill]
    short: dict[str, int]
    from_others: dict[Group, int]  # tokens of a group's places that other groups of its pool fill


def refill(
    places: Sequence[FreePlace],
    spares: Sequence[Spare],
    *,
    standing: Mapping[int, frozenset[str]],
    allows: Callable[[int, int], bool] = lambda spare, n_tokens: True,
    take: Callable[[int, int], None] = lambda spare, n_tokens: None,
) -> Refill:
    """Fill the largest places first, each with the shortest document that is long enough.

    `standing` names the documents of each sequence, none of which enters it again. `allows(spare, n)` says whether a
    cap lets n more tokens of it in, and `take` hears what was taken.
    """
    shelves = _Shelves(spares, standing, allows, take)
    fills: list[Fill] = []
    short: dict[str, int] = {}
    from_others: dict[Group, int] = {}
    for number in sorted(range(len(places)), key=lambda i: (-places[i].length, i)):
        place = places[number]
        left, start = place.length, place.start
        for group in shelves.order(place.group):
            while left and (found := shelves.best(group, place.sequence, left)) is not None:
                offset, n = shelves.pull(group, found, place.sequence, left)
                fills.append(Fill(number, found, place.sequence, start, offset, n))
                left, start = left - n, start + n
                if group != place.group:
                    from_others[place.group] = from_others.get(place.group, 0) + n
        if left:
            pool = place.group[0]
            short[pool] = short.get(pool, 0) + left
    return Refill(fills, short, from_others)


class _Shelves:
    """What is left of each spare document, by group, in order of how much; fresh ones apart from begun ones."""

    def __init__(
        self,
        spares: Sequence[Spare],
        standing: Mapping[int, frozenset[str]],
        allows: Callable[[int, int], bool],
        take: Callable[[int, int], None],
    ) -> None:
        self._spares, self._allows, self._take = spares, allows, take
        self._in = {sequence: set(ids) for sequence, ids in standing.items()}
        self._used = [spare.used for spare in spares]
        self._total: dict[Group, int] = {}
        # Documents of which nothing was taken come first: what is left of one that was cut would be torn once more.
        self._fresh: dict[Group, list[tuple[int, int]]] = {}
        self._begun: dict[Group, list[tuple[int, int]]] = {}
        for number, spare in enumerate(spares):
            shelf = self._begun if spare.used else self._fresh
            shelf.setdefault(spare.group, []).append((spare.n_tokens - spare.used, number))
            self._total[spare.group] = self._total.get(spare.group, 0) + spare.n_tokens - spare.used
        for shelves in (self._fresh, self._begun):
            for found in shelves.values():
                found.sort()

    def order(self, group: Group) -> list[Group]:
        """The group itself, then the others of its pool, those with most to spare first."""
        others = [g for g in self._total if g[0] == group[0] and g != group]
        return [group, *sorted(others, key=lambda g: (-self._total[g], g))]

    def best(self, group: Group, sequence: int, length: int) -> int | None:
        """The spare with the fewest tokens left that fills `length`, fresh before begun; else the one with the most."""
        for shelf in (self._fresh.get(group, []), self._begun.get(group, [])):
            for at in range(bisect_left(shelf, (length, -1)), len(shelf)):
                if self._fits(shelf[at], sequence, length):
                    return shelf[at][1]
        both = [*self._fresh.get(group, []), *self._begun.get(group, [])]
        for left, number in sorted(both, key=lambda one: (-one[0], one[1])):
            if left < length and self._fits((left, number), sequence, length):
                return number
        return None

    def _fits(self, one: tuple[int, int], sequence: int, length: int) -> bool:
        left, number = one
        spare = self._spares[number]
        whole = spare.may_cut or left <= length
        return whole and spare.doc_id not in self._in.get(sequence, ()) and self._allows(number, min(left, length))

    def pull(self, group: Group, number: int, sequence: int, length: int) -> tuple[int, int]:
        """Take up to `length` tokens of a spare; returns where they begin in it, and how many they are."""
        spare, offset = self._spares[number], self._used[number]
        left = spare.n_tokens - offset
        n = min(left, length)
        shelf = (self._begun if offset else self._fresh)[group]
        del shelf[bisect_left(shelf, (left, number))]
        if left > n:
            insort(self._begun.setdefault(group, []), (left - n, number))
        self._used[number] = offset + n
        self._total[group] -= n
        self._in.setdefault(sequence, set()).add(spare.doc_id)
        self._take(number, n)
        return offset, n
