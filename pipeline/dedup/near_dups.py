"""Near duplicates: the verified pairs that reach the mixture's threshold, copied from table `similar`."""

from functools import partial

import pyarrow.compute as pc

from pipeline.config import Frozen
from pipeline.engine.markers import Marker, Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.schema import NEAR_DUPS, SIMILAR


class Threshold(Frozen):
    """What decides which of the stored pairs are near duplicates."""

    n_partitions: int
    min_similarity: float


def keep_near(job: Job, *, config: Threshold) -> list[Marker]:
    """Write table `near_dups`: the rows of `similar` that reach the threshold."""
    return job.step("", partial(_keep_near, job.tables, config), items=config.n_partitions)


def _keep_near(tables: Tables, config: Threshold, partition: int, _: None) -> Outcome:
    pairs = tables.read(SIMILAR, partition, of=config.n_partitions)
    near = pairs.filter(pc.greater_equal(pairs["similarity"], config.min_similarity))
    entry = tables.write(NEAR_DUPS, partition, data=near, of=config.n_partitions)
    return Outcome((entry,), {"n_pairs": near.num_rows})
