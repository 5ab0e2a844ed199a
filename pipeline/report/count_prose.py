"""Count the natural languages of the text pool: one pass over the ledger and the measured languages."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.report.count_documents import Sums, from_row
from pipeline.report.numbers import ProseLanguage
from pipeline.schema import LEDGER, QUALITY


def count_prose(run: RunFiles, work: Work) -> tuple[ProseLanguage, ...]:
    """By language, most bytes first; an empty code stands for texts whose language is unsure."""
    sums = Sums(("code",))
    for found in work.each(partial(_count, run.tables), work.shards(run), name="report.prose"):
        sums.add(found)
    rows = [from_row(ProseLanguage, row) for row in sums.total().to_pylist()]
    return tuple(sorted(rows, key=lambda one: (-one.n_bytes, one.code)))


def _count(tables: Tables, span: Span) -> pa.Table:
    sums = Sums(("code",))
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "n_bytes", "fate", "n_tokens", "n_packed_tokens"])
        told = tables.read(QUALITY, shard, columns=["prose_language"])["prose_language"]
        n_bytes, n_tokens, n_packed = columns(ledger, "n_bytes", "n_tokens", "n_packed_tokens")
        keep = np.asarray(ledger["fate"]) != "dropped"
        counts = {
            "code": pc.fill_null(told, ""),
            "n_docs": np.ones(keep.size, np.int64),
            "n_bytes": n_bytes,
            "n_kept_docs": keep.astype(np.int64),
            "n_kept_tokens": n_tokens * keep,
            "n_packed_tokens": n_packed,
        }
        sums.add(pa.table(counts).filter(pc.equal(ledger["pool"], "text")))
    return sums.total()
