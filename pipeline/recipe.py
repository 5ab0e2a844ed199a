"""The stages in order: the table of contents of Loopmix.

    raw shards -> documents -> exact_dups -> languages + quality + signatures -> similar -> near_dups -> select
               -> tokens -> balance -> packed -> ledger

Each line of `stages` is one stage: its table, its code version, its function, its part of the mixture, what it reads.
Raise a version when the function's output changes. Balance needs true token counts, so it comes after tokenize; the
ledger joins everything, so it comes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from pipeline.config import Mixture
from pipeline.dedup.against import describe_benchmarks, open_known
from pipeline.dedup.exact_dups import group_equal
from pipeline.dedup.near_dups import Threshold, find_similar, keep_near, linking_of
from pipeline.dedup.overlaps import Benchmarks, find_overlaps
from pipeline.dedup.shingling import signing_of
from pipeline.dedup.signatures import sign
from pipeline.engine.stage import (
    MANIFEST,
    ExchangeStage,
    MapStage,
    Run,
    Stage,
    fingerprint,
    forget_others,
    refuse_foreign,
    run_exchange,
    run_maps,
    sweep,
)
from pipeline.engine.store import part
from pipeline.errors import StoreError
from pipeline.language.languages import classify
from pipeline.mix.balance import balance
from pipeline.mix.ledger import NoConfig, account
from pipeline.mix.packed import pack
from pipeline.mix.tokens import end_of_document, tokenize, tokenizer_hash
from pipeline.quality.quality import measure
from pipeline.schema import BALANCE, EXACT_DUPS, LANGUAGES, LEDGER, OVERLAPS, QUALITY, SELECT, SIGNATURES, TOKENS
from pipeline.select.select import select
from pipeline.sources import Slice
from pipeline.sources.documents import Inputs, describe, ingest, plan

_LEDGER_INPUTS = (
    (LANGUAGES, ("pool", "language", "decided_by", "group")),
    (QUALITY, ("fired",)),
    (SELECT, ("keep", "reasons", "keeper_id", "similarity")),
    (BALANCE, ("n_tokens", "n_copies", "cut_tokens")),
)


def stages(m: Mixture, slices: Sequence[Slice]) -> list[Stage]:
    """Every stage of mixture `m`, in the order of work. Neighbouring map stages run fused."""
    read = partial(ingest, slices=slices)
    near = m.near_dups
    choose = partial(select, n_pair_shards=near.n_partitions, min_similarity=near.min_similarity)
    threshold = Threshold(n_partitions=near.n_partitions, min_similarity=near.min_similarity)
    lay_out = partial(pack, ratio=m.balance, pad_id=end_of_document(m.tokenizer))
    inputs, seed = Inputs(sources=m.sources, ingest=m.ingest), str(m.seed)
    text = ("doc_id", "content")
    facts = ("path", "source", "pool_hint", "language_label")
    benchmarks = Benchmarks(sets=tuple(a for a in m.against if a.kind != "run"))
    known, known_key = open_known(m)
    link = partial(find_similar, known=known)
    origin = ("doc_id", "source", "repo", "path", "revision", "license", "n_bytes")
    judged = ("languages", "quality", "overlaps")
    first, pool, keep = (EXACT_DUPS, ("is_first",)), (LANGUAGES, ("pool", "language")), (SELECT, ("keep",))
    return [
        ExchangeStage("documents", 2, read, inputs, (), describe(slices)),
        ExchangeStage("exact_dups", 1, group_equal, m.exact_dups, ("documents",)),
        MapStage(LANGUAGES, 3, classify, m.classify, (), (*text, *facts)),
        MapStage(QUALITY, 1, measure, m.quality, (pool,), (*text, "problem")),
        MapStage(OVERLAPS, 1, find_overlaps, benchmarks, (), text, describe_benchmarks(m)),
        MapStage(SIGNATURES, 2, sign, signing_of(near), (first, (LANGUAGES, ("pool",))), text),
        ExchangeStage("similar", 1, link, linking_of(near), ("documents", "languages", "signatures"), known_key),
        ExchangeStage("near_dups", 2, keep_near, threshold, ("similar",)),
        ExchangeStage("select", 2, choose, m.select, ("exact_dups", *judged, "near_dups")),
        MapStage(TOKENS, 1, tokenize, m.tokenizer, (keep,), text, tokenizer_hash(m.tokenizer)),
        ExchangeStage("balance", 2, balance, m.balance, ("languages", "select", "tokens"), seed),
        ExchangeStage("packed", 1, lay_out, m.pack, ("languages", "tokens", "balance"), seed),
        MapStage(LEDGER, 2, account, NoConfig(), _LEDGER_INPUTS, origin),
    ]


def curate(run: Run, *, slices: Sequence[Slice] | None = None) -> None:
    """Make or complete the run: skip what stands, redo what is missing, damaged or changed.

    `slices` is the plan of the input where the caller has made it already. Raises ConfigError for a mixture that
    cannot be made, StageError and StoreError for work and files that fail.
    """
    store = run.store
    if store.files("") and not store.exists(MANIFEST) and not store.exists("state"):
        raise StoreError(f"{store.root}: holds files but no run; choose an empty or new folder for --out")
    slices = plan(run.mixture) if slices is None else slices
    todo = stages(run.mixture, slices)
    marks: dict[str, str] = {}
    for stage in todo:
        marks[stage.name] = fingerprint(stage, known=marks)
    forget_others(run, marks)
    for stage in todo:
        folder, names = _files(run.mixture, stage.name, n_shards=len(slices))
        refuse_foreign(run, folder, stage=stage.name, expected=names)
    for fused, block in groupby(todo, key=lambda s: isinstance(s, MapStage)):
        if fused:
            maps = [s for s in block if isinstance(s, MapStage)]
            run_maps(run, maps, marks=marks, n_shards=len(slices))
            continue
        for stage in block:
            if isinstance(stage, ExchangeStage):
                run_exchange(run, stage, mark=marks[stage.name], n_shards=len(slices))
    store.remove("work")
    sweep(run)


def _files(mixture: Mixture, table: str, *, n_shards: int) -> tuple[str, set[str]]:
    """The folder of a table and the names of its shards."""
    if table == "packed":
        total = mixture.pack.n_shards
        return "packed", {part(i, total, suffix="arrow") for i in range(total)}
    total = mixture.near_dups.n_partitions if table in ("similar", "near_dups") else n_shards
    names = {part(i, total) for i in range(total)}
    if table == "similar":
        names |= {part(i, total, suffix="arrow") for i in range(total)}
    return f"tables/{table}", names
