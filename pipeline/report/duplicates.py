"""The duplicates' own story: how many there are, how similar they are, and who stands for how many others."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, lists_with
from pipeline.dedup.settings import sampled_bands
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.texts import runs_of
from pipeline.report.count_documents import DocumentCounts, from_row
from pipeline.report.numbers import Bin, Duplicates, Family, SizeBin
from pipeline.report.stream import doubling
from pipeline.schema import LEDGER, NEAR_DUPS, SELECT, SIMILAR

N_FAMILIES = 20  # the largest ones show what is copied most; the tail is families of two
# Fine enough to see whether pairs crowd at the threshold, coarse enough for bars that can be told apart.
SIMILARITY_STEP = 0.02


def duplicates_of(run: RunFiles, counted: DocumentCounts, *, lost: dict[str, int]) -> Duplicates:
    """`lost`: documents by the stage that took them out. Every dropped duplicate's row is held once."""
    size, n_groups = columns(counted.group_sizes, "group_size", "n_groups")
    sizes = []
    for low, high in doubling(int(size.max(initial=0)), first=2):
        here = (size >= low) & (size <= high)
        sizes.append(SizeBin(low, high, int(n_groups[here].sum()), int((n_groups * size)[here].sum())))
    least, stages = run.mixture.near_dups.min_similarity, run.manifest["stages"]
    files = (run.store.read_parquet(f.path, schema=NEAR_DUPS.schema, columns=["similarity"])
             for f in run.files(NEAR_DUPS.name))  # fmt: skip
    pairs = _bins((table["similarity"] for table in files), least=least)
    dropped, n_known = _dropped(run)
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
        n_known_docs=n_known,
        n_crowded_buckets=stages[SIMILAR.name]["counts"].get("n_crowded_buckets", 0),
        n_crowd_compared=stages[SELECT.name]["counts"].get("n_crowd_compared", 0),
        n_crowd_unlisted=stages[SELECT.name]["counts"].get("n_crowd_unlisted", 0),
        dropped_similarities=_bins([dropped["similarity"].filter(pc.equal(dropped["n_near_docs"], 1))], least=least),
        families=_families(run, dropped),
    )


def _header_pairs(run: RunFiles) -> int:
    """How many pairs rights comments alone would have made: those seen in some of the bands, scaled up."""
    counts, near = run.manifest["stages"][NEAR_DUPS.name]["counts"], run.mixture.near_dups
    n_docs: int = counts.get("n_header_docs", 0)
    n_seen: int = counts.get("n_header_pairs_seen", 0)
    return round(n_seen * near.n_bands / sampled_bands(n_docs, n_bands=near.n_bands))


def _bins(similarities: Iterable[pa.ChunkedArray], *, least: float) -> tuple[Bin, ...]:
    """Even bins from `least` to 1. Edges are rounded so that 0.1 + 0.2 prints as 0.3; 1e-9 keeps 0.7 / 0.02 whole."""
    n_steps = round(1 / SIMILARITY_STEP)
    first = min(int(least / SIMILARITY_STEP + 1e-9), n_steps - 1)
    counts = np.zeros(n_steps - first, np.int64)
    for found in similarities:
        place = (found.to_numpy() / SIMILARITY_STEP + 1e-9).astype(np.int64) - first
        counts += np.bincount(place.clip(0, counts.size - 1), minlength=counts.size)
    edges = [round(i * SIMILARITY_STEP, 6) for i in range(first, n_steps + 1)]
    return tuple(Bin(low, high, int(n)) for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True))


def _dropped(run: RunFiles) -> tuple[pa.Table, int]:
    """Documents that were dropped for a keeper, and how many of them are near to a document of another run."""
    n_known, parts = 0, []
    for ledger in run.shards(LEDGER, columns=["keeper_id", "similarity", "reasons", "n_bytes"]):
        lost = ledger.filter(pc.is_valid(ledger["keeper_id"]))
        is_known = lists_with(lost["reasons"], "known_duplicate")
        is_near = is_known | lists_with(lost["reasons"], "near_duplicate")
        n_known += int(is_known.sum())
        near = pa.array(is_near.astype(np.int64))
        parts.append(lost.select(["keeper_id", "similarity", "n_bytes"]).append_column("n_near_docs", near))
    return pa.concat_tables(parts), n_known


def _families(run: RunFiles, dropped: pa.Table) -> tuple[Family, ...]:
    """The keepers of most documents, and what they kept out."""
    sums = dropped.group_by("keeper_id", use_threads=False).aggregate(
        [("keeper_id", "count"), ("n_near_docs", "sum"), ("similarity", "min"), ("n_bytes", "sum")]
    )
    sums = sums.rename_columns(["keeper_id", "n_docs", "n_near_docs", "min_similarity", "n_bytes"])
    rows = sums.sort_by([("n_docs", "descending"), ("keeper_id", "ascending")]).slice(0, N_FAMILIES).to_pylist()
    keepers = _keepers(run, [row["keeper_id"] for row in rows])
    unknown = {"path": "", "source": "", "language": ""}
    return tuple(from_row(Family, row, **keepers.get(row["keeper_id"], unknown)) for row in rows)


def _keepers(run: RunFiles, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Path, source and language of a few documents, which may be another run's."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, dict[str, Any]] = {}
    for place in runs_of(run):
        for ledger in place.shards(LEDGER, columns=["doc_id", "path", "source", "repo", "language"]):
            for row in ledger.filter(pc.is_in(ledger["doc_id"], value_set=wanted)).to_pylist():
                shown = {"path": row["path"], "source": row["repo"] or row["source"], "language": row["language"]}
                found.setdefault(row["doc_id"], shown)
    return found
