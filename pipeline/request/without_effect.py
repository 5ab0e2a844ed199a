"""What is asked and will not happen, or not as it reads: no errors, but nobody should learn it from a report.

Each line names the key and why it has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Against, Mixture, Source
from pipeline.filters import CodeRules, Quality
from pipeline.language.table import languages
from pipeline.phased import phases_of
from pipeline.request.contradictions import able_sources, dropped_license, overrides_of
from pipeline.schema import OTHERS
from pipeline.targets import PoolBalance
from pipeline.yaml_file import closest, did_you_mean


def without_effect(mixture: Mixture) -> Iterator[str]:
    """A line for each key of the mixture that does nothing, given the others."""
    for check in (
        _sources,
        _overrides,
        _dropped,
        _losses,
        _parsing,
        _against,
        _shares,
        _sharing,
        _caps,
        _total,
        _batch,
    ):
        yield from check(mixture)


def _sources(mixture: Mixture) -> Iterator[str]:
    seen: dict[tuple[str, str], str] = {}
    for source in mixture.sources:
        if dropped := dropped_license(source, mixture):
            said = f"its licence is {dropped}, which select.drop_licenses drops"
            yield f"sources.{source.name}: nothing of it enters: {said}"
        first = seen.setdefault((source.kind, source.path), source.name)
        same = next(s for s in mixture.sources if s.name == first)
        if source.path and first != source.name and (same.include, same.exclude) == (source.include, source.exclude):
            yield f"sources.{source.name}: reads the files of {first}; each document will be its own exact duplicate"


def _overrides(mixture: Mixture) -> Iterator[str]:
    reached = {id(o) for source in mixture.sources for o in overrides_of(source, mixture)}
    for number, override in enumerate(mixture.classify.overrides):
        if id(override) not in reached:
            yield f"classify.overrides.{number} has no effect: one before it fits every document that it could fit"


def _dropped(mixture: Mixture) -> Iterator[str]:
    for language in mixture.select.drop_languages:
        if language in mixture.classify.merge:
            counted = mixture.classify.merge[language]
            yield f"select.drop_languages: {language} has no effect: classify.merge counts it as {counted}; drop that"


def _losses(mixture: Mixture) -> Iterator[str]:
    """Repositories are named in the data alone, so a name that is no source and no language may be right."""
    known = {s.name for s in mixture.sources} | languages().keys()
    repos = {s.repo for s in mixture.sources if s.repo}
    for name in mixture.select.allow_loss:
        near = closest(name, known)
        if name not in known | repos and near and "/" not in name:
            yield f"select.allow_loss: {name!r} is no source and no language, so it is a repository{did_you_mean(near)}"


def _parsing(mixture: Mixture) -> Iterator[str]:
    quality, own = mixture.quality, Quality()
    if quality.parse == "off" and quality.max_parse_bytes != own.max_parse_bytes:
        yield "quality.max_parse_bytes has no effect: quality.parse is off"
    if quality.parse != "sample" and quality.parse_sample_frac != own.parse_sample_frac:
        yield f"quality.parse_sample_frac has no effect: quality.parse is {quality.parse}"
    if quality.parse != "all" and quality.code.max_parse_error_frac != CodeRules().max_parse_error_frac:
        what = "judges the sample alone" if quality.parse == "sample" else "has no effect"
        yield f"quality.code.max_parse_error_frac {what}: quality.parse is {quality.parse}; set it to all"


def _against(mixture: Mixture) -> Iterator[str]:
    for entry in mixture.against:
        keys = {"run": ("content", "ngram_words", "min_contained_frac"), "directory": ("content",)}.get(entry.kind, ())
        for key in keys:
            if getattr(entry, key) != Against.model_fields[key].default:
                yield f"against.{entry.name}.{key} has no effect with kind: {entry.kind}"


def _shares(mixture: Mixture) -> Iterator[str]:
    for pool, wanted in (("code", mixture.balance.code), ("text", mixture.balance.text)):
        if not wanted.shares:
            continue
        total = sum(wanted.shares.values())
        for group, weight in wanted.shares.items():
            if weight / total > wanted.max_frac.get(group, 1.0):
                yield (
                    f"balance.{pool}.shares.{group} is {weight / total:.1%} of the pool, but max_frac allows "
                    f"{wanted.max_frac[group]:.1%}: the others get the rest"
                )
        if OTHERS not in wanted.shares and (out := _left_out(pool, wanted, mixture)):
            said = ", ".join(f"{group} {weight / total:.1%}" for group, weight in wanted.shares.items())
            where = f"balance.{pool}.shares names no `{OTHERS}`"
            yield f"{where}, so {out} no share and stay out; shares are relative: {said}"


def _sharing(mixture: Mixture) -> Iterator[str]:
    """How groups without a share of their own share, where there are none, or where all of everything enters."""
    for pool, wanted in (("code", mixture.balance.code), ("text", mixture.balance.text)):
        asked = [key for key in ("temperature", "unimax") if getattr(wanted, key) is not None]
        if asked and wanted.shares and OTHERS not in wanted.shares:
            where = f"balance.{pool}.{asked[0]} has no effect"
            yield f"{where}: the shares name all that enters, and there is no `{OTHERS}`"


def _batch(mixture: Mixture) -> Iterator[str]:
    balance = mixture.balance
    if mixture.pack.global_batch and max(balance.copies_of(balance.code), balance.copies_of(balance.text)) == 1:
        yield "pack.global_batch has no effect: no document may appear twice"


def _left_out(pool: str, wanted: PoolBalance, mixture: Mixture) -> str:
    """Who has no share, with a verb; empty: nobody."""
    if pool == "code":
        return "all other languages have"
    names = [s.name for s in able_sources(mixture, "text") if s.name not in wanted.shares]
    return f"documents of {', '.join(names)} have" if names else ""


def _caps(mixture: Mixture) -> Iterator[str]:
    able = {s.name for s in able_sources(mixture, "text")}
    for pool, wanted in (("code", mixture.balance.code), ("text", mixture.balance.text)):
        for group in wanted.max_frac:
            where = f"balance.{pool}.max_frac.{group} has no effect"
            if pool == "code" and group in mixture.select.drop_languages:
                yield f"{where}: select.drop_languages drops {group}"
            elif pool == "text" and group not in able:
                yield f"{where}: source {group} gives no text"
            elif wanted.shares and OTHERS not in wanted.shares and group not in wanted.shares:
                yield f"{where}: {group} has no share, and there is no `{OTHERS}`"
        if wanted.max_repo_frac is not None and not any(map(_names_repositories, able_sources(mixture, pool))):
            yield f"balance.{pool}.max_repo_frac has no effect: no source of {pool} names repositories"


def _names_repositories(source: Source) -> bool:
    said = source.repo is not None or source.columns.repo is not None or source.strip_prefix is not None
    return said or source.kind == "git"


def _total(mixture: Mixture) -> Iterator[str]:
    total = mixture.balance.total_tokens
    parts = mixture.balance.code.parts + mixture.balance.text.parts
    if total is not None and total % parts:
        yield f"balance.total_tokens {total:,} cannot be divided by {parts} parts: {total // parts * parts:,} are mixed"
    for phase in phases_of(mixture):
        asked, parts = phase.wanted.tokens if phase.wanted else None, phase.code_parts + phase.text_parts
        if asked is not None and asked % parts:
            said = f"cannot be divided by {parts} parts: {asked // parts * parts:,} are mixed"
            yield f"phases.{phase.name}.tokens {asked:,} {said}"
