"""Who stays among duplicates: a greedy walk down one total order, so no chain A~B~C loses a document.

A document is dropped only for a *kept* document whose verified similarity reaches the threshold, and two kept
documents never have a verified similarity above it: the kept set is a maximal independent set of the verified pairs.

Crowds are walked without a list of pairs: each member is compared with the members of its buckets that are kept so far.
Near copies of one file leave one keeper in a bucket, so this is linear where the list would be quadratic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays.compiled import compiled

# Kept members of a crowded bucket that later ones are compared with, the best first. Near copies leave one or a few; a
# bucket that keeps thousands joins documents that differ, and comparing all of them would be quadratic again.
MAX_KEPT_IN_BUCKET = 1_000
# 64 bits each: a sketch of 1,024 places tells most sets of a few hundred shingles apart and fits two cache lines.
_SKETCH_WORDS = 16


@dataclass(frozen=True)
class Crowd:
    """Members of crowded buckets. Member m is node `node[m]`, in buckets keys[key_starts[m]:key_starts[m + 1]], and its
    shingles are hashes[starts[m]:starts[m] + sizes[m]], without repeats. `buckets` numbers the distinct keys from 0.
    """

    node: np.ndarray
    buckets: np.ndarray
    bucket_starts: np.ndarray
    hashes: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    @staticmethod
    def empty() -> Crowd:
        none = np.zeros(0, np.int64)
        return Crowd(none, none, np.zeros(1, np.int64), np.zeros(0, np.uint64), none, none)


@dataclass(frozen=True)
class Keepers:
    """keeper[i] == i: i is kept, similarity[i] is 0; else the kept node most similar to it, the better if equal."""

    keeper: np.ndarray
    similarity: np.ndarray
    n_compared: int  # pairs of crowd members that were compared
    n_unlisted: int  # places in crowded buckets whose kept member later ones were not compared with


@compiled
def _sort_sets(hashes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> None:
    for m in range(starts.size):
        hashes[starts[m] : starts[m] + sizes[m]] = np.sort(hashes[starts[m] : starts[m] + sizes[m]])


@compiled
def _sketch_sets(hashes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """For each set a bitmap of the places that its hashes fall on."""
    out = np.zeros((starts.size, _SKETCH_WORDS), np.uint64)
    for m in range(starts.size):
        for i in range(starts[m], starts[m] + sizes[m]):
            bit = hashes[i] >> np.uint64(54)
            out[m, bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return out


@compiled
def _may_miss(n_a: int, n_b: int, min_similarity: float) -> int:
    """How many elements may stand in one of two sets alone, at this Jaccard."""
    n = n_a + n_b
    return n - 2 * int(np.ceil(min_similarity / (1 + min_similarity) * n - 1e-9))


@compiled
def _n_different(one: np.ndarray, two: np.ndarray) -> int:
    """Bits that differ: each is an element that only one of the sets has, so this never exceeds their difference."""
    total = np.uint64(0)
    for k in range(_SKETCH_WORDS):
        x = one[k] ^ two[k]
        x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
        x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(total)


@compiled
def _jaccard(hashes: np.ndarray, a: int, n_a: int, b: int, n_b: int, may_miss: int) -> float:
    """Jaccard of two sorted sets; 0 as soon as more elements stand alone than may."""
    i, j, shared = a, b, 0
    end_a, end_b = a + n_a, b + n_b
    while i < end_a and j < end_b:
        stop = min(i + 16, end_a)
        while i < stop and j < end_b:
            x, y = hashes[i], hashes[j]
            shared += x == y
            i += x <= y
            j += y <= x
        if (i - a) + (j - b) - 2 * shared > may_miss:
            return 0.0
    return shared / max(1, n_a + n_b - shared)


@compiled
def _places(buckets: np.ndarray, limit: int) -> np.ndarray:
    """Where each bucket's list of kept members begins: room for all of its members, or for `limit`."""
    n_buckets = 0
    for b in buckets:
        n_buckets = max(n_buckets, b + 1)
    sizes = np.zeros(n_buckets + 1, np.int64)
    for b in buckets:
        sizes[b + 1] = min(limit, sizes[b + 1] + 1)
    return np.cumsum(sizes)


@compiled
def _nearest_kept(
    node: int,
    crowd: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    kept: tuple[np.ndarray, np.ndarray, np.ndarray],
    seen: np.ndarray,
    min_similarity: float,
    found: tuple[int, float],
) -> tuple[int, float, int]:
    """The kept crowd member most similar to `node`, if more so than `found`; and how many pairs were compared."""
    member_of, buckets, bucket_starts, hashes, set_starts, sizes, sketches = crowd
    nodes, places, n_kept = kept
    keeper, best = found
    n_compared = 0
    m = member_of[node]
    for p in range(bucket_starts[m], bucket_starts[m + 1]):
        bucket = buckets[p]
        for k in range(places[bucket], places[bucket] + n_kept[bucket]):
            other = nodes[k]
            if seen[other] == node:
                continue
            seen[other] = node
            n_compared += 1
            o = member_of[other]
            may_miss = _may_miss(sizes[m], sizes[o], min_similarity)
            if abs(sizes[m] - sizes[o]) > may_miss or _n_different(sketches[m], sketches[o]) > may_miss:
                continue
            s = _jaccard(hashes, set_starts[m], sizes[m], set_starts[o], sizes[o], may_miss)
            if s >= min_similarity and (s > best or (s == best and other < keeper)):
                keeper, best = other, s
    return keeper, best, n_compared


@compiled
def _walk(
    edges: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_earlier: int,
    crowd: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    min_similarity: float,
    limit: int,
    keeper: np.ndarray,
    best: np.ndarray,
) -> tuple[int, int]:
    """Nodes in order; the first n_earlier stay whatever they resemble. `crowd` begins with each node's member or -1."""
    starts, others, weights = edges
    member_of, buckets, bucket_starts = crowd[0], crowd[1], crowd[2]
    places = _places(buckets, limit)
    nodes, n_kept = np.empty(places[-1], np.int64), np.zeros(places.size - 1, np.int64)
    seen = np.full(keeper.size if buckets.size else 0, -1, np.int64)
    n_compared, n_unlisted = 0, 0
    for node in range(keeper.size):
        m = member_of[node]
        if node >= n_earlier:
            for e in range(starts[node], starts[node + 1]):
                other = others[e]
                if other < node and keeper[other] == other and weights[e] > best[node]:
                    keeper[node], best[node] = other, weights[e]
            if m >= 0:
                found = (keeper[node], best[node])
                keeper[node], best[node], n = _nearest_kept(
                    node, crowd, (nodes, places, n_kept), seen, min_similarity, found
                )
                n_compared += n
        if m >= 0 and keeper[node] == node:
            for p in range(bucket_starts[m], bucket_starts[m + 1]):
                b = buckets[p]
                if n_kept[b] < places[b + 1] - places[b]:
                    nodes[places[b] + n_kept[b]] = node
                    n_kept[b] += 1
                else:
                    n_unlisted += 1
    return n_compared, n_unlisted


def choose_keepers(
    n_nodes: int,
    left: np.ndarray,
    right: np.ndarray,
    *,
    similarity: np.ndarray,
    n_earlier: int = 0,
    crowd: Crowd | None = None,
    min_similarity: float = 1.0,
) -> Keepers:
    """Nodes 0..n-1 are in total order, best first; pairs (left, right) are verified near duplicates.

    The first `n_earlier` nodes are kept in any case. `min_similarity` is the threshold between members of a crowd.
    """
    a = np.concatenate((left, right)).astype(np.int64)
    b = np.concatenate((right, left)).astype(np.int64)
    weights = np.concatenate((similarity, similarity)).astype(np.float64)
    order = np.lexsort((b, a))
    a, b, weights = a[order], b[order], weights[order]
    starts = np.searchsorted(a, np.arange(n_nodes + 1))
    keeper = np.arange(n_nodes, dtype=np.int64)
    best = np.zeros(n_nodes, np.float64)
    crowd = crowd or Crowd.empty()
    member_of = np.full(n_nodes, -1, np.int64)
    member_of[crowd.node] = np.arange(crowd.node.size)
    hashes = crowd.hashes.copy()
    _sort_sets(hashes, crowd.starts, crowd.sizes)
    sketches = _sketch_sets(hashes, crowd.starts, crowd.sizes)
    members = (member_of, crowd.buckets, crowd.bucket_starts, hashes, crowd.starts, crowd.sizes, sketches)
    counts = _walk((starts, b, weights), n_earlier, members, min_similarity, MAX_KEPT_IN_BUCKET, keeper, best)
    return Keepers(keeper, best, *counts)


@compiled
def _root(parent: np.ndarray, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@compiled
def _unite(parent: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    for e in range(left.size):
        a, b = _root(parent, left[e]), _root(parent, right[e])
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b


@compiled
def _flatten(parent: np.ndarray) -> None:
    for node in range(parent.size):  # a root is the smallest of its component, so it was flattened before
        parent[node] = parent[parent[node]]


def unite(parent: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join the components of left[e] and right[e] in the forest `parent` (int64, at first arange), in place."""
    _unite(parent, left.astype(np.int64), right.astype(np.int64))


def components(parent: np.ndarray) -> np.ndarray:
    """The smallest member of each node's component, int64 [n]."""
    out = parent.copy()
    _flatten(out)
    return out
