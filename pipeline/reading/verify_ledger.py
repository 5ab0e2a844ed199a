"""The ledger, recounted: every document has its row, no row contradicts itself, and each says what the tables say."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.forgotten import forgotten_ids
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


def ledger_holds(run: RunFiles) -> tuple[bool, str]:
    """Whether the ledger is whole, agrees with itself and with what it was joined from."""
    ledger = pa.concat_tables(
        run.shards(LEDGER, columns=["doc_id", "keep", "reasons", "keeper_id", "fate", "n_packed_tokens"])
    )
    has_reason = pc.greater(pc.list_value_length(ledger["reasons"]), 0)
    silent = pc.sum(pc.equal(ledger["keep"], has_reason)).as_py() or 0
    kept_ids = ledger["doc_id"].filter(ledger["keep"])
    elsewhere = lists_with(ledger["reasons"], "known_duplicate")  # its keeper is in a run of `against`
    named = ledger["keeper_id"].filter(pa.array(~elsewhere)).drop_null()
    # A keeper may have been taken back; what was dropped for it stays out until the run is made anew.
    there = pa.concat_arrays([kept_ids.combine_chunks(), forgotten_ids(run)])
    lost = len(named) - (pc.sum(pc.is_in(named, value_set=there)).as_py() or 0)
    packed_but_dropped = len(
        ledger.filter(pc.and_(pc.invert(ledger["keep"]), pc.greater(ledger["n_packed_tokens"], 0)))
    )
    n_drop = ledger.num_rows - len(kept_ids)
    if silent or lost or packed_but_dropped:
        return (
            False,
            f"{silent} dropped silently, {lost} name a keeper not kept, {packed_but_dropped} dropped yet packed",
        )
    if other := _contradicted(run):
        return False, f"it says otherwise than its tables: {', '.join(other[:5])}"
    return True, f"{len(kept_ids):,} kept, {n_drop:,} dropped with reasons, {len(named):,} name a kept keeper"


def _contradicted(run: RunFiles) -> list[str]:
    """Table, column and shard wherever the ledger says something else than the table that the column is from."""
    found = []
    for shard in range(run.n_shards):
        ledger = run.tables.read(LEDGER, shard)
        for table, names in _SAID_BY:
            said = run.tables.read(table, shard, columns=list(names))
            found += [f"{table.name}.{name} of shard {shard}" for name in names if not said[name].equals(ledger[name])]
    return found
