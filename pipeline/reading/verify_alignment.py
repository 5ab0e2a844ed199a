"""The promise of alignment: one row for each document in every table, and no id that two documents bear."""

from __future__ import annotations

from functools import partial

from pipeline.arrays.columns import doc_words, joined
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.matched import count_distinct
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.schema import DOCUMENTS, Table


def alignment_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether every table has the rows of `documents` in their order, and all ids are different."""
    spans = work.shards(run)
    ids = work.spread("ids", width=2, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    n_docs = 0
    for n, other in work.each(partial(_rows_of, run.tables, run.aligned, ids), spans, name="verify.alignment"):
        if other:
            return False, other
        n_docs += n
    n_distinct = count_distinct(work, ids, name="verify.ids")
    return n_distinct == n_docs, f"{n_docs:,} documents, each with one row in every table; {n_distinct:,} distinct ids"


def _rows_of(tables: Tables, aligned: tuple[Table, ...], out: Spread, span: Span) -> tuple[int, str]:
    """How many documents some shards hold, and the first table with other rows; passes their ids on."""
    words = []
    for shard in span.items:
        ids = tables.read(DOCUMENTS, shard, columns=["doc_id"])
        for table in aligned:
            name = "doc_id" if "doc_id" in table.schema.names else table.schema.names[0]
            other = tables.read(table, shard, columns=[name])[name]
            if len(other) != len(ids) or (name == "doc_id" and not other.equals(ids["doc_id"])):
                return 0, f"shard {shard} of {table.name} has other rows than documents"
        words.append(doc_words(ids))
    high, low = joined(words, n=2)
    out.write(span.number, high, low, part=out.part_of(high))
    return high.size, ""
