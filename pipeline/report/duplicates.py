"""The duplicates' own story: how many there are, how similar they are, and who stands for how many others."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.arrays.columns import columns
from pipeline.dedup.settings import sampled_bands
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store
from pipeline.reading.work import Span, Work, n_pairs_of
from pipeline.report.count_documents import DocumentCounts
from pipeline.report.families import Bins, dropped_of
from pipeline.report.numbers import Duplicates, SizeBin
from pipeline.report.stream import doubling
from pipeline.schema import NEAR_DUPS, SELECT, SIMILAR


def duplicates_of(run: RunFiles, counted: DocumentCounts, *, work: Work, lost: dict[str, int]) -> Duplicates:
    """`lost`: documents by the stage that took them out."""
    size, n_groups = columns(counted.group_sizes, "group_size", "n_groups")
    sizes = []
    for low, high in doubling(int(size.max(initial=0)), first=2):
        here = (size >= low) & (size <= high)
        sizes.append(SizeBin(low, high, int(n_groups[here].sum()), int((n_groups * size)[here].sum())))
    least, stages = run.mixture.near_dups.min_similarity, run.manifest["stages"]
    bins = Bins(least)
    files = tuple(file.path for file in run.files(NEAR_DUPS.name))
    counts = np.zeros(bins.n, np.int64)
    spans = work.spans(len(files), n_rows=n_pairs_of(run))
    for found in work.each(partial(_similarities, run.store, files, bins), spans, name="report.similarities"):
        counts += found
    pairs, dropped = bins.rows(counts), dropped_of(run, work, bins=bins)
    return Duplicates(
        n_groups=int(n_groups.sum()),
        n_repeats=int((n_groups * (size - 1)).sum()),
        sizes=tuple(sizes),
        n_candidates=stages[SIMILAR.name]["counts"].get("n_candidates"),
        n_pairs=sum(b.n for b in pairs),
        min_similarity=least,
        n_header_docs=stages[NEAR_DUPS.name]["counts"].get("n_header_docs", 0),
        n_header_pairs=_header_pairs(run),
        similarities=pairs,
        n_exact_docs=lost["exact"],
        n_near_docs=lost["near"],
        n_known_docs=dropped.n_known,
        n_crowded_buckets=stages[SIMILAR.name]["counts"].get("n_crowded_buckets", 0),
        n_crowd_compared=stages[SELECT.name]["counts"].get("n_crowd_compared", 0),
        n_crowd_unlisted=stages[SELECT.name]["counts"].get("n_crowd_unlisted", 0),
        dropped_similarities=bins.rows(dropped.near),
        families=dropped.families,
    )


def _similarities(store: Store, files: tuple[str, ...], bins: Bins, span: Span) -> np.ndarray:
    """The verified pairs of some files in bins of their similarity."""
    tables = (
        store.read_parquet(path, schema=NEAR_DUPS.schema, columns=["similarity"])
        for path in files[span.first : span.end]
    )
    return np.asarray(sum((bins.count(table["similarity"].to_numpy()) for table in tables), np.zeros(bins.n, np.int64)))


def _header_pairs(run: RunFiles) -> int:
    """How many pairs rights comments alone would have made: those seen in some of the bands, scaled up."""
    counts, near = run.manifest["stages"][NEAR_DUPS.name]["counts"], run.mixture.near_dups
    n_docs: int = counts.get("n_header_docs", 0)
    n_seen: int = counts.get("n_header_pairs_seen", 0)
    return round(n_seen * near.n_bands / sampled_bands(n_docs, n_bands=near.n_bands))
