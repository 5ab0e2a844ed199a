"""Hand-made tables and executors for tests of single stages."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
from pytest import MonkeyPatch

from pipeline.config import Mixture, Source
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.markers import Marker
from pipeline.engine.progress import silent
from pipeline.engine.run import Run, run_exchange
from pipeline.engine.stage import ExchangeStage, fingerprint
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.filters import Quality
from pipeline.mix.settings import Balancing
from pipeline.quality.quality import measure
from pipeline.rules.judged import judge_documents
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import Judging
from pipeline.schema import DOCUMENTS, JUDGED, LANGUAGES, MATCH, OVERLAPS, REDACTED, SELECT, TABLES, TOKENS
from pipeline.targets import Balance


@dataclass(frozen=True)
class ShuffledExecutor:
    """Completes items in a keyed random order: whatever depends on arrival order breaks."""

    seed: int

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        order = list(items)
        random.Random(f"{self.seed} {name}").shuffle(order)
        return iter([(item, task(item)) for item in order])

    def describe(self) -> str:
        return "in shuffled order"


@dataclass
class PausingExecutor:
    """Works in process; before its `at`-th item it says so and waits until it may go on, or dies if told to."""

    at: int
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.at -= 1
            if self.at == 0:
                self.reached.set()
                assert self.go_on.wait(600)
            yield item, task(item)

    def describe(self) -> str:
        return "with a pause"


@dataclass
class StoppingExecutor:
    """Works in process and is interrupted before its `at`-th item."""

    at: int

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.at -= 1
            if self.at == 0:
                raise KeyboardInterrupt
            yield item, task(item)

    def describe(self) -> str:
        return "until stopped"


@dataclass
class CountingExecutor:
    """Works in process and notes how many rows tasks of a step take from exchange files: the most, and in all."""

    monkeypatch: MonkeyPatch
    most: Counter[str] = field(default_factory=Counter)
    every: Counter[str] = field(default_factory=Counter)
    n_rows: int = 0

    def __post_init__(self) -> None:
        read = Channel._read

        def counted(channel: Channel, *arguments: Any) -> pa.Table:
            table = read(channel, *arguments)
            self.n_rows += table.num_rows
            return table

        self.monkeypatch.setattr(Channel, "_read", counted)

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.n_rows = 0
            result = task(item)
            self.most[name] = max(self.most[name], self.n_rows)
            self.every[name] += self.n_rows
            yield item, result

    def describe(self) -> str:
        return "while rows are counted"


def make_run(folder: Path | str, *, executor: Executor | None = None, **mixture: Any) -> Run:
    """A run without sources that are read; tables are written by hand."""
    sources = mixture.pop("sources", (Source(name="hand", kind="directory", path="/nowhere"),))
    built = Mixture(name="hand", sources=sources, **mixture)
    return Run(open_store(str(folder)), built, executor or InlineExecutor(), silent())


def done_of(markers: Sequence[Marker]) -> StepDone:
    """What a step has done whose items have these markers."""
    done = StepDone(len(markers))
    for item, marker in enumerate(markers):
        done.add(item, marker)
    return done


def doc_id(shard: int, row: int) -> str:
    return xxhash.xxh3_128_hexdigest(f"{shard} {row}".encode())


def documents(shard: int, contents: Sequence[str], **columns: Sequence[Any]) -> pa.Table:
    """Documents with these contents; further columns override the defaults."""
    n = len(contents)
    raw = [c.encode() for c in contents]
    values: dict[str, Sequence[Any]] = {
        "doc_id": [doc_id(shard, i) for i in range(n)],
        "source": ["hand"] * n,
        "path": [f"{shard}/{i}.txt" for i in range(n)],
        "pool_hint": ["auto"] * n,
        "language_label": [None] * n,
        "content": raw,
        "n_bytes": [len(r) for r in raw],
        "content_hash": [xxhash.xxh3_128_digest(r) for r in raw],
        "encoding": ["utf-8"] * n,
        "encoding_confidence": [1.0] * n,
        "n_replaced": [0] * n,
        "n_repaired": [0] * n,
        "input_file": [f"{shard}/{i}.txt" for i in range(n)],
        "input_row": [0] * n,
        "lost_fields": [[]] * n,
    }
    for name in ("repo", "revision", "revision_time", "license", "stars", "problem", "made_from"):
        values[name] = [None] * n
    values |= columns
    return pa.table({f.name: pa.array(values[f.name], f.type) for f in DOCUMENTS.schema}, schema=DOCUMENTS.schema)


def write_documents(run: Run, shards: Sequence[pa.Table]) -> Tables:
    tables = Tables(run.store, len(shards))
    for shard, table in enumerate(shards):
        tables.write(DOCUMENTS, shard, data=table)
        tables.write(REDACTED, shard, data=unredacted(table))
    return tables


def unredacted(documents: pa.Table) -> pa.Table:
    """Table `redacted` of documents in which nothing was found."""
    n = documents.num_rows
    columns = {"doc_id": documents["doc_id"], "findings": [[]] * n, "content": pa.nulls(n, pa.large_binary())}
    return pa.table(columns, schema=REDACTED.schema)


Made = tuple[str, str, bytes, str | None]  # pool, language, content, problem


def tables_of(rows: Sequence[Made]) -> tuple[pa.Table, pa.Table]:
    """What measuring and judging read of documents, and of their languages."""
    pools, languages, contents, problems = zip(*rows, strict=True) if rows else ((), (), (), ())
    documents = {
        "doc_id": pa.array([f"{k:032x}" for k in range(len(rows))], pa.string()),
        "content": pa.array(contents, pa.large_binary()),
        "problem": pa.array(problems, pa.string()),
        "content_hash": pa.array([hashlib.md5(c).digest() for c in contents], pa.binary(16)),
        "n_bytes": pa.array([len(c) for c in contents], pa.int64()),
        "path": pa.array([f"file{k}" for k in range(len(rows))], pa.string()),
    }
    told = {"pool": pa.array(pools, pa.string()), "language": pa.array(languages, pa.string())}
    return pa.table(documents), pa.table(told)


def judged(rows: Sequence[Made], *, config: Quality, path: str | None = None) -> list[list[dict[str, Any]]]:
    """What fires on each document: measured and judged by the functions of both stages. `path` is that of all."""
    documents, languages = tables_of(rows)
    if path is not None:
        place = documents.column_names.index("path")
        documents = documents.set_column(place, "path", pa.array([path] * len(rows), pa.string()))
    quality = measure(documents, languages, config=config.measuring())
    found = judge_documents(documents, languages, quality, config=Judging(rules=rules_of(config)))
    fired: list[list[dict[str, Any]]] = found["fired"].to_pylist()
    return fired


RULE_REASONS = tuple(dict.fromkeys(rule.reason for rule in rules_of(Quality())))


def write_facts(
    run: Run,
    shards: Sequence[pa.Table],
    *,
    pool: str = "code",
    language: str = "Python",
    fired: dict[str, str] | None = None,
    benchmarks: dict[str, str] | None = None,
) -> Tables:
    """Tables `languages`, `judged` and `overlaps`: one language for all; a rule, a benchmark for some doc_ids."""
    tables = Tables(run.store, len(shards))
    for shard, table in enumerate(shards):
        ids = table["doc_id"].to_pylist()
        told = {"pool": pool, "language": language, "confidence": 1.0, "decided_by": "hand", "content_kind": "code"}
        groups = [language] * len(ids) if pool == "code" else table["source"].to_pylist()
        languages = [told | {"doc_id": i, "group": g} for i, g in zip(ids, groups, strict=True)]
        tables.write(LANGUAGES, shard, data=pa.Table.from_pylist(languages, schema=LANGUAGES.schema))
        judged = [{"doc_id": i, "fired": _fired(i, fired or {})} for i in ids]
        tables.write(JUDGED, shard, data=pa.Table.from_pylist(judged, schema=JUDGED.schema))
        numbers = {f.name: 0 for f in MATCH} | {"contained_frac": 1.0}
        named = {i: [numbers | {"benchmark": name}] for i, name in (benchmarks or {}).items()}
        overlaps = [{"doc_id": i, "matches": named.get(i, [])} for i in ids]
        tables.write(OVERLAPS, shard, data=pa.Table.from_pylist(overlaps, schema=OVERLAPS.schema))
    return tables


def _fired(doc_id: str, fired: dict[str, str]) -> list[dict[str, Any]]:
    return [{"rule": fired[doc_id], "value": 1.0}] if doc_id in fired else []


def write_tokens(run: Run, shards: Sequence[tuple[pa.Table, Sequence[int | None]]]) -> None:
    """Tables `decisions` and `tokens`; a length of None is a dropped document. Token ids count up from 1."""
    tables = Tables(run.store, len(shards))
    for shard, (table, lengths) in enumerate(shards):
        ids = table["doc_id"].to_pylist()
        decisions = [
            {
                "doc_id": i,
                "keep": n is not None,
                "reasons": [] if n is not None else ["empty"],
                "keeper_id": None,
                "similarity": None,
            }
            for i, n in zip(ids, lengths, strict=True)
        ]
        tables.write(SELECT, shard, data=pa.Table.from_pylist(decisions, schema=SELECT.schema))
        tokens = [
            {"doc_id": i, "token_ids": None if n is None else list(range(1, n + 1)), "n_tokens": n or 0}
            for i, n in zip(ids, lengths, strict=True)
        ]
        tables.write(TOKENS, shard, data=pa.Table.from_pylist(tokens, schema=TOKENS.schema))


def run_stage(run: Run, name: str, make: Callable[..., StepDone], *, config: Any, n_shards: int) -> None:
    """Run one stage on tables that stand already. It may read all of them; the recipe holds it to what it declares."""
    stage = ExchangeStage(name, 1, make, config, TABLES, seed=run.mixture.seed)
    mark = fingerprint(stage, marks=dict.fromkeys((t.name for t in TABLES), ""))
    run_exchange(run, run.store, stage, mark=mark, n_shards=n_shards)


def balancing(config: Balance) -> Balancing:
    """The balance as its stage takes it, without a sequence length to be rounded to."""
    return Balancing(**dict(config))


def digests(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative path."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert found, f"{folder} holds no file, so nothing would be compared"
    return found
