"""Which documents say too much of an item of a benchmark in `against`: what `overlaps` measured, judged."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.select.settings import BenchmarkLimits


def is_contaminated(matches: pa.ListArray, *, limits: Sequence[BenchmarkLimits]) -> np.ndarray:
    """Whether each document reaches a limit, bool [n]; `matches` is that column of `overlaps`."""
    found, rows = matches.flatten(), pc.list_parent_indices(matches).to_numpy()
    reaches = np.zeros(len(found), bool)
    for limit in limits:
        mine = pc.equal(found.field("benchmark"), limit.name)
        tells = pc.greater_equal(found.field("n_telling_words"), limit.min_telling_words)
        contains = pc.greater_equal(found.field("contained_frac"), limit.min_contained_frac)
        reaches |= pc.and_(mine, pc.or_(tells, contains)).to_numpy(zero_copy_only=False)
    dropped = np.zeros(len(matches), bool)
    dropped[rows[reaches]] = True
    return dropped
