"""One pass over the tables: every document is counted into sums, no text and no token is read.

The sums form a cube: one row for each pool, group and licence, and a column for each count. Everything that the report
says about documents, but for how their languages were decided (`count_decisions.py`), is a sum over the cube, so its
parts agree with each other by construction. The cube is as large as the number of combinations, not of documents.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.privacy.kinds import PERSONAL, kinds
from pipeline.privacy.policies import policy_of
from pipeline.reading.work import Span, Work
from pipeline.reasons import INGEST_PROBLEMS, TAKEN_BACK
from pipeline.schema import EXACT_DUPS, LEDGER, REDACTED

# Where documents are lost, in the order of the ledger's reasons.
LOSSES = ("ingest", "rules", "exact", "near")
_KEYS = ("pool", "group", "license")
_LEDGER = [*_KEYS, "n_bytes", "fate", "reasons", "n_tokens", "n_copies", "n_packed_tokens"]
_SIZES = ("group_size", "n_groups")
# Shards whose sums are held before they are added up: few enough for memory, many enough to add up seldom.
_MAX_PENDING = 64
T = TypeVar("T")


@dataclass(frozen=True)
class DocumentCounts:
    """The cube and the few counts that do not fit in it."""

    cube: pa.Table
    reasons: pa.Table  # a row for each reason
    group_sizes: pa.Table  # group_size, n_groups: groups of equal documents, two or more


def from_row(of: type[T], row: Mapping[str, Any], **more: Any) -> T:
    """A dataclass from the columns that are named like its fields, and from `more`."""
    values = {**row, **more}
    return of(**{field.name: values[field.name] for field in fields(of)})  # type: ignore[arg-type]


def stage_of(reason: str) -> str:
    """Which of LOSSES a reason belongs to."""
    if reason in (*INGEST_PROBLEMS, TAKEN_BACK):  # before anything else was asked of it
        return "ingest"
    return {"exact_duplicate": "exact", "near_duplicate": "near", "known_duplicate": "near"}.get(reason, "rules")


def count_documents(run: RunFiles, work: Work) -> DocumentCounts:
    """Count all documents of a run, range by range of its shards."""
    left = frozenset(name for name in kinds() if policy_of(name, run.mixture.privacy.policies) == "report")
    cube, reasons, sizes = Sums(_KEYS), Sums(("reason",)), Counter[int]()
    task = partial(_count, run.tables, left, run.mixture.pack.seq_len)
    for found in work.each(task, work.shards(run), name="report.documents"):
        cube.add(found.cube)
        reasons.add(found.reasons)
        sizes.update(dict(zip(*(found.group_sizes[name].to_pylist() for name in _SIZES), strict=True)))
    return DocumentCounts(cube.total(), reasons.total(), _sizes(sizes))


def _count(tables: Tables, left: frozenset[str], seq_len: int, span: Span) -> DocumentCounts:
    """The same of some shards."""
    cube, reasons, sizes = Sums(_KEYS), Sums(("reason",)), Counter[int]()
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=_LEDGER)
        found = one_chunk(tables.read(REDACTED, shard, columns=["findings"])["findings"])
        equal = tables.read(EXACT_DUPS, shard, columns=["group_size", "is_first"])
        cube.add(_counted(ledger, found=found, left=left, seq_len=seq_len))
        reasons.add(_reasons(ledger))
        size, n = np.unique(equal["group_size"].filter(equal["is_first"]).to_numpy(), return_counts=True)
        sizes.update({int(k): int(v) for k, v in zip(size, n, strict=True) if k > 1})
    return DocumentCounts(cube.total(), reasons.total(), _sizes(sizes))


def _sizes(sizes: Counter[int]) -> pa.Table:
    rows = sorted(sizes.items())
    return pa.table({name: pa.array([row[k] for row in rows], pa.int64()) for k, name in enumerate(_SIZES)})


def roll_up(cube: pa.Table, *keys: str) -> list[dict[str, Any]]:
    """Sums of the cube's counts for each combination of some of its keys, in their order."""
    rows: list[dict[str, Any]] = _sum(cube.drop_columns([k for k in _KEYS if k not in keys]), keys=keys).to_pylist()
    return rows


def _sum(table: pa.Table, *, keys: Sequence[str]) -> pa.Table:
    """Sums of all columns beside `keys`. One thread and a sort, since several would add fractions in changing order."""
    sums = [name for name in table.column_names if name not in keys]
    out = table.group_by(list(keys), use_threads=False).aggregate([(s, "sum") for s in sums])
    out = out.rename_columns({f"{s}_sum": s for s in sums}).select([*keys, *sums])
    return out.sort_by([(k, "ascending") for k in keys]) if keys else out


class Sums:
    """Adds tables up as they come: the columns `sums`, or without them all columns beside `keys`."""

    def __init__(self, keys: Sequence[str], sums: Sequence[str] = ()) -> None:
        self.keys, self.sums = keys, sums
        self.pending: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self.pending.append(_sum(table.select([*self.keys, *self.sums]) if self.sums else table, keys=self.keys))
        if len(self.pending) > _MAX_PENDING:
            self.pending = [self.total()]

    def total(self) -> pa.Table:
        return _sum(pa.concat_tables(self.pending), keys=self.keys)


def _counted(ledger: pa.Table, *, found: pa.ListArray, left: Set[str], seq_len: int) -> pa.Table:
    """What each document of a shard adds to each count, named like the fields of `Totals` and `Group`."""
    n_bytes, n_tokens, n_copies, n_packed = columns(ledger, "n_bytes", "n_tokens", "n_copies", "n_packed_tokens")
    lost, fate = _lost(ledger["reasons"]), np.asarray(ledger["fate"])
    keep, packed = fate != "dropped", np.isin(fate, ["packed", "cut"])
    of_people = {name for name, kind in kinds().items() if kind.cls in PERSONAL}
    secret, personal = _holds(found, kinds().keys() - of_people), _holds(found, of_people)
    cut = n_packed - n_copies * n_tokens
    yes_or_no = {
        "n_docs": np.ones(keep.size, bool),
        "n_kept_docs": keep,
        "n_surplus_docs": fate == "surplus",
        "n_packed_docs": packed,
        "n_cut_docs": cut > 0,
        "n_split_docs": np.where(n_copies > 0, n_tokens, cut) > seq_len,
        "n_secret_docs": secret,
        "n_packed_secret_docs": _holds(found, left - of_people) & packed,
        "n_personal_docs": personal,
        "n_packed_personal_docs": _holds(found, left & of_people) & packed,
    }
    numbers = {
        "n_bytes": n_bytes,
        "n_kept_bytes": n_bytes * keep,
        "n_packed_bytes": n_bytes * packed,
        "n_kept_tokens": n_tokens * keep,
        "n_packed_tokens": n_packed,
        "n_copies": n_copies,
    }
    for stage in LOSSES:
        yes_or_no[f"n_{stage}_docs"] = lost == stage
        numbers[f"n_{stage}_bytes"] = n_bytes * (lost == stage)
    keys = {"pool": ledger["pool"], "group": ledger["group"], "license": pc.fill_null(ledger["license"], "")}
    return pa.table(keys | {name: counted.astype(np.int64) for name, counted in (yes_or_no | numbers).items()})


def _holds(found: pa.ListArray, names: Set[str]) -> np.ndarray:
    """Which documents hold a find of one of these kinds."""
    hits = np.asarray(pc.is_in(found.flatten().field("kind"), value_set=pa.array(sorted(names), pa.string())))
    holds = np.zeros(len(found), bool)
    holds[np.asarray(pc.list_parent_indices(found))[hits]] = True
    return holds


def _lost(reasons: pa.ChunkedArray) -> np.ndarray:
    """Reasons stand in the order of the stages, so a document's first one says where it was lost; "" if it was not."""
    lists = one_chunk(reasons)
    coded = lists.values.dictionary_encode()
    stages = np.array([*map(stage_of, coded.dictionary.to_pylist()), ""], object)
    codes = np.append(np.asarray(coded.indices), stages.size - 1)
    first = np.where(np.asarray(pc.list_value_length(lists)) > 0, np.asarray(lists.offsets)[:-1], -1)
    return np.asarray(stages[codes[first]])


def _reasons(ledger: pa.Table) -> pa.Table:
    """One row per document and reason."""
    lists = one_chunk(ledger["reasons"])
    parent = np.asarray(pc.list_parent_indices(lists))
    is_code = np.asarray(pc.equal(ledger["pool"], "code"))[parent]
    only = np.asarray(pc.list_value_length(lists))[parent] == 1
    return pa.table(
        {
            "reason": lists.flatten(),
            "n_docs": np.ones(parent.size, np.int64),
            "n_code_docs": is_code.astype(np.int64),
            "n_text_docs": (~is_code).astype(np.int64),
            "n_bytes": ledger["n_bytes"].to_numpy()[parent],
            "n_only_docs": only.astype(np.int64),
        }
    )
