"""Keyed samples of near duplicates and of verified pairs, and their texts: found in one pass for the checks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, lists_with
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.reading.forgotten import forgotten_ids
from pipeline.reading.texts import DocText, contents
from pipeline.reading.work import Span, Work, n_pairs_of
from pipeline.schema import NEAR_DUPS, SELECT

# Samples, because texts are read and shingled: an error in one of a hundred near duplicates is missed with probability
# 0.13, and it takes seconds at any size of run.
N_COMPARED = 200
_COLUMNS = ["doc_id", "keeper_id", "similarity", "reasons"]
_PAIRS = ["doc_id", "other_id", "similarity"]
_MEMO = "near_samples"


@dataclass(frozen=True)
class Keyed:
    """At most N_COMPARED rows, of smallest key, in its order; and of how many they are."""

    rows: pa.Table
    n: int


@dataclass(frozen=True)
class NearSamples:
    """What is compared again, and its texts by doc_id."""

    dropped: Keyed  # dropped for a keeper that is similar and not equal: doc_id, keeper_id, similarity
    near: Keyed  # dropped as near duplicates, those of equal shingles among them
    pairs: Keyed  # verified pairs, kept or not: doc_id, other_id, similarity
    texts: dict[str, DocText]


def near_samples(run: RunFiles, work: Work) -> NearSamples:
    """All three samples and the texts of all their documents, read once for all checks that ask."""
    if _MEMO not in work.memo:
        gone = forgotten_ids(run, work)
        found = list(work.each(partial(_dropped, run.tables, gone), work.shards(run), name="verify.dropped"))
        dropped, near = (_smallest([of[k] for of in found], key) for k, key in enumerate(("verify", "agree")))
        files = tuple(file.path for file in run.files(NEAR_DUPS.name))
        spans = work.spans(len(files), n_rows=n_pairs_of(run))
        sampled = work.each(partial(_pairs, run.store, files, gone), spans, name="verify.sampled-pairs")
        pairs = _smallest(list(sampled), "pairs", columns=_PAIRS)
        ids = [*_ids(dropped, "keeper_id"), *_ids(near, "keeper_id"), *_ids(pairs, "other_id")]
        work.memo[_MEMO] = NearSamples(dropped, near, pairs, contents(run, ids, work))
    found_before: NearSamples = work.memo[_MEMO]
    return found_before


def _ids(sample: Keyed, other: str) -> list[str]:
    return [*sample.rows["doc_id"].to_pylist(), *sample.rows[other].to_pylist()]


def _dropped(tables: Tables, gone: pa.StringArray, span: Span) -> tuple[Keyed, Keyed]:
    """Of the documents of some shards that were dropped for a keeper of other bytes both samples."""
    less, near = list[Keyed](), list[Keyed]()
    for shard in span.items:
        table = tables.read(SELECT, shard, columns=_COLUMNS)
        is_near = lists_with(table["reasons"], "near_duplicate") | lists_with(table["reasons"], "known_duplicate")
        is_less = pc.fill_null(pc.less(table["similarity"], 1.0), False).to_numpy()
        there = ~np.asarray(pc.is_in(table["keeper_id"], value_set=gone))  # or it has no text to compare with
        for found, wanted, key in ((less, is_less, "verify"), (near, is_near, "agree")):
            rows = table.select(_COLUMNS[:3]).filter(pa.array(wanted & there))
            found.append(_smallest([Keyed(rows, rows.num_rows)], key))
    return _smallest(less, "verify"), _smallest(near, "agree")


def _pairs(store: Store, files: Sequence[str], gone: pa.StringArray, span: Span) -> Keyed:
    """Of the pairs of some files, without those of forgotten documents."""
    found = []
    for path in files[span.first : span.end]:
        rows = store.read_parquet(path, schema=NEAR_DUPS.schema, columns=_PAIRS)
        for name in _PAIRS[:2]:
            rows = rows.filter(pc.invert(pc.is_in(rows[name], value_set=gone)))
        found.append(_smallest([Keyed(rows, rows.num_rows)], "pairs"))
    return _smallest(found, "pairs", columns=_PAIRS)


def _smallest(samples: Sequence[Keyed], key: str, *, columns: Sequence[str] = _COLUMNS[:3]) -> Keyed:
    """One sample of several, in the order in which they come; `columns`: of none."""
    schema = pa.schema([(name, pa.float64() if name == "similarity" else pa.string()) for name in columns])
    rows = pa.concat_tables([sample.rows for sample in samples]) if samples else schema.empty_table()
    order = keyed_hash(stage_key(0, key), *doc_words(rows)) if rows.num_rows else np.zeros(0, np.uint64)
    chosen = rows.take(pa.array(np.argsort(order, kind="stable")[:N_COMPARED]))
    return Keyed(chosen, sum(sample.n for sample in samples))
