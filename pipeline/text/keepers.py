"""Who stays among duplicates: a greedy walk down one total order, so no chain A~B~C loses a document.

A document is dropped only for a *kept* document whose verified similarity reaches the threshold, and two kept
documents never have a known similarity above it: the kept set is a maximal independent set of the verified pairs.

Crowds are walked without a list of pairs: each member is compared with the members of its buckets that are kept so far.
Near copies of one file leave one keeper in a bucket, so this is linear where the list would be quadratic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.text.compiled import compiled

MAX_KEPT_IN_BUCKET = 64  # kept members of a crowded bucket that later ones are compared with; the best come first


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
    """keeper[i] == i: node i is kept, and similarity[i] is 0; else the kept node most similar to it, the better on a tie."""

    keeper: np.ndarray
    similarity: np.ndarray
    n_compared: int  # pairs of crowd members that were compared
    n_unlisted: int  # places in crowded buckets whose kept member later ones were not compared with


@compiled
def _sort_sets(hashes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> None:
    for m in range(starts.size):
        hashes[starts[m] : starts[m] + sizes[m]] = np.sort(hashes[starts[m] : starts[m] + sizes[m]])


@compiled
def _jaccard(hashes: np.ndarray, a: int, n_a: int, b: int, n_b: int) -> float:
    """Jaccard of two sorted sets."""
    i, j, shared = a, b, 0
    while i < a + n_a and j < b + n_b:
        x, y = hashes[i], hashes[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared / max(1, n_a + n_b - shared)


@compiled
def _walk(
    edges: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_known: int,
    crowd: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    min_similarity: float,
    limit: int,
    keeper: np.ndarray,
    best: np.ndarray,
) -> tuple[int, int]:
    """Nodes in order; the first n_known stay whatever they resemble. `crowd` begins with each node's member or -1."""
    starts, others, weights = edges
    member_of, buckets, bucket_starts, hashes, set_starts, sizes = crowd
    n_buckets = 0
    for b in buckets:
        n_buckets = max(n_buckets, b + 1)
    kept = np.empty((n_buckets, limit), np.int64)  # nodes
    n_kept = np.zeros(n_buckets, np.int64)
    seen = np.full(keeper.size if n_buckets else 0, -1, np.int64)
    n_compared, n_unlisted = 0, 0
    for node in range(keeper.size):
        m = member_of[node]
        if node >= n_known:
            for e in range(starts[node], starts[node + 1]):
                other = others[e]
                if other < node and keeper[other] == other and weights[e] > best[node]:
                    keeper[node], best[node] = other, weights[e]
            if m >= 0:
                for p in range(bucket_starts[m], bucket_starts[m + 1]):
                    for k in range(n_kept[buckets[p]]):
                        other = kept[buckets[p], k]
                        if seen[other] == node:
                            continue
                        seen[other] = node
                        o = member_of[other]
                        if min(sizes[m], sizes[o]) < min_similarity * max(sizes[m], sizes[o]):
                            continue
                        n_compared += 1
                        s = _jaccard(hashes, set_starts[m], sizes[m], set_starts[o], sizes[o])
                        if s >= min_similarity and (s > best[node] or (s == best[node] and other < keeper[node])):
                            keeper[node], best[node] = other, s
        if m >= 0 and keeper[node] == node:
            for p in range(bucket_starts[m], bucket_starts[m + 1]):
                b = buckets[p]
                if n_kept[b] < limit:
                    kept[b, n_kept[b]] = node
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
    n_known: int = 0,
    crowd: Crowd | None = None,
    min_similarity: float = 1.0,
) -> Keepers:
    """Nodes 0..n-1 are in total order, best first; pairs (left, right) are verified near duplicates.

    The first `n_known` nodes are kept in any case. `min_similarity` is the threshold between members of a crowd.
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
    members = (member_of, crowd.buckets, crowd.bucket_starts, hashes, crowd.starts, crowd.sizes)
    counts = _walk((starts, b, weights), n_known, members, min_similarity, MAX_KEPT_IN_BUCKET, keeper, best)
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
