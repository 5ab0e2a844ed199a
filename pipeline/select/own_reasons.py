"""What speaks against a document by itself, before any other is looked at."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.config import Select
from pipeline.engine.tables import Tables
from pipeline.reasons import JUDGEMENTS
from pipeline.schema import DOCUMENTS, JUDGED, LANGUAGES, OVERLAPS, QUALITY, REDACTED
from pipeline.select.contaminated import is_contaminated
from pipeline.select.licenses import UNKNOWN
from pipeline.select.settings import BenchmarkLimits
from pipeline.select.shut_out import asks_prose_language, shut_out


def own_reasons(
    tables: Tables,
    shard: int,
    *,
    config: Select,
    benchmarks: Sequence[BenchmarkLimits] = (),
    drops: Mapping[str, str] | None = None,
) -> dict[int, set[str]]:
    """By row, the reasons that need no other document; rows that nothing speaks against are left out.

    `drops` maps the kinds of secrets and personal data that drop a document to the reason.
    """
    documents = tables.read(DOCUMENTS, shard, columns=["license", "problem"])
    languages = tables.read(LANGUAGES, shard, columns=["pool", "language", "group", "content_kind"])
    fired = one_chunk(tables.read(JUDGED, shard, columns=["fired"])["fired"])
    reasons: dict[int, set[str]] = defaultdict(set)
    rules = fired.flatten().field("rule").to_pylist()
    for row, rule in zip(pc.list_parent_indices(fired).to_pylist(), rules, strict=True):
        reasons[row].add(rule)
    problems = documents["problem"]
    for row in np.flatnonzero(problems.is_valid().to_numpy()).tolist():
        reasons[row].add(problems[row].as_py())
    for row, reason in _private(tables, shard, drops or {}):
        reasons[row].add(reason)
    prose_language = tables.read(QUALITY, shard, columns=["prose_language"]) if asks_prose_language(config) else None
    for reason, mask in shut_out(documents, languages, prose_language, config).items():
        for row in np.flatnonzero(mask).tolist():
            reasons[row].add(reason)
    matches = one_chunk(tables.read(OVERLAPS, shard, columns=["matches"])["matches"])
    for row in np.flatnonzero(is_contaminated(matches, limits=benchmarks)).tolist():
        reasons[row].add("contaminated")
    return dict(reasons)


def _private(tables: Tables, shard: int, drops: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Rows that hold a find whose policy is to drop, and the reason."""
    if not drops:
        return
    findings = one_chunk(tables.read(REDACTED, shard, columns=["findings"])["findings"])
    found = findings.flatten().field("kind").to_pylist()
    for row, kind in zip(pc.list_parent_indices(findings).to_pylist(), found, strict=True):
        if kind in drops:
            yield row, drops[kind]


def judgements(reasons: Sequence[set[str]], license_class: np.ndarray) -> np.ndarray:
    """For each document the reasons of JUDGEMENTS among its own, as bits, uint8; `license_class` is int64 [n].

    That nothing is known of a licence is no judgement: a copy whose licence is known is not dropped for it.
    """
    bits = np.zeros(license_class.size, np.uint8)
    for bit, reason in enumerate(JUDGEMENTS):
        has = np.array([reason in mine for mine in reasons], bool)
        bits[has & ((license_class != UNKNOWN) | (reason != "dropped_license"))] |= np.uint8(1 << bit)
    return bits
