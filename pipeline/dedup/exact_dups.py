"""Exact dedup: group documents of equal bytes. It only says who equals whom; `select` chooses who stays."""

from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, doc_words
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.config import Partitioned
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.schema import DOCUMENTS, EXACT_DUPS


def group_equal(job: Job, *, config: Partitioned) -> StepDone:
    """Write table `exact_dups`: each document's group, named by its first member, and the group's size."""
    n_shards, n = job.tables.n_shards, config.n_partitions
    hashes = job.channel("hash", n_sources=n_shards, n_partitions=n)
    groups = job.channel("group", n_sources=n, n_partitions=n_shards)
    job.step("hash", partial(_hash, job.tables, hashes), items=n_shards)
    job.step("group", partial(_group, hashes, groups), items=n)
    return job.step("", partial(_write, job.tables, groups), items=n_shards)


def _hash(tables: Tables, out: Channel, shard: int, _: None) -> Outcome:
    documents = tables.read(DOCUMENTS, shard, columns=["doc_id", "content_hash", "n_bytes"])
    rows = np.flatnonzero(documents["n_bytes"].to_numpy())  # documents without content equal nothing
    hashes = documents["content_hash"].take(pa.array(rows)).to_pylist()
    words = np.frombuffer(b"".join(hashes), dtype="<u8").reshape(-1, 2)
    position = positions(shard, rows)
    # Half of the doc_id orders a group: two of one group with equal halves are no matter of this world.
    ids = doc_words(documents)[0][rows]
    table = pa.table({"high": words[:, 0].copy(), "low": words[:, 1].copy(), "id": ids, "position": position})
    entry = out.scatter(shard, table, partition=spread(mix(words[:, 0]), out.n_partitions))
    return Outcome((entry,), {"n_docs": table.num_rows})


def _group(hashes: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Sort by hash; runs of equal hashes are groups. Only groups of two or more travel back to their shards."""
    high, low, ids, position = columns(hashes.gather(partition), "high", "low", "id", "position")
    # The first by doc_id stands for its group, not the first by position: which one does must not depend on how the
    # input was cut, because its pool decides how the words of all are read.
    order = np.lexsort((position, ids, low, high))
    high, low, position = high[order], low[order], position[order]
    starts = np.flatnonzero(starts_run(high, low))
    sizes = np.diff(np.append(starts, position.size))
    first, size = np.repeat(position[starts], sizes), np.repeat(sizes, sizes)
    many = size > 1
    table = pa.table({"position": position[many], "first": first[many], "size": size[many].astype(np.int64)})
    entry = out.scatter(partition, table, partition=shard_of(position[many]))
    return Outcome((entry,), {"n_docs": table.num_rows})


def _write(tables: Tables, groups: Channel, shard: int, _: None) -> Outcome:
    ids = tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"]
    own = positions(shard, np.arange(len(ids)))
    first, size = own.copy(), np.ones(len(ids), np.int64)
    position, group, n = columns(groups.gather(shard), "position", "first", "size")
    first[row_of(position)] = group
    size[row_of(position)] = n
    table = pa.table({"doc_id": ids, "group_position": first, "group_size": size, "is_first": first == own})
    entry = tables.write(EXACT_DUPS, shard, data=table)
    return Outcome((entry,), {"n_docs": len(ids), "n_duplicates": int((first != own).sum())})
