"""The components of near duplicates: what one task of `select` must decide together.

Nodes are own documents that are near to another or stand in a crowd; a document of another run is fixed, so it connects
nothing. Each shard of pairs sends a spanning forest of its own, each bucket of a crowd ties its members to the first.
Up to MAX_ARCS of these arcs one task unites them in memory; more are united in rounds through the exchange, in which no
task holds more than its partition (`stars.py`). Either way each node ends with one arc, to the smallest of its
component, and what belongs to a component (pairs, crowd members, champions) then meets in one partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, one_chunk
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.engine.exchange import Channel, first_position, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.schema import NEAR_DUPS, SIMILAR
from pipeline.select.keepers import components, unite
from pipeline.select.settings import Selection
from pipeline.select.stars import lesser, send_arcs, unite_in_rounds

# 24 bytes for each of their ends, and as much again while these are sorted: some gigabytes at the very most.
MAX_ARCS = 50_000_000
_PAIR = ["other_id", "similarity", "position", "other_position"]


@dataclass(frozen=True)
class Components:
    """Where each thing went that belongs to a component."""

    ends: Channel  # by shard: which of its documents are nodes
    groups: Channel  # by node: its component
    pairs: Channel  # by component
    crowds: Channel  # by component: its members of crowds; one of another run may belong to several


@dataclass(frozen=True)
class _Source:
    """Where pairs and crowds stand."""

    tables: Tables
    n_pair_shards: int

    @property
    def first_earlier(self) -> np.uint64:
        return first_position(self.tables.n_shards)

    def pairs(self, shard: int, *names: str) -> pa.Table:
        """Columns of a shard of `near_dups`."""
        return self.tables.read(NEAR_DUPS, shard, columns=names, of=self.n_pair_shards)

    def crowd(self, shard: int) -> pa.Table:
        """The members of crowds that this shard of `similar` holds, memory-mapped where the disk is local."""
        path = self.tables.path(SIMILAR, shard, of=self.n_pair_shards, suffix="arrow")
        return self.tables.store.read_ipc_whole(path)


def find_components(job: Job, *, config: Selection) -> Components:
    """Unite what is near or crowded together, and send all of a component to one partition."""
    tables, m, n = job.tables, config.n_pair_shards, config.n_partitions
    source = _Source(tables, m)
    arcs = job.channel("edge", n_sources=m, n_partitions=m)
    buckets = job.channel("edge", "bucket", n_sources=m, n_partitions=m)
    nodes = job.channel("edge", "node", n_sources=m, n_partitions=m)
    found = Components(
        job.channel("label", "end", n_sources=m, n_partitions=tables.n_shards),
        job.channel("label", "group", n_sources=m, n_partitions=n),
        job.channel("send", "pair", n_sources=m, n_partitions=n),
        job.channel("send", "crowd", n_sources=m, n_partitions=n),
    )
    labels = job.channel("label", n_sources=m, n_partitions=m)
    counts = job.step("edge", partial(_edges, source, arcs, buckets, nodes), items=m).counts
    n_arcs, asks = counts["n_arcs"], None
    every: tuple[Channel, ...] = (arcs,)
    if counts["n_places"]:
        tied = job.channel("bucket", n_sources=m, n_partitions=m)
        asks = job.channel("bucket", "ask", n_sources=m, n_partitions=m)
        made = job.step("bucket", partial(_tie, buckets, tied, asks, source.first_earlier), items=m)
        n_arcs, every = n_arcs + made.counts["n_arcs"], (arcs, tied)
    if n_arcs <= MAX_ARCS:
        stars = job.channel("component", n_sources=1, n_partitions=m)
        job.step("component", partial(_unite, every, stars), items=1)
    else:
        stars = unite_in_rounds(job, every)
    job.step("label", partial(_label, nodes, asks, stars, found, labels), items=m)
    job.step("send", partial(_send, source, labels, found), items=m)
    return found


def _edges(source: _Source, arcs: Channel, buckets: Channel, nodes: Channel, shard: int, _: None) -> Outcome:
    """Scatter a forest of the pairs of one shard, its places in buckets, and which nodes it names."""
    left, right = columns(source.pairs(shard, *_PAIR[2:]), *_PAIR[2:])
    near = right < source.first_earlier
    key, position = _in_buckets(source.crowd(shard))
    ends = np.unique(np.concatenate((left[near], right[near])))
    parent = np.arange(ends.size)
    unite(parent, np.searchsorted(ends, left[near]), np.searchsorted(ends, right[near]))
    root = ends[components(parent)]
    mine = np.unique(np.concatenate((left, ends, position[position < source.first_earlier])))
    asker = {"asker": np.full(mine.size, shard, np.uint32)}
    places = {"key": key, "position": position, "asker": np.full(key.size, shard, np.uint32)}
    files = (
        send_arcs(arcs, shard, ends[root != ends], root[root != ends]),
        buckets.scatter(shard, pa.table(places), partition=spread(key, buckets.n_partitions)),
        nodes.scatter(shard, pa.table({"position": mine, **asker}), partition=spread(mix(mine), nodes.n_partitions)),
    )
    return Outcome(files, {"n_arcs": int((root != ends).sum()), "n_places": key.size})


def _tie(buckets: Channel, arcs: Channel, asks: Channel, first_earlier: np.uint64, partition: int, _: None) -> Outcome:
    """Tie the own members of each bucket to its first; members of other runs will ask where that belongs."""
    key, position, asker = columns(buckets.gather(partition), "key", "position", "asker")
    order = np.lexsort((position, key))
    key, position, asker = key[order], position[order], asker[order]
    starts = starts_run(key)
    first = position[starts][np.cumsum(starts) - 1]
    own = (position < first_earlier) & (position != first)
    asking = (position >= first_earlier) & (first < first_earlier)
    table = pa.table({"node": first[asking], "position": position[asking], "asker": asker[asking]})
    asked = asks.scatter(partition, table, partition=spread(mix(first[asking]), asks.n_partitions))
    return Outcome((send_arcs(arcs, partition, position[own], first[own]), asked), {"n_arcs": int(own.sum())})


def _unite(every: tuple[Channel, ...], out: Channel, _: int, __: None) -> Outcome:
    """Unite all arcs in memory: one number for each of their ends."""
    found = [np.zeros(0, np.uint64)]
    for arcs in every:
        found += [np.unique(arcs.gather(p)["node"].to_numpy()) for p in range(arcs.n_partitions)]
    nodes = np.unique(np.concatenate(found))
    parent = np.arange(nodes.size)
    for arcs in every:
        for partition in range(arcs.n_partitions):
            node, other = lesser(*columns(arcs.gather(partition), "node", "other"))
            unite(parent, np.searchsorted(nodes, node), np.searchsorted(nodes, other))
    component = nodes[components(parent)]
    node, component = nodes[component != nodes], component[component != nodes]
    table = pa.table({"node": node, "other": component})
    return Outcome((out.scatter(0, table, partition=spread(mix(node), out.n_partitions)),), {"n_nodes": nodes.size})


def _label(
    nodes: Channel, asks: Channel | None, stars: Channel, found: Components, labels: Channel, partition: int, _: None
) -> Outcome:
    """Say of each node in which component it is: to its shard, to its group, and to all who ask."""
    node, other = lesser(*columns(stars.gather(partition), "node", "other"))
    order = np.argsort(node)

    def component_of(position: np.ndarray) -> np.ndarray:
        index, is_joined = find(node, order, position)
        component = position.copy()
        component[is_joined] = other[index[is_joined]]
        return component

    position, asker = columns(nodes.gather(partition), "position", "asker")
    component, mine = component_of(position), np.unique(position)
    if asks is not None:
        first, earlier, by = columns(asks.gather(partition), "node", "position", "asker")
        component = np.concatenate((component, component_of(first)))
        position, asker = np.concatenate((position, earlier)), np.concatenate((asker, by))
    table = pa.table({"group": mine, "component": component_of(mine)})
    files = (
        found.ends.scatter(partition, pa.table({"position": mine}), partition=shard_of(mine)),
        found.groups.scatter(partition, table, partition=spread(mix(mine), found.groups.n_partitions)),
        labels.scatter(partition, pa.table({"position": position, "component": component}), partition=asker),
    )
    return Outcome(files, {"n_docs": mine.size, "n_components": int((component_of(mine) == mine).sum())})


def _send(source: _Source, labels: Channel, found: Components, shard: int, _: None) -> Outcome:
    """Pairs and crowd members of one shard, each to its component's partition.

    A crowd member of an earlier run goes to every component that one of its buckets belongs to.
    """
    position, component = columns(labels.gather(shard), "position", "component")
    order = np.argsort(position, kind="stable")
    position, component = position[order], component[order]
    pairs = source.pairs(shard, *_PAIR)
    at = component[np.searchsorted(position, pairs["position"].to_numpy())]
    n = found.pairs.n_partitions
    sent = found.pairs.scatter(shard, pairs, partition=spread(mix(at), n))
    crowd = source.crowd(shard)
    members = crowd["position"].to_numpy()
    first, last = np.searchsorted(position, members), np.searchsorted(position, members, side="right")
    row = np.repeat(np.arange(members.size), last - first)
    within = np.arange(row.size) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    partition = spread(mix(component[first[row] + within]), n)
    # Two buckets of a member may lead to one component: it is sent there once.
    both = np.unique(np.stack((partition, row), axis=1), axis=0)
    crowded = found.crowds.scatter(shard, crowd.take(pa.array(both[:, 1])), partition=both[:, 0])
    return Outcome((sent, crowded), {})


def _in_buckets(crowd: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(bucket key, position) of every place in a crowded bucket."""
    lists = one_chunk(crowd["keys"])
    sizes = np.diff(lists.offsets.to_numpy())
    return lists.flatten().to_numpy(), np.repeat(crowd["position"].to_numpy(), sizes)


def find(values: np.ndarray, order: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each wanted value in `values` (argsort `order`), and whether it is there."""
    if values.size == 0:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, bool)
    place = np.minimum(np.searchsorted(values, wanted, sorter=order), values.size - 1)
    index = order[place]
    return index, values[index] == wanted
