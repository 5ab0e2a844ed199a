"""What a run has forgotten, for the checks that would miss it."""

from __future__ import annotations

import pyarrow as pa

from pipeline.arrays.columns import lists_with
from pipeline.engine.forgotten import PATCHED, read_forgotten
from pipeline.engine.run_folder import RunFiles
from pipeline.forget.proof import look_for
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import LEDGER


def forgotten_ids(run: RunFiles) -> pa.StringArray:
    """Documents that a forget has taken out in place: others may still name them as keeper or as near to them."""
    found = [pa.array([], pa.string())]
    for ledger in run.shards(LEDGER, columns=["doc_id", "reasons"]) if run.manifest.get(PATCHED) else ():
        gone = pa.array(lists_with(ledger["reasons"], TAKEN_BACK))
        found += ledger["doc_id"].filter(gone).chunks
    return pa.concat_arrays(found)


def has_forgotten(run: RunFiles) -> bool:
    """Whether documents were taken back from this run, or stay out of it."""
    return bool(run.manifest.get(PATCHED)) or bool(read_forgotten(run.store))


def nothing_is_left(run: RunFiles) -> tuple[bool, str]:
    """Whether nothing of what is forgotten is in the tables or the sequences, and all that is listed is forgotten."""
    left = look_for(run)
    return left.is_nothing, str(left)
