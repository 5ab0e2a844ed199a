"""The nodes of one resolving task: documents of other runs, and classes of equal shingle sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, one_chunk
from pipeline.select.keepers import Crowd, components, unite


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
