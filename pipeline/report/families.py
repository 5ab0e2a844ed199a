"""The duplicates' own story: who stands for how many others, and how similar dropped documents were to their keeper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.texts import runs_of
from pipeline.report.numbers import Bin, Family
from pipeline.schema import LEDGER

N_FAMILIES = 20
SIMILARITY_STEP = 0.02


@dataclass(frozen=True)
class KeeperFamilies:
    """What the ledger says of dropped duplicates."""

    families: tuple[Family, ...]  # largest first
    similarities: tuple[Bin, ...]  # of near duplicates to their keepers
    n_known_docs: int


def find_families(run: RunFiles) -> KeeperFamilies:
    """Count by keeper. One row per keeper is held in memory, and every shard's ledger is read twice."""
    n_steps = round(1 / SIMILARITY_STEP)
    first = min(int(run.mixture.near_dups.min_similarity / SIMILARITY_STEP + 1e-9), n_steps - 1)
    similar = np.zeros(n_steps - first, np.int64)
    n_known, parts = 0, []
    for ledger in run.shards(LEDGER, columns=["keeper_id", "similarity", "reasons", "n_bytes"]):
        lost = ledger.filter(pc.is_valid(ledger["keeper_id"]))
        is_near = _has_reason(lost, "near_duplicate") | _has_reason(lost, "known_duplicate")
        n_known += int(_has_reason(lost, "known_duplicate").sum())
        place = (lost["similarity"].to_numpy()[is_near] / SIMILARITY_STEP + 1e-9).astype(np.int64) - first
        similar += np.bincount(place.clip(0, similar.size - 1), minlength=similar.size)
        near = pa.array(is_near.astype(np.int64))
        parts.append(lost.select(["keeper_id", "similarity", "n_bytes"]).append_column("n_near", near))
    rows = pa.concat_tables(parts)
    sums = rows.group_by("keeper_id", use_threads=False).aggregate(
        [("keeper_id", "count"), ("n_near", "sum"), ("similarity", "min"), ("n_bytes", "sum")]
    )
    order = [("keeper_id_count", "descending"), ("keeper_id", "ascending")]
    largest = sums.sort_by(order).slice(0, N_FAMILIES).to_pylist()
    paths = _paths(run, [f["keeper_id"] for f in largest])
    families = tuple(
        Family(
            keeper_id=f["keeper_id"],
            path=paths.get(f["keeper_id"], ("", "", ""))[0],
            source=paths.get(f["keeper_id"], ("", "", ""))[1],
            language=paths.get(f["keeper_id"], ("", "", ""))[2],
            n_docs=f["keeper_id_count"],
            n_near_docs=f["n_near_sum"],
            n_bytes=f["n_bytes_sum"],
            min_similarity=f["similarity_min"],
        )
        for f in largest
    )
    bins = (Bin(round((first + i) * SIMILARITY_STEP, 6), round((first + i + 1) * SIMILARITY_STEP, 6), int(n))
            for i, n in enumerate(similar))  # fmt: skip
    return KeeperFamilies(families, tuple(bins), n_known)


def _has_reason(ledger: pa.Table, reason: str) -> np.ndarray:
    lists = ledger["reasons"].combine_chunks()
    found = np.zeros(ledger.num_rows, bool)
    parents = np.asarray(pc.list_parent_indices(lists))
    found[parents[np.asarray(pc.equal(lists.flatten(), reason))]] = True
    return found


def _paths(run: RunFiles, ids: list[str]) -> dict[str, tuple[str, str, str]]:
    """Path, source and language of a few documents, which may be another run's."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, tuple[str, str, str]] = {}
    for place in runs_of(run):
        for ledger in place.shards(LEDGER, columns=["doc_id", "path", "source", "repo", "language"]):
            for row in ledger.filter(pc.is_in(ledger["doc_id"], value_set=wanted)).to_pylist():
                found.setdefault(row["doc_id"], (row["path"], row["repo"] or row["source"], row["language"]))
    return found
