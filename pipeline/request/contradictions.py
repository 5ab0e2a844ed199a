"""What no input can meet, told from the mixture alone: a pool without source, caps below the whole, crossed limits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from pydantic import BaseModel

from pipeline.config import Mixture, Override, Source
from pipeline.features import EXTRA, FEATURES
from pipeline.language.table import TEXT, group_of
from pipeline.phased import phases_of
from pipeline.rules.resolve import misnamed
from pipeline.schema import OTHERS, POOLS
from pipeline.select.licenses import dropped_class
from pipeline.targets import PoolBalance
from pipeline.yaml_file import Loc, Problem, nearest


def contradictions(mixture: Mixture) -> Iterator[Problem]:
    """Every contradiction of the mixture; nothing if some input could meet it."""
    for check in (_licenses, _pools, _code_groups, _text_groups, _caps, _misnamed_rules, _crossed, _sizes, _phases):
        yield from check(mixture)


# --- what the sources can give ---------------------------------------------------------------------------------------


def overrides_of(source: Source, mixture: Mixture) -> Iterator[Override]:
    """The overrides that may fit documents of `source`, up to one that fits all: the first that fits decides."""
    for override in mixture.classify.overrides:
        if override.source in (None, source.name):
            yield override
            if override.path == "*":
                return


def pools_of(source: Source, mixture: Mixture) -> set[str]:
    """The pools in which documents of `source` may come to be."""
    fixed = None if source.pool == "auto" else source.pool
    # Where the pool is open, prose in a format may be moved whatever its language is.
    found: set[str] = {"text"} if not fixed and "text" in mixture.classify.prose_in.values() else set()
    for override in overrides_of(source, mixture):
        found.add(override.pool or fixed or ("text" if override.language == TEXT else "code"))
        if override.path == "*":
            return found
    return found | ({fixed} if fixed else set(POOLS))


def dropped_license(source: Source, mixture: Mixture) -> str | None:
    """The licence class of all its documents, if that is known and dropped."""
    if source.columns.license is not None or source.strip_prefix is not None or source.kind in ("datatrove", "plugin"):
        return None  # a document may say its own
    return dropped_class(source.license, mixture.select.drop_licenses)


def able_sources(mixture: Mixture, pool: str) -> list[Source]:
    """The sources that can give documents of a pool."""
    return [s for s in mixture.sources if pool in pools_of(s, mixture) and not dropped_license(s, mixture)]


def overridden_groups(mixture: Mixture) -> set[str] | None:
    """The groups of the code pool where overrides tell the language of every document; None where one is open."""
    found: set[str] = set()
    if mixture.classify.prose_in:
        return None  # content decides
    for source in able_sources(mixture, "code"):
        overrides = list(overrides_of(source, mixture))
        if not overrides or overrides[-1].path != "*":
            return None
        found |= {group_of(mixture.classify.merge.get(o.language, o.language)) for o in overrides}
    return found


# --- what contradicts ------------------------------------------------------------------------------------------------


def _licenses(mixture: Mixture) -> Iterator[Problem]:
    dropped = {s.name: dropped_license(s, mixture) for s in mixture.sources}
    if all(dropped.values()):
        said = ", ".join(f"{name} is {licence}" for name, licence in dropped.items())
        yield Problem(("select", "drop_licenses"), f"drops every source: {said} by its licence; drop fewer classes")


def _pools(mixture: Mixture) -> Iterator[Problem]:
    if all(dropped_license(s, mixture) for s in mixture.sources):
        return  # said already
    for pool in POOLS:
        if not able_sources(mixture, pool):
            parts = f"{mixture.balance.code.parts}:{mixture.balance.text.parts}"
            named = ", ".join(f"{s.name} ({_why_not(s, mixture)})" for s in mixture.sources)
            yield Problem(
                ("sources",),
                f"none can give {pool}, but code and text are mixed {parts}: {named}; "
                f"add a source with pool: {pool} or pool: auto",
            )


def _why_not(source: Source, mixture: Mixture) -> str:
    if dropped := dropped_license(source, mixture):
        return f"licence class {dropped} is dropped"
    pools = pools_of(source, mixture)
    return f"pool: {source.pool}" if pools == {source.pool} else f"all {' and '.join(sorted(pools))} by overrides"


def _code_groups(mixture: Mixture) -> Iterator[Problem]:
    wanted = mixture.balance.code
    for group in wanted.shares:
        if group in mixture.select.drop_languages:  # of its family others may be left; nobody means those
            yield Problem(
                ("balance", "code", "shares", group),
                f"select.drop_languages drops {group}, so it can have no share; take it out of one of the two",
            )
    yield from _capped_to_nothing("code", wanted)
    groups = overridden_groups(mixture)
    if groups and wanted.shares and OTHERS not in wanted.shares and not groups & set(wanted.shares):
        yield Problem(
            ("balance", "code", "shares"),
            f"names none of the languages that classify.overrides give to all code: {', '.join(sorted(groups))}",
        )


def _text_groups(mixture: Mixture) -> Iterator[Problem]:
    wanted, able = mixture.balance.text, {s.name for s in able_sources(mixture, "text")}
    for source in mixture.sources:
        if source.name in wanted.shares and source.name not in able:
            reason = _why_not(source, mixture)
            yield Problem(("balance", "text", "shares", source.name), f"source {source.name} gives no text: {reason}")
    yield from _capped_to_nothing("text", wanted)


def _capped_to_nothing(pool: str, wanted: PoolBalance) -> Iterator[Problem]:
    for group in wanted.shares:
        if wanted.max_frac.get(group) == 0:
            yield Problem(
                ("balance", pool, "shares", group),
                f"wants a share of {group}, of which balance.{pool}.max_frac allows 0; take it out of one of the two",
            )


def _caps(mixture: Mixture) -> Iterator[Problem]:
    code, text = mixture.balance.code, mixture.balance.text
    if (groups := overridden_groups(mixture)) is not None:
        yield from caps_below_one("code", code, groups)
    elif code.shares and OTHERS not in code.shares:
        yield from caps_below_one("code", code, set(code.shares))
    yield from caps_below_one("text", text, {s.name for s in able_sources(mixture, "text")})


def caps_below_one(pool: str, wanted: PoolBalance, groups: set[str]) -> Iterator[Problem]:
    """A problem if `groups` are all that a pool can hold and their caps cannot fill it."""
    if wanted.shares and OTHERS not in wanted.shares:
        groups = groups & set(wanted.shares)
    caps = {group: wanted.max_frac.get(group, 1.0) for group in sorted(groups)}
    total = sum(Fraction(repr(cap)) for cap in caps.values())
    if groups and total < 1:
        said = " + ".join(f"{group} {cap:g}" for group, cap in caps.items())
        yield Problem(
            ("balance", pool, "max_frac"),
            f"allows {said} = {float(total):g} of the {pool} tokens, and nothing else may fill the rest: "
            f"raise the caps to 1 in sum, or let {'other languages' if pool == 'code' else 'another source'} in",
        )


def _misnamed_rules(mixture: Mixture) -> Iterator[Problem]:
    for key, message in misnamed(mixture.quality):
        yield Problem(("quality", key), message)
    scored = [f"{EXTRA}{scorer.name}" for scorer in mixture.quality.scorers]
    for i, rule in enumerate(mixture.quality.rules):
        for feature in (rule.feature, *(condition.feature for condition in rule.when)):
            # What columns a plug-in returns is known when it runs.
            if feature.startswith(EXTRA) and feature not in scored and not mixture.quality.plugins:
                said = f"asks for {feature}, and the mixture has no plug-in and no scorer of that name"
                yield Problem(("quality", "rules", i, "feature"), said + nearest(feature, scored))


def _crossed(mixture: Mixture) -> Iterator[Problem]:
    yield from _crossed_in(mixture, ())
    largest = mixture.ingest.max_document_bytes
    for loc, least in (
        (("quality", "code", "min_chars"), mixture.quality.code.min_chars),
        (("quality", "text", "min_words"), mixture.quality.text.min_words),
    ):
        if least > largest:
            yield Problem(loc, f"is {least:,}, which no document of at most ingest.max_document_bytes {largest:,} has")


def _crossed_in(model: BaseModel, loc: Loc) -> Iterator[Problem]:
    """Every `min_x` above its `max_x`, at any depth, and every `max_x` of quality that nothing can stay below."""
    for name in type(model).model_fields:
        value, here = getattr(model, name), (*loc, name)
        if isinstance(value, BaseModel):
            yield from _crossed_in(value, here)
        elif name.startswith("min_") and (most := getattr(model, f"max_{name[4:]}", None)) is not None and value > most:
            yield Problem(here, f"{value:,} is above max_{name[4:]} {most:,}, so no document passes both")
        elif here[0] == "quality" and name.startswith("max_") and not name.endswith("_frac") and value < 1:
            yield Problem(here, f"{value:,} is below 1, so no document passes")


def _sizes(mixture: Mixture) -> Iterator[Problem]:
    total = mixture.balance.total_tokens
    parts = mixture.balance.code.parts, mixture.balance.text.parts
    if total is not None and total < sum(parts):
        said = f"{parts[0]}:{parts[1]}"
        yield Problem(
            ("balance", "total_tokens"), f"{total:,} is too few to be divided {said}; the least is {sum(parts):,}"
        )


def _phases(mixture: Mixture) -> Iterator[Problem]:
    scored = [f"{EXTRA}{scorer.name}" for scorer in mixture.quality.scorers]
    able = {s.name for s in able_sources(mixture, "text")}
    for number, (phase, made) in enumerate(zip(mixture.phases, phases_of(mixture), strict=False)):
        where, parts = ("phases", number), made.code_parts + made.text_parts
        if phase.tokens is not None and phase.tokens < parts:
            said = f"{made.code_parts}:{made.text_parts}; the least is {parts}"
            yield Problem((*where, "tokens"), f"{phase.tokens:,} is too few to be divided {said}")
        for pool in POOLS:
            for feature in phase.min_quality.of(pool):
                if feature.startswith(EXTRA) and feature not in scored and not mixture.quality.plugins:
                    said = f"asks for {feature}, and the mixture has no plug-in and no scorer of that name"
                    yield Problem((*where, "min_quality", pool, feature), said + nearest(feature, scored))
                elif feature in FEATURES and FEATURES[feature].pool not in (None, pool):
                    yield Problem(
                        (*where, "min_quality", pool, feature), f"is measured of {FEATURES[feature].pool} alone"
                    )
        for group in phase.shares.code or ():
            if group in mixture.select.drop_languages:
                yield Problem((*where, "shares", "code", group), f"select.drop_languages drops {group}")
        for source in phase.shares.text or ():
            if source != OTHERS and source not in able:
                yield Problem((*where, "shares", "text", source), f"source {source} gives no text")
