"""Who stays among duplicates: a greedy walk down one total order, so no chain A~B~C loses a document.

A document is dropped only for a *kept* document whose verified similarity reaches the threshold, and two kept
documents never have a known similarity above it: the kept set is a maximal independent set of the verified pairs.
"""

from __future__ import annotations

import numpy as np

from pipeline.text.compiled import compiled


@compiled
def _walk(starts: np.ndarray, others: np.ndarray, weights: np.ndarray, keeper: np.ndarray, best: np.ndarray) -> None:
    for node in range(starts.size - 1):
        for e in range(starts[node], starts[node + 1]):
            other = others[e]
            if other < node and keeper[other] == other and weights[e] > best[node]:
                keeper[node] = other
                best[node] = weights[e]


def choose_keepers(
    n_nodes: int, left: np.ndarray, right: np.ndarray, *, similarity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes 0..n-1 are in total order, best first; pairs (left, right) are verified near duplicates.

    Returns (keeper int64 [n], similarity float64 [n]): keeper[i] == i means kept (similarity 0); else it is the kept
    node most similar to i, the better one on a tie.
    """
    a = np.concatenate((left, right)).astype(np.int64)
    b = np.concatenate((right, left)).astype(np.int64)
    weights = np.concatenate((similarity, similarity)).astype(np.float64)
    order = np.lexsort((b, a))
    a, b, weights = a[order], b[order], weights[order]
    starts = np.searchsorted(a, np.arange(n_nodes + 1))
    keeper = np.arange(n_nodes, dtype=np.int64)
    best = np.zeros(n_nodes, np.float64)
    _walk(starts, b, weights, keeper, best)
    return keeper, best
