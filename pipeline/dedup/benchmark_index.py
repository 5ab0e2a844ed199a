"""The items of benchmarks as an index of the runs of words that tell one from any other text, and the search in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.dedup.shingles import shingle

# A run of words that stands in more items of its benchmark than this tells none of them: test harnesses, phrases with
# which every statement begins. A share, because a benchmark may hold each problem in twenty languages.
_MIN_COMMON_ITEMS = 4
_MAX_ITEM_FRAC = 0.01
# Bits a run of the filter: one in sixteen words of a text that shares nothing is looked up.
_FILTER_BITS = 16


@dataclass(frozen=True)
class Runs:
    """Every telling run of `n_words` words of all items, sorted by hash: run r stands in items[r] from words[r] on.

    What is counted of a match are distinct *units*: item i has units[offsets[i]:offsets[i + 1]], one for each word or
    run of it, -1 where nothing counts; `width` of them belong to a run.
    """

    n_words: int
    hashes: np.ndarray
    items: np.ndarray
    words: np.ndarray
    units: np.ndarray
    offsets: np.ndarray
    width: int
    n_units: np.ndarray  # of each item, distinct
    n_item_words: np.ndarray
    filter: np.ndarray


@dataclass(frozen=True)
class Found:
    """Pairs of a document and an item that share runs, with the densest place: there `n_units` of the item's units
    stand within three times its length. Words are counted from 0; `last` is the one behind. All int64 [n]."""

    documents: np.ndarray
    items: np.ndarray
    n_units: np.ndarray
    n_runs: np.ndarray
    first_word: np.ndarray
    last_word: np.ndarray
    first_item_word: np.ndarray
    last_item_word: np.ndarray


def index_runs(
    data: np.ndarray,
    offsets: np.ndarray,
    telling: Sequence[np.ndarray],
    groups: np.ndarray,
    *,
    n_words: int,
    counts: Literal["words", "runs"],
    of: np.ndarray | None = None,
) -> Runs:
    """The telling runs of items data[offsets[i]:offsets[i + 1]]; groups[i] is the benchmark of item i.

    `counts` says what a unit is: telling words or runs. `of` says which items enter, bool [n]; all by default.
    """
    hashes, ends = shingle(data, offsets[:-1], offsets[1:], n_words=n_words, kind="unicode", fold_case=True)
    n_item_words = np.array([words.size for words in telling], np.int64)
    n_runs = np.maximum(0, n_item_words - n_words + 1)
    items = np.repeat(np.arange(n_runs.size), n_runs)
    words = np.arange(items.size) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    hashes = hashes[ends[:-1][items] + words]
    tells = np.concatenate([_tell(numbers, n_words) for numbers in telling]) if items.size else np.zeros(0, bool)
    tells &= ~_common(hashes, items, groups)
    if of is not None:
        tells &= of[items]
    hashes, items, words = hashes[tells], items[tells], words[tells]
    if counts == "words":
        flat, starts, width = np.concatenate([*telling, np.zeros(0, np.int64)]), n_item_words, n_words
    else:
        flat, starts, width = _numbered_runs(hashes, items, words, n_runs), n_runs, 1
    bounds = np.concatenate(([0], np.cumsum(starts)))
    n_units = np.array([flat[a:b].max(initial=-1) + 1 for a, b in pairwise(bounds)], np.int64)
    order = np.lexsort((words, items, hashes))
    hashes, items, words = hashes[order], items[order], words[order]
    return Runs(n_words, hashes, items, words, flat, bounds, width, n_units, n_item_words, _filter(hashes))


def _tell(numbers: np.ndarray, n_words: int) -> np.ndarray:
    """Whether each run of `n_words` holds a telling word."""
    total = np.concatenate(([0], np.cumsum(numbers >= 0)))
    tells: np.ndarray = total[n_words:] > total[: max(0, total.size - n_words)]
    return tells


def _common(hashes: np.ndarray, items: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Which runs stand in too many items of their benchmark."""
    group = groups[items]
    order = np.lexsort((items, hashes, group))
    h, g, i = hashes[order], group[order], items[order]
    run = np.ones(h.size, bool)
    run[1:] = (h[1:] != h[:-1]) | (g[1:] != g[:-1])
    item = run.copy()
    item[1:] |= i[1:] != i[:-1]
    n_items = np.add.reduceat(item, np.flatnonzero(run)) if h.size else np.zeros(0, np.int64)
    most = np.maximum(_MIN_COMMON_ITEMS, np.bincount(groups) * _MAX_ITEM_FRAC)
    common = np.empty(h.size, bool)
    common[order] = (n_items > most[g[run]])[np.cumsum(run) - 1]
    return common


def _numbered_runs(hashes: np.ndarray, items: np.ndarray, words: np.ndarray, n_runs: np.ndarray) -> np.ndarray:
    """For every run of every item its number among the item's distinct ones that tell; -1 for the others."""
    flat = np.full(int(n_runs.sum()), -1, np.int64)
    if not items.size:
        return flat
    order = np.lexsort((hashes, items))
    h, i = hashes[order], items[order]
    new_item = np.concatenate(([True], i[1:] != i[:-1]))
    new = new_item | np.concatenate(([True], h[1:] != h[:-1]))
    number = np.cumsum(new) - 1
    number -= number[np.flatnonzero(new_item)][np.cumsum(new_item) - 1]
    flat[(np.cumsum(n_runs) - n_runs)[i] + words[order]] = number
    return flat


# --- search ----------------------------------------------------------------------------------------------------------


def _shift(n: int) -> np.uint64:
    """How far to shift a hash for its place in a filter of n bits, a power of two."""
    return np.uint64(64 - (n.bit_length() - 1))


def _filter(hashes: np.ndarray) -> np.ndarray:
    n = max(64, 1 << (max(1, hashes.size) * _FILTER_BITS - 1).bit_length())
    bits = np.zeros(n, np.uint8)
    bits[(hashes >> _shift(n)).astype(np.int64)] = 1
    return bits


@compiled
def _maybe(hashes: np.ndarray, bits: np.ndarray, shift: np.uint64, out: np.ndarray) -> int:
    n = 0
    for k in range(hashes.size):
        out[n] = k
        n += bits[hashes[k] >> shift]
    return n


@compiled
def _densest(
    starts: np.ndarray,
    word: np.ndarray,
    item_word: np.ndarray,
    first_unit: np.ndarray,
    reach: np.ndarray,
    units: np.ndarray,
    width: int,
    counts: np.ndarray,
    out: np.ndarray,
) -> None:
    """For each pair p, whose hits are starts[p]:starts[p + 1] by word: out[p] is the largest number of distinct units
    within reach[p] words, and the first and last hit there. `counts` is 0 before and after."""
    for p in range(starts.size - 1):
        low, distinct, best = starts[p], 0, 0
        for hit in range(starts[p], starts[p + 1]):
            for k in range(width):
                unit = units[first_unit[p] + item_word[hit] + k]
                if unit >= 0:
                    distinct += counts[unit] == 0
                    counts[unit] += 1
            while word[hit] - word[low] > reach[p]:
                for k in range(width):
                    unit = units[first_unit[p] + item_word[low] + k]
                    if unit >= 0:
                        counts[unit] -= 1
                        distinct -= counts[unit] == 0
                low += 1
            if distinct > best or (distinct == best and low == out[p, 1]):  # as long as it is the same place
                best = distinct
                out[p, 0], out[p, 1], out[p, 2] = best, low, hit
        for hit in range(low, starts[p + 1]):
            for k in range(width):
                unit = units[first_unit[p] + item_word[hit] + k]
                if unit >= 0:
                    counts[unit] = 0


def search(runs: Runs, hashes: np.ndarray, ends: np.ndarray, *, min_unit_frac: float | np.ndarray = 0.0) -> Found:
    """Every pair of a document and an item that share a telling run; document d has runs hashes[ends[d]:ends[d + 1]].

    Pairs that cannot hold `min_unit_frac` (one, or of each item) of the item's units are left out.
    """
    place = np.empty(hashes.size + 1, np.int64)
    place = place[: _maybe(hashes, runs.filter, _shift(runs.filter.size), place)]
    first = np.searchsorted(runs.hashes, hashes[place])
    n = np.searchsorted(runs.hashes, hashes[place], side="right") - first
    document = np.searchsorted(ends, place, side="right") - 1
    run = np.repeat(first, n) + np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    document, word = np.repeat(document, n), np.repeat(place - ends[document], n)
    item, item_word = runs.items[run], runs.words[run]
    order = np.lexsort((item_word, word, item, document))
    document, word, item, item_word = document[order], word[order], item[order], item_word[order]
    starts = np.flatnonzero(np.concatenate(([True], (np.diff(document) != 0) | (np.diff(item) != 0))))
    starts = np.append(starts, document.size) if document.size else np.zeros(1, np.int64)
    pair = starts[:-1]
    best = np.zeros((pair.size, 3), np.int64)
    reach = 3 * runs.n_item_words[item[pair]] + runs.n_words
    counts = np.zeros(int(runs.n_units.max(initial=0)) + 1, np.int64)
    _densest(starts, word, item_word, runs.offsets[item[pair]], reach, runs.units, runs.width, counts, best)
    floor = np.broadcast_to(np.asarray(min_unit_frac), runs.n_units.shape)[item[pair]]
    kept = np.flatnonzero(best[:, 0] >= np.maximum(1, floor * runs.n_units[item[pair]]))
    spans = [(int(a), int(b) + 1) for a, b in best[kept, 1:]]
    where = pair[kept]
    return Found(
        documents=document[where],
        items=item[where],
        n_units=best[kept, 0],
        n_runs=np.array([np.unique(item_word[a:b]).size for a, b in spans], np.int64),
        first_word=np.array([word[a] for a, _ in spans], np.int64),
        last_word=np.array([word[b - 1] + runs.n_words for _, b in spans], np.int64),
        first_item_word=np.array([item_word[a:b].min() for a, b in spans], np.int64),
        last_item_word=np.array([item_word[a:b].max() + runs.n_words for a, b in spans], np.int64),
    )
