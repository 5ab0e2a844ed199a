"""The first screen: is the balance exact, what is the language mix, what was dropped, is anything wrong."""

from collections.abc import Iterable

from pipeline.fields import PROSE_FORMATS
from pipeline.language.table import NO_LANGUAGES
from pipeline.report.formats import counted, exact, percent, short, size
from pipeline.report.markup import Html, bar, element, join
from pipeline.report.numbers import Notice, Numbers
from pipeline.report.shares import largest
from pipeline.report.stream_numbers import TokenBalance
from pipeline.schema import POOLS, PROSE_GROUP

# As many rows as keep the four cards on one screen of a desktop.
N_LANGUAGES = 9
N_REASONS = 5


def overview(numbers: Numbers) -> Html:
    """Four cards, one question each."""
    return element("div", _balance(numbers), _wrong(numbers), _mix(numbers), _dropped(numbers), css="cards")


def _card(name: str, question: str, answer: str, *parts: Html, css: str = "") -> Html:
    """A card's name is its place in the style sheet's grid, which orders them differently on a phone."""
    head = element("h3", question), element("p", answer, css=f"big {css}".strip())
    return element("div", *head, *parts, css="card", style=f"grid-area:{name}")


def _balance(numbers: Numbers) -> Html:
    """The promise of the mixture, recounted from the packed shards."""
    b = numbers.balance
    total = max(1, b.n_code_tokens + b.n_text_tokens)
    streams = [stream.balance for stream in numbers.streams]
    is_kept, is_exact = (all(getattr(one, name) for one in streams) for name in ("is_kept", "is_exact"))
    answer = "Yes, to the token" if is_kept else "Over the run, not in every prefix" if is_exact else "No"
    halves, keys = [], []
    for pool, n in zip(POOLS, (b.n_code_tokens, b.n_text_tokens), strict=True):
        colour = f"background:var(--{pool})"
        halves.append(element("span", style=f"flex:{n / total:.6f};{colour}"))
        keys.append(join((element("span", css="key", style=colour), f"{pool} {exact(n)} tokens")))
    prefix = (
        f"Asked for {b.code_parts}:{b.text_parts}. Along the stream the worst prefix is off by "
        f"{exact(b.worst_prefix)} tokens; {exact(b.max_prefix)} are allowed."
    )
    drawn = element("div", *halves, css="halves", aria_hidden="true"), element("p", keys[0], Html("<br>"), keys[1])
    if numbers.phases:
        said = [f"{phase.name} {_off(phase.balance)}" for phase in numbers.phases]
        prefix = f"Each phase by itself, with its worst prefix: {'; '.join(said)}."
    note = element("p", prefix, css="note")
    return _card("balance", "Is the balance exact?", answer, *drawn, note, css="good" if is_kept else "fail")


def _off(b: TokenBalance) -> str:
    return f"{b.code_parts}:{b.text_parts}, off by {exact(b.worst_prefix)} of {exact(b.max_prefix)} allowed"


def _ranking(rows: Iterable[tuple[str, float, str, str]]) -> Html:
    """Name, bar (share and colour) and number in each row."""
    parts = []
    for name, frac, colour, shown in rows:
        parts += [element("dt", name), element("dd", bar(frac, colour=colour), css="track"), element("dd", shown)]
    return element("dl", *parts, css="rows")


def _mix(numbers: Numbers) -> Html:
    """Bars relative to the longest; all others are grey, since they are no language.

    Heading, bars and others are of the groups that enter: what was asked for and is not there is none of the mix.
    """
    every, sources = ([g for g in numbers.of_pool(pool) if g.n_packed_tokens] for pool in POOLS)
    groups = largest(every, limit=N_LANGUAGES)
    top = max((g.after_frac for g in groups), default=1.0) or 1.0
    rows = [(g.name, g.after_frac / top, "code" if g in every else "soft", percent(g.after_frac)) for g in groups]
    formats = {PROSE_GROUP.format(name): name for name in PROSE_FORMATS}  # set apart for balance, and no languages
    named = {formats.get(g.name, g.name) for g in every}
    none = [name for name in NO_LANGUAGES if name in named]
    apart = f" Of no language, and not counted as one: {', '.join(none)}." if none else ""
    note = f"Shares of the code tokens.{apart} The text comes from {counted(len(sources), 'source')}."
    answer = counted(len(named) - len(none), "language")
    return _card("mix", "What is the language mix?", answer, _ranking(rows), element("p", note, css="note"))


def _dropped(numbers: Numbers) -> Html:
    """The most frequent reasons, relative to all documents."""
    t = numbers.totals
    n_dropped, n_docs = t.n_docs - t.n_kept_docs, max(1, t.n_docs)
    rows = [(d.reason, d.n_docs / n_docs, "bad", short(d.n_docs)) for d in numbers.drops[:N_REASONS]]
    kept = (
        f"{exact(n_dropped)} of {exact(t.n_docs)} documents; {size(t.n_bytes - t.n_kept_bytes)} of "
        f"{size(t.n_bytes)}. A document can have several reasons."
    )
    answer = f"{percent(n_dropped / n_docs)} of the documents"
    return _card("dropped", "What was dropped?", answer, _ranking(rows), element("p", kept, css="note"))


def _wrong(numbers: Numbers) -> Html:
    """All notices; the answer is that of the gravest, which comes first."""
    answers = {"fail": ("Yes", "fail"), "warn": ("Have a look", "warn"), "note": ("No; there are notes", "good")}
    answer, css = answers[numbers.notices[0].level] if numbers.notices else ("Nothing", "good")
    words = {"fail": "wrong", "warn": "look", "note": "note"}
    items = [element("li", element("b", words[n.level], css=n.level), _notice(n)) for n in numbers.notices]
    return _card("wrong", "Is anything wrong?", answer, element("ul", *items, css="notices"), css=css)


def _notice(notice: Notice) -> Html:
    """One sentence, and behind it what it means and what to do."""
    said = (element("p", notice.meaning), element("p", element("b", "To do: "), notice.remedy))
    return element("details", element("summary", notice.message), *said)
