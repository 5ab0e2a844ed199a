"""What the inputs of a mixture tell before a run, from a bounded look at each (`heads.py`).

Sizes are known, tokens are not: where one must be had from the other, a token has at least `BYTES_PER_TOKEN` bytes.
Each finding needs to be off by far, or certain: a lint that cries over sound mixtures is read by nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from pipeline.config import Mixture, Source
from pipeline.language.path import by_path
from pipeline.language.table import group_of
from pipeline.phased import as_one, phases_of
from pipeline.request.choices import choices
from pipeline.request.contradictions import overrides_of, pools_of
from pipeline.request.faults import fault
from pipeline.request.heads import Head, look_at_benchmark, look_at_source
from pipeline.request.idle_patterns import idle_patterns
from pipeline.request.lint import LintFinding, lint_mixture, named_groups
from pipeline.request.missing import missing
from pipeline.request.unmapped import unmapped
from pipeline.request.unread import unread
from pipeline.schema import OTHERS, POOLS
from pipeline.select.licenses import dropped_class
from pipeline.sources.roots import listed_once

BYTES_PER_TOKEN = 3.3  # of the shipped vocabulary over a hundred languages; rules and duplicates only take away
_MAX_EPOCHS = 4  # beyond it repeats help little (Muennighoff et al. 2023)
_MIN_DOCS = 20  # looked at: fewer say nothing of a source
_MOST = 0.9  # of what was looked at is nearly all of it
_MAX_PIECES = 16  # of a typical file of code: cut more often, hardly any sequence holds a function with its imports
_PAGES = ("c4", "gopher", "fineweb")  # sets for English web pages


def lint(mixture: Mixture) -> Iterator[LintFinding]:
    """Every finding of the mixture and of a look at its inputs, in the order of the mixture's keys."""
    with listed_once():
        found = list(_findings(mixture))
    yield from found


def _findings(mixture: Mixture) -> Iterator[LintFinding]:
    heads = {source.name: look_at_source(mixture, source) for source in mixture.sources}
    for source in mixture.sources:
        yield from _source(source, heads[source.name], mixture)
    yield from _benchmarks(mixture)
    yield from lint_mixture(mixture)
    if all(head.docs for head in heads.values()):  # else sizes say nothing
        yield from _groups(mixture, heads)
        yield from _budget(mixture, heads)
        yield from _lengths(mixture, heads)


# --- one source ------------------------------------------------------------------------------------------------------


def _source(source: Source, head: Head, mixture: Mixture) -> Iterator[LintFinding]:
    key, docs = f"sources.{source.name}", head.docs
    if head.problem is not None:
        yield fault(source, head.problem)
        return
    if not docs:
        problems = ", ".join(f"{n} {what}" for what, n in head.problems.most_common(3)) or "no row at all"
        why = "nothing of this source enters"
        write = "a path, `columns.content` or `include` that names documents"
        yield LintFinding("source_empty", f"{key}.path", f"looked at {len(head.rows)} rows: {problems}", why, write)
        return
    yield from unread(source)
    yield from idle_patterns(source)
    yield from unmapped(source, head, mixture)
    yield from missing(source, head)
    yield from choices(source, head, mixture)
    yield from _licenses(source, docs, mixture)
    if len(docs) >= _MIN_DOCS:
        yield from _pool(source, docs, mixture)


def _licenses(source: Source, docs: list[dict[str, Any]], mixture: Mixture) -> Iterator[LintFinding]:
    drops = mixture.select.drop_licenses
    if source.columns.license is None and source.strip_prefix is None and source.kind not in ("datatrove", "plugin"):
        return  # said without looking
    dropped = [dropped_class(row["license"], drops) for row in docs]
    if drops and all(dropped):
        classes = ", ".join(sorted({str(name) for name in dropped}))
        column = source.columns.license or "license"
        yield LintFinding(
            "licenses_dropped",
            "select.drop_licenses",
            f"all {len(docs)} documents looked at of source {source.name} are {classes}",
            "a source that gives nothing changes the mixture to what the others give",
            f"the column that holds licences in sources.{source.name}.columns.license (now {column}), or fewer classes",
        )


def _pool(source: Source, docs: list[dict[str, Any]], mixture: Mixture) -> Iterator[LintFinding]:
    """Prose rules on code, and rules for web pages on what is none."""
    key = f"sources.{source.name}"
    if pools_of(source, mixture) == {"text"} and source.pool == "text":
        code = Counter(name for row in docs if (name := _by_name(row["path"])) is not None)
        if sum(code.values()) > _MOST * len(docs):
            named = ", ".join(name for name, _ in code.most_common(3))
            yield LintFinding(
                "prose_rules_on_code",
                f"{key}.pool",
                f"{sum(code.values())} of {len(docs)} documents looked at are code by their paths: {named}",
                "rules for prose judge them, and they count as text in the balance",
                "pool: code, or pool: auto",
            )
            return
    text = [row for row in docs if row["pool"] == "text"]
    sets = [name for name in mixture.quality.sets if name in _PAGES]
    if "c4" in sets and "c4.curly_bracket" not in mixture.quality.without and len(text) >= _MIN_DOCS:
        n = sum(b"{" in row["content"] for row in text)
        if n > len(text) / 4:
            yield LintFinding(
                "c4_on_code",
                "quality.sets",
                f"{n} of {len(text)} texts looked at of source {source.name} hold a curly bracket",
                "c4.curly_bracket drops every text about code",
                "quality.without: [c4.curly_bracket]",
            )


def _by_name(path: str) -> str | None:
    """The programming language that a path tells for certain."""
    from pipeline.language.table import languages

    found = by_path(path).languages
    if len(found) != 1 or found[0] not in languages() or languages()[found[0]].type != "programming":
        return None
    return found[0]


# --- benchmarks ------------------------------------------------------------------------------------------------------


def _benchmarks(mixture: Mixture) -> Iterator[LintFinding]:
    for entry in mixture.against:
        if entry.kind == "run":
            continue
        head, key = look_at_benchmark(mixture, entry), f"against.{entry.name}"
        why = "nothing would be kept out for it, and the report would call the mixture clean"
        if head.problem is not None:
            said = head.problem.removeprefix(f"sources.{entry.name}.path: ")
            yield LintFinding("benchmark_empty", f"{key}.path", said, "the run stops there", "a path that holds items")
            continue
        items = [row["content"] for row in head.rows if row["content"].strip()]
        if not items:
            seen = f"looked at {len(head.rows)} rows, none of which has a text"
            write = "a path and `content` that name the items' texts"
            yield LintFinding("benchmark_empty", f"{key}.path", seen, why, write)
        elif all(len(item.split()) < entry.ngram_words for item in items):
            longest = max(len(item.split()) for item in items)
            seen = f"the longest of {len(items)} items looked at has {longest} words"
            yield LintFinding(
                "benchmark_short", f"{key}.ngram_words", f"{entry.ngram_words}, but {seen}", why, "a smaller number"
            )


# --- the balance -----------------------------------------------------------------------------------------------------


def _groups(mixture: Mixture, heads: Mapping[str, Head]) -> Iterator[LintFinding]:
    """Languages that the balance names and no source can hold. Certain only where every file's name is known."""
    able = [s for s in mixture.sources if "code" in pools_of(s, mixture)]
    if any(heads[s.name].paths is None or any(overrides_of(s, mixture)) for s in able) or mixture.classify.prose_in:
        return
    merge, held = mixture.classify.merge, set[str]()
    for source in able:
        for path in heads[source.name].paths or ():
            candidates = by_path(path).languages
            if not candidates:
                return  # its content may say anything
            held |= {group_of(merge.get(name, name)) for name in candidates}
    for key, group in named_groups(mixture):
        if group != OTHERS and group not in held:
            seen = f"no file of any source is {group} by its name"
            why = "its share goes to the others" if ".shares." in key else "a cap on nothing"
            yield LintFinding("group_without_source", key, seen, why, "another group, or a source that holds it")


def _tokens_of(mixture: Mixture, heads: Mapping[str, Head]) -> dict[str, dict[str, float] | None]:
    """For each pool the most tokens that each source may give it; None where files hide how much they hold."""
    found: dict[str, dict[str, float] | None] = {}
    for pool in POOLS:
        able = [s for s in mixture.sources if pool in pools_of(s, mixture)]
        if any(heads[s.name].is_packed for s in able):
            found[pool] = None
        else:
            found[pool] = {s.name: heads[s.name].n_bytes / BYTES_PER_TOKEN for s in able}
    return found


def _budget(mixture: Mixture, heads: Mapping[str, Head]) -> Iterator[LintFinding]:
    """Budgets and shares beyond what the bytes could give, all repeats counted."""
    balance, said_by = as_one(mixture), "phases" if mixture.phases else "balance.total_tokens"
    if balance.total_tokens is None:
        return
    for pool, held in _tokens_of(mixture, heads).items():
        if held is None:
            continue
        wanted = {"code": balance.code, "text": balance.text}[pool]
        budget = balance.total_tokens * wanted.parts / (balance.code.parts + balance.text.parts)
        have, copies = sum(held.values()), balance.copies_of(wanted)
        if budget > have * copies:
            yield LintFinding(
                "total_beyond_bytes",
                said_by,
                f"asks {budget:,.0f} tokens of {pool}, whose sources hold at most {have:,.0f} "
                f"at {BYTES_PER_TOKEN} bytes each, in {copies} copies",
                "the run ends in an error, after everything but the balance is done",
                f"a total of at most {have * copies * balance.total_tokens / budget:,.0f}, or more {pool}",
            )
            continue
        yield from _epochs(f"balance.{pool}", f"all {pool}", budget, have)
        if pool == "text" and wanted.shares:
            yield from _shares(mixture, budget, held)


def _shares(mixture: Mixture, budget: float, held: Mapping[str, float]) -> Iterator[LintFinding]:
    """Sources of text whose share is more than they hold."""
    wanted, copies = mixture.balance.text, mixture.balance.copies_of(mixture.balance.text)
    total = sum(wanted.shares.values())
    for name, weight in wanted.shares.items():
        asked, have = budget * weight / total, held.get(name)
        if have is None:
            continue
        key = f"balance.text.shares.{name}"
        if asked > have * copies:
            yield LintFinding(
                "share_beyond_bytes",
                key,
                f"asks {asked:,.0f} tokens, of which source {name} holds at most {have:,.0f}, in {copies} copies",
                "the share is missed, and the others get the rest",
                f"a share of at most {have * copies / budget:.1%}, or more copies",
            )
        else:
            yield from _epochs(key, f"source {name}", asked, have)


def _epochs(key: str, what: str, asked: float, have: float) -> Iterator[LintFinding]:
    if asked > _MAX_EPOCHS * have:
        yield LintFinding(
            "many_epochs",
            key,
            f"needs at least {asked / have:.1f} epochs of {what}",
            f"above {_MAX_EPOCHS} epochs repeats help a model little",
            f"a smaller budget or share, or more of {what}",
        )


def _lengths(mixture: Mixture, heads: Mapping[str, Head]) -> Iterator[LintFinding]:
    """Sequences that cut every file of code into scraps, or that one pool cannot fill once."""
    seq_len = max(phase.seq_len for phase in phases_of(mixture))
    sizes = [row["n_bytes"] for head in heads.values() for row in head.docs if row["pool"] == "code"]
    if len(sizes) >= _MIN_DOCS and (typical := median(sizes) / BYTES_PER_TOKEN) > _MAX_PIECES * seq_len:
        yield LintFinding(
            "seq_len_short",
            "pack.seq_len",
            f"{seq_len:,}, and half of {len(sizes)} files of code looked at are longer than {typical:,.0f} tokens",
            f"a typical file is cut into more than {_MAX_PIECES} pieces",
            f"pack.seq_len of {2 ** int(typical / 4).bit_length():,} or so",
        )
    for pool, held in _tokens_of(mixture, heads).items():
        if held is not None and sum(held.values()) < seq_len:
            yield LintFinding(
                "seq_len_long",
                "pack.seq_len",
                f"{seq_len:,}, and all {pool} holds at most {sum(held.values()):,.0f} tokens",
                "the pool fills no sequence, and most of what is trained on is padding",
                "a shorter seq_len, or more input",
            )
