"""The places of sequences in one stream of two pools that is balanced in every prefix, segment by segment.

The pool that is behind goes next, code where none is. That is the merge of two sorted lists: a sequence's key is what
its pool holds before it, times the other pool's parts, and the smaller key goes first. So the place of a sequence is
its number in its own pool and how many of the other pool have smaller keys; and to number a segment takes its own
sequences and those of the other pool's segments that stand at the same time, nothing of the rest of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Sizes = Callable[[int], np.ndarray]  # tokens of the sequences of a segment, int64 [n], in the order of the stream


@dataclass(frozen=True)
class Beginnings:
    """Where segments of a pool begin: their number, sequences before them in their pool, and key; int64 [n] each."""

    segment: np.ndarray
    n_before: np.ndarray
    key: np.ndarray


@dataclass(frozen=True)
class Numbered:
    """Places of a segment's sequences in the stream, int64 [n], and the largest |code * text parts - text * code parts|
    right behind one of them."""

    number: np.ndarray
    worst: int


def beginnings(first: int, n_sequences: np.ndarray, n_tokens: np.ndarray, *, parts: int) -> Beginnings:
    """Those of one pool, given what its segments hold; `first` is the number of its first segment, `parts` the other
    pool's."""
    key = (np.cumsum(n_tokens) - n_tokens) * parts
    return Beginnings(first + np.arange(n_tokens.size), np.cumsum(n_sequences) - n_sequences, key)


def overlapping(one: Beginnings, others: Beginnings, *, total: int) -> list[tuple[int, int]]:
    """For each segment of a pool the slice of the other's segments that it takes to number it; `total` is the key
    behind all."""
    ends = np.append(one.key[1:], total)
    # From the one in which the first key lies to the one in which the last of the segment ends; where several begin at
    # the same key, all but one are empty.
    first = np.maximum(0, np.searchsorted(others.key, one.key, side="left") - 1)
    last = np.maximum(first + 1, np.searchsorted(others.key, ends, side="right"))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def places_of(code: np.ndarray, text: np.ndarray, *, parts: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The places of all sequences of both pools, whose tokens these are; `parts`: of code and of text."""
    pools = [Beginnings(np.array([pool]), np.zeros(1, np.int64), np.zeros(1, np.int64)) for pool in range(2)]
    sizes = [code.astype(np.int64), text.astype(np.int64)].__getitem__
    of_code = numbered(pools[0], pools[1], sizes, is_code=True, parts=parts[::-1])
    return of_code.number, numbered(pools[1], pools[0], sizes, is_code=False, parts=parts).number


def numbered(own: Beginnings, others: Beginnings, sizes: Sizes, *, is_code: bool, parts: tuple[int, int]) -> Numbered:
    """The places of the sequences of the one segment `own`, beside `others` of the other pool.

    `parts`: those of the other pool and of its own, as keys are made of them.
    """
    mine = sizes(int(own.segment[0]))
    theirs = np.concatenate([sizes(int(segment)) for segment in others.segment])
    bounds = own.key[0] + np.concatenate(([0], np.cumsum(mine * parts[0])))
    of_others = others.key[0] + np.concatenate(([0], np.cumsum(theirs * parts[1])))
    keys = bounds[:-1]
    # Of equal keys that of code goes first.
    before = np.searchsorted(of_others[:-1], keys, side="left" if is_code else "right")
    number = own.n_before[0] + np.arange(mine.size) + others.n_before[0] + before
    worst = np.abs(bounds[1:] - of_others[before]).max(initial=0)
    return Numbered(number, int(worst))
