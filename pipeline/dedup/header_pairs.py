"""How many near duplicates rights comments alone would have made, had they counted: an estimate from signatures.

Only two documents that both have such a comment can be made alike by it. Beside the signature of a document's words
lies that of words and comment together. Documents that share a band of the latter are compared by both: a pair whose
share of equal hashes reaches the threshold with the comments, and does not without them, is one. No text and no shingle
moves, and nothing here decides what is joined. It is an order of magnitude: hashes of one comment err alike in all
pairs of a family (161,000 for 97,000 pairs on the corpus of docs/dedup.md).

A pair counts in one of the bands that it shares, chosen by a hash of the pair. So all pairs are counted where all bands
are looked at, and a fair share of them where only some are.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run

_MAX_BUCKET = 256  # of a larger bucket so many members, chosen by key, stand for all


@dataclass(frozen=True)
class Bands:
    """How signatures are cut, and from which share of equal hashes on two documents are near."""

    n_bands: int
    rows_per_band: int
    min_similarity: float


@dataclass(frozen=True)
class Sampled:
    """Rows of documents in buckets: key and position uint64 [n], band int64 [n], low bits of the two signatures
    [n, n_hashes], and whether the words alone have one.

    Eight bits say whether two hashes are equal well enough for a share of many; sixteen also whether two bands are.
    """

    key: np.ndarray
    position: np.ndarray
    band: np.ndarray
    plain: np.ndarray
    with_header: np.ndarray
    is_signed: np.ndarray


@compiled
def _n_equal(a: np.ndarray, b: np.ndarray) -> int:
    n = 0
    for k in range(a.size):
        n += a[k] == b[k]
    return n


@compiled
def _band_of(a: np.ndarray, b: np.ndarray, pair: np.uint64, n_bands: int, rows: int) -> int:
    """The shared band in which a pair counts."""
    chosen, least = -1, ~np.uint64(0)
    for band in range(n_bands):
        is_shared = True
        for k in range(band * rows, (band + 1) * rows):
            is_shared &= a[k] == b[k]
        h = (pair ^ np.uint64(band + 1)) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        if is_shared and h < least:
            chosen, least = band, h
    return chosen


@compiled
def _count_all(
    bounds: tuple[np.ndarray, np.ndarray],
    pair_words: np.ndarray,
    band: np.ndarray,
    plain: np.ndarray,
    with_header: np.ndarray,
    is_signed: np.ndarray,
    cut: tuple[int, int, float, int],
) -> float:
    n_bands, rows, least, max_bucket = cut
    total = 0.0
    for start, stop in zip(bounds[0], bounds[1]):  # noqa: B905 (numba knows no `strict`)
        size = stop - start
        n = min(size, max_bucket)
        found = 0
        for i in range(start, start + n):
            for j in range(start, i):
                if _n_equal(with_header[i], with_header[j]) < least:
                    continue
                # words that say too little are compared by their bytes, so they make no pair
                if is_signed[i] and is_signed[j] and _n_equal(plain[i], plain[j]) >= least:
                    continue
                pair = pair_words[i] * np.uint64(3) ^ pair_words[j]
                found += _band_of(with_header[i], with_header[j], pair, n_bands, rows) == band[i]
        if n > 1:
            total += found * (size * (size - 1) / (n * (n - 1)))
    return total


def count_pairs(rows: Sampled, bands: Bands) -> int:
    """Pairs that only the comments make near, of those that count in a sampled band."""
    words = mix(rows.position)
    order = np.lexsort((words, rows.key))
    starts = np.flatnonzero(starts_run(rows.key[order]))
    bounds = starts, np.append(starts[1:], order.size)
    least = bands.min_similarity * rows.with_header.shape[1]
    cut = bands.n_bands, bands.rows_per_band, least, _MAX_BUCKET
    words, band, is_signed = words[order], rows.band[order], rows.is_signed[order]
    return round(_count_all(bounds, words, band, rows.plain[order], rows.with_header[order], is_signed, cut))
