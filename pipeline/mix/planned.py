"""What the balance plans of each document of a shard: over all, or in one phase."""

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
