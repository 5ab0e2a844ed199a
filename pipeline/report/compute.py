"""From a finished run to the numbers of its report."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import __version__
from pipeline.engine.run_folder import STAGES, RunFiles
from pipeline.reasons import REASONS
from pipeline.report.count_decisions import count_decisions
from pipeline.report.count_documents import KEPT, DocumentCounts, count_documents, roll_up, stage_of
from pipeline.report.families import find_families
from pipeline.report.notices import notices_of
from pipeline.report.numbers import (
    BadShard,
    Bin,
    Drop,
    Duplicates,
    FlowStep,
    License,
    Numbers,
    SizeBin,
    StageWork,
    Totals,
)
from pipeline.report.shares import groups_of, paper_shares
from pipeline.report.stream import balance_of, doubling, mix_of, packing_of, read_stream
from pipeline.report.training import read_training
from pipeline.schema import NEAR_DUPS, PACKED, POOLS, SELECT, SIMILAR
from pipeline.select.licenses import CLASSES, license_class

SIMILARITY_STEP = 0.02
_CLASS_NAMES = {number: name for name, number in CLASSES.items()}


def compute(run: RunFiles, *, model: Path | None = None) -> Numbers:
    """Read the run's tables once, without any text, and count. Raises StoreError, SchemaError, CheckpointError."""
    balance, seq_len = run.mixture.balance, run.mixture.pack.seq_len
    counted = count_documents(run)
    rows = roll_up(counted.cube, "pool", "group", "stage", "fate")
    wanted = {"code": balance.code, "text": balance.text}
    groups = tuple(g for pool in POOLS for g in groups_of(rows, pool=pool, wanted=wanted[pool]))
    stream = read_stream(run)
    totals = _totals(counted)
    licenses = _licenses(counted)
    numbers = Numbers(
        name=run.mixture.name,
        version=__version__,
        seed=run.mixture.seed,
        n_shards=run.n_shards,
        totals=totals,
        notices=(),
        groups=groups,
        paper=paper_shares([g for g in groups if g.pool == "code"]),
        flow=_flow(counted, totals),
        drops=_drops(counted),
        duplicates=_duplicates(run, counted),
        license_classes=_license_classes(licenses),
        licenses=licenses,
        language_decisions=count_decisions(run),
        balance=balance_of(stream, code_parts=balance.code.parts, text_parts=balance.text.parts, seq_len=seq_len),
        mix=mix_of(stream),
        packing=packing_of(stream, seq_len=seq_len, n_split_docs=_total(counted, "n_split")),
        work=_work(run, totals),
        bad_shards=_bad_shards(run),
        training=read_training(model, hashes=_packed_hashes(run)) if model else None,
    )
    return notices_of(numbers)


def _total(counted: DocumentCounts, column: str) -> int:
    """Sum of a column over all documents."""
    return int(np.sum(counted.cube[column].to_numpy()))


def _totals(counted: DocumentCounts) -> Totals:
    """The run in one row, from the fates."""
    rows = roll_up(counted.cube, "fate")
    kept = [r for r in rows if r["fate"] != "dropped"]
    packed = [r for r in rows if r["fate"] in ("packed", "cut")]

    def over(part: list[dict[str, Any]], column: str) -> int:
        return int(sum(r[column] for r in part))

    return Totals(
        n_docs=over(rows, "n_docs"),
        n_bytes=over(rows, "n_bytes"),
        n_kept_docs=over(kept, "n_docs"),
        n_kept_bytes=over(kept, "n_bytes"),
        n_kept_tokens=over(kept, "n_tokens"),
        n_packed_docs=over(packed, "n_docs"),
        n_packed_bytes=over(packed, "n_bytes"),
        n_packed_tokens=over(packed, "n_packed_tokens"),
        n_cut_docs=over(packed, "n_cut"),
        n_secret_docs=over(rows, "n_secret"),
        n_packed_secret_docs=over(packed, "n_secret"),
        n_personal_docs=over(rows, "n_personal"),
        n_packed_personal_docs=over(packed, "n_personal"),
    )


def _flow(counted: DocumentCounts, totals: Totals) -> tuple[FlowStep, ...]:
    """Documents are taken out at the first stage that objects, whatever later stages would have said."""
    lost = {row["stage"]: row for row in roll_up(counted.cube, "stage")}
    n_docs, n_bytes = totals.n_docs, totals.n_bytes
    steps = [FlowStep("read", n_docs, n_bytes, None)]
    for stage in ("ingest", "rules", "exact", "near"):
        n_docs -= lost.get(stage, {}).get("n_docs", 0)
        n_bytes -= lost.get(stage, {}).get("n_bytes", 0)
        steps.append(FlowStep(stage, n_docs, n_bytes, totals.n_kept_tokens if stage == "near" else None))
    steps.append(FlowStep("balance", totals.n_packed_docs, totals.n_packed_bytes, totals.n_packed_tokens))
    return tuple(steps)


def _drops(counted: DocumentCounts) -> tuple[Drop, ...]:
    """All reasons that were given, most frequent first."""
    drops = []
    per_pool = {(r["reason"], r["pool"]): r["n_docs"] for r in roll_up(counted.reasons, "reason", "pool")}
    for row in roll_up(counted.reasons, "reason"):
        reason = row["reason"]
        drops.append(
            Drop(
                reason=reason,
                stage=stage_of(reason),
                meaning=REASONS.get(reason, ""),
                n_docs=row["n_docs"],
                n_code_docs=per_pool.get((reason, "code"), 0),
                n_text_docs=per_pool.get((reason, "text"), 0),
                n_bytes=row["n_bytes"],
                n_only_docs=row["n_only"],
            )
        )
    return tuple(sorted(drops, key=lambda d: (-d.n_docs, d.reason)))


def _duplicates(run: RunFiles, counted: DocumentCounts) -> Duplicates:
    """Group sizes in doubling bins, similarities in steps of 0.02 from the threshold."""
    size, n_groups = (counted.group_sizes[c].to_numpy() for c in ("group_size", "n_groups"))
    sizes = []
    for low, high in doubling(int(size.max(initial=0)), first=2):
        here = (size >= low) & (size <= high)
        sizes.append(SizeBin(low, high, int(n_groups[here].sum()), int((n_groups * size)[here].sum())))
    entry = run.manifest["stages"][NEAR_DUPS.name]
    least = run.mixture.near_dups.min_similarity
    n_steps = round(1 / SIMILARITY_STEP)
    first = min(int(least / SIMILARITY_STEP + 1e-9), n_steps - 1)
    n_bins = n_steps - first
    similar = np.zeros(n_bins, np.int64)
    for file in entry["files"]:
        pairs = run.store.read_parquet(file["path"], schema=NEAR_DUPS.schema, columns=["similarity"])
        place = (pairs["similarity"].to_numpy() / SIMILARITY_STEP + 1e-9).astype(np.int64) - first
        similar += np.bincount(place.clip(0, n_bins - 1), minlength=n_bins)
    lost = {row["stage"]: row["n_docs"] for row in roll_up(counted.cube, "stage")}
    families = find_families(run)
    return Duplicates(
        n_groups=int(n_groups.sum()),
        n_repeats=int((n_groups * (size - 1)).sum()),
        sizes=tuple(sizes),
        n_candidates=run.manifest["stages"][SIMILAR.name]["counts"].get("n_candidates"),
        n_pairs=int(similar.sum()),
        min_similarity=least,
        similarities=_bins(similar, low=first * SIMILARITY_STEP, step=SIMILARITY_STEP),
        n_exact_docs=lost.get("exact", 0),
        n_near_docs=lost.get("near", 0),
        n_known_docs=families.n_known_docs,
        n_crowded_buckets=run.manifest["stages"][SIMILAR.name]["counts"].get("n_crowded_buckets", 0),
        n_crowd_compared=run.manifest["stages"][SELECT.name]["counts"].get("n_crowd_compared", 0),
        n_crowd_unlisted=run.manifest["stages"][SELECT.name]["counts"].get("n_crowd_unlisted", 0),
        dropped_similarities=families.similarities,
        families=families.families,
    )


def _bins(counts: np.ndarray, *, low: float, step: float) -> tuple[Bin, ...]:
    """Even bins; edges are rounded so that 0.1 + 0.2 prints as 0.3."""
    return tuple(Bin(round(low + i * step, 6), round(low + (i + 1) * step, 6), int(n)) for i, n in enumerate(counts))


def _licenses(counted: DocumentCounts) -> tuple[License, ...]:
    """By licence, as written: two spellings are two rows."""
    sums: dict[str, list[int]] = {}
    for row in roll_up(counted.cube, "license", "stage"):
        mine = sums.setdefault(row["license"] or "", [0, 0, 0, 0])
        kept = row["stage"] == KEPT
        for i, n in enumerate((row["n_docs"], kept * row["n_docs"], row["n_tokens"], row["n_packed_tokens"])):
            mine[i] += n
    found = [License(name, _CLASS_NAMES[license_class(name)], *n) for name, n in sums.items()]
    return tuple(sorted(found, key=lambda x: (-x.n_packed_tokens, -x.n_docs, x.name)))


def _license_classes(licenses: tuple[License, ...]) -> tuple[License, ...]:
    """The same, summed to the classes that decide between copies."""
    classes = []
    for name in CLASSES:
        mine = [x for x in licenses if x.license_class == name]
        fields = ("n_docs", "n_kept_docs", "n_kept_tokens", "n_packed_tokens")
        classes.append(License(name, name, *(sum(getattr(x, f) for x in mine) for f in fields)))
    return tuple(classes)


def _work(run: RunFiles, totals: Totals) -> tuple[StageWork, ...]:
    """Rates count all input documents in every stage, so that stages compare, though some see only what is kept."""
    work = []
    for name in STAGES:
        entry = run.manifest["stages"][name]
        seconds = float(entry["seconds"])
        n_stored = sum(f["n_bytes"] for f in entry["files"])
        docs, megabytes = (totals.n_docs / seconds, totals.n_bytes / 1e6 / seconds) if seconds > 0 else (None, None)
        work.append(StageWork(name, seconds, docs, megabytes, len(entry["files"]), n_stored))
    return tuple(work)


def _bad_shards(run: RunFiles) -> tuple[BadShard, ...]:
    """What `--on-bad-shard skip` left out."""
    return tuple(
        BadShard(stage, int(shard), problem)
        for stage in STAGES
        for shard, problem in sorted(run.manifest["stages"][stage]["problems"].items(), key=lambda x: int(x[0]))
    )


def _packed_hashes(run: RunFiles) -> dict[str, str]:
    """As the trainer writes them into the model folder."""
    files = run.manifest["stages"][PACKED]["files"]
    return {posixpath.basename(f["path"]): f["sha256"] for f in files}
