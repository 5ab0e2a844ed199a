"""Exact Jaccard and containment of shingle sets, by hash tables: several times faster here than by sorting.

Shingle hashes are well mixed, so their low bits are their place in an open table. A stamp per place says which document
filled it, so a table is never cleared.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

U64 = np.uint64


@compiled
def _table_size(n: int) -> int:
    size = 16
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _distinct_all(hashes: np.ndarray, ends: np.ndarray, out: np.ndarray, out_ends: np.ndarray) -> None:
    longest = 0
    for d in range(ends.size - 1):
        longest = max(longest, ends[d + 1] - ends[d])
    size = _table_size(longest)
    table, stamps = np.empty(size, np.uint64), np.zeros(size, np.int64)
    place = 0
    for d in range(ends.size - 1):
        mask = np.uint64(_table_size(ends[d + 1] - ends[d]) - 1)
        for i in range(ends[d], ends[d + 1]):
            x = hashes[i]
            slot = x & mask
            while stamps[slot] == d + 1 and table[slot] != x:
                slot = (slot + np.uint64(1)) & mask
            if stamps[slot] != d + 1:
                stamps[slot] = d + 1
                table[slot] = x
                out[place] = x
                place += 1
        out_ends[d + 1] = place


def distinct(hashes: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each document's shingles without repeats, in order of appearance: (hashes uint64 [m], ends int64 [n + 1])."""
    out, out_ends = np.empty(hashes.size, np.uint64), np.zeros(ends.size, np.int64)
    _distinct_all(hashes, ends, out, out_ends)
    return out[: out_ends[-1]], out_ends


@compiled
def place_runs(hashes: np.ndarray, ends: np.ndarray, starts: np.ndarray, out: np.ndarray) -> None:
    """Copy hashes[ends[d]:ends[d + 1]] to `out`, from starts[d] on."""
    for d in range(starts.size):
        for i in range(ends[d], ends[d + 1]):
            out[starts[d] + i - ends[d]] = hashes[i]


@compiled
def _fill_table(
    hashes: np.ndarray, start: int, size: int, table: np.ndarray, stamps: np.ndarray, stamp: np.int64
) -> U64:
    """Put hashes[start:start + size], distinct, into the table under `stamp`; return its mask."""
    mask = np.uint64(_table_size(size) - 1)
    for i in range(start, start + size):
        slot = hashes[i] & mask
        while stamps[slot] == stamp:
            slot = (slot + np.uint64(1)) & mask
        stamps[slot] = stamp
        table[slot] = hashes[i]
    return mask


@compiled
def _count_shared(
    hashes: np.ndarray, start: int, size: int, table: np.ndarray, stamps: np.ndarray, stamp: np.int64, mask: np.uint64
) -> int:
    """How many of hashes[start:start + size] stand in the table."""
    shared = 0
    for i in range(start, start + size):
        slot = hashes[i] & mask
        while stamps[slot] == stamp and table[slot] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        shared += stamps[slot] == stamp
    return shared


@compiled
def _share_all(
    hashes: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    floor: float,
    shared: np.ndarray,
) -> None:
    longest = 0
    for p in range(left.size):
        longest = max(longest, sizes[left[p]])
    size = _table_size(longest)
    table, stamps = np.empty(size, np.uint64), np.zeros(size, np.int64)
    filled, stamp, mask = np.int64(-1), np.int64(0), U64(0)
    for p in range(left.size):
        a, b = left[p], right[p]
        if min(sizes[a], sizes[b]) < floor * max(sizes[a], sizes[b]) or sizes[a] == 0:
            shared[p] = 0
            continue
        if a != filled:
            filled = a
            stamp += 1
            mask = _fill_table(hashes, starts[a], sizes[a], table, stamps, stamp)
        shared[p] = _count_shared(hashes, starts[b], sizes[b], table, stamps, stamp, mask)


def compare_pairs(
    hashes: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    *,
    floor: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact (Jaccard float64 [n_pairs], containment float32 [n_pairs]) of documents left[p] and right[p].

    Document d is the set hashes[starts[d]:starts[d] + sizes[d]], without repeats. Containment is the share of the
    smaller set that lies in the other. Where the sizes of two sets alone show that no Jaccard of `floor` can be
    reached, both are 0. Fastest with pairs sorted by `left`: its table is built once.
    """
    shared = np.empty(left.size, np.int64)
    _share_all(hashes, starts, sizes, left.astype(np.int64), right.astype(np.int64), floor, shared)
    n_left, n_right = sizes[left], sizes[right]
    # An empty set shares nothing; 1 instead of its size keeps 0 / 0 out.
    jaccard = shared / np.maximum(1, n_left + n_right - shared)
    return jaccard, (shared / np.maximum(1, np.minimum(n_left, n_right))).astype(np.float32)
