"""The ledger, recounted: every document has its row, no row contradicts itself, and each says what the tables say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, joined, lists_with
from pipeline.arrays.runs import starts_run
from pipeline.engine.forgotten import PATCHED
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import BALANCE, DOCUMENTS, JUDGED, LANGUAGES, LEDGER, SELECT, TOKENS, Table

# Where each column of the ledger comes from. Written down here again, so that a column that the stage joins from a
# wrong place is seen.
_SAID_BY: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (DOCUMENTS, ("doc_id", "source", "repo", "path", "revision", "license", "n_bytes")),
    (LANGUAGES, ("pool", "language", "decided_by", "group")),
    (JUDGED, ("fired",)),
    (SELECT, ("keep", "reasons", "keeper_id", "similarity", "judged_id")),
    (BALANCE, ("n_tokens", "n_copies", "over_cap")),
    (TOKENS, ("n_tokens",)),
)
_MAX_NAMED = 5
_THERE = 0  # an id on its way is of a document that may be a keeper, or is named as one so many times


@dataclass(frozen=True)
class _Rows:
    """What was counted of some shards."""

    n_kept: int
    n_dropped: int
    n_silent: int  # dropped without a reason, or kept with one
    n_named: int  # keepers that are named, each as often as it is
    n_packed_but_dropped: int
    other: tuple[str, ...]  # where the ledger says something else than its tables, the first few


def ledger_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether the ledger is whole, agrees with itself and with what it was joined from."""
    spans = work.shards(run)
    ids = work.spread("keepers", width=3, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    task = partial(_rows_of, run.tables, bool(run.manifest.get(PATCHED)), ids)
    found = list(work.each(task, spans, name="verify.ledger"))
    lost = sum(work.each(partial(_n_lost, ids), work.parts(ids), name="verify.keepers"))
    ids.drop()
    n_kept, n_drop, silent, n_named, packed_but_dropped = (
        sum(getattr(rows, name) for rows in found)
        for name in ("n_kept", "n_dropped", "n_silent", "n_named", "n_packed_but_dropped")
    )
    if silent or lost or packed_but_dropped:
        return (
            False,
            f"{silent} dropped silently, {lost} name a keeper not kept, {packed_but_dropped} dropped yet packed",
        )
    if other := [one for rows in found for one in rows.other]:
        return False, f"it says otherwise than its tables: {', '.join(other[:_MAX_NAMED])}"
    return True, f"{n_kept:,} kept, {n_drop:,} dropped with reasons, {n_named:,} name a kept keeper"


def _rows_of(tables: Tables, is_patched: bool, out: Spread, span: Span) -> _Rows:
    """Count some shards, and pass on who is kept and who is named as a keeper."""
    counts, other, ids = np.zeros(5, np.int64), list[str](), []
    for shard in span.items:
        ledger = tables.read(LEDGER, shard)
        keep, reasons = ledger["keep"], ledger["reasons"]
        named = ledger["keeper_id"].filter(_in_this_run(reasons)).drop_null()
        # A keeper may have been taken back; what was dropped for it stays out until the run is made anew.
        there = pc.or_(keep, pa.array(lists_with(reasons, TAKEN_BACK))) if is_patched else keep
        high, low = doc_words(pa.table({"doc_id": ledger["doc_id"].filter(there)}))
        ids.append((high, low, np.full(high.size, _THERE, np.uint64)))
        # Once for each shard: a text that a million documents copy is named a million times.
        counted = pc.value_counts(named)
        high, low = doc_words(pa.table({"doc_id": counted.field("values")}))
        ids.append((high, low, counted.field("counts").to_numpy().astype(np.uint64)))
        n_kept = pc.sum(keep).as_py() or 0
        silent = pc.sum(pc.equal(keep, pc.greater(pc.list_value_length(reasons), 0))).as_py() or 0
        packed = pc.sum(pc.and_(pc.invert(keep), pc.greater(ledger["n_packed_tokens"], 0))).as_py() or 0
        counts += (n_kept, ledger.num_rows - n_kept, silent, len(named), packed)
        if len(other) < _MAX_NAMED:
            other += _contradicted(tables, shard, ledger)
    high, low, kinds = joined(ids, n=3)
    out.write(span.number, high, low, kinds, part=out.part_of(high))
    n_kept, n_dropped, n_silent, n_named, n_packed = counts.tolist()
    return _Rows(n_kept, n_dropped, n_silent, n_named, n_packed, tuple(other))


def _in_this_run(reasons: pa.ChunkedArray) -> pa.BooleanArray:
    """Documents whose keeper is none of a run of `against`."""
    return pa.array(~lists_with(reasons, "known_duplicate"))


def _n_lost(ids: Spread, span: Span) -> int:
    """How often a keeper is named that is not there, in one partition of the ids."""
    high, low, kind = ids.read(span.number)
    order = np.lexsort((kind, low, high))
    kind = kind[order]
    starts = starts_run(high[order], low[order])
    first = kind[starts][np.cumsum(starts) - 1]  # no number of times is as small as _THERE
    return int(kind[first != _THERE].sum())


def _contradicted(tables: Tables, shard: int, ledger: pa.Table) -> list[str]:
    """Table, column and shard wherever the ledger says something else than the table that the column is from."""
    found = []
    for table, names in _SAID_BY:
        said = tables.read(table, shard, columns=list(names))
        found += [f"{table.name}.{name} of shard {shard}" for name in names if not said[name].equals(ledger[name])]
    return found
