"""Ids of one partition held against each other: plain array code on both halves of 128-bit ids, uint64 [n] each."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.arrays.runs import starts_run
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work


def count_distinct(work: Work, ids: Spread, *, name: str) -> int:
    """How many different rows of two words there are; their files are then removed."""
    n = sum(work.each(partial(n_distinct, ids), work.parts(ids), name=name))
    ids.drop()
    return n


def n_distinct(ids: Spread, span: Span) -> int:
    """The same of one partition."""
    high, low = ids.read(span.number)
    first = np.sort(high)
    if not (first[1:] == first[:-1]).any():  # as good as always: halves of hashes do not meet by chance
        return high.size
    order = np.lexsort((low, high))
    return int(starts_run(high[order], low[order]).sum())


def found_in(known: tuple[np.ndarray, np.ndarray], high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The row of `known` that holds each id, the first of several; -1 where none does, int64 [n]."""
    n_known = known[0].size
    both = [np.concatenate(halves) for halves in zip(known, (high, low), strict=True)]
    order = np.lexsort((both[1], both[0]))  # stable, so of equal ids a known one stands first
    starts = starts_run(*(half[order] for half in both))
    row = np.empty(order.size, np.int64)
    row[order] = order[starts][np.cumsum(starts) - 1]
    asked = row[n_known:]
    return np.where(asked < n_known, asked, -1)
