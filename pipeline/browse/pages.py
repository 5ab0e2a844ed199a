"""The pages of `loopmix browse`: a search with its results, and one document. No script; every text is escaped."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pipeline.browse.opened import N_TOKENS, OpenedDocument, ShownToken, TokenPage
from pipeline.browse.search import FATES, Query, ResultPage, Total
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.limits import Limit
from pipeline.report.formats import between, counted, decided, exact, license_name, measured, percent, plain, size
from pipeline.report.markup import Cell, Html, element, join, section
from pipeline.report.page import document
from pipeline.report.text_markup import diff_of, excerpts_of, legend_of
from pipeline.rules.meanings import meanings

_MAX_DIFF_LINES = 400
_FIELDS = {
    "path": "part of the path",
    "language": "language",
    "source": "source",
    "repo": "part of the repository",
    "reason": "drop reason",
    "fate": "fate",
    "family": "kept document (id)",
}


def sorry(run: RunFiles, problem: str) -> bytes:
    """What could not be shown, and the way back."""
    part = section("problem", "Not found", element("p", element("a", "search", href="./")), guide=problem)
    return _page(run, "not found", element("main", part))


def results(run: RunFiles, query: Query, found: ResultPage) -> bytes:
    """The form, and the documents of one page."""
    rows = [element("tr", *_cells(row)) for row in found.rows]
    heads = ("path", "fate", "reasons", "language", "source", "bytes", "tokens")
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    table = element("table", head, element("tbody", *rows)) if rows else element("p", "None.", css="note")
    first, last = query.shard, query.shard + found.n_shards - 1
    where = f"from shards {exact(first)} to {exact(max(first, last))} of {exact(run.n_shards)}"
    said = f"{_places(len(rows), found.total)}, {where}"
    links: list[Html] = []
    if query.shard or query.row:
        links.append(element("a", "from the start", href=_link(query.asked)))
    if found.more is not None:
        place = {"shard": str(found.more.shard), "row": str(found.more.row)}
        links.append(element("a", "go on", href=_link(query.asked | place), rel="next", id="more"))
    scroll = element("div", table, css="scroll whole", tabindex="0", role="region", aria_label="documents")
    below = element("nav", *links)
    part = section("documents", "Documents", scroll, below, guide=said)
    return _page(run, "search", element("main", _form(run, query), part))


def _places(n: int, total: Total | None) -> str:
    if total is None or not n:
        return counted(n, "document")
    return f"documents {between(total.n_before + 1, total.n_before + n)} of {exact(total.n)}"


def _cells(row: dict[str, Any]) -> list[Html]:
    path = element("a", row["path"], href=f"doc/{row['doc_id']}")
    repo = element("span", f" {plain(row['repo'])}", css="note") if row["repo"] else Html("")
    return [
        element("th", path, repo, scope="row"),
        element("td", row["fate"]),
        element("td", ", ".join(row["reasons"])),
        element("td", row["language"]),
        element("td", row["source"]),
        element("td", size(row["n_bytes"]), css="n"),
        element("td", exact(row["n_tokens"]), css="n"),
    ]


def _form(run: RunFiles, query: Query) -> Html:
    """One field for each part of a search."""
    known = {
        "source": [source.name for source in run.mixture.sources],
        "reason": list(meanings(run.mixture.quality)),
        "fate": list(FATES),
    }
    fields: list[Html] = []
    for name, title in _FIELDS.items():
        given = getattr(query, name)
        if name in known:
            options = [
                element("option", one or "any", value=one, **({"selected": "selected"} if one == given else {}))
                for one in ("", *known[name])
            ]
            field = element("select", *options, name=name)
        else:
            field = _void("input", name=name, value=given, autocomplete="off", spellcheck="false")
        fields.append(element("label", element("span", title), field))
    fields.append(element("button", "search", type="submit"))
    form = element("form", *fields, method="get", action="./", css="search")
    return element("section", element("h2", "Search"), form, id="search")


def _void(tag: str, **attributes: str) -> Html:
    """An element without an end."""
    return Html(element(tag, **attributes).removesuffix(f"</{tag}>"))


def _link(asked: dict[str, str]) -> str:
    return f"./?{urlencode(asked)}"


# --- one document -----------------------------------------------------------------------------------------------------


def opened(run: RunFiles, found: OpenedDocument) -> bytes:
    """Its fate, text, diff, tokens and numbers."""
    row = found.row
    parts = [_fate(found), _text(found)]
    if row["keeper_id"]:
        parts.append(_diff(found))
    if found.pairs:
        parts.append(_pairs(found))
    parts += [_tokens(found.tokens), _features(found)]
    return _page(run, plain(row["path"]), element("main", *parts), up="../")


def _fate(found: OpenedDocument) -> Html:
    row, language = found.row, found.language
    sure = f"{plain(row['language'])} ({row['pool']}), told by {decided(row['decided_by'])}"
    rows: list[tuple[str, Cell]] = [
        ("fate", row["fate"]),
        ("id", row["doc_id"]),
        ("source", row["source"]),
        ("repository", row["repo"] or ""),
        ("revision", row["revision"] or ""),
        ("licence", license_name(row["license"] or "")),
        ("language", f"{sure}, confidence {language['confidence']:.3f}; content looks like {language['content_kind']}"),
        ("group", row["group"]),
        ("bytes", exact(row["n_bytes"])),
        (
            "tokens",
            f"{exact(row['n_tokens'])}; {exact(row['n_packed_tokens'])} packed, "
            f"{counted(row['n_copies'], 'whole copy', 'whole copies')}",
        ),
        ("marks", ", ".join(found.marks)),
        ("rules that fired", ", ".join(f"{one['rule']} ({measured(one['value'])})" for one in row["fired"])),
    ]
    if found.family is not None:
        link = element("a", "documents that share its keeper", href=f"../{_link({'family': found.family})}")
        rows.append(("its family", link))
    drawn = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows if value]
    table = element("table", element("tbody", *drawn), css="facts")
    reasons = [_reason(found, reason) for reason in row["reasons"]]
    finds = [
        element("li", f"line {exact(f['line'])}, column {exact(f['column'])}: {f['kind']}, policy {f['policy']}")
        for f in found.findings[:_MAX_DIFF_LINES]
    ]
    parts = [table]
    parts += [element("h3", "Why it was dropped"), element("ul", *reasons, css="legend")] if reasons else []
    parts += [element("h3", "What privacy found"), element("ul", *finds, css="legend")] if finds else []
    return element("section", element("h2", row["path"]), *parts, id="fate")


def _reason(found: OpenedDocument, reason: str) -> Html:
    limits = (_limit(one) for one in found.limits if one.reason == reason)
    return element("li", element("b", reason), f": {found.meanings[reason]}", *limits)


def _limit(limit: Limit) -> Html:
    if limit.key is None:
        return element("div", f"fixed (source: {limit.source})", css="note")
    shown = measured(limit.measured) if isinstance(limit.measured, float) else plain(str(limit.measured))
    said = "" if limit.measured is None else f"measured {shown}, {limit.crossed} "
    change = f"; to pass it: {limit.change}" if limit.change else ""
    return element("div", f"{said}{limit.key} = {plain(str(limit.value))}{change}", css="note")


def _text(found: OpenedDocument) -> Html:
    guide = (
        "As tokens are made of it. Marked is where a rule fired, underlined where a placeholder stands; a value that "
        "was found and left, or drops the document, is hidden."
    )
    if found.shown is None:
        return section("text", "Text", guide="The run's texts are gone.")
    return section("text", "Text", legend_of(found.shown), excerpts_of(found.shown), guide=guide)


def _diff(found: OpenedDocument) -> Html:
    row = found.row
    near = "" if row["similarity"] is None else f" at similarity {row['similarity']:.4f}"
    if found.keeper is None:
        return section("diff", "What it was dropped for", guide=f"The kept document {row['keeper_id']} is gone.")
    path, doc_id, text = found.keeper
    guide = f"Dropped for {plain(path)}{near}. What changed to this one; lines of the kept one alone begin with -."
    link = element("p", element("a", "the kept document", href=doc_id))
    changed = diff_of(text, found.text, max_lines=_MAX_DIFF_LINES)
    return section("diff", "What it was dropped for", link, changed, guide=guide)


def _pairs(found: OpenedDocument) -> Html:
    items = [
        element("li", element("a", other, href=other), f" similarity {similarity:.4f}")
        for other, similarity in found.pairs
    ]
    guide = "Pairs of which the similarity was computed, whoever was kept."
    return section("pairs", "Verified near duplicates", element("ul", *items, css="legend"), guide=guide)


def _tokens(found: TokenPage) -> Html:
    if not found.tokens:
        return section("tokens", "Tokens", guide=f"None to see: {found.refused or 'it has none'}.")
    last = found.first + len(found.tokens)
    guide = (
        f"Tokens {exact(found.first + 1)} to {exact(last)} of {exact(found.n_tokens)}, each with its id as a tip; the "
        "last ends the document."
    )
    links: list[Html] = []
    if found.first:
        links.append(element("a", "before", href=f"?tokens={max(0, found.first - N_TOKENS)}#tokens"))
    if last < found.n_tokens:
        links.append(element("a", "next", href=f"?tokens={last}#tokens"))
    drawn = join(_token(token, n) for n, token in enumerate(found.tokens))
    text = element("pre", drawn, css="text tokens", tabindex="0")
    return section("tokens", "Tokens", text, element("nav", *links), guide=guide)


def _token(token: ShownToken, number: int) -> Html:
    kind = "t hidden" if token.is_hidden else "t special" if token.is_special else f"t t{number % 2}"
    if token.is_hidden:
        return element("span", "\N{BULLET}", css=kind)
    lines = token.text.split("\n")  # a line end is shown, and ends the line
    ended = [f"{line}\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}" for line in lines[:-1]]
    shown = [element("span", line, css=kind, title=str(token.id)) for line in (*ended, lines[-1]) if line]
    return Html("\n".join(shown) + ("" if lines[-1] else "\n" if ended else ""))


def _features(found: OpenedDocument) -> Html:
    def said(name: str, value: Any) -> str:
        return percent(value) if name.endswith("_frac") else exact(value) if isinstance(value, int) else measured(value)

    rows = [
        element("tr", element("th", k, scope="row"), element("td", said(k, v), css="n"))
        for k, v in found.features.items()
    ]
    table = element("div", element("table", element("tbody", *rows)), css="scroll", tabindex="0")
    return section(
        "features", "What was measured", table, guide="Rules ask for these numbers; loopmix rules prints them."
    )


def _page(run: RunFiles, title: str, main: Html, *, up: str = "./") -> bytes:
    head = element(
        "header",
        element("h1", run.mixture.name),
        element("p", "Read only, on this machine alone.", css="about"),
        element("nav", element("a", "search", href=up)),
    )
    return document(f"{title}: {plain(run.mixture.name)}", (head, main), form_action="'self'")
