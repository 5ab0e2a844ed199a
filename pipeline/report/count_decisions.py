"""One pass over ledger and languages: what decided each language, how surely, and what it was nearly taken for.

Sums grow with the number of languages and rules, never of documents; documents that are shown are chosen shard by
shard, and only the chosen few are held. Among equals a keyed hash chooses, so they come from all shards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.language.names import disagreements
from pipeline.reading.work import Span, Work
from pipeline.reasons import INGEST_PROBLEMS
from pipeline.report.count_documents import Sums, from_row
from pipeline.report.count_formats import COUNTS, FormatCounts, best_rows, first_rows, short_path
from pipeline.report.formats import NAMED_RULES
from pipeline.report.language_decisions import (
    BorderDocument,
    ConfidenceBin,
    Confusion,
    Decision,
    Disagreement,
    LanguageDecisions,
    MisnamedDocument,
)
from pipeline.schema import LANGUAGES, LEDGER

N_BINS = 20  # of 0.05 each: finer than the difference between two rules' confidences means nothing
MAX_MARGIN = 0.3  # a runner-up so near is a pair worth looking at; the choice is ours, and the page says it
# Rows that a reader looks through; the sums count all of them.
N_PAIRS = 20
N_BORDER = 30
N_MISNAMED = 6  # for each way to disagree

_LEDGER = ["doc_id", "path", "pool", "decided_by", "n_bytes", "keep", "n_tokens", "reasons"]
_LANGUAGES = ["language", "confidence", "runner_up", "runner_up_confidence", "content_kind"]
_UNSURE, _WRONG = ("confidence", "key"), ("dropped", "key")  # in which order rows are shown
_Row = dict[str, Any]


@dataclass
class _DecisionCounts:
    """What is counted of documents, and the few that are shown."""

    decided: Sums = field(default_factory=lambda: Sums(("decided_by", "pool"), (*COUNTS, "confidence")))
    sure: Sums = field(default_factory=lambda: Sums(("bin", "named"), COUNTS))
    pairs: Sums = field(default_factory=lambda: Sums(("language", "runner_up")))
    misnamed: Sums = field(default_factory=lambda: Sums(("name_says", "content_kind"), COUNTS))
    formats: FormatCounts = field(default_factory=FormatCounts)
    border: list[_Row] = field(default_factory=list)
    shown: dict[tuple[str, str], list[_Row]] = field(default_factory=dict)

    def add(self, docs: pa.Table) -> None:
        """Count the documents of one shard."""
        self.decided.add(docs)
        self.sure.add(docs)
        self.pairs.add(_pairs(docs))
        self.formats.add(
            docs.filter(pc.invert(docs["unread"]))
        )  # what has no content is in no language that was missed
        unsure = docs.filter(pc.and_not(docs["keep"], docs["named"]))
        self.border = first_rows(self.border, unsure, order=_UNSURE, n=N_BORDER)
        wrong = docs.filter(pc.is_valid(docs["name_says"]))
        self.misnamed.add(wrong)
        for way in wrong.group_by(list(self.misnamed.keys)).aggregate([]).to_pylist():
            says, kind = (way[name] for name in self.misnamed.keys)
            mine = wrong.filter(pc.and_(pc.equal(wrong["name_says"], says), pc.equal(wrong["content_kind"], kind)))
            self.shown[says, kind] = first_rows(self.shown.get((says, kind), []), mine, order=_WRONG, n=N_MISNAMED)

    def update(self, other: _DecisionCounts) -> None:
        """Add what another has counted."""
        for name in ("decided", "sure", "pairs", "misnamed"):
            getattr(self, name).add(getattr(other, name).total())
        self.formats.update(other.formats)
        self.border = best_rows(self.border, other.border, order=_UNSURE, n=N_BORDER)
        for way, rows in other.shown.items():
            self.shown[way] = best_rows(self.shown.get(way, []), rows, order=_WRONG, n=N_MISNAMED)


def count_decisions(run: RunFiles, work: Work) -> LanguageDecisions:
    """Count all documents of a run, range by range of its shards."""
    key, counts = stage_key(run.mixture.seed, "report"), _DecisionCounts()
    for found in work.each(partial(_count, run.tables, key), work.shards(run), name="report.decisions"):
        counts.update(found)
    ranked = counts.pairs.total().to_pylist()
    confusions = _confusions(ranked)
    return LanguageDecisions(
        decisions=_decisions(counts.decided.total().to_pylist()),
        confidences=_bins(counts.sure.total().to_pylist()),
        max_margin=MAX_MARGIN,
        n_ranked_docs=sum(row["n_docs"] for row in ranked),
        n_close_docs=sum(row["n_close_docs"] for row in ranked),
        n_close_pairs=len(confusions),
        confusions=confusions[:N_PAIRS],
        border=tuple(from_row(BorderDocument, row, path=short_path(row["path"])) for row in counts.border),
        disagreements=_disagreements(counts.misnamed.total().to_pylist(), shown=counts.shown),
        prose_in_formats=counts.formats.prose(),
        untold=counts.formats.untold(),
    )


def _count(tables: Tables, key: np.uint64, span: Span) -> _DecisionCounts:
    counts = _DecisionCounts()
    for shard in span.items:
        counts.add(_documents(tables, shard, key=key))
    return counts


def _documents(tables: Tables, shard: int, *, key: np.uint64) -> pa.Table:
    """What is known of each document of a shard, ready to be summed. `key` orders documents that are equally good."""
    ledger = tables.read(LEDGER, shard, columns=_LEDGER)
    languages = tables.read(LANGUAGES, shard, columns=_LANGUAGES)
    keep, n_tokens = ledger["keep"].to_numpy(), ledger["n_tokens"].to_numpy()
    unread = np.zeros(ledger.num_rows, bool)
    reasons = one_chunk(ledger["reasons"])
    problems = pc.is_in(reasons.flatten(), value_set=pa.array(INGEST_PROBLEMS))
    unread[pc.list_parent_indices(reasons).filter(problems)] = True
    new = {
        "bin": (languages["confidence"].to_numpy() * N_BINS).astype(np.int64).clip(0, N_BINS - 1),
        "named": pc.is_in(ledger["decided_by"], value_set=pa.array(NAMED_RULES)),
        "name_says": disagreements(ledger["path"], languages["content_kind"]),
        "n_docs": np.ones(ledger.num_rows, np.int64),
        "n_kept_docs": keep.astype(np.int64),
        "n_kept_tokens": np.where(keep, n_tokens, 0),
        "dropped": ~keep,
        "unread": unread,
        "key": keyed_hash(key, *doc_words(ledger)),
    }
    return pa.table({name: ledger[name] for name in _LEDGER} | {name: languages[name] for name in _LANGUAGES} | new)


def _pairs(docs: pa.Table) -> pa.Table:
    """Documents with a runner-up, and how far it lies behind."""
    ranked = docs.filter(pc.and_(pc.is_valid(docs["runner_up"]), pc.is_valid(docs["runner_up_confidence"])))
    margin = ranked["confidence"].to_numpy() - ranked["runner_up_confidence"].to_numpy()
    close = (margin <= MAX_MARGIN + 1e-9).astype(np.int64)  # 0.8 - 0.5 counts as 0.3
    new = {"margin": margin, "n_close_docs": close, "n_close_bytes": close * ranked["n_bytes"].to_numpy()}
    return pa.table({name: ranked[name] for name in ("language", "runner_up", "n_docs")} | new)


def _decisions(rows: list[_Row]) -> tuple[Decision, ...]:
    found = [from_row(Decision, row, mean_confidence=_mean(row, "confidence")) for row in rows]
    return tuple(sorted(found, key=lambda d: (-d.n_docs, d.decided_by, d.pool)))


def _mean(row: _Row, name: str) -> float:
    """Rounded, because the last digit of a sum of fractions depends on how shards were cut."""
    return float(round(row[name] / row["n_docs"], 9))


def _bins(rows: list[_Row]) -> tuple[ConfidenceBin, ...]:
    """All bins, empty ones too; edges are rounded so that 0.1 + 0.2 prints as 0.3."""
    sums = {(row["bin"], row["named"]): (row["n_docs"], row["n_bytes"]) for row in rows}
    edges = [round(i / N_BINS, 6) for i in range(N_BINS + 1)]
    content, named = ([sums.get((i, by_name), (0, 0)) for i in range(N_BINS)] for by_name in (False, True))
    return tuple(ConfidenceBin(edges[i], edges[i + 1], *content[i], *named[i]) for i in range(N_BINS))


def _confusions(rows: list[_Row]) -> tuple[Confusion, ...]:
    """Pairs with at least one document that lies close, most such documents first."""
    found = [from_row(Confusion, row, mean_margin=_mean(row, "margin")) for row in rows if row["n_close_docs"]]
    return tuple(sorted(found, key=lambda c: (-c.n_close_docs, -c.n_docs, c.language, c.runner_up)))


def _disagreements(rows: list[_Row], *, shown: dict[tuple[str, str], list[_Row]]) -> tuple[Disagreement, ...]:
    found = []
    for row in rows:
        mine = shown[row["name_says"], row["content_kind"]]
        documents = tuple(from_row(MisnamedDocument, document, path=short_path(document["path"])) for document in mine)
        found.append(from_row(Disagreement, row, documents=documents))
    return tuple(sorted(found, key=lambda d: (-d.n_docs, d.name_says, d.content_kind)))
