"""MinHash signatures and LSH bands (Broder 1997; Leskovec, Rajaraman, Ullman, chapter 3).

With b bands of r hashes two documents of Jaccard similarity s meet in some band with probability 1 - (1 - s^r)^b:
at 25 x 5 that is 0.990 for s = 0.7 and 0.998 for s = 0.75. Candidates are verified afterwards, so bands may be
generous; only a missed pair is lost.
"""

from __future__ import annotations

import numpy as np

from pipeline.text.compiled import compiled

U64 = np.uint64
EMPTY = np.uint32(0xFFFFFFFF)


def hash_functions(n_hashes: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers (odd) and increments, uint32 [n_hashes] each. Fixed: signatures of two runs can be compared."""
    words = np.random.Generator(np.random.Philox(key=0x10093)).integers(0, 2**32, size=(2, n_hashes), dtype=np.uint64)
    return (words[0] | U64(1)).astype(np.uint32), words[1].astype(np.uint32)


@compiled
def _minimise(shingles: np.ndarray, factors: np.ndarray, terms: np.ndarray, out: np.ndarray) -> None:
    """out[k] = min over shingles of factors[k] * x + terms[k] mod 2^32; four at a turn to stay in registers."""
    n_hashes = factors.size
    n = shingles.size
    i = 0
    while i + 4 <= n:
        x0, x1, x2, x3 = shingles[i], shingles[i + 1], shingles[i + 2], shingles[i + 3]
        for k in range(n_hashes):
            a, b = factors[k], terms[k]
            first = min(np.uint32(a * x0 + b), np.uint32(a * x1 + b))
            second = min(np.uint32(a * x2 + b), np.uint32(a * x3 + b))
            out[k] = min(out[k], min(first, second))
        i += 4
    while i < n:
        x = shingles[i]
        for k in range(n_hashes):
            out[k] = min(out[k], np.uint32(factors[k] * x + terms[k]))
        i += 1


@compiled
def _sign_all(hashes: np.ndarray, ends: np.ndarray, factors: np.ndarray, terms: np.ndarray, out: np.ndarray) -> None:
    for d in range(ends.size - 1):
        _minimise(hashes[ends[d] : ends[d + 1]], factors, terms, out[d])


def sign(hashes: np.ndarray, ends: np.ndarray, *, n_hashes: int) -> np.ndarray:
    """Signatures uint32 [n, n_hashes] of documents with shingles hashes[ends[d]:ends[d + 1]]; no shingle: all EMPTY."""
    factors, terms = hash_functions(n_hashes)
    out = np.full((ends.size - 1, n_hashes), EMPTY, np.uint32)
    _sign_all((hashes >> U64(32)).astype(np.uint32), ends, factors, terms, out)
    return out


def band_keys(signatures: np.ndarray, *, n_bands: int) -> np.ndarray:
    """One 64-bit key per document and band, uint64 [n, n_bands]; the band's number is part of the key."""
    n, width = signatures.shape
    rows = signatures.reshape(n, n_bands, width // n_bands).astype(U64)
    keys = np.broadcast_to(np.arange(1, n_bands + 1, dtype=U64) * U64(0x9E3779B97F4A7C15), (n, n_bands)).copy()
    for r in range(rows.shape[2]):
        keys ^= rows[:, :, r]
        keys *= U64(0xBF58476D1CE4E5B9)
        keys ^= keys >> U64(29)
    return keys


@compiled
def _count_links(starts: np.ndarray, stops: np.ndarray, limit: int) -> int:
    total = 0
    for g in range(starts.size):
        n = stops[g] - starts[g]
        total += n * (n - 1) // 2 if n <= limit else 2 * n - 3
    return total


@compiled
def _write_links(
    positions: np.ndarray, starts: np.ndarray, stops: np.ndarray, limit: int, left: np.ndarray, right: np.ndarray
) -> None:
    place = 0
    for g in range(starts.size):
        first, stop = starts[g], stops[g]
        crowded = stop - first > limit
        for i in range(first + 1, stop):
            for j in range(first, i):
                if crowded and j != first and j != i - 1:
                    continue
                left[place], right[place] = positions[j], positions[i]
                place += 1


def link(keys: np.ndarray, positions: np.ndarray, *, max_bucket: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidate pairs (left < right) of documents that share a band key.

    A bucket of up to `max_bucket` documents links all pairs. A larger one (a licence header, a generated file) links
    each document to the bucket's first and to its neighbour: n squared would never end, and the same documents meet
    again in other bands.
    """
    order = np.lexsort((positions, keys))
    keys, positions = keys[order], positions[order]
    edges = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1], [True]))) if keys.size else np.zeros(1, int)
    starts, stops = edges[:-1], edges[1:]
    crowd = stops - starts > 1
    starts, stops = starts[crowd], stops[crowd]
    total = _count_links(starts, stops, max_bucket)
    left, right = np.empty(total, U64), np.empty(total, U64)
    _write_links(positions, starts, stops, max_bucket, left, right)
    return left, right
