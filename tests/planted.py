"""Near dedup of documents in memory, and what it should have found, counted by another route: Python sets of words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import plain_words
import pyarrow as pa
from handmade import RULE_REASONS, documents, make_run, run_stage, write_documents, write_facts
from plain_words import carries_meaning, jaccard

from pipeline.config import NearDups, Partitioned
from pipeline.dedup.exact_dups import group_equal
from pipeline.dedup.near_dups import keep_near
from pipeline.dedup.settings import linking_of, signing_of, threshold_of
from pipeline.dedup.signatures import sign
from pipeline.dedup.similar import find_similar
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor
from pipeline.engine.markers import Outcome
from pipeline.engine.run import Run
from pipeline.engine.stage import Job
from pipeline.engine.store import part
from pipeline.engine.tables import Tables
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, NEAR_DUPS, REDACTED, SELECT, SIGNATURES
from pipeline.select.select import select
from pipeline.select.settings import Selection

Pair = tuple[str, str]


def dedup(
    folder: Path,
    shards: Sequence[Sequence[str]],
    *,
    config: NearDups,
    n_partitions: int = 3,
    executor: Executor | None = None,
    fired: dict[str, str] | None = None,
    **columns: Sequence[Any],
) -> Run:
    """Exact dedup, signatures, near dedup and keepers of these contents; `columns` go to every shard's documents."""
    run = make_run(folder, executor=executor)
    made = [
        documents(i, contents, **{name: values[: len(contents)] for name, values in columns.items()})
        for i, contents in enumerate(shards)
    ]
    write_documents(run, made)
    write_facts(run, made, fired=fired)
    finish(run, config=config, n_partitions=n_partitions, n_shards=len(made))
    return run


def finish(run: Run, *, config: NearDups, n_partitions: int, n_shards: int) -> None:
    """The stages of near dedup on a run whose documents stand; goes on where it was stopped."""
    small = Partitioned(n_partitions=n_partitions)
    run_stage(run, "exact_dups", group_equal, config=small, n_shards=n_shards)
    run_stage(run, "signatures", _sign_all, config=signing_of(config), n_shards=n_shards)
    run_stage(run, "similar", find_similar, config=linking_of(config), n_shards=n_shards)
    threshold = threshold_of(config)
    run_stage(run, "near_dups", keep_near, config=threshold, n_shards=n_shards)
    selection = Selection(
        rules=RULE_REASONS,
        n_partitions=n_partitions,
        n_pair_shards=config.n_partitions,
        min_similarity=config.min_similarity,
        max_loss=1.0,  # nearly all that is planted is a duplicate
    )
    run_stage(run, "select", select, config=selection, n_shards=n_shards)


def _sign_all(job: Job, *, config: Any) -> StepDone:
    return job.step("", partial(_sign, job.tables, config), items=job.tables.n_shards)


def _sign(tables: Tables, config: Any, shard: int, _: None) -> Outcome:
    inputs = (tables.read(name, shard) for name in (DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED))
    return Outcome((tables.write(SIGNATURES, shard, data=sign(*inputs, config=config)),), {})


def pairs_of(run: Run, *, n: int, table: str = "near_dups") -> dict[Pair, float]:
    """The similarity of verified pairs by sorted ids."""
    return {pair: row["similarity"] for pair, row in pair_rows(run, n=n, table=table).items()}


def pair_rows(run: Run, *, n: int, table: str = "near_dups") -> dict[Pair, dict[str, Any]]:
    """The rows of verified pairs by sorted ids."""
    names = [f"tables/{table}/{part(i, n)}" for i in range(n)]
    rows = pa.concat_tables(run.store.read_parquet(name, schema=NEAR_DUPS.schema) for name in names).to_pylist()
    assert len({(r["doc_id"], r["other_id"]) for r in rows}) == len(rows)
    return {tuple(sorted((r["doc_id"], r["other_id"]))): r for r in rows}  # type: ignore[misc]


def decisions_of(run: Run, *, n_shards: int) -> dict[str, dict[str, Any]]:
    tables = Tables(run.store, n_shards)
    return {r["doc_id"]: r for s in range(n_shards) for r in tables.read(SELECT, s).to_pylist()}


# The one style of rights comment that is planted here; `headers` has tests of its own.
_HEADER = re.compile(r"(# .*\n)*# Copyright.*\n(# .*\n)*")


def windows(text: str, n: int = 5, **options: Any) -> frozenset[Any]:
    """Shingles of a text without its rights comment; none where words do not speak for it."""
    body = _HEADER.sub("", text, count=1) if text.startswith("#") else text
    return plain_words.windows(body, n, **options) if carries_meaning(body) else frozenset()


def true_pairs(texts: dict[str, str], *, threshold: float) -> dict[Pair, float]:
    """Brute force over all pairs of documents with words."""
    sets = {i: s for i, t in texts.items() if (s := windows(t))}
    found = {}
    for a, b in itertools.combinations(sorted(sets), 2):
        x, y = sets[a], sets[b]
        if min(len(x), len(y)) >= threshold * max(len(x), len(y)) and (s := jaccard(x, y)) >= threshold:
            found[a, b] = s
    return found


def classes_of(texts: dict[str, str], found: dict[Pair, float]) -> dict[str, str]:
    """The class of each document: equal bytes and pairs of similarity 1 are one class, named by any of its members."""
    parent = {i: i for i in texts}

    def root(i: str) -> str:
        while parent[i] != i:
            i = parent[i]
        return i

    first: dict[str, str] = {}
    for i, text in texts.items():
        parent[root(i)] = root(first.setdefault(text, i))
    for (a, b), similarity in found.items():
        if similarity == 1:
            parent[root(a)] = root(b)
    return {i: root(i) for i in texts}


def find_in_classes(texts: dict[str, str], found: dict[Pair, float], wanted: Iterable[Pair]) -> dict[Pair, float]:
    """Those of the wanted pairs that were found, with their similarity; members of a class share their pairs."""
    classes = classes_of(texts, found)
    known = {frozenset((classes[a], classes[b])): s for (a, b), s in found.items()}
    out = {}
    for a, b in wanted:
        pair = frozenset((classes[a], classes[b]))
        if len(pair) == 1:
            out[a, b] = 1.0
        elif pair in known:
            out[a, b] = known[pair]
    return out


def broken_promises(
    texts: dict[str, str],
    decisions: dict[str, dict[str, Any]],
    *,
    threshold: float,
    shingles: Callable[[str], frozenset[Any]] = windows,
) -> list[str]:
    """What no result may show, whatever was found: every keeper is kept and truly as similar as the ledger says."""
    wrong = []
    for doc, row in decisions.items():
        if row["keep"]:
            continue
        keeper = row["keeper_id"]
        if keeper is None:
            if not set(row["reasons"]) - {"near_duplicate", "exact_duplicate"}:
                wrong.append(f"{doc} is a duplicate of nobody")
            continue
        if not decisions[keeper]["keep"]:
            wrong.append(f"{doc}: its keeper {keeper} is dropped")
        true = 1.0 if texts[doc] == texts[keeper] else jaccard(shingles(texts[doc]), shingles(texts[keeper]))
        if abs(true - row["similarity"]) > 1e-12 or true < threshold:
            wrong.append(f"{doc}: similarity {row['similarity']}, truly {true}")
    return wrong
