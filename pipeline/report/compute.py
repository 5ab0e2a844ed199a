"""From a finished run to the numbers of its report."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.listed import n_bytes_of, n_files_of
from pipeline.reading.rule_effects import own_effects
from pipeline.reading.work import Work, working
from pipeline.reasons import LOSS_KINDS
from pipeline.report.count_concentration import count_concentration
from pipeline.report.count_decisions import count_decisions
from pipeline.report.count_documents import LOSSES, DocumentCounts, count_documents, from_row, roll_up, stage_of
from pipeline.report.count_privacy import count_privacy
from pipeline.report.count_prose import count_prose
from pipeline.report.count_signing import count_signing
from pipeline.report.count_sources import count_sources, default_columns, lost_fields, unfilled_fields, unread_inputs
from pipeline.report.duplicates import duplicates_of
from pipeline.report.forms import count_forms
from pipeline.report.identity import identity_of, record_of
from pipeline.report.notices import notices_of
from pipeline.report.numbers import (
    BadShard,
    Drop,
    FlowStep,
    Group,
    InputSample,
    License,
    NearlyLost,
    Numbers,
    StageWork,
    Totals,
)
from pipeline.report.read_stream import read_stream
from pipeline.report.repositories import count_repositories
from pipeline.report.shares import groups_of, paper_shares
from pipeline.report.stream import mix_of, phases_of_run, whole
from pipeline.report.stricter import stricter_of
from pipeline.report.syntax import count_syntax
from pipeline.report.training import packed_hashes, read_training
from pipeline.rules.meanings import meanings
from pipeline.schema import DOCUMENTS, POOLS, SELECT
from pipeline.select.licenses import CLASSES, license_class
from pipeline.sources.sampling import N_BYTES, N_DOCS
from pipeline.targets import PoolBalance

_CLASS_NAMES = {number: name for name, number in CLASSES.items()}


def compute(run: RunFiles, *, model: Path | None = None, work: Work | None = None) -> Numbers:
    """Read the run's tables once, without any text, and count; `work` says where, by default in this process.

    Raises StoreError, SchemaError, CheckpointError.
    """
    with working() if work is None else nullcontext(work) as here:
        return _compute(run, here, model=model)


def _compute(run: RunFiles, work: Work, *, model: Path | None) -> Numbers:
    run.tokenizer()  # of which the report says the hash
    counted = count_documents(run, work)
    (total,) = roll_up(counted.cube)
    groups = _groups(run, counted)
    stream, phases = read_stream(run, work), phases_of_run(run, work)
    balanced, packing = whole(run, stream, phases, n_split_docs=total["n_split_docs"])
    licenses = _licenses(counted)
    signing = count_signing(run, work)
    numbers = Numbers(
        name=run.mixture.name,
        version=__version__,
        seed=run.mixture.seed,
        n_shards=run.n_shards,
        identity=identity_of(run, signing.source_languages),
        tokenizer=tokenizer_of(run.store, run.manifest).sha256,
        sample=_sample(run),
        totals=from_row(Totals, total),
        notices=(),
        groups=groups,
        paper=paper_shares([g for g in groups if g.pool == "code"]),
        flow=_flow(total),
        drops=_drops(counted, meanings(run.mixture.quality)),
        nearly_lost=_nearly_lost(run),
        duplicates=duplicates_of(run, counted, work=work, lost={stage: total[f"n_{stage}_docs"] for stage in LOSSES}),
        license_classes=_license_classes(licenses),
        licenses=licenses,
        stricter_copies=stricter_of(run, work),
        prose_languages=count_prose(run, work),
        concentration=count_concentration(run, work),
        privacy=count_privacy(run, work),
        language_decisions=count_decisions(run, work),
        syntax=count_syntax(run, work),
        forms=count_forms(run, work),
        repositories=count_repositories(run, work),
        balance=balanced,
        mix=mix_of(stream),
        packing=packing,
        phases=phases,
        work=_work(run, total),
        bad_shards=_bad_shards(run),
        **_inputs(run, work),
        rule_effects=own_effects(run, work),
        signing=signing,
        record=record_of(run),
        training=read_training(model, hashes=packed_hashes(run)) if model else None,
    )
    return notices_of(numbers)


def _inputs(run: RunFiles, work: Work) -> dict[str, Any]:
    """What is said of the sources, by the names of its fields."""
    docs, drops = count_sources(run, work)
    return {
        "source_docs": docs,
        "source_drops": drops,
        "lost_fields": lost_fields(run),
        "unfilled_fields": unfilled_fields(run),
        "default_columns": default_columns(run),
        "unread": unread_inputs(run, work, docs=docs, drops=drops),
    }


def _groups(run: RunFiles, counted: DocumentCounts) -> tuple[Group, ...]:
    by_group = roll_up(counted.cube, "pool", "group")
    return tuple(g for pool in POOLS for g in groups_of(by_group, pool=pool, wanted=_over_all(run, pool)))


def _over_all(run: RunFiles, pool: str) -> PoolBalance:
    """What a mixture wants of a pool over the whole run: where phases have shares of their own, no shares."""
    balance = run.mixture.balance
    wanted = balance.code if pool == "code" else balance.text
    own = any(getattr(phase.shares, pool) is not None for phase in run.mixture.phases)
    return PoolBalance(parts=wanted.parts) if own else wanted


def _sample(run: RunFiles) -> InputSample | None:
    rate, counts = run.mixture.ingest.sample, run.manifest["stages"][DOCUMENTS.name]["counts"]
    return None if rate is None else InputSample(rate, counts.get(N_DOCS, 0), counts.get(N_BYTES, 0))


def _flow(total: dict[str, Any]) -> tuple[FlowStep, ...]:
    """Documents are taken out at the first stage that objects, whatever later stages would have said."""
    n_docs, n_bytes = total["n_docs"], total["n_bytes"]
    steps = [FlowStep("read", n_docs, n_bytes, None)]
    for stage in LOSSES:
        n_docs, n_bytes = n_docs - total[f"n_{stage}_docs"], n_bytes - total[f"n_{stage}_bytes"]
        steps.append(FlowStep(stage, n_docs, n_bytes, total["n_kept_tokens"] if stage == LOSSES[-1] else None))
    return (*steps, FlowStep("balance", *(total[f"n_packed_{unit}"] for unit in ("docs", "bytes", "tokens"))))


def _drops(counted: DocumentCounts, said: Mapping[str, str]) -> tuple[Drop, ...]:
    """All reasons that were given, most frequent first."""
    drops = [
        from_row(Drop, row, stage=stage_of(row["reason"]), meaning=said.get(row["reason"], ""))
        for row in counted.reasons.to_pylist()
    ]
    return tuple(sorted(drops, key=lambda d: (-d.n_docs, d.reason)))


def _licenses(counted: DocumentCounts) -> tuple[License, ...]:
    """By licence, as written: two spellings are two rows."""
    found = [
        from_row(License, row, name=row["license"], license_class=_CLASS_NAMES[license_class(row["license"])])
        for row in roll_up(counted.cube, "license")
    ]
    return tuple(sorted(found, key=lambda x: (-x.n_packed_tokens, -x.n_docs, x.name)))


def _license_classes(licenses: tuple[License, ...]) -> tuple[License, ...]:
    """The same, summed to the classes that decide between copies."""
    classes = []
    for name in CLASSES:
        mine = [x for x in licenses if x.license_class == name]
        sums = (sum(getattr(x, f) for x in mine) for f in ("n_docs", "n_kept_docs", "n_kept_tokens", "n_packed_tokens"))
        classes.append(License(name, name, *sums))
    return tuple(classes)


def _nearly_lost(run: RunFiles) -> tuple[NearlyLost, ...]:
    """As `select` counted them, which knows to whose keepers a repository loses."""
    counts = run.manifest["stages"][SELECT.name]["counts"]
    return tuple(NearlyLost(kind, counts.get(f"n_wiped_{kind}", 0)) for kind in LOSS_KINDS)


def _work(run: RunFiles, total: dict[str, Any]) -> tuple[StageWork, ...]:
    """Rates count all input documents in every stage, so that stages compare, though some see only what is kept."""
    work = []
    for name in run.stages:
        entry = run.manifest["stages"][name]
        seconds, cpu = float(entry["seconds"]), entry.get("cpu_seconds")
        docs, megabytes = (total["n_docs"] / cpu, total["n_bytes"] / 1e6 / cpu) if cpu else (None, None)
        work.append(StageWork(name, seconds, cpu, docs, megabytes, n_files_of(entry), n_bytes_of(entry)))
    return tuple(work)


def _bad_shards(run: RunFiles) -> tuple[BadShard, ...]:
    """What `--on-bad-shard skip` left out."""
    return tuple(
        BadShard(stage, int(shard), problem)
        for stage in run.stages
        for shard, problem in sorted(run.manifest["stages"][stage]["problems"].items(), key=lambda x: int(x[0]))
    )
