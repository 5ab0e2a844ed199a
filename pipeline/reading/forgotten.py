"""What a run has forgotten, for the checks that would miss it."""

from __future__ import annotations

from functools import partial

import pyarrow as pa

from pipeline.arrays.columns import lists_with
from pipeline.engine.forgotten import PATCHED, read_forgotten
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.forget.proof import look_for
from pipeline.reading.work import Span, Work
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import LEDGER


def forgotten_ids(run: RunFiles, work: Work) -> pa.StringArray:
    """Documents that a forget has taken out in place: others may still name them as keeper or as near to them. They are
    as many as the run's own list names, which is held whole wherever it is read."""
    found: list[str] = []
    if run.manifest.get(PATCHED):
        for ids in work.each(partial(_gone, run.tables), work.shards(run), name="verify.forgotten-ids"):
            found += ids
    return pa.array(found, pa.string())


def _gone(tables: Tables, span: Span) -> list[str]:
    found: list[str] = []
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["doc_id", "reasons"])
        found += ledger["doc_id"].filter(pa.array(lists_with(ledger["reasons"], TAKEN_BACK))).to_pylist()
    return found


def has_forgotten(run: RunFiles) -> bool:
    """Whether documents were taken back from this run, or stay out of it."""
    return bool(run.manifest.get(PATCHED)) or bool(read_forgotten(run.store))


def nothing_is_left(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether nothing of what is forgotten is in the tables or the sequences, and all that is listed is forgotten."""
    left = look_for(run)  # in this process: it reads small columns, and of texts those of forgotten documents alone
    return left.is_nothing, str(left)
