"""Which source lost how much, and for which reasons: one pass over the ledger, and the files of the worst inputs."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.unread import UNREAD, Unread, unread_of
from pipeline.reading.work import Span, Work
from pipeline.report.count_documents import Sums, from_row
from pipeline.report.numbers import LostField, SourceDrop, UnfilledField
from pipeline.rules.meanings import meanings
from pipeline.schema import DOCUMENTS, LEDGER


def count_sources(run: RunFiles, work: Work) -> tuple[dict[str, int], tuple[SourceDrop, ...]]:
    """Documents of each source in the mixture's order, and its reasons in the ledger's, source by source."""
    docs, drops = Sums(("source",)), Sums(("source", "reason"))
    for of_docs, of_drops in work.each(partial(_count, run.tables), work.shards(run), name="report.sources"):
        docs.add(of_docs)
        drops.add(of_drops)
    counts = {row["source"]: row["n_docs"] for row in docs.total().to_pylist()}
    order = list(meanings(run.mixture.quality))
    found = [from_row(SourceDrop, row) for row in drops.total().to_pylist()]
    names = dict.fromkeys([*(source.name for source in run.mixture.sources), *sorted(counts)])
    return (
        {name: counts.get(name, 0) for name in names},
        tuple(sorted(found, key=lambda d: (order.index(d.reason), d.source))),
    )


def _count(tables: Tables, span: Span) -> tuple[pa.Table, pa.Table]:
    """Documents of some shards by source, and their reasons."""
    docs, drops = Sums(("source",)), Sums(("source", "reason"))
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["source", "n_bytes", "reasons"])
        docs.add(pa.table({"source": ledger["source"], "n_docs": np.ones(ledger.num_rows, np.int64)}))
        drops.add(_reasons(ledger))
    return docs.total(), drops.total()


def unread_inputs(
    run: RunFiles, work: Work, *, docs: dict[str, int], drops: tuple[SourceDrop, ...]
) -> tuple[Unread, ...]:
    """As `unread_of`, but sources are counted in the ledger, and files only while the texts are still there."""
    bad = {name: sum(d.n_docs for d in drops if d.source == name and d.reason in UNREAD) for name in docs}
    sources = [Unread(name, None, n, bad[name]) for name, n in docs.items() if n]
    found = [one for one in sources if one.frac > run.mixture.ingest.max_unreadable_frac]
    if any(bad.values()) and run.store.exists(run.tables.path(DOCUMENTS, 0)):
        found += [one for one in unread_of(run, work) if one.input_file is not None]
    return tuple(sorted(found, key=lambda one: (-one.frac, one.source, one.input_file or "")))


def lost_fields(run: RunFiles) -> tuple[LostField, ...]:
    """Fields that the stage found and could not read, as it counted them."""
    counts = run.manifest["stages"][DOCUMENTS.name]["counts"]
    prefix = "n_lost_"
    found = [LostField(name.removeprefix(prefix), n) for name, n in counts.items() if name.startswith(prefix)]
    return tuple(sorted(found, key=lambda one: (-one.n_docs, one.field)))


def unfilled_fields(run: RunFiles) -> tuple[UnfilledField, ...]:
    """Mapped fields that whole files leave empty, as the stage counted them."""
    found = (UnfilledField(source, field, n) for field, source, n in _by_source(run, "n_unfilled_"))
    return tuple(sorted(found, key=lambda one: (-one.n_docs, one.source, one.field)))


def default_columns(run: RunFiles) -> dict[str, tuple[str, ...]]:
    """Fields that were taken from a column of their own name, and the sources in which they were."""
    found: dict[str, tuple[str, ...]] = {}
    for field, source, _ in _by_source(run, "n_default_"):
        found[field] = (*found.get(field, ()), source)
    return found


def _by_source(run: RunFiles, prefix: str) -> Iterator[tuple[str, str, int]]:
    """Field, source and documents of the counts of `documents` that begin so."""
    for name, n in run.manifest["stages"][DOCUMENTS.name]["counts"].items():
        if name.startswith(prefix):
            field, _, source = name.removeprefix(prefix).partition(" ")
            yield field, source, n


def _reasons(ledger: pa.Table) -> pa.Table:
    """One row for each document and reason."""
    lists = one_chunk(ledger["reasons"])
    parent = pc.list_parent_indices(lists)
    return pa.table(
        {
            "source": ledger["source"].take(parent),
            "reason": lists.flatten(),
            "n_docs": np.ones(len(parent), np.int64),
            "n_bytes": ledger["n_bytes"].take(parent),
        }
    )
