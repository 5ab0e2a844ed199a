"""One pass over the tables: every document is counted into sums, no text and no token is read.

The sums form a cube: one row per combination of what a document is and what became of it. Everything that the report
says about documents, but for how their languages were decided (`count_decisions.py`), is a roll-up of the cube, so its
parts agree with each other by construction. The cube is as large as the number of combinations, not of documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.reasons import INGEST_PROBLEMS
from pipeline.schema import EXACT_DUPS, LEDGER, QUALITY

KEYS = ("pool", "group", "license", "stage", "fate")
SUMS = (
    "n_docs",
    "n_bytes",
    "n_tokens",
    "n_packed_tokens",
    "n_copies",
    "n_cut",
    "n_split",
    "n_secret",
    "n_personal",
)
KEPT = "kept"
_MAX_PENDING = 64  # shards whose sums are held before they are added up
_LEDGER = [
    "source",
    "group",
    "license",
    "pool",
    "language",
    "n_bytes",
    "fate",
    "reasons",
    "n_tokens",
    "n_copies",
    "n_packed_tokens",
]


@dataclass(frozen=True)
class DocumentCounts:
    """The cube and the few counts that do not fit in it."""

    cube: pa.Table  # KEYS and SUMS
    reasons: pa.Table  # reason, pool, n_docs, n_bytes, n_only
    group_sizes: pa.Table  # group_size, n_groups: groups of equal documents, two or more


def stage_of(reason: str) -> str:
    """The stage of the flow in which a reason takes a document out."""
    if reason in INGEST_PROBLEMS:
        return "ingest"
    return {"exact_duplicate": "exact", "near_duplicate": "near", "known_duplicate": "near"}.get(reason, "rules")


def count_documents(run: RunFiles) -> DocumentCounts:
    """Count all documents of a run, shard by shard."""
    cubes, reasons, sizes = Sums(KEYS, SUMS), Sums(("reason", "pool"), ("n_docs", "n_bytes", "n_only")), []
    for shard in range(run.n_shards):
        ledger = run.tables.read(LEDGER, shard, columns=_LEDGER)
        found = run.tables.read(QUALITY, shard, columns=["n_secrets", "n_personal"])
        equal = run.tables.read(EXACT_DUPS, shard, columns=["group_size", "is_first"])
        cubes.add(_cube(ledger, found=found, seq_len=run.mixture.pack.seq_len))
        reasons.add(_reasons(ledger))
        sizes.append(equal["group_size"].filter(equal["is_first"]).to_numpy())
    size, n_groups = np.unique(np.concatenate([s[s > 1] for s in sizes]), return_counts=True)
    return DocumentCounts(cubes.total(), reasons.total(), pa.table({"group_size": size, "n_groups": n_groups}))


def roll_up(table: pa.Table, *keys: str) -> list[dict[str, Any]]:
    """Sums of all other columns per combination of `keys`, in their order; nulls last."""
    every = set(KEYS) | {"reason", *keys}
    sums = [c for c in table.column_names if c not in every]
    rows: list[dict[str, Any]] = _sum(table, keys=keys, sums=sums).to_pylist()
    return rows


def _sum(table: pa.Table, *, keys: Iterable[str], sums: Iterable[str]) -> pa.Table:
    """Grouped sums. One thread and a sort, because several would add fractions in changing order."""
    keys, sums = list(keys), list(sums)
    out = table.group_by(keys, use_threads=False).aggregate([(s, "sum") for s in sums])
    out = out.rename_columns({f"{s}_sum": s for s in sums}).select([*keys, *sums])
    return out.sort_by([(k, "ascending") for k in keys])


class Sums:
    """Adds tables of sums up as they come."""

    def __init__(self, keys: tuple[str, ...], sums: tuple[str, ...]) -> None:
        self.keys, self.sums = keys, sums
        self.pending: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self.pending.append(_sum(table, keys=self.keys, sums=self.sums))
        if len(self.pending) > _MAX_PENDING:
            self.pending = [self.total()]

    def total(self) -> pa.Table:
        return _sum(pa.concat_tables(self.pending), keys=self.keys, sums=self.sums)


def _cube(ledger: pa.Table, *, found: pa.Table, seq_len: int) -> pa.Table:
    """The facts of each document of a shard, ready to be summed."""
    n_tokens, n_copies, n_packed = (ledger[c].to_numpy() for c in ("n_tokens", "n_copies", "n_packed_tokens"))
    cut = n_packed - n_copies * n_tokens
    longest = np.where(n_copies > 0, n_tokens, cut)
    facts = {
        "stage": _first_stage(ledger["reasons"]),
        "n_docs": np.ones(ledger.num_rows, np.int64),
        "n_cut": (cut > 0).astype(np.int64),
        "n_split": (longest > seq_len).astype(np.int64),
        "n_secret": (found["n_secrets"].to_numpy() > 0).astype(np.int64),
        "n_personal": (found["n_personal"].to_numpy() > 0).astype(np.int64),
    }
    same = {name: ledger[name] for name in (*KEYS, *SUMS) if name in ledger.column_names}
    return pa.table(same | facts)


def _first_stage(reasons: pa.ChunkedArray) -> pa.Array:
    """Reasons stand in the order of the stages, so a document's first reason says where it was lost."""
    lists = reasons.combine_chunks()
    out = np.full(len(lists), KEPT, object)
    dropped = np.asarray(pc.list_value_length(lists)) > 0
    first = lists.values.take(pa.array(np.asarray(lists.offsets)[:-1][dropped]))
    coded = first.dictionary_encode()
    names = np.array([stage_of(r) for r in coded.dictionary.to_pylist()], object)
    if len(first):
        out[dropped] = names[np.asarray(coded.indices)]
    return pa.array(out, pa.string())


def _reasons(ledger: pa.Table) -> pa.Table:
    """One row per document and reason."""
    lists = ledger["reasons"].combine_chunks()
    parent = np.asarray(pc.list_parent_indices(lists))
    only = np.asarray(pc.list_value_length(lists)) == 1
    return pa.table(
        {
            "reason": lists.flatten(),
            "pool": ledger["pool"].take(pa.array(parent)),
            "n_docs": np.ones(parent.size, np.int64),
            "n_bytes": ledger["n_bytes"].to_numpy()[parent],
            "n_only": only[parent].astype(np.int64),
        }
    )
