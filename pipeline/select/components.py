"""The graph that `select` decides: components of near duplicates, and the nodes of those that one task resolves.

Components are found in one task that streams the pairs and holds one number per document that appears in any. What
belongs to a component (pairs, crowd members, champions) then meets in one partition, so resolving is bounded by the
number of partitions and the largest component.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, one_chunk
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.engine.exchange import Channel, first_position, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.store import FileEntry
from pipeline.engine.tables import Tables
from pipeline.schema import NEAR_DUPS, SIMILAR
from pipeline.select.keepers import Crowd, components, unite

_PAIR = ["other_id", "similarity", "position", "other_position"]


@dataclass(frozen=True)
class Components:
    """Where the component task reads pairs and crowds, and where it sends what belongs together."""

    tables: Tables
    n_pair_shards: int
    ends: Channel
    groups: Channel
    pairs: Channel
    crowds: Channel

    def read_pairs(self, shard: int, *names: str) -> pa.Table:
        """Columns of a shard of `near_dups`."""
        return self.tables.read(NEAR_DUPS, shard, columns=names, of=self.n_pair_shards)

    def read_crowd(self, shard: int) -> pa.Table:
        """The members of crowds that this shard of `similar` holds, memory-mapped where the disk is local."""
        path = self.tables.path(SIMILAR, shard, of=self.n_pair_shards, suffix="arrow")
        return self.tables.store.open_ipc(path).read_all()


def find_components(source: Components, _: int, __: None) -> Outcome:
    """Unite what is near or crowded together; send documents, pairs and crowd members to where they are decided.

    Documents of other runs are fixed, so they connect nothing.
    """
    first_earlier = first_position(source.tables.n_shards)
    shards = range(source.n_pair_shards)
    found = [np.zeros(0, np.uint64)]
    for shard in shards:
        ends = np.concatenate(columns(source.read_pairs(shard, *_PAIR[2:]), *_PAIR[2:]))
        found.append(np.unique(np.concatenate((ends, source.read_crowd(shard)["position"].to_numpy()))))
    nodes = np.unique(np.concatenate(found))
    nodes = nodes[nodes < first_earlier]
    parent = np.arange(nodes.size)
    in_bucket = []
    for shard in shards:
        left, right = columns(source.read_pairs(shard, *_PAIR[2:]), *_PAIR[2:])
        own = right < first_earlier
        unite(parent, np.searchsorted(nodes, left[own]), np.searchsorted(nodes, right[own]))
        in_bucket.append(_in_buckets(source.read_crowd(shard)))
    key, position = (np.concatenate(c) for c in zip(*in_bucket, strict=True))
    key, position = key[position < first_earlier], position[position < first_earlier]
    order = np.lexsort((position, key))
    place = np.searchsorted(nodes, position[order])
    same = ~starts_run(key[order])[1:]
    unite(parent, place[:-1][same], place[1:][same])
    component = nodes[components(parent)]
    files = [source.ends.scatter(0, pa.table({"position": nodes}), partition=shard_of(nodes))]
    table = pa.table({"group": nodes, "component": component})
    files.append(source.groups.scatter(0, table, partition=spread(mix(nodes), source.groups.n_partitions)))
    bucket_homes = _homes(key[order], component[place])
    for shard in shards:
        files += _send(source, shard, nodes=nodes, component=component, homes=bucket_homes)
    return Outcome(tuple(files), {"n_docs": nodes.size, "n_components": np.unique(component).size})


def _in_buckets(crowd: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(bucket key, position) of every place in a crowded bucket."""
    lists = one_chunk(crowd["keys"])
    sizes = np.diff(lists.offsets.to_numpy())
    return lists.flatten().to_numpy(), np.repeat(crowd["position"].to_numpy(), sizes)


def _homes(key: np.ndarray, component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The component of each distinct sorted bucket key."""
    first = starts_run(key)
    return key[first], component[first]


def _send(
    source: Components,
    shard: int,
    *,
    nodes: np.ndarray,
    component: np.ndarray,
    homes: tuple[np.ndarray, np.ndarray],
) -> list[FileEntry]:
    """Pairs and crowd members of one shard, each to its component's partition.

    A crowd member of an earlier run goes to every component that one of its buckets belongs to.
    """
    pairs = source.read_pairs(shard, *_PAIR)
    at = component[np.searchsorted(nodes, pairs["position"].to_numpy())]
    n = source.pairs.n_partitions
    sent = source.pairs.scatter(shard, pairs, partition=spread(mix(at), n))
    crowd = source.read_crowd(shard)
    key, position = _in_buckets(crowd)
    index, found = find(homes[0], np.arange(homes[0].size), key)
    row = np.searchsorted(crowd["position"].to_numpy(), position)[found]
    partition = spread(mix(homes[1][index[found]]), n)
    # Two buckets of a member may lead to one component: it is sent there once.
    both = np.unique(np.stack((partition, row), axis=1), axis=0)
    members = source.crowds.scatter(shard, crowd.take(pa.array(both[:, 1])), partition=both[:, 0])
    return [sent, members]


def find(values: np.ndarray, order: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each wanted value in `values` (argsort `order`), and whether it is there."""
    if values.size == 0:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, bool)
    place = np.minimum(np.searchsorted(values, wanted, sorter=order), values.size - 1)
    index = order[place]
    return index, values[index] == wanted


@dataclass(frozen=True)
class Nodes:
    """What one task resolves: documents of earlier runs first, then classes of equal shingle sets by best champion."""

    n: int
    n_earlier: int
    of_group: np.ndarray  # the node of each champion
    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    crowd: Crowd
    earlier_ids: pa.Array

    def ids(self, champion_ids: pa.ChunkedArray) -> pa.Array:
        """The doc_id that stands for each node."""
        first = np.unique(self.of_group, return_index=True)[1]
        return pa.concat_arrays([self.earlier_ids, one_chunk(champion_ids).take(pa.array(first))])

    @staticmethod
    def of(group: np.ndarray, pairs: pa.Table, crowd: pa.Table, *, first_earlier: np.uint64) -> Nodes:
        """Number the nodes. `group` are the champions' groups in total order; all else that appears has no champion."""
        left, right, similarity = columns(pairs, "position", "other_position", "similarity")
        members = crowd["position"].to_numpy()
        every = np.unique(np.concatenate((group, left, right, members)))
        earlier = every[every >= first_earlier]
        parent = np.arange(every.size)
        equal = (similarity == 1.0) & (right < first_earlier)
        unite(parent, np.searchsorted(every, left[equal]), np.searchsorted(every, right[equal]))
        classes = components(parent)
        node = np.full(every.size, -1, np.int64)  # of each class; -1: nobody passes
        node[np.searchsorted(every, earlier)] = np.arange(earlier.size)
        first = np.unique(classes[np.searchsorted(every, group)], return_index=True)[1]
        node[classes[np.searchsorted(every, group[np.sort(first)])]] = earlier.size + np.arange(first.size)
        node = node[classes]
        a, b = node[np.searchsorted(every, left)], node[np.searchsorted(every, right)]
        real = (a >= 0) & (b >= 0) & (a != b)
        n = earlier.size + first.size
        return Nodes(
            n,
            earlier.size,
            node[np.searchsorted(every, group)],
            a[real],
            b[real],
            similarity[real],
            _crowd(crowd, node[np.searchsorted(every, members)]),
            _earlier_ids(earlier, pairs, crowd),
        )


def _crowd(table: pa.Table, node: np.ndarray) -> Crowd:
    """The members whose node has somebody who passes."""
    present = np.flatnonzero(node >= 0)
    if not present.size:
        return Crowd.empty()
    table, node = table.take(pa.array(present)), node[present]
    keys, sets = one_chunk(table["keys"]), one_chunk(table["shingles"])
    offsets = sets.offsets.to_numpy()
    buckets = np.unique(keys.flatten().to_numpy(), return_inverse=True)[1].astype(np.int64)
    bucket_starts = keys.offsets.to_numpy() - keys.offsets[0].as_py()
    return Crowd(node, buckets, bucket_starts, sets.values.to_numpy(), offsets[:-1].copy(), np.diff(offsets))


def _earlier_ids(earlier: np.ndarray, pairs: pa.Table, crowd: pa.Table) -> pa.Array:
    """Ids of documents of earlier runs, from the pairs and crowds that name them."""
    position = np.concatenate((pairs["other_position"].to_numpy(), crowd["position"].to_numpy()))
    ids = pa.concat_arrays([one_chunk(pairs["other_id"]), one_chunk(crowd["doc_id"])])
    order = np.argsort(position, kind="stable")
    return ids.take(pa.array(order[np.searchsorted(position[order], earlier)]))
