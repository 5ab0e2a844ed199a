"""What speaks against a document by itself, before any other is looked at."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.config import Select
from pipeline.engine.tables import Tables
from pipeline.reasons import INGEST_PROBLEMS, JUDGEMENTS, TAKEN_BACK
from pipeline.schema import DOCUMENTS, JUDGED, LANGUAGES, OVERLAPS, PROSE_GROUP, QUALITY, REDACTED
from pipeline.select.contaminated import is_contaminated
from pipeline.select.licenses import UNKNOWN, dropped_class, license_class
from pipeline.select.settings import BenchmarkLimits


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
    language = languages["language"]
    fired = one_chunk(tables.read(JUDGED, shard, columns=["fired"])["fired"])
    reasons: dict[int, set[str]] = defaultdict(set)
    rules = fired.flatten().field("rule").to_pylist()
    for row, rule in zip(pc.list_parent_indices(fired).to_pylist(), rules, strict=True):
        reasons[row].add(rule)
    problems = documents["problem"]
    for row in np.flatnonzero(problems.is_valid().to_numpy()).tolist():
        reasons[row].add(problems[row].as_py())
    if config.drop_unknown:
        for row in np.flatnonzero(_is(language, "Unknown")).tolist():
            if not reasons.get(row, set()) & {
                *INGEST_PROBLEMS,
                TAKEN_BACK,
            }:  # where there was something to tell it from
                reasons[row].add("unknown_language")
    for row in np.flatnonzero(_is(language, *config.drop_languages)).tolist():
        reasons[row].add("dropped_language")
    for row in np.flatnonzero(_is_dropped_prose(languages, config.drop_prose_in)).tolist():
        reasons[row].add("prose_in_format")
    for row, reason in _private(tables, shard, drops or {}):
        reasons[row].add(reason)
    for reason, rows in _by_prose_language(tables, shard, config).items():
        for row in rows.tolist():
            reasons[row].add(reason)
    matches = one_chunk(tables.read(OVERLAPS, shard, columns=["matches"])["matches"])
    for row in np.flatnonzero(is_contaminated(matches, limits=benchmarks)).tolist():
        reasons[row].add("contaminated")
    for row in np.flatnonzero(~_may_enter(documents["license"], config.drop_licenses)).tolist():
        reasons[row].add("dropped_license")
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


def _is(column: pa.ChunkedArray, *values: str) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())))
    return found


def _by_prose_language(tables: Tables, shard: int, config: Select) -> dict[str, np.ndarray]:
    """Rows of texts in a natural language that may not enter, by reason. One whose language is unsure is none."""
    dropped, kept = config.drop_prose_languages, config.keep_prose_languages
    if not dropped and not kept:
        return {}
    told = tables.read(QUALITY, shard, columns=["prose_language"])["prose_language"]
    other = told.is_valid().to_numpy() & ~_is(told, *kept) if kept else np.zeros(len(told), bool)
    return {
        "dropped_prose_language": np.flatnonzero(_is(told, *dropped)),
        "other_prose_language": np.flatnonzero(other),
    }


def _is_dropped_prose(languages: pa.Table, formats: Sequence[str]) -> np.ndarray:
    """Documents of prose in the code pool whose group is one of `formats`, or what a mixture has set apart of it."""
    groups = [*formats, *(PROSE_GROUP.format(name) for name in formats)]
    conditions = (
        _is(languages["group"], *groups),
        _is(languages["content_kind"], "prose"),
        _is(languages["pool"], "code"),
    )
    wanted: np.ndarray = np.logical_and.reduce(conditions)
    return wanted


def license_classes(column: pa.ChunkedArray) -> np.ndarray:
    """The class of each licence, int64; each spelling is judged once."""
    return _by_spelling(column, license_class).astype(np.int64)


def _may_enter(column: pa.ChunkedArray, dropped: Sequence[str]) -> np.ndarray:
    return _by_spelling(column, lambda x: dropped_class(x, dropped) is None).astype(bool)


def _by_spelling(column: pa.ChunkedArray, judge: Callable[[str | None], int]) -> np.ndarray:
    coded = one_chunk(column).dictionary_encode()
    found = np.array([judge(x) for x in [*coded.dictionary.to_pylist(), None]])
    numbers: np.ndarray = found[pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()]
    return numbers


def judgements(reasons: Sequence[set[str]], license_class: np.ndarray) -> np.ndarray:
    """For each document the reasons of JUDGEMENTS among its own, as bits, uint8; `license_class` is int64 [n].

    That nothing is known of a licence is no judgement: a copy whose licence is known is not dropped for it.
    """
    bits = np.zeros(license_class.size, np.uint8)
    for bit, reason in enumerate(JUDGEMENTS):
        has = np.array([reason in mine for mine in reasons], bool)
        bits[has & ((license_class != UNKNOWN) | (reason != "dropped_license"))] |= np.uint8(1 << bit)
    return bits
