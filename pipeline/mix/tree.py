"""One table of those that all shards give, put together by tasks in a tree: the driver reads one, however many shards
there are.

The tree is fixed by the number of tables, never by that of workers, and what it joins are sums of whole numbers, or
rows that are sorted afterwards: so it gives what reading all of them here would.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.engine.exchange import Channel
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job

FAN_IN = 64  # tables that one task joins, and that are joined right here: a plain choice, two levels for 4,096 shards
Join = Callable[[Iterable[pa.Table]], pa.Table]


def joined(job: Job, name: str, channel: Channel, *, join: Join) -> pa.Table:
    """`join` of the tables of all files of `channel`, which have one batch each; steps are called after `name`."""
    level = 0
    while channel.n_sources > (1 if level else FAN_IN):
        level += 1
        n_groups, step = -(-channel.n_sources // FAN_IN), f"{name}-sum-{level}"
        out = job.channel(step, n_sources=n_groups, n_partitions=1, by_source=True)
        job.step(step, partial(_join_some, channel, out, join), items=n_groups)
        channel = out
    return join(_tables(channel, 0, channel.n_sources))


def _join_some(channel: Channel, out: Channel, join: Join, group: int, _: None) -> Outcome:
    first = group * FAN_IN
    table = join(_tables(channel, first, min(first + FAN_IN, channel.n_sources)))
    entry = out.scatter(group, table, partition=np.zeros(table.num_rows, np.int64))
    return Outcome((entry,), {"n_rows": table.num_rows})


def _tables(channel: Channel, first: int, last: int) -> Iterator[pa.Table]:
    return channel.each_source(first, last)
