"""Components in rounds through the exchange, however many arcs there are: large-star and small-star.

After Kiveris and others, "Connected Components in MapReduce and Beyond" (SoCC 2014). In a round each node first ties
its larger neighbours to the smallest one that it knows, then its smaller ones. Arcs never grow in number, and how far a
node sees doubles with each round, so a chain of 100,000 takes eighteen. When a round changes nothing, each node that
is not the smallest of its component has one arc, to that.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.engine.exchange import Channel, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.store import FileEntry

Arcs = tuple[np.ndarray, np.ndarray]  # node and other, uint64 [n] and [n]


def unite_in_rounds(job: Job, every: tuple[Channel, ...]) -> Channel:
    """The arcs of all channels, each of which is there from both its ends, united until nothing changes."""
    n, number = every[0].n_partitions, 0
    while True:
        number += 1
        larger = job.channel(f"large-{number}", n_sources=n, n_partitions=n)
        smaller = job.channel(f"small-{number}", n_sources=n, n_partitions=n)
        first = job.step(f"large-{number}", partial(_large, every, larger), items=n)
        second = job.step(f"small-{number}", partial(_small, larger, smaller), items=n)
        every = (smaller,)
        if first.counts["n_changed"] + second.counts["n_changed"] == 0:
            return smaller


def _large(every: tuple[Channel, ...], out: Channel, partition: int, _: None) -> Outcome:
    found = [columns(arcs.gather(partition), "node", "other") for arcs in every]
    node, other, n_changed = large_star(*(np.concatenate(c) for c in zip(*found, strict=True)))
    table = pa.table({"node": node, "other": other})
    return Outcome(
        (out.scatter(partition, table, partition=spread(mix(node), out.n_partitions)),), {"n_changed": n_changed}
    )


def _small(arcs: Channel, out: Channel, partition: int, _: None) -> Outcome:
    node, other, n_changed = small_star(*columns(arcs.gather(partition), "node", "other"))
    return Outcome((send_arcs(out, partition, node, other),), {"n_changed": n_changed})


def send_arcs(out: Channel, source: int, node: np.ndarray, other: np.ndarray) -> FileEntry:
    """Send each arc to both its ends."""
    ends = np.concatenate((node, other))
    table = pa.table({"node": ends, "other": np.concatenate((other, node))})
    return out.scatter(source, table, partition=spread(mix(ends), out.n_partitions))


def large_star(node: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Tie the larger neighbours of each node to the smallest of its neighbours and itself; `other` are all its
    neighbours. Returns arcs from larger to smaller nodes, and how many of them are new."""
    node, other, first = _sorted(node, other)
    least = np.minimum(node, first)
    larger = other > node
    return other[larger], least[larger], int((least < node)[larger].sum())


def small_star(node: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Tie each node and its smaller neighbours, `other`, to the smallest of these. Returns arcs from larger to smaller
    nodes, and how many of them are new."""
    node, other, first = _sorted(node, other)
    is_first = other == first
    return np.where(is_first, node, other), first, int((~is_first).sum())


def lesser(node: np.ndarray, other: np.ndarray) -> Arcs:
    """The arcs that lead to a smaller node."""
    down = other < node
    return node[down], other[down]


def _sorted(node: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct arcs by node and other, and for each the smallest other of its node."""
    order = np.lexsort((other, node))
    node, other = node[order], other[order]
    new = starts_run(node, other)
    node, other = node[new], other[new]
    starts = starts_run(node)
    return node, other, other[starts][np.cumsum(starts) - 1]
