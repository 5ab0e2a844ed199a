"""Possible token counts of the whole input, given a sample: its rates, put on sizes that are known, many times.

How many bytes there are is known by cell (source, ending, size class); not known is how many tokens a byte gives to
which group. Each draw weighs the units of the sample anew (Bayesian bootstrap, Rubin 1981) and puts the rates that come
of it on the bytes that were not read. A unit is a content key: that is what was drawn, independently of all others, so
no other cluster (repository, file) adds to the error, however alike its documents are.

Rates are those of strata. An ending with enough units is two: its small files and its large ones, which rules drop more
often. All others are taken together by source and size. For an ending of these, two readings are possible: its unread
bytes are like all that are taken together with it, or all of one kind, kept or dropped together, as one large file is.
Each draw takes one of the two at random, so that an interval holds both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.forecast.sampled import SampledInput

N_DRAWS = 400  # their 5th and 95th percentile are 20 draws deep
OWN_UNITS = 30  # units that an ending needs to be a stratum of its own: with 12, Java was held in 30 of 40 seeds
_MIN_UNITS = 4  # units of one size of a source; fewer join the next smaller size that has enough
_LARGE = 7  # size class from which an ending's files are apart: 4 kB, where rules of length begin to matter
# Units of a stratum or group whose weights have twice the variance of the plain bootstrap's, which takes what was drawn
# for all that there is: that holds the pools of docs/forecast.md in 13 to 16 of 20 seeds, as sizes are so uneven.
_FEW = 12.0
# Percentiles of a bootstrap lie too near where sizes are skewed; with this, pools are held in 18 of 20 seeds or more.
_WIDER = 1.25


@dataclass(frozen=True)
class Donors:
    """For each cell the documents of the sample that it may be like: order[first .. first + n]."""

    order: np.ndarray
    first: np.ndarray
    n: np.ndarray

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """A random one for each cell."""
        found: np.ndarray = self.order[self.first + (generator.random(self.n.size) * self.n).astype(np.int64)]
        return found


@dataclass(frozen=True)
class Strata:
    """For each cell its stratum, the number of its ending (and half of the sizes), and whether that stands alone."""

    stratum: np.ndarray
    ending: np.ndarray
    stands_alone: np.ndarray


def draw_tokens(sample: SampledInput) -> np.ndarray:
    """Tokens of each group of the whole input after rules and dedup, once each, float64 [N_DRAWS, n_groups]."""
    generator = np.random.Generator(np.random.Philox(key=sample.sampling.key))
    strata = strata_of(sample)
    n_groups, own = len(sample.groups), strata.stratum[sample.cell]
    n, n_cells = int(strata.stratum.max(initial=0)) + 1, len(sample.cells)
    left = np.maximum(sample.cell_bytes - np.bincount(sample.cell, sample.n_bytes, minlength=n_cells), 0)
    by_ending, by_size = (_donors(sample, part) for part in (1, 2))
    known = np.bincount(sample.group, sample.n_tokens, minlength=n_groups)
    shape = _shapes(sample, own)
    # What one kind is given goes up and down with its stratum, or the errors of all kinds would cancel in the sum.
    plain = np.bincount(own, sample.n_tokens, minlength=n) / np.maximum(
        np.bincount(own, sample.n_bytes, minlength=n), 1
    )
    plain = np.maximum(plain, 1e-3)
    n_endings = int(strata.ending.max(initial=0)) + 1
    drawn = np.empty((N_DRAWS, n_groups))
    for draw in range(N_DRAWS):
        weight = (generator.standard_gamma(shape) / shape)[sample.unit]
        tokens = np.bincount(own * n_groups + sample.group, weight * sample.n_tokens, minlength=n * n_groups)
        volume = np.bincount(own, weight * sample.n_bytes, minlength=n)
        is_one = ~strata.stands_alone & (generator.random(n_endings) < 0.5)[strata.ending]
        shared = np.bincount(strata.stratum, np.where(is_one, 0, left), minlength=n)
        drawn[draw] = known + (shared / np.maximum(volume, 1e-9)) @ tokens.reshape(n, n_groups)
        like = by_size.draw(generator)
        rate = sample.n_tokens[like] / np.maximum(sample.n_bytes[like], 1)
        rate *= (tokens.reshape(n, n_groups).sum(axis=1) / np.maximum(volume, 1e-9) / plain)[strata.stratum]
        group = sample.group[by_ending.draw(generator)]
        drawn[draw] += np.bincount(group, np.where(is_one, left * rate, 0.0), minlength=n_groups)
    centre = drawn.mean(axis=0)
    found: np.ndarray = np.maximum(centre + (drawn - centre) * _WIDER, 0.0)
    return found


def strata_of(sample: SampledInput) -> Strata:
    """The strata of the cells."""
    parts = [(s, e, int(k)) for s, e, k in (name.rsplit("/", 2) for name in sample.cells)]
    endings = [f"{s}/{e}/{'large' if k >= _LARGE else 'small'}" for s, e, k in parts]
    stands_alone = _n_units(endings, sample) >= OWN_UNITS
    sizes = [f"{s}/{k}" for s, _, k in parts]
    n_units = dict(zip(sizes, _n_units(sizes, sample, ~stands_alone).tolist(), strict=True))
    joined: dict[str, str] = {}
    for source in sorted({s for s, _, _ in parts}):
        target = ""
        for size in sorted({k for s, _, k in parts if s == source}):
            name = f"{source}/{size}"
            target = name if not target or n_units[name] >= _MIN_UNITS else target
            joined[name] = target
    names = [e if alone else joined[k] for e, alone, k in zip(endings, stands_alone, sizes, strict=True)]
    stratum, ending = (np.unique(np.array(found), return_inverse=True)[1] for found in (names, endings))
    return Strata(stratum, ending, stands_alone)


def _n_units(names: list[str], sample: SampledInput, among: np.ndarray | None = None) -> np.ndarray:
    """How many units the sample has of each cell's name, counting those of the cells `among` alone."""
    number = np.unique(np.array(names), return_inverse=True)[1]
    docs = np.ones(sample.cell.size, bool) if among is None else among[sample.cell]
    pairs = np.unique(np.stack((number[sample.cell][docs], sample.unit[docs])), axis=1)
    found: np.ndarray = np.bincount(pairs[0], minlength=int(number.max(initial=0)) + 1)[number]
    return found


def _shapes(sample: SampledInput, stratum: np.ndarray) -> np.ndarray:
    """The shape of each unit's gamma weight, whose variance is one over it."""
    found = np.ones(int(sample.unit.max(initial=-1)) + 1)
    for names in (stratum, sample.group):
        pairs = np.unique(np.stack((names, sample.unit)), axis=1)
        n = np.bincount(pairs[0])[pairs[0]]
        np.minimum.at(found, pairs[1], n / (n + _FEW))
    return found


def _donors(sample: SampledInput, part: int) -> Donors:
    """Documents with content of the same source and the same part of the cell's name: 1, its ending, or 2, its size;
    where there is none, those of the source, else all."""
    parts = [name.rsplit("/", 2) for name in sample.cells]
    same: dict[tuple[str, ...], list[int]] = {}
    for doc in np.flatnonzero(sample.n_bytes > 0).tolist():
        mine = parts[sample.cell[doc]]
        for key in ((mine[0], mine[part]), (mine[0],), ()):
            same.setdefault(key, []).append(doc)
    lists = {key: np.array(docs, np.int64) for key, docs in same.items()}
    keys = list(lists)
    begin = dict(zip(keys, np.cumsum([0, *(lists[key].size for key in keys)])[:-1].tolist(), strict=True))
    chosen = [next(k for k in ((p[0], p[part]), (p[0],), ()) if k in lists) for p in parts]
    first = np.array([begin[key] for key in chosen], np.int64)
    return Donors(np.concatenate([lists[key] for key in keys]), first, np.array([lists[key].size for key in chosen]))
