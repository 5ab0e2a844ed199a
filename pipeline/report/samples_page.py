"""The pages of samples beside the report: documents to read of each language, source, reason and family.

They hold text, so they are files of their own, and the report stays light.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.reading.samples import KINDS, Group, Samples, Shown
from pipeline.report.formats import exact, license_name, measured, plain, size
from pipeline.report.markup import Html, element, join
from pipeline.report.numbers import Family, Numbers
from pipeline.report.page import document
from pipeline.report.text_markup import diff_of, excerpts_of, legend_of

PAGES = {kind: f"report/samples/{kind}.html" for kind in KINDS}
TITLES = {"language": "languages", "source": "sources", "reason": "drop reasons", "family": "families of duplicates"}
_GUIDES = {
    "language": "Documents that are in the mixture come first; of a language that has none, others.",
    "source": "Documents that are in the mixture come first; of a source that has none, others.",
    "reason": "Documents to which the reason was given, beside others or alone. Is what it drops junk?",
    "family": "The kept document, and those that were dropped for it, as what changed from the one to the other.",
}
_ABOUT = (
    "Texts are as tokens are made of them, with placeholders where privacy.policies redacts; what is hidden was found "
    "and left as it is. Marked is where a rule fired, if it has a place."
)


def sample_pages(numbers: Numbers, samples: Samples) -> Iterator[tuple[str, bytes]]:
    """Path in the run and bytes of each page. Equal samples give equal bytes."""
    for kind in KINDS:
        yield PAGES[kind], _page(numbers, samples, kind)


def names_of(numbers: Numbers, samples: Samples, kind: str) -> dict[str, str]:
    """The groups of a kind and what they are called, in the order of the page."""
    families = {family.keeper_id: family for family in numbers.duplicates.families}
    names = [name for of, name in samples.docs if of == kind]
    return {name: families[name].path or name if kind == "family" else name for name in names}


def anchor(kind: str, number: int) -> str:
    """The id of a group on its page."""
    return f"{kind}-{number}"


def _page(numbers: Numbers, samples: Samples, kind: str) -> bytes:
    names = names_of(numbers, samples, kind)
    others = [
        element("a", TITLES[other], href=f"{other}.html") if other != kind else element("b", TITLES[kind])
        for other in KINDS
    ]
    drawn = f"Drawn by key from {exact(samples.n_shards)} of {exact(numbers.n_shards)} input shards"
    more = ", and from others where those hold too few" if samples.n_shards < numbers.n_shards else ""
    head = element(
        "header",
        element("h1", f"{numbers.name}: samples by {TITLES[kind]}"),
        element("p", f"{_GUIDES[kind]} {drawn}{more}. {_ABOUT}", css="about"),
        element("nav", element("a", "the report", href="../index.html"), *others),
    )
    links = [element("a", name, href=f"#{anchor(kind, n)}") for n, name in enumerate(names.values())]
    families = {family.keeper_id: family for family in numbers.duplicates.families}
    parts = [
        _family(samples, families[name], n) if kind == "family" else _group(samples, (kind, name), n)
        for n, name in enumerate(names)
    ]
    if not parts:
        parts = [element("section", element("p", "There are none.", css="guide"))]
    if left := samples.n_left_groups[kind]:
        said = f"{exact(left)} smaller ones are not shown; “loopmix browse” finds them."
        parts.append(element("section", element("p", said)))
    main = element("main", element("nav", *links, css="groups"), *parts)
    return document(f"{numbers.name}: samples by {TITLES[kind]}", (head, main))


def _group(samples: Samples, group: Group, number: int) -> Html:
    docs, n = samples.docs[group], samples.n_docs[group]
    head = element("h2", group[1]), element("p", f"{exact(len(docs))} of {exact(n)} documents", css="guide")
    return element("section", *head, *(_sample(one) for one in docs), id=anchor(group[0], number))


def _sample(shown: Shown, *, body: Html | None = None) -> Html:
    """A document that opens at a click, without a script."""
    row = shown.row
    said = [row["language"], size(row["n_bytes"]), row["fate"] if row["keep"] else ", ".join(row["reasons"])]
    summary = element("summary", element("b", row["path"]), " ", element("span", " · ".join(said), css="note"))
    origin = [f"source {plain(row['source'])}"]
    origin += [f"{name} {plain(row[name])}" for name in ("repo", "revision") if row[name]]
    origin += [f"licence {license_name(row['license'] or '')}", f"id {row['doc_id']}"]
    about = element("p", ", ".join(origin), css="note")
    fired = [f"{one['rule']} {measured(one['value'])}" for one in row["fired"]]
    rules = element("p", f"rules that fired: {', '.join(fired)}", css="note") if fired else Html("")
    inner = (legend_of(shown), excerpts_of(shown)) if body is None else (body,)
    return element("details", summary, about, rules, *inner, css="sample")


def _family(samples: Samples, family: Family, number: int) -> Html:
    group = ("family", family.keeper_id)
    keeper = samples.keepers.get(family.keeper_id)
    said = (
        f"{exact(len(samples.docs[group]))} of {exact(family.n_docs)} documents that were dropped for it, "
        f"{exact(family.n_near_docs)} of them near duplicates; similarity from {family.min_similarity:.3f}"
    )
    parts = [element("h2", family.path or family.keeper_id), element("p", said, css="guide")]
    parts.append(
        element("p", "The kept document is one of another run, or of a shard that was not drawn.", css="note")
        if keeper is None
        else _sample(keeper)
    )
    for one in samples.docs[group]:
        body = None
        if keeper is not None:
            near = one.row["similarity"]
            head = element("p", f"similarity {near:.3f}" if near is not None else "similarity unknown", css="note")
            body = join((head, diff_of(keeper.compared, one.compared)))
        parts.append(_sample(one, body=body))
    return element("section", *parts, id=anchor("family", number))
