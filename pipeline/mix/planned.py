"""What the balance plans of each document of a shard: over all, or in one phase."""

import numpy as np
import pyarrow as pa

from pipeline.engine.tables import Tables
from pipeline.phased import of_phase
from pipeline.schema import BALANCE, PHASED_BALANCE

_PLAN = ["doc_id", "n_tokens", "n_copies", "cut_tokens"]


def planned(tables: Tables, shard: int, *, phase: int | None) -> pa.Table:
    """doc_id, n_tokens, n_copies, cut_tokens of a shard; with a `phase` only what that one takes."""
    if phase is None:
        return tables.read(BALANCE, shard, columns=_PLAN)
    return of_phase(tables.read(PHASED_BALANCE, shard), phase)


def shared(tables: Tables, shard: int, *, phase: int) -> np.ndarray:
    """Which documents of a shard stand in a phase and in another one too, bool [n]."""
    plan = tables.read(PHASED_BALANCE, shard, columns=["phase_copies", "phase_cut_tokens"])
    flat = (np.asarray(plan[name].combine_chunks().flatten()) for name in plan.column_names)
    copies, cut = (values.reshape(plan.num_rows, values.size // max(1, plan.num_rows)) for values in flat)
    stands = (copies > 0) | (cut > 0)
    both: np.ndarray = stands[:, phase] & (stands.sum(axis=1) > 1) if stands.size else np.zeros(plan.num_rows, bool)
    return both
