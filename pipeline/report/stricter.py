"""How much of the mixture is like a document that was judged more strictly: what a lawyer would look at after the
licences. A judgement holds for equal documents; near ones are another text, so they stay and are counted.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, joined, lists_with, one_chunk
from pipeline.arrays.keys import mix
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of, n_pairs_of
from pipeline.reasons import JUDGEMENTS
from pipeline.report.numbers import StricterCopies
from pipeline.schema import EXACT_DUPS, LEDGER, NEAR_DUPS
from pipeline.select.licenses import COPYLEFT, OTHER, license_class

_JUDGED = OTHER + 1  # dropped by a judgement: stricter than any licence that may enter


def stricter_of(run: RunFiles, work: Work) -> StricterCopies:
    """Count documents of the mixture that have an equal or verified near duplicate of a stricter class."""
    shards, files = work.shards(run), tuple(file.path for file in run.files(NEAR_DUPS.name))
    spans = work.spans(len(files), n_rows=2 * n_pairs_of(run))
    n_parts = work.n_parts(max(n_docs_of(run), 2 * n_pairs_of(run)))
    docs = work.spread("judged", width=3, n_sources=len(shards), n_parts=n_parts)
    pairs = work.spread("pairs", width=2, n_sources=len(spans), n_parts=n_parts)
    said = work.spread("said", width=2, n_sources=n_parts, n_parts=n_parts)
    list(work.each(partial(_classes, run.tables, docs), shards, name="report.judged"))
    list(work.each(partial(_pairs, run.store, files, pairs), spans, name="report.pairs"))
    list(work.each(partial(_say, docs, pairs, said), work.parts(docs), name="report.stricter"))
    found = list(work.each(partial(_count, docs, said), work.parts(docs), name="report.stricter-copies"))
    work.clear()
    return StricterCopies(*(sum(counts) for counts in zip(*found, strict=True)))


def _classes(tables: Tables, out: Spread, span: Span) -> None:
    """Pass on the group of each document of some shards, the class of its licence or judgement, its packed tokens."""
    words = []
    for shard in span.items:
        (group,) = columns(tables.read(EXACT_DUPS, shard, columns=["group_position"]), "group_position")
        ledger = tables.read(LEDGER, shard, columns=["license", "reasons", "n_packed_tokens"])
        coded = one_chunk(ledger["license"]).dictionary_encode()
        of_spelling = np.array([license_class(x) for x in [*coded.dictionary.to_pylist(), None]])
        own = of_spelling[pc.fill_null(coded.indices, of_spelling.size - 1).to_numpy()]
        judged = np.logical_or.reduce([lists_with(ledger["reasons"], reason) for reason in JUDGEMENTS])
        own = np.where(judged, _JUDGED, own)
        words.append([group, own.astype(np.uint64), ledger["n_packed_tokens"].to_numpy().astype(np.uint64)])
    group, own, n_tokens = joined(words, n=3)
    out.write(span.number, group, own, n_tokens, part=out.part_of(mix(group)))


def _pairs(store: Store, files: tuple[str, ...], out: Spread, span: Span) -> None:
    """Pass on the pairs of some files, from both ends."""
    names = ["position", "other_position"]
    tables = (store.read_parquet(path, schema=NEAR_DUPS.schema, columns=names) for path in files[span.first : span.end])
    left, right = joined([columns(table, *names) for table in tables], n=2)
    here, there = np.concatenate((left, right)), np.concatenate((right, left))
    out.write(span.number, here, there, part=out.part_of(mix(here)))


def _strictest(docs: Spread, part: int) -> tuple[np.ndarray, ...]:
    """Of one partition the groups in order, the strictest class in each; and of all documents group, class, tokens."""
    group, own, n_tokens = docs.read(part)
    groups, place = np.unique(group, return_inverse=True)
    strictest = np.zeros(groups.size, np.uint64)
    np.maximum.at(strictest, place, own)
    return groups, strictest, place, own, n_tokens


def _say(docs: Spread, pairs: Spread, out: Spread, span: Span) -> None:
    """Pass on to each group the classes of those that are near to it, if they are strict at all."""
    groups, strictest, *_ = _strictest(docs, span.number)
    here, there = pairs.read(span.number)
    known = np.isin(here, groups)  # groups of other runs have no class here
    here, there = here[known], there[known]
    said = strictest[np.searchsorted(groups, here)]
    strict = said >= COPYLEFT
    out.write(span.number, there[strict], said[strict], part=out.part_of(mix(there[strict])))


def _count(docs: Spread, said: Spread, span: Span) -> tuple[int, int]:
    """Documents of one partition of the groups that are packed and like a stricter one, and their tokens."""
    groups, near, place, own, n_tokens = _strictest(docs, span.number)
    group, of_near = said.read(span.number)
    known = np.isin(group, groups)
    np.maximum.at(near, np.searchsorted(groups, group[known]), of_near[known])
    stricter = (near[place] > own) & (near[place] >= COPYLEFT) & (n_tokens > 0)
    return int(stricter.sum()), int(n_tokens[stricter].sum())
