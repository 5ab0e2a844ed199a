"""The stages in order: the table of contents of Loopmix.

    raw shards -> documents -> exact_dups -> languages + redacted + quality + judged + overlaps + signatures -> similar
               -> near_dups -> select -> tokens -> balance -> packed -> ledger

Each line of `stages` is one stage: its table, its code version, its function, all that decides its bytes, what it
reads. A stage has one name for its table, its file and its line here. Raise a version when the function's output
changes: `tests/test_golden.py` fails until it is done, and runs begun before are redone from there. Balance needs true
token counts, so it comes after tokens; the ledger joins everything, so it comes last.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.config import Mixture, Partitioned, said_sample
from pipeline.dedup.against import open_benchmarks, open_earlier, sampled_earlier
from pipeline.dedup.settings import Linking, Threshold, linking_of, signing_of, threshold_of
from pipeline.engine.done import StepDone
from pipeline.engine.names import ShardNames
from pipeline.engine.poison import PoisonedError, read_poisonous
from pipeline.engine.run import Layout, Run, work_off
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage
from pipeline.engine.store import Store
from pipeline.errors import ConfigError, StageError
from pipeline.fields import Frozen
from pipeline.forms.settings import Forming
from pipeline.mix.encoder import load_encoder
from pipeline.mix.settings import (
    Packing,
    PhasePacking,
    balancing_of,
    encoding_of,
    filling_of,
    packing_of,
    phasing_of,
)
from pipeline.privacy.policies import dropping
from pipeline.quality.settings import SHOWN, measuring_with
from pipeline.request.inputs import refuse_misplaced, refuse_runs, refuse_unmeetable
from pipeline.request.sizes import scaled, sized
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import Judging, columns_for
from pipeline.schema import (
    BALANCE,
    DOCUMENTS,
    EXACT_DUPS,
    FORMS,
    JUDGED,
    LANGUAGES,
    LEDGER,
    NEAR_DUPS,
    OPTIONAL,
    OVERLAPS,
    PACKED,
    QUALITY,
    REDACTED,
    SELECT,
    SIGNATURES,
    SIMILAR,
    TABLES,
    TOKENS,
)
from pipeline.select.settings import BenchmarkLimits, Selection
from pipeline.sources import Slice
from pipeline.sources.cutting import cut_open
from pipeline.sources.documents import changed_files, ingest, inputs_of, plan, plan_from, read_plan

DOCUMENTS_VERSION = 9  # named, because open slices are read before the stage
SIGNATURES_VERSION = 5  # named, because a run in `against` must have the same

_TEXT = ("doc_id", "content")
_JUDGED = ("doc_id", "problem", "content_hash", "n_bytes")
_ORIGIN = ("doc_id", "source", "repo", "path", "revision", "license", "n_bytes")
_LEDGER_INPUTS = (
    (LANGUAGES, ("pool", "language", "decided_by", "group")),
    (JUDGED, ("fired",)),
    (SELECT, ("keep", "reasons", "keeper_id", "similarity", "judged_id")),
    (BALANCE, ("n_tokens", "n_copies", "cut_tokens", "over_cap")),
)


def stages(m: Mixture, slices: Sequence[Slice]) -> list[Stage]:
    """Every stage of mixture `m`, in the order of work. Neighbouring map stages run fused."""
    m = sized(m, slices)
    near = m.near_dups
    inputs = inputs_of(m, slices)
    linking = linking_of(near, earlier=open_earlier(m, version=SIGNATURES_VERSION))
    threshold = threshold_of(near)
    rules = rules_of(m.quality)
    asked = tuple(sorted({"is_blank", *columns_for(rules)}))
    order = tuple(dict.fromkeys(rule.reason for rule in rules))
    selection = Selection(
        **dict(m.select),
        n_pair_shards=linking.n_partitions,
        min_similarity=near.min_similarity,
        rules=order,
        benchmarks=_benchmark_limits(m),
        drops=dropping(m.privacy.policies),
    )
    packing = packing_of(m)
    declared = ("path", "source", "pool_hint", "language_label")
    first, pool = (EXACT_DUPS, ("is_first",)), (LANGUAGES, ("pool", "language"))
    formed = (FORMS,) if m.forms.any else ()
    beside = (FORMS,) if m.forms.repositories else ()
    judged = (DOCUMENTS, EXACT_DUPS, LANGUAGES, QUALITY, REDACTED, JUDGED, OVERLAPS, SIMILAR, NEAR_DUPS)
    shown = tuple(dict.fromkeys((*_TEXT, "path", "problem", "content_hash", *(SHOWN if m.quality.plugins else ()))))
    chosen_from = (DOCUMENTS, LANGUAGES, QUALITY, SELECT, TOKENS)
    text = (REDACTED, ("content",))
    return [
        ExchangeStage(DOCUMENTS.name, DOCUMENTS_VERSION, ingest, inputs),
        ExchangeStage(EXACT_DUPS.name, 2, _group_equal, Partitioned(**dict(m.exact_dups)), (DOCUMENTS,)),
        MapStage(LANGUAGES, 5, _classify, m.classify, (*_TEXT, *declared)),
        MapStage(REDACTED, 2, _redact, m.privacy, _TEXT, ((LANGUAGES, ("language",)),)),
        MapStage(QUALITY, 12, _measure, measuring_with(m.quality.measuring()), shown, (pool,)),
        MapStage(JUDGED, 1, _judge, Judging(rules=rules), _JUDGED, (pool, (QUALITY, asked))),
        MapStage(OVERLAPS, 3, _find_overlaps, open_benchmarks(m), _TEXT, (text,)),
        MapStage(SIGNATURES, SIGNATURES_VERSION, _sign, signing_of(near), _TEXT, (first, (LANGUAGES, ("pool",)), text)),
        ExchangeStage(SIMILAR.name, 2, _find_similar, linking, (DOCUMENTS, LANGUAGES, REDACTED, SIGNATURES)),
        ExchangeStage(NEAR_DUPS.name, 3, _keep_near, threshold, (SIGNATURES, SIMILAR)),
        ExchangeStage(SELECT.name, 6, _select, selection, judged),
        *_tokens(m),
        ExchangeStage(BALANCE.name, 5, *_balancing(m), (*chosen_from, *beside), seed=m.seed),
        ExchangeStage(PACKED, 4, _pack, packing, (LANGUAGES, TOKENS, BALANCE, *formed), seed=m.seed),
        MapStage(LEDGER, 5, _account, Frozen(), _ORIGIN, (*_LEDGER_INPUTS, *((f, ("form",)) for f in formed))),
    ]


def _tokens(m: Mixture) -> list[Stage]:
    """The stages that write documents as tokens: who has which form is a stage of its own, where there are several."""
    keep, text = (SELECT, ("keep",)), (REDACTED, ("content",))
    filling, fim, repositories = filling_of(m), m.forms.fim, m.forms.repositories
    if filling is None:
        return [MapStage(TOKENS, 3, _tokenize, encoding_of(m.tokenizer), _TEXT, (keep, text))]
    forming = Forming(
        **dict(m.exact_dups),
        fim_rate=0.0 if fim is None else fim.rate,
        spm_rate=0.0 if fim is None else fim.spm_rate,
        order=None if repositories is None else repositories.order,
    )
    told = (DOCUMENTS, LANGUAGES, SELECT)
    written = (FORMS, ("form", "repo_place", "repo_size"))
    inputs = (keep, text, (LANGUAGES, ("language",)), written)
    return [
        ExchangeStage(FORMS.name, 1, _assign, forming, told, seed=m.seed),
        MapStage(TOKENS, 4, _tokenize_forms, filling, (*_TEXT, "repo", "path"), inputs),
    ]


def _balancing(m: Mixture) -> tuple[Callable[..., StepDone], Frozen]:
    return (_balance_phases, phasing_of(m)) if m.phases else (_balance, balancing_of(m))


def unwritable(m: Mixture) -> str | None:
    """Why documents cannot be written in the forms that a mixture asks for; None if they can."""
    try:
        filling_of(m)
    except ConfigError as error:
        return str(error)
    return None


def _benchmark_limits(m: Mixture) -> tuple[BenchmarkLimits, ...]:
    names = BenchmarkLimits.model_fields
    return tuple(BenchmarkLimits(**{n: getattr(a, n) for n in names}) for a in m.against if a.kind != "run")


def curate(run: Run, *, slices: Sequence[Slice] | None = None) -> None:
    """Make or complete the run: skip what stands, redo what is missing, damaged or changed.

    `slices` is the plan of the input where the caller has made it already; what an earlier plan of the run held stays
    in its shards. Raises ConfigError for a mixture that cannot be made, StageError and StoreError for work and files
    that fail, or where another driver works on the run.
    """
    mixture, root = run.mixture, run.store.root
    refuse_misplaced(mixture, run=root)
    found = plan(mixture) if slices is None else slices
    refuse_runs(mixture, found, run=root)
    refuse_unmeetable(mixture, found)
    mixture = sized(scaled(mixture), found)
    run = replace(run, mixture=mixture)

    todo = stages(mixture, found)  # now: what a mixture gets wrong is said before any work
    for line in sampled_earlier(mixture):
        run.progress.warn(line)
    run.progress.know([stage.name for stage in todo])
    lay = partial(_lay_out, run, found, todo)
    try:
        _work_off(run, lay)
    except (ConfigError, StageError) as error:
        if mixture.ingest.sample is None:
            raise
        # Numbers of a sample vary: what it lacks, the whole may have.
        raise type(error)(f"of {said_sample(mixture.ingest.sample)} of the input: {error}") from error


def _work_off(run: Run, lay: Callable[[Store], tuple[Sequence[Stage], Layout]]) -> None:
    """Again where documents were found that end their worker. Each time there are more of them, so it ends."""
    tokenizer = load_encoder(run.mixture.tokenizer.path).data
    while True:
        try:
            return work_off(run, lay, tokenizer=tokenizer)
        except PoisonedError as found:
            run.progress.warn(str(found))
            run = replace(run, replace=False)


def _lay_out(run: Run, found: Sequence[Slice], todo: list[Stage], store: Store) -> tuple[list[Stage], Layout]:
    """The stages over the shards that the input makes, of which the open slices of the plan `found` are read first."""
    mixture, earlier = run.mixture, read_plan(store)
    shard_bytes = mixture.ingest.shard_bytes
    poisonous = read_poisonous(store)
    reading = inputs_of(mixture, (), poisonous=poisonous).reading(version=DOCUMENTS_VERSION)
    known = earlier.cuts if earlier else {}
    cutting = cut_open(run.workplace, store, reading, slices=found, shard_bytes=shard_bytes, known=known)
    planned = plan_from(cutting.slices, earlier=earlier, shard_bytes=shard_bytes, cuts=cutting.cuts)
    if earlier is not None and (changes := changed_files(earlier, planned)):
        run.progress.say(f"input files since the last start: {changes}")
    inputs, n_shards = inputs_of(mixture, planned.slices, poisonous=poisonous), len(planned.slices)
    laid = [replace(stage, config=inputs) if stage.name == DOCUMENTS.name else stage for stage in todo]
    files = {stage.name: _files(stage, n_shards=n_shards) for stage in laid}
    return laid, Layout(n_shards, files, frozenset(planned.totals), planned.to_json, cutting.fresh)


def _files(stage: Stage, *, n_shards: int) -> tuple[str, ShardNames]:
    """The folder of a stage's table and the names of its shards."""
    config = stage.config
    if isinstance(config, Packing):
        return PACKED, ShardNames((("", config.n_shards, "arrow"),))
    if isinstance(config, PhasePacking):
        return PACKED, ShardNames(
            tuple(
                (folder.removeprefix(f"{PACKED}/"), packing.n_shards, "arrow")
                for folder, packing in zip(config.folders, config.packings, strict=True)
            )
        )
    total = config.n_partitions if isinstance(config, Linking | Threshold) else n_shards
    suffixes = {table.name: table.suffix for table in (*TABLES, *OPTIONAL)}
    series = [("", total, suffixes[stage.name])]
    if stage.name == SIMILAR.name:
        series.append(("", total, "arrow"))
    return f"tables/{stage.name}", ShardNames(tuple(series))


# --- a room with all its kernels is imported when its stage has work, so that a run that stands costs no second -------


def _classify(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.language.languages import classify

    return classify(*tables, config=config)


def _redact(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.privacy.redacted import redact

    return redact(*tables, config=config)


def _measure(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.quality.quality import measure

    return measure(*tables, config=config)


def _judge(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.rules.judged import judge_documents

    return judge_documents(*tables, config=config)


def _find_overlaps(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.dedup.overlaps import find_overlaps

    return find_overlaps(*tables, config=config)


def _sign(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.dedup.signatures import sign

    return sign(*tables, config=config)


def _tokenize(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.mix.tokens import tokenize

    return tokenize(*tables, config=config)


def _tokenize_forms(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.mix.tokens import tokenize_forms

    return tokenize_forms(*tables, config=config)


def _assign(job: Job, *, config: Any) -> StepDone:
    from pipeline.forms.assign import assign

    return assign(job, config=config)


def _account(*tables: pa.Table, config: Any) -> pa.Table:
    from pipeline.mix.ledger import account

    return account(*tables, config=config)


def _group_equal(job: Job, *, config: Any) -> StepDone:
    from pipeline.dedup.exact_dups import group_equal

    return group_equal(job, config=config)


def _find_similar(job: Job, *, config: Any) -> StepDone:
    from pipeline.dedup.similar import find_similar

    return find_similar(job, config=config)


def _keep_near(job: Job, *, config: Any) -> StepDone:
    from pipeline.dedup.near_dups import keep_near

    return keep_near(job, config=config)


def _select(job: Job, *, config: Any) -> StepDone:
    from pipeline.select.select import select

    return select(job, config=config)


def _balance(job: Job, *, config: Any) -> StepDone:
    from pipeline.mix.balance import balance

    return balance(job, config=config)


def _balance_phases(job: Job, *, config: Any) -> StepDone:
    from pipeline.mix.phasing import balance_phases

    return balance_phases(job, config=config)


def _pack(job: Job, *, config: Any) -> StepDone:
    from pipeline.mix.packed import pack

    return pack(job, config=config)
