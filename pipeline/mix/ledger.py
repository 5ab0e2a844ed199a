"""Ledger: one row for each input document, joined from everything that was decided about it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.fields import Frozen
from pipeline.schema import LEDGER


def account(
    documents: pa.Table,
    languages: pa.Table,
    judged: pa.Table,
    decisions: pa.Table,
    plan: pa.Table,
    forms: pa.Table | None = None,
    *,
    config: Frozen,
) -> pa.Table:
    """Table `ledger` of one shard; it has no choices of its own.

    Fates: packed (with whole copies, and perhaps the beginning of one more), cut (enters with its beginning alone),
    surplus (kept, not needed or over a cap), dropped.
    """
    keep = decisions["keep"].to_numpy()
    n_copies, cut, n_tokens = (plan[c].to_numpy() for c in ("n_copies", "cut_tokens", "n_tokens"))
    fate = np.select([~keep, n_copies > 0, cut > 0], ["dropped", "packed", "cut"], default="surplus")
    joined = {name: documents[name] for name in documents.column_names}
    joined |= {name: languages[name] for name in ("pool", "language", "decided_by", "group")}
    joined |= {name: decisions[name] for name in ("keep", "reasons", "keeper_id", "similarity", "judged_id")}
    joined |= {"fired": judged["fired"], "n_tokens": plan["n_tokens"]}
    joined |= {"fate": pa.array(fate.tolist(), pa.string()), "n_copies": plan["n_copies"]}
    joined |= {"n_packed_tokens": n_copies * n_tokens + cut, "over_cap": plan["over_cap"]}
    form = pa.nulls(len(keep), pa.string()) if forms is None else forms["form"]
    joined["form"] = pc.if_else(pa.array(keep), pc.coalesce(form, pa.scalar("plain")), pa.scalar(None, pa.string()))
    return pa.table({name: joined[name] for name in LEDGER.schema.names}, schema=LEDGER.schema)
