"""A draft of the EU's public summary of training content: C(2025) 8311, for Article 53(1)(d) of the AI Act.

Headings and bands are the template's, sentences are ours. What only the provider of a model can say stands as to be
stated. It is of this mixture alone: a model that was trained on more needs the rest said too.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.language.table import NO_LANGUAGES, group_of
from pipeline.publication import OriginKind
from pipeline.publish.facts import Facts
from pipeline.publish.licenses import NONE_GIVEN
from pipeline.publish.markdown import escaped, table, tallied, to_state
from pipeline.publish.sources import SourceFacts, sources_of
from pipeline.publish.words import duplicates_of, personal_of

SUMMARY = "training_content.md"
BILLION, TRILLION = 10**9, 10**12
# (heading, kinds of origins that it lists, whether to state that there is none)
_SECTIONS: tuple[tuple[str, tuple[OriginKind, ...]], ...] = (
    ("2.1 Publicly available datasets", ("public",)),
    ("2.2.1 Datasets commercially licensed by rightsholders or their representatives", ("licensed",)),
    ("2.2.2 Private datasets obtained from other third parties", ("third_party",)),
    ("2.3 Data crawled and scraped from online sources", ("crawled",)),
    ("2.4 User data", ("user_data",)),
    ("2.5 Synthetic data", ("synthetic",)),
    ("2.6 Other sources of data", ("other",)),
)
_UNITS = (
    "Documents are those of which something enters the mixture, of all that were read. Their bytes are counted whole "
    "and once, whether a document is repeated or cut; tokens are those that enter, with every copy and without what "
    "is cut off."
)


def band(n_tokens: int) -> str:
    """The template's range for a size of text."""
    if n_tokens < BILLION:
        return "less than 1 billion tokens"
    return "1 billion to 10 trillion tokens" if n_tokens <= 10 * TRILLION else "more than 10 trillion tokens"


def summary(facts: Facts) -> str:
    """training_content.md."""
    lines = [
        "# Public summary of training content: draft",
        "",
        f"Of the mixture {escaped(facts.title)}, in the order of the template C(2025) 8311. Numbers are counted from "
        "the mixture's tables. What stands in square brackets only the provider can state. A draft is no legal advice.",
        *_general(facts),
        *_sources(facts),
        *_processing(facts),
    ]
    return "\n".join(lines) + "\n"


def _general(facts: Facts) -> Iterator[str]:
    said, n_tokens = facts.said, facts.n_tokens
    newest = facts.counts.newest
    yield from ("", "## 1. General information", "", "### 1.1 Provider", "")
    yield from table(
        ("item", "statement"),
        [
            ("provider", escaped(said.creator) if said.creator else to_state("name of the provider")),
            ("contact", escaped(said.contact) if said.contact else to_state("contact of the provider")),
            ("authorised representative in the Union", to_state("name and contact, or that none is needed")),
        ],
    )
    yield from ("", "### 1.2 Model", "")
    yield from table(
        ("item", "statement"),
        [
            ("names and versions of the model", to_state("model")),
            ("models that it builds on", to_state("models, and links to their summaries")),
            ("placed on the Union market", to_state("date")),
            ("this mixture", f"{escaped(facts.title)}, version {escaped(said.version)}"),
        ],
    )
    yield from ("", "### 1.3 Modalities, size and other characteristics", "")
    total = sum(n_tokens.values())
    yield from table(
        ("item", "statement"),
        [
            ("modality", "text (source code and prose); no images, audio or video"),
            (
                "size of the training data",
                f"{band(total)}: {total:,} ({n_tokens['code']:,} code, {n_tokens['text']:,} text)",
            ),
            ("counted in", f"tokens of the tokenizer with SHA-256 `{facts.tokenizer.sha256}`"),
            (
                "types of content",
                f"source code in {_languages(facts)}; prose from {_counted(_n_prose(facts), 'source')}",
            ),
            (
                "newest revision that a source states",
                newest.date().isoformat() if newest else to_state("date of the latest data"),
            ),
            ("further collection after that", to_state("whether the model is trained on newer data")),
            ("languages of the prose", _prose(facts)),
        ],
    )
    if facts.sample:
        yield from ("", f"**This is {facts.sample} of the input, so the sizes are those of a trial.**")


def _languages(facts: Facts) -> str:
    """As the report counts them: a language and what linguist groups with it are one, and some groups are none."""
    groups = {group_of(language or "") for pool, language in facts.counts.by("pool", "language") if pool == "code"}
    none = [name for name in NO_LANGUAGES if name in groups]
    apart = f" (of no language, and not counted: {', '.join(none)})" if none else ""
    return _counted(len(groups) - len(none), "language") + apart


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _n_prose(facts: Facts) -> int:
    return sum(pool == "text" for pool, _ in facts.counts.by("pool", "source"))


def _prose(facts: Facts) -> str:
    ordered = sorted(facts.counts.prose.items(), key=lambda item: (-item[1], item[0] or ""))
    total = max(1, sum(facts.counts.prose.values()))
    said = [f"{escaped(code or 'unsure')} {n / total:.1%}" for code, n in ordered if n]
    return ", ".join(said[:20]) + (f" and {len(said) - 20} more" if len(said) > 20 else "") or "no prose"


def _sources(facts: Facts) -> Iterator[str]:
    every = sources_of(facts)
    yield from ("", "## 2. List of data sources", "", _UNITS, "")
    yield from table(
        ("part", "tokens that enter", "range"),
        [
            (heading, f"{n:,}", band(n))
            for heading, kinds in _SECTIONS
            if (n := sum(one.n_packed_tokens for one in every if one.origin in kinds))
        ]
        + [("all", f"{sum(facts.n_tokens.values()):,}", band(sum(facts.n_tokens.values())))],
    )
    for heading, kinds in _SECTIONS:
        mine = [one for one in every if one.origin in kinds]
        yield from ("", f"### {heading}", "", *(_listed(mine) if mine else ["None is stated in the mixture."]))
        if "crawled" in kinds:
            yield from ("", _crawling(mine))
    if open_ := [one for one in every if one.origin is None]:
        said = "Whose kind nobody has stated: set `publish.origins` in the mixture, which puts each where it belongs."
        yield from ("", "### Not yet assigned", "", said, "", *_listed(open_))


def _crawling(mine: list[SourceFacts]) -> str:
    if not mine:
        return "Loopmix crawls nothing: it reads what lies in its sources."
    return to_state("crawlers and their behaviour, period of collection, and the most frequent domains")


def _listed(sources: list[SourceFacts]) -> list[str]:
    rows = [
        (
            escaped(one.name),
            escaped(one.url) if one.url else to_state("link"),
            escaped(one.description) if one.description else to_state("what it is"),
            ", ".join(map(escaped, one.licenses[:10])) + (" and more" if len(one.licenses) > 10 else "") or NONE_GIVEN,
            f"{one.n_packed_docs:,} of {one.n_docs:,}",
            f"{one.n_packed_bytes:,}",
            f"{one.n_packed_tokens:,}",
            band(one.n_packed_tokens),
        )
        for one in sources
    ]
    counted = ("documents", "bytes of them, whole", "tokens that enter", "range")
    return table(("source", "link", "description", "licences", *counted), rows)


def _processing(facts: Facts) -> Iterator[str]:
    reasons, select = facts.counts.reasons, facts.mixture.select
    yield from ("", "## 3. Data processing aspects", "", "### 3.1 Respect of reservations of rights", "")
    if select.drop_licenses:
        n = reasons.get("dropped_license", 0)
        yield f"Documents of the licence classes {', '.join(select.drop_licenses)} are left out: {n:,} documents were."
    else:
        yield "No document is left out for its licence."
    n_back = reasons.get("forgotten", 0)
    yield f"Documents can be taken back after the fact, with their copies; {n_back:,} have been."
    yield to_state(
        "how reservations under Article 4(3) of Directive (EU) 2019/790 are found and respected, such as robots.txt"
    )
    yield from ("", "Licences of what enters, as its sources state them:", "")
    yield from tallied(("licence",), facts.counts.by("license"), none=NONE_GIVEN)
    yield from ("", "### 3.2 Removal of illegal content", "")
    yield personal_of(facts)
    yield to_state("measures against content that is illegal in the Union: lists, classifiers, notices")
    yield from ("", "### 3.3 Other information", "")
    yield duplicates_of(facts)
    n_docs, n_dropped = facts.counts.total("n_docs"), facts.counts.total("n_dropped_docs")
    yield f"Of {n_docs:,} documents {n_dropped:,} were dropped, each with its reasons in the mixture's ledger."
