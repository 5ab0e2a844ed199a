"""MinHash signatures and LSH bands (Broder 1997; Leskovec, Rajaraman, Ullman, chapter 3).

With b bands of r hashes two documents of Jaccard similarity s meet in some band with probability 1 - (1 - s^r)^b:
at 25 x 5 that is 0.990 for s = 0.7 and 0.998 for s = 0.75. Candidates are verified afterwards, so bands may be
generous; only a missed pair is lost.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.arrays.runs import starts_run

U64 = np.uint64
EMPTY = np.uint32(0xFFFFFFFF)  # the largest hash: a minimum over no shingle


def hash_functions(n_hashes: int) -> tuple[np.ndarray, np.ndarray]:
    # A counter-based generator under a fixed key: NumPy promises its stream, and no other draw can shift it.
    """Multipliers (odd) and increments, uint32 [n_hashes] each. Fixed: signatures of two runs can be compared."""
    words = np.random.Generator(np.random.Philox(key=0x10093)).integers(0, 2**32, size=(2, n_hashes), dtype=np.uint64)
    return (words[0] | U64(1)).astype(np.uint32), words[1].astype(np.uint32)


# Multiply and add modulo 2^32, with odd factors: a bijection of the hashes, which are mixed well already, so the usual
# prime modulus would only cost time.
@compiled
def _minimise(shingles: np.ndarray, factors: np.ndarray, terms: np.ndarray, out: np.ndarray) -> None:
    """out[k] = min over x, the upper half of each shingle, of factors[k] * x + terms[k] mod 2^32.

    Four at a turn to stay in registers.
    """
    n_hashes = factors.size
    n = shingles.size
    i = 0
    while i + 4 <= n:
        x0, x1 = np.uint32(shingles[i] >> U64(32)), np.uint32(shingles[i + 1] >> U64(32))
        x2, x3 = np.uint32(shingles[i + 2] >> U64(32)), np.uint32(shingles[i + 3] >> U64(32))
        for k in range(n_hashes):
            a, b = factors[k], terms[k]
            first = min(np.uint32(a * x0 + b), np.uint32(a * x1 + b))
            second = min(np.uint32(a * x2 + b), np.uint32(a * x3 + b))
            out[k] = min(out[k], min(first, second))
        i += 4
    while i < n:
        x = np.uint32(shingles[i] >> U64(32))
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
    _sign_all(hashes, ends, factors, terms, out)
    return out


# The multipliers are odd 64-bit constants of well-known mixers (golden ratio, SplitMix64). Any would do, but changing
# one changes every key, and with them which documents meet.
@compiled
def _fill_band_keys(signatures: np.ndarray, n_bands: int, rows: int, out: np.ndarray) -> None:
    for d in range(signatures.shape[0]):
        for b in range(n_bands):
            key = np.uint64(b + 1) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(rows)
            for r in range(b * rows, (b + 1) * rows):
                key = (key ^ np.uint64(signatures[d, r])) * np.uint64(0xBF58476D1CE4E5B9)
                key ^= key >> np.uint64(29)
            key = (key ^ (key >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
            out[d, b] = key ^ (key >> np.uint64(31))


def band_keys(signatures: np.ndarray, *, n_bands: int, rows_per_band: int) -> np.ndarray:
    """One well-mixed 64-bit key per document and band, uint64 [n, n_bands]; the band's number is part of the key.

    Uses the first n_bands * rows_per_band hashes of the signatures, which must have at least as many.
    """
    assert n_bands * rows_per_band <= signatures.shape[1]
    out = np.empty((signatures.shape[0], n_bands), U64)
    _fill_band_keys(signatures, n_bands, rows_per_band, out)
    return out


@dataclass(frozen=True)
class Links:
    """What one range of band keys says: candidate pairs (left < right), and who stands in crowded buckets."""

    left: np.ndarray
    right: np.ndarray
    crowd_key: np.ndarray
    crowd_position: np.ndarray


@compiled
def _write_pairs(
    positions: np.ndarray, starts: np.ndarray, stops: np.ndarray, left: np.ndarray, right: np.ndarray
) -> None:
    place = 0
    for g in range(starts.size):
        for i in range(starts[g] + 1, stops[g]):
            for j in range(starts[g], i):
                left[place], right[place] = positions[j], positions[i]
                place += 1


def link(keys: np.ndarray, positions: np.ndarray, *, max_bucket: int) -> Links:
    """Who shares a band key. A bucket of up to `max_bucket` documents gives all its pairs, a larger one its members.

    A crowd (a boilerplate file in a million variants) has too many pairs to list; whoever chooses the keepers compares
    its members with the few that are kept.
    """
    order = np.argsort(keys)
    in_order = keys[order]
    same = in_order[1:] == in_order[:-1]
    shared = np.zeros(keys.size, bool)
    shared[1:] |= same
    shared[:-1] |= same
    order = order[shared]
    keys, positions = keys[order], positions[order]
    order = np.lexsort((positions, keys))
    keys, positions = keys[order], positions[order]
    starts = np.flatnonzero(starts_run(keys))
    stops = np.append(starts[1:], keys.size)
    sizes = stops - starts
    crowded = np.repeat(sizes > max_bucket, sizes)
    starts, stops, sizes = (x[sizes <= max_bucket] for x in (starts, stops, sizes))
    total = int((sizes * (sizes - 1) // 2).sum())
    left, right = np.empty(total, U64), np.empty(total, U64)
    _write_pairs(positions, starts, stops, left, right)
    return Links(left, right, keys[crowded], positions[crowded])
