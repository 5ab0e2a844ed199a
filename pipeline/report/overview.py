"""The first screen: is the balance exact, what is the language mix, what was dropped, is anything wrong."""

from __future__ import annotations

from pipeline.report.formats import exact, percent, short, size
from pipeline.report.markup import Html, bar, element, join
from pipeline.report.numbers import Numbers
from pipeline.report.shares import largest

N_LANGUAGES = 9
N_REASONS = 5


def overview(numbers: Numbers) -> Html:
    """Four cards, one question each."""
    return element("div", _balance(numbers), _wrong(numbers), _mix(numbers), _dropped(numbers), css="cards")


def _card(name: str, question: str, *parts: Html) -> Html:
    """A card's name is its place in the style sheet's grid, which orders them differently on a phone."""
    return element("div", element("h3", question), *parts, css="card", style=f"grid-area:{name}")


def _balance(numbers: Numbers) -> Html:
    """The promise of the mixture, recounted from the packed shards."""
    b = numbers.balance
    total = max(1, b.n_code_tokens + b.n_text_tokens)
    answer, css = ("Yes, to the token", "good") if b.is_exact else ("No", "fail")
    if b.is_exact and not b.is_kept:
        answer, css = "Over the run, not in every prefix", "fail"
    halves = [
        element("span", style=f"flex:{n / total:.6f};background:var(--{pool})")
        for pool, n in (("code", b.n_code_tokens), ("text", b.n_text_tokens))
    ]
    keys = [
        join((element("span", css="key", style=f"background:var(--{pool})"), f"{pool} {exact(n)} tokens"))
        for pool, n in (("code", b.n_code_tokens), ("text", b.n_text_tokens))
    ]
    prefix = (
        f"Asked for {b.code_parts}:{b.text_parts}. Along the stream the worst prefix is off by "
        f"{exact(b.worst_prefix)} tokens; {exact(b.max_prefix)} are allowed."
    )
    return _card(
        "balance",
        "Is the balance exact?",
        element("p", answer, css=f"big {css}"),
        element("div", *halves, css="halves", aria_hidden="true"),
        element("p", keys[0], Html("<br>"), keys[1]),
        element("p", prefix, css="note"),
    )


def _mix(numbers: Numbers) -> Html:
    """Bars relative to the longest; all others are grey, since they are no language."""
    every = numbers.of_pool("code")
    groups = largest(every, limit=N_LANGUAGES)
    top = max((g.after_frac for g in groups), default=1.0) or 1.0
    rows = []
    for g in groups:
        colour = "code" if g in every else "soft"
        rows += [
            element("dt", g.name),
            element("dd", bar(g.after_frac / top, colour=colour), css="track"),
            element("dd", percent(g.after_frac)),
        ]
    n = sum(g.n_packed_tokens > 0 for g in every)
    n_sources = sum(g.n_packed_tokens > 0 for g in numbers.of_pool("text"))
    sources = f"Shares of the code tokens. The text comes from {n_sources} source{'' if n_sources == 1 else 's'}."
    answer = f"{n} languages" if n != 1 else "1 language"
    return _card(
        "mix",
        "What is the language mix?",
        element("p", answer, css="big"),
        element("dl", *rows, css="rows"),
        element("p", sources, css="note"),
    )


def _dropped(numbers: Numbers) -> Html:
    """The most frequent reasons, relative to all documents."""
    t = numbers.totals
    n_dropped = t.n_docs - t.n_kept_docs
    rows = []
    for d in numbers.drops[:N_REASONS]:
        rows += [
            element("dt", d.reason),
            element("dd", bar(d.n_docs / max(1, t.n_docs), colour="bad"), css="track"),
            element("dd", short(d.n_docs)),
        ]
    answer = f"{percent(n_dropped / max(1, t.n_docs))} of the documents"
    kept = (
        f"{exact(n_dropped)} of {exact(t.n_docs)} documents; {size(t.n_bytes - t.n_kept_bytes)} of "
        f"{size(t.n_bytes)}. A document can have several reasons."
    )
    return _card(
        "dropped",
        "What was dropped?",
        element("p", answer, css="big"),
        element("dl", *rows, css="rows"),
        element("p", kept, css="note"),
    )


def _wrong(numbers: Numbers) -> Html:
    """All notices; the answer is that of the gravest."""
    levels = {n.level for n in numbers.notices}
    answer, css = "Nothing", "good"
    if "fail" in levels:
        answer, css = "Yes", "fail"
    elif "warn" in levels:
        answer, css = "Have a look", "warn"
    words = {"fail": "wrong", "warn": "look", "note": "note"}
    items = [element("li", element("b", words[n.level], css=n.level), n.message) for n in numbers.notices]
    return _card(
        "wrong", "Is anything wrong?", element("p", answer, css=f"big {css}"), element("ul", *items, css="notices")
    )
