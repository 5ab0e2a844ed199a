"""Families of duplicates: the keepers that stand for most others. Each shard sums its own, partitions add them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, doc_words, id_array, joined, lists_with
from pipeline.arrays.runs import starts_run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.spread import Spread
from pipeline.reading.texts import runs_of
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.report.count_documents import from_row
from pipeline.report.numbers import Bin, Family
from pipeline.schema import LEDGER

N_FAMILIES = 20  # the largest ones show what is copied most; the tail is families of two
# Fine enough to see whether pairs crowd at the threshold, coarse enough for bars that can be told apart.
SIMILARITY_STEP = 0.02
_COLUMNS = ["keeper_id", "similarity", "reasons", "n_bytes"]


@dataclass(frozen=True)
class Bins:
    """Even bins from `least` to 1. Edges are rounded so that 0.1 + 0.2 prints as 0.3; 1e-9 keeps 0.7 / 0.02 whole."""

    least: float

    @property
    def first(self) -> int:
        """The step at which the first bin begins."""
        return min(int(self.least / SIMILARITY_STEP + 1e-9), round(1 / SIMILARITY_STEP) - 1)

    @property
    def n(self) -> int:
        return round(1 / SIMILARITY_STEP) - self.first

    def count(self, similarity: np.ndarray) -> np.ndarray:
        """How many values are in each bin, int64 [n]."""
        place = (similarity / SIMILARITY_STEP + 1e-9).astype(np.int64) - self.first
        return np.bincount(place.clip(0, self.n - 1), minlength=self.n).astype(np.int64)

    def rows(self, counts: np.ndarray) -> tuple[Bin, ...]:
        """As the report shows them."""
        edges = [round(i * SIMILARITY_STEP, 6) for i in range(self.first, self.first + self.n + 1)]
        return tuple(Bin(low, high, int(n)) for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True))


@dataclass(frozen=True)
class Dropped:
    """Documents that were dropped for a keeper."""

    families: tuple[Family, ...]  # of the keepers of most
    n_known: int  # how many are near to a document of another run
    near: np.ndarray  # near duplicates in each bin of their similarity, int64


def dropped_of(run: RunFiles, work: Work, *, bins: Bins) -> Dropped:
    """Count them, and name the largest families."""
    spans = work.shards(run)
    keepers = work.spread("families", width=6, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    n_known, near = 0, np.zeros(bins.n, np.int64)
    for known, counts in work.each(partial(_sum, run.tables, keepers, bins), spans, name="report.dropped"):
        n_known, near = n_known + known, near + counts
    found: list[dict[str, Any]] = []
    for rows in work.each(partial(_largest, keepers), work.parts(keepers), name="report.families"):
        found = sorted([*found, *rows], key=_order)[:N_FAMILIES]
    keepers.drop()
    return Dropped(_named(run, work, found), n_known, near)


def _sum(tables: Tables, out: Spread, bins: Bins, span: Span) -> tuple[int, np.ndarray]:
    """Documents of some shards that are near to another run's, and near ones by similarity; passes on a row for each
    keeper: a text that a million documents copy is as little to carry as any."""
    n_known, near, words = 0, np.zeros(bins.n, np.int64), []
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=_COLUMNS)
        lost = ledger.filter(pc.is_valid(ledger["keeper_id"]))
        is_known = lists_with(lost["reasons"], "known_duplicate")
        is_near = is_known | lists_with(lost["reasons"], "near_duplicate")
        n_known += int(is_known.sum())
        similarity, n_bytes = columns(lost, "similarity", "n_bytes")
        near += bins.count(similarity[is_near])
        high, low = doc_words(pa.table({"doc_id": lost["keeper_id"]}))
        # The bits of numbers from 0 to 1 rise with them, so their least is the least number.
        words.append(
            [
                high,
                low,
                np.ones(high.size, np.uint64),
                is_near.astype(np.uint64),
                similarity.view(np.uint64),
                n_bytes.astype(np.uint64),
            ]
        )
    rows = _of_keepers(joined(words, n=6))
    out.write(span.number, *rows, part=out.part_of(rows[0]))
    return n_known, near


def _of_keepers(rows: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """One row for each keeper: id, documents, near ones among them, the least similarity, bytes."""
    order = np.lexsort((rows[1], rows[0]))
    high, low, n_docs, n_near, similarity, n_bytes = (column[order] for column in rows)
    starts = np.flatnonzero(starts_run(high, low))
    if not starts.size:
        return rows
    sums = [np.add.reduceat(column, starts) for column in (n_docs, n_near)]
    return [high[starts], low[starts], *sums, np.minimum.reduceat(similarity, starts), np.add.reduceat(n_bytes, starts)]


def _largest(keepers: Spread, span: Span) -> list[dict[str, Any]]:
    """The largest families of one partition of the keepers."""
    high, low, n_docs, n_near, similarity, n_bytes = _of_keepers(keepers.read(span.number))
    best = np.lexsort((low, high, -n_docs.astype(np.int64)))[:N_FAMILIES]
    columns_of = {
        "keeper_id": id_array(high[best], low[best]),
        "n_docs": n_docs[best].astype(np.int64),
        "n_near_docs": n_near[best].astype(np.int64),
        "min_similarity": similarity[best].view(np.float64),
        "n_bytes": n_bytes[best].astype(np.int64),
    }
    rows: list[dict[str, Any]] = pa.table(columns_of).to_pylist()
    return rows


def _order(row: dict[str, Any]) -> tuple[int, str]:
    return -row["n_docs"], row["keeper_id"]


def _named(run: RunFiles, work: Work, rows: list[dict[str, Any]]) -> tuple[Family, ...]:
    """The families with path, source and language of their keepers, which may be another run's."""
    keepers = documents_of(run, work, [row["keeper_id"] for row in rows])
    unknown = {"path": "", "source": "", "language": ""}
    return tuple(from_row(Family, row, **keepers.get(row["keeper_id"], unknown)) for row in rows)


def documents_of(run: RunFiles, work: Work, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Path, source and language of a few documents of this run or those in its `against`, by id."""
    wanted, found = pa.array(ids, pa.string()), dict[str, dict[str, Any]]()
    for place in runs_of(run) if ids else ():
        for shown in work.each(partial(_shown, place.tables, wanted), work.shards(place), name="report.keepers"):
            found = shown | found
            if len(found) == len(ids):
                return found
    return found


def _shown(tables: Tables, wanted: pa.StringArray, span: Span) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for shard in span.items:
        rows = pc.indices_nonzero(pc.is_in(tables.read(LEDGER, shard, columns=["doc_id"])["doc_id"], value_set=wanted))
        if not len(rows):
            continue
        ledger = tables.read(LEDGER, shard, columns=["doc_id", "path", "source", "repo", "language"])
        for row in ledger.take(rows).to_pylist():
            shown = {"path": row["path"], "source": row["repo"] or row["source"], "language": row["language"]}
            found.setdefault(row["doc_id"], shown)
    return found
