"""What a mixture is made of, counted shard by shard: memory grows with different licences, not with documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import SchemaError, StoreError
from pipeline.schema import DOCUMENTS, LEDGER, QUALITY, REDACTED

KEYS = ("source", "pool", "language", "license")
_COUNTED = ("n_docs", "n_bytes", "n_dropped_docs", "n_packed_docs", "n_packed_bytes", "n_packed_tokens")
_LEDGER = (*KEYS, "n_bytes", "keep", "reasons", "n_packed_tokens")
Tally = dict[tuple[str | None, ...], tuple[int, int]]  # name -> documents that enter, their tokens


@dataclass
class Composition:
    """Of all documents by source, pool, language and licence; of those that enter by natural language and finds."""

    cube: pa.Table = field(default_factory=lambda: _empty())
    reasons: Counter[str] = field(default_factory=Counter)
    prose: Counter[str | None] = field(default_factory=Counter)  # tokens of texts by code; None: it could not be told
    finds: Counter[str] = field(default_factory=Counter)  # secrets and personal data by kind, in all documents
    newest: datetime | None = None  # revision of a document that enters; None: no source says when

    def add(self, ledger: pa.Table, *, prose: pa.Table, redacted: pa.Table) -> None:
        """One shard: its ledger, and the rows of `quality` and `redacted` beside it."""
        enters = pc.greater(ledger["n_packed_tokens"], 0)
        rows = {name: ledger[name] for name in KEYS}
        one, zero = pa.scalar(1, pa.int64()), pa.scalar(0, pa.int64())
        # A licence of blanks names none. What sources say stays as it is in the ledger.
        blank = pc.equal(pc.utf8_trim_whitespace(rows["license"]), "")
        rows["license"] = pc.if_else(pc.fill_null(blank, False), pa.scalar(None, pa.string()), rows["license"])
        rows["n_docs"] = pc.if_else(pc.is_valid(ledger["keep"]), one, zero)
        rows["n_bytes"] = ledger["n_bytes"]
        rows["n_dropped_docs"] = pc.if_else(ledger["keep"], zero, one)
        rows["n_packed_docs"] = pc.if_else(enters, one, zero)
        rows["n_packed_bytes"] = pc.if_else(enters, ledger["n_bytes"], zero)
        rows["n_packed_tokens"] = ledger["n_packed_tokens"]
        self.cube = _folded([self.cube, pa.table(rows).select([*KEYS, *_COUNTED])])
        self.reasons.update(_counted(one_chunk(ledger["reasons"]).flatten()))
        finds = one_chunk(redacted["findings"]).flatten()
        self.finds.update(_counted(finds.field("kind") if len(finds) else pa.array([], pa.string())))
        texts = pc.and_(enters, pc.equal(ledger["pool"], "text"))
        by_language = pa.table({"code": prose["prose_language"], "n": ledger["n_packed_tokens"]}).filter(texts)
        for row in by_language.group_by("code", use_threads=False).aggregate([("n", "sum")]).to_pylist():
            self.prose[row["code"]] += row["n_sum"]

    def seen(self, documents: pa.Table, ledger: pa.Table) -> None:
        """When the documents of a shard that enter were made."""
        times = documents["revision_time"].filter(pc.greater(ledger["n_packed_tokens"], 0))
        found = pc.max(times).as_py()
        if found is not None and (self.newest is None or found > self.newest):
            self.newest = found

    def by(self, *keys: str) -> Tally:
        """Documents and tokens that enter, most tokens first."""
        sums: dict[tuple[str | None, ...], list[int]] = {}
        columns = [self.cube[name].to_pylist() for name in (*keys, "n_packed_docs", "n_packed_tokens")]
        for *name, n_docs, n_tokens in zip(*columns, strict=True):
            if n_docs:
                entry = sums.setdefault(tuple(name), [0, 0])
                entry[0] += n_docs
                entry[1] += n_tokens
        ordered = sorted(sums.items(), key=lambda item: (-item[1][1], tuple(part or "" for part in item[0])))
        return {name: (docs, tokens) for name, (docs, tokens) in ordered}

    def total(self, name: str, **where: str) -> int:
        """The sum of one of the counted columns, over all or over the rows whose keys are as `where` says."""
        rows = self.cube
        for key, value in where.items():
            rows = rows.filter(pc.equal(rows[key], value))
        return int(pc.sum(rows[name]).as_py() or 0)


def count(run: RunFiles, ledgers: Iterator[pa.Table] | None = None) -> Composition:
    """Read the tables of a run once, without any text. `ledgers` are other shards of the ledger: those of a phase."""
    found = Composition()
    every = run.shards(LEDGER, columns=list(_LEDGER)) if ledgers is None else ledgers
    for shard, ledger in enumerate(every):
        prose = run.tables.read(QUALITY, shard, columns=["prose_language"])
        found.add(ledger, prose=prose, redacted=run.tables.read(REDACTED, shard, columns=["findings"]))
        times = _times(run, shard)
        if times is not None:
            found.seen(times, ledger)
    return found


def _times(run: RunFiles, shard: int) -> pa.Table | None:
    """When the documents of a shard were made. A run may be asked when its texts are gone; then nothing is known."""
    try:
        return run.tables.read(DOCUMENTS, shard, columns=["revision_time"])
    except (StoreError, SchemaError):
        return None


def _counted(values: pa.Array) -> dict[str, int]:
    return {one["values"]: one["counts"] for one in pc.value_counts(values).to_pylist()}


def _empty() -> pa.Table:
    fields = [LEDGER.schema.field(name) for name in KEYS] + [pa.field(name, pa.int64()) for name in _COUNTED]
    return pa.schema(fields).empty_table()


def _folded(parts: list[pa.Table]) -> pa.Table:
    """One row for each key, in their order."""
    joined = pa.concat_tables([part.cast(_empty().schema) for part in parts])
    summed = joined.group_by(list(KEYS), use_threads=False).aggregate([(name, "sum") for name in _COUNTED])
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    return named.select([*KEYS, *_COUNTED]).sort_by([(name, "ascending") for name in KEYS])
