"""Which forms the packed documents of code have, by group: what was asked for, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.report.formats import plain
from pipeline.report.table import FINE_PERCENT, PERCENT, TEXT, Column, ReportTable
from pipeline.schema import LEDGER


@dataclass(frozen=True)
class FormGroup:
    """Packed documents of one group of the code pool."""

    group: str
    n_docs: int
    n_psm_docs: int
    n_spm_docs: int
    n_tokens: int  # packed, of all of them
    n_filled_tokens: int  # of those that are filled in

    @property
    def filled_frac(self) -> float:
        return (self.n_psm_docs + self.n_spm_docs) / max(1, self.n_docs)


def count_forms(run: RunFiles, work: Work) -> tuple[FormGroup, ...]:
    """Most packed tokens first; none where the mixture asks for no forms."""
    if run.mixture.forms.fim is None:
        return ()
    docs, psm, spm, tokens, filled = counters = tuple(Counter[str]() for _ in range(5))
    for more in work.each(partial(_count, run.tables), work.shards(run), name="report.forms"):
        for counter, of_span in zip(counters, more, strict=True):
            counter.update(of_span)
    found = [FormGroup(g, n, psm[g], spm[g], tokens[g], filled[g]) for g, n in docs.items()]
    return tuple(sorted(found, key=lambda one: (-one.n_tokens, one.group)))


def _count(tables: Tables, span: Span) -> tuple[Counter[str], ...]:
    """Of the packed code of some shards by group: documents, as PSM, as SPM; tokens, and those that are filled in."""
    docs: dict[str | None, Counter[str]] = {name: Counter() for name in (None, "psm", "spm")}
    tokens, filled, names = Counter[str](), Counter[str](), pa.array(["psm", "spm"])
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "group", "form", "n_packed_tokens"])
        packed = ledger.filter(pc.and_(pc.equal(ledger["pool"], "code"), pc.greater(ledger["n_packed_tokens"], 0)))
        for name, counter in docs.items():
            mine = packed if name is None else packed.filter(pc.equal(packed["form"], name))
            counter.update(mine["group"].to_pylist())
        for counter, rows in ((tokens, packed), (filled, packed.filter(pc.is_in(packed["form"], names)))):
            summed = rows.group_by("group", use_threads=False).aggregate([("n_packed_tokens", "sum")])
            counter.update(
                dict(zip(summed["group"].to_pylist(), summed["n_packed_tokens_sum"].to_pylist(), strict=True))
            )
    return (*docs.values(), tokens, filled)


def forms_table(found: tuple[FormGroup, ...]) -> ReportTable:
    """Shares of documents and tokens."""
    columns = [Column("language", TEXT), Column("documents"), Column("filled in", FINE_PERCENT)]
    columns += [Column("PSM"), Column("SPM"), Column("of tokens", PERCENT)]
    rows = [
        (plain(f.group), f.n_docs, f.filled_frac, f.n_psm_docs, f.n_spm_docs, f.n_filled_tokens / max(1, f.n_tokens))
        for f in found
    ]
    note = "packed documents; the rate holds for all that are kept, and of them for those the budget takes first"
    return ReportTable("Fill in the middle", columns, rows, note)
