"""One pass over ledger and languages: what decided each language, how surely, and what it was nearly taken for.

Sums grow with the number of languages and rules, never of documents; documents that are shown are chosen shard by
shard, and only the chosen few are held. Among equals a keyed hash chooses, so they come from all shards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.run_folder import RunFiles
from pipeline.language.names import disagreements
from pipeline.report.count_documents import Sums
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

N_BINS = 20
MAX_MARGIN = 0.3
N_PAIRS = 20
N_BORDER = 30
N_MISNAMED = 6  # documents shown for each way to disagree
MAX_PATH_CHARS = 240

_LEDGER = ["doc_id", "path", "pool", "decided_by", "n_bytes", "keep", "n_tokens"]
_LANGUAGES = ["language", "confidence", "runner_up", "runner_up_confidence", "content_kind"]
_COUNTS = ("n_docs", "n_bytes", "n_kept_docs", "n_kept_tokens")


def count_decisions(run: RunFiles) -> LanguageDecisions:
    """Count all documents of a run, shard by shard."""
    decided = Sums(("decided_by", "pool"), (*_COUNTS, "confidence"))
    sure = Sums(("bin", "named"), _COUNTS)
    pairs = Sums(("language", "runner_up"), ("n_docs", "n_close_docs", "n_close_bytes", "margin"))
    misnamed = Sums(("name_says", "content_kind"), _COUNTS)
    border: list[dict[str, Any]] = []
    shown: dict[tuple[str, str], list[dict[str, Any]]] = {}
    key = stage_key(run.mixture.seed, "report")
    for shard in range(run.n_shards):
        facts = _facts(run, shard, key=key)
        decided.add(facts)
        sure.add(facts)
        pairs.add(_pairs(facts))
        border = _first(
            border, facts.filter(pc.and_not(facts["keep"], facts["named"])), order=("confidence", "key"), n=N_BORDER
        )
        wrong = facts.filter(pc.is_valid(facts["name_says"]))
        misnamed.add(wrong)
        for says, kind in _ways(wrong):
            mine = wrong.filter(pc.and_(pc.equal(wrong["name_says"], says), pc.equal(wrong["content_kind"], kind)))
            shown[says, kind] = _first(shown.get((says, kind), []), mine, order=("dropped", "key"), n=N_MISNAMED)
    confusions = _confusions(pairs.total())
    return LanguageDecisions(
        decisions=_decisions(decided.total()),
        confidences=_bins(sure.total()),
        max_margin=MAX_MARGIN,
        n_ranked_docs=_total(pairs, "n_docs"),
        n_close_docs=_total(pairs, "n_close_docs"),
        n_close_pairs=len(confusions),
        confusions=confusions[:N_PAIRS],
        border=tuple(_unsure(row) for row in border),
        disagreements=_disagreements(misnamed.total(), shown=shown),
    )


def _facts(run: RunFiles, shard: int, *, key: np.uint64) -> pa.Table:
    """What is known of each document of a shard, ready to be summed. `key` orders documents that are equally good."""
    ledger = run.tables.read(LEDGER, shard, columns=_LEDGER)
    languages = run.tables.read(LANGUAGES, shard, columns=_LANGUAGES)
    keep, n_tokens = ledger["keep"].to_numpy(), ledger["n_tokens"].to_numpy()
    place = (languages["confidence"].to_numpy() * N_BINS).astype(np.int64).clip(0, N_BINS - 1)
    facts = {
        "bin": place,
        "named": pc.is_in(ledger["decided_by"], value_set=pa.array(NAMED_RULES)),
        "name_says": disagreements(ledger["path"], languages["content_kind"]),
        "n_docs": np.ones(ledger.num_rows, np.int64),
        "n_kept_docs": keep.astype(np.int64),
        "n_kept_tokens": np.where(keep, n_tokens, 0),
        "dropped": ~keep,
        "key": keyed_hash(key, *doc_words(ledger)),
    }
    columns = {name: ledger[name] for name in _LEDGER} | {name: languages[name] for name in _LANGUAGES}
    return pa.table(columns | facts)


def _pairs(facts: pa.Table) -> pa.Table:
    """Documents with a runner-up, and how far it lies behind."""
    ranked = facts.filter(pc.and_(pc.is_valid(facts["runner_up"]), pc.is_valid(facts["runner_up_confidence"])))
    margin = ranked["confidence"].to_numpy() - ranked["runner_up_confidence"].to_numpy()
    close = (margin <= MAX_MARGIN + 1e-9).astype(np.int64)  # 0.8 - 0.5 counts as 0.3
    new = {"margin": margin, "n_close_docs": close, "n_close_bytes": close * ranked["n_bytes"].to_numpy()}
    return pa.table({name: ranked[name] for name in ("language", "runner_up", "n_docs")} | new)


def _ways(wrong: pa.Table) -> list[tuple[str, str]]:
    """The ways to disagree that occur: what the name says, what the content looks like."""
    found = wrong.group_by(["name_says", "content_kind"]).aggregate([]).to_pylist()
    return [(row["name_says"], row["content_kind"]) for row in found]


def _first(rows: list[dict[str, Any]], table: pa.Table, *, order: tuple[str, ...], n: int) -> list[dict[str, Any]]:
    """The first `n` of the rows found before and the documents of `table`."""
    ascending = [(name, "ascending") for name in order]
    best = table.take(pc.select_k_unstable(table, n, sort_keys=ascending)) if table.num_rows else table
    return sorted([*rows, *best.to_pylist()], key=lambda row: (*(row[name] for name in order), row["doc_id"]))[:n]


def _total(pairs: Sums, column: str) -> int:
    return int(np.sum(pairs.total()[column].to_numpy()))


def _decisions(total: pa.Table) -> tuple[Decision, ...]:
    """The rounding hides the last digit of a sum of fractions."""
    found = [
        Decision(
            decided_by=r["decided_by"],
            pool=r["pool"],
            n_docs=r["n_docs"],
            n_bytes=r["n_bytes"],
            n_kept_tokens=r["n_kept_tokens"],
            mean_confidence=round(r["confidence"] / r["n_docs"], 9),
        )
        for r in total.to_pylist()
    ]
    return tuple(sorted(found, key=lambda d: (-d.n_docs, d.decided_by, d.pool)))


def _bins(total: pa.Table) -> tuple[ConfidenceBin, ...]:
    """All bins, empty ones too; edges are rounded so that 0.1 + 0.2 prints as 0.3."""
    sums = {(r["bin"], r["named"]): (r["n_docs"], r["n_bytes"]) for r in total.to_pylist()}
    nothing = (0, 0)
    return tuple(
        ConfidenceBin(
            round(i / N_BINS, 6),
            round((i + 1) / N_BINS, 6),
            *sums.get((i, False), nothing),
            *sums.get((i, True), nothing),
        )
        for i in range(N_BINS)
    )


def _confusions(total: pa.Table) -> tuple[Confusion, ...]:
    """Pairs with at least one document that lies close, most such documents first."""
    found = [
        Confusion(
            language=r["language"],
            runner_up=r["runner_up"],
            n_docs=r["n_docs"],
            n_close_docs=r["n_close_docs"],
            n_close_bytes=r["n_close_bytes"],
            mean_margin=round(r["margin"] / r["n_docs"], 9),
        )
        for r in total.to_pylist()
        if r["n_close_docs"]
    ]
    return tuple(sorted(found, key=lambda c: (-c.n_close_docs, -c.n_docs, c.language, c.runner_up)))


def _unsure(row: dict[str, Any]) -> BorderDocument:
    same = ("doc_id", "pool", "language", "confidence", "decided_by", "runner_up", "runner_up_confidence")
    return BorderDocument(path=_path(row), **{name: row[name] for name in same})


def _disagreements(total: pa.Table, *, shown: dict[tuple[str, str], list[dict[str, Any]]]) -> tuple[Disagreement, ...]:
    found = [
        Disagreement(
            name_says=r["name_says"],
            content_kind=r["content_kind"],
            **{name: r[name] for name in _COUNTS},
            documents=tuple(_misnamed(row) for row in shown[r["name_says"], r["content_kind"]]),
        )
        for r in total.to_pylist()
    ]
    return tuple(sorted(found, key=lambda d: (-d.n_docs, d.name_says, d.content_kind)))


def _misnamed(row: dict[str, Any]) -> MisnamedDocument:
    same = ("doc_id", "pool", "language", "decided_by", "keep")
    return MisnamedDocument(path=_path(row), **{name: row[name] for name in same})


def _path(row: dict[str, Any]) -> str:
    """A path's end tells the most; the doc_id finds the rest."""
    path: str = row["path"]
    return path if len(path) <= MAX_PATH_CHARS else "\N{HORIZONTAL ELLIPSIS}" + path[-MAX_PATH_CHARS:]
