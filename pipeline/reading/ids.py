"""Where the documents with some ids stand: one column is read, and no shard behind the last of them.

Ids are hashes, so no statistics of a shard say whether it holds one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.schema import LEDGER, Table

Place = tuple[int, int]  # shard and row
_ID = re.compile("[0-9a-f]{32}")


def is_id(name: str) -> bool:
    """Whether a name can be a doc_id."""
    return _ID.fullmatch(name) is not None


def places_of(run: RunFiles, ids: Iterable[str], work: Work, *, table: Table = LEDGER) -> dict[str, Place]:
    """Shard and row of each document by the ids in `table`; ids that no document of the run bears are left out."""
    wanted = pa.array(sorted(set(ids)), pa.string())
    found: dict[str, Place] = {}
    spans = work.shards(run) if len(wanted) else []
    for here in work.each(partial(_places, run.tables, table, wanted), spans, name="ids"):
        found = here | found
        if len(found) == len(wanted):
            break
    return found


def _places(tables: Tables, table: Table, wanted: pa.StringArray, span: Span) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for shard in span.items:
        ids = tables.read(table, shard, columns=["doc_id"])["doc_id"]
        for row in pc.indices_nonzero(pc.is_in(ids, value_set=wanted)).to_pylist():
            found.setdefault(ids[row].as_py(), (shard, row))
    return found
