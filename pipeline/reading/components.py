"""Connected components of a graph that no task holds: by files, partition for partition.

Two steps in turn, each a look at one node with its neighbours (large-star and small-star: Kiveris and others,
"Connected components in MapReduce and beyond", 2014). First every larger neighbour of a node is tied to the smallest
of them all, then every smaller one and the node itself. Nothing grows, and when nothing moves any more every component
is a star around its smallest node. It shares nothing with the stage that it checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.arrays.keys import keyed_hash, mix
from pipeline.arrays.runs import starts_run
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work

_Edges = tuple[np.ndarray, np.ndarray]  # both ends, uint64 [n] each


def write_edges(out: Spread, source: int, one: np.ndarray, other: np.ndarray) -> None:
    """Pass edges on to both their ends."""
    here, there = np.concatenate((one, other)), np.concatenate((other, one))
    out.write(source, here, there, part=out.part_of(mix(here)))


def stars(work: Work, edges: Spread) -> Spread:
    """From edges as `write_edges` leaves them to stars in the same form: of each node but the smallest of its component
    one edge to that. Its own files and those of the steps in between are removed."""
    seen: tuple[int, int] | None = None
    for turn in range(2**31):
        tied = replace(edges, name=f"{edges.name}-large-{turn}", n_sources=edges.n_parts)
        list(work.each(partial(_step, _large_star, edges, tied), work.parts(edges), name="verify.large-star"))
        edges.drop()
        edges = replace(edges, name=f"{edges.name.partition('-small-')[0]}-small-{turn}", n_sources=edges.n_parts)
        found = work.each(partial(_step, _small_star, tied, edges), work.parts(edges), name="verify.small-star")
        n, sums = 0, 0
        for n_here, sum_here in found:
            n, sums = n + n_here, (sums + sum_here) % 2**64
        tied.drop()
        if (n, sums) == seen or n == 0:
            break
        seen = (n, sums)
    return edges


def roots_of(star: Spread, part: int) -> _Edges:
    """Of one partition of stars the nodes that are not the smallest of their component, in order, and that one."""
    node, other = star.read(part)
    mine = other < node
    node, other = node[mine], other[mine]
    order = np.argsort(node)
    return node[order], other[order]


def root(nodes: np.ndarray, known: _Edges) -> np.ndarray:
    """The smallest node of the component of each node, by what `roots_of` gave for their partition."""
    if not known[0].size:
        return nodes
    place = np.searchsorted(known[0], nodes).clip(max=known[0].size - 1)
    smallest: np.ndarray = np.where(known[0][place] == nodes, known[1][place], nodes)
    return smallest


def _step(star: Callable[[np.ndarray, np.ndarray], _Edges], edges: Spread, out: Spread, span: Span) -> tuple[int, int]:
    """Tie anew what meets in one partition; how many edges are written, and a sum of them that no order changes."""
    here, there = edges.read(span.number)
    order = np.lexsort((there, here))
    here, there = here[order], there[order]
    new = starts_run(here, there)
    upper, lower = star(here[new], there[new])
    if star is _small_star:
        write_edges(out, span.number, upper, lower)
    else:  # the next step looks at each edge from its larger end alone
        out.write(span.number, upper, lower, part=out.part_of(mix(upper)))
    return upper.size, int(keyed_hash(np.uint64(0), upper, lower).sum(dtype=np.uint64))


def _smallest(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """For each edge the smallest of its node and all neighbours of that; edges are sorted by node, then neighbour."""
    starts = starts_run(here)
    least: np.ndarray = np.minimum(here, there[starts][np.cumsum(starts) - 1])
    return least


def _large_star(here: np.ndarray, there: np.ndarray) -> _Edges:
    """All larger neighbours of a node, each tied to the smallest of node and neighbours."""
    larger = there > here
    return there[larger], _smallest(here, there)[larger]


def _small_star(here: np.ndarray, there: np.ndarray) -> _Edges:
    """A node and its smaller neighbours, which are all that is given, each tied to the smallest of them."""
    least = _smallest(here, there)
    upper, lower = np.concatenate((there, here)), np.concatenate((least, least))
    tied = upper > lower
    upper, lower = upper[tied], lower[tied]
    order = np.lexsort((lower, upper))
    new = starts_run(upper[order], lower[order])
    return upper[order][new], lower[order][new]
