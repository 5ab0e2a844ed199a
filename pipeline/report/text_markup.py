"""A document's text as markup: escaped, marks named, hidden values by their kind, differences line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from pipeline.reading.marks import Part
from pipeline.reading.samples import Shown
from pipeline.report.formats import exact, plain
from pipeline.report.markup import Html, element, join

MAX_DIFF_LINES = 60  # of one document: some screens of a phone


def visible(text: str) -> str:
    """What would steer or hide text is an escape; line ends and tabs stay, and of CR LF the line end."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(plain(piece) for piece in line.split("\t")) for line in lines)


def text_of(parts: Iterable[Part]) -> Html:
    """The parts of a text inside one element that keeps its lines."""
    return element("pre", *(_part(part) for part in parts), css="text", tabindex="0")


def _part(part: Part) -> Html:
    if part.is_hidden:
        return element("mark", f"[{part.text} hidden]", css="hidden", title="found by privacy; never shown")
    shown = Html(escape(visible(part.text)))  # not by `text`, which would show line ends as escapes too
    if not part.names:
        return shown
    return element("mark", shown, title=", ".join(part.names), css="soft" if _is_soft(part.names) else "")


def _is_soft(names: Sequence[str]) -> bool:
    """A placeholder is no fault."""
    return all(name.endswith(" redacted") for name in names)


def excerpts_of(shown: Shown) -> Html:
    """What is shown of a text, and how much is not."""
    parts: list[Html] = []
    for line, pieces in shown.excerpts:
        if line > 1 or parts:
            parts.append(element("p", f"from line {exact(line)}", css="note"))
        parts.append(text_of(pieces))
    if shown.n_left_bytes:
        parts.append(element("p", f"{exact(shown.n_left_bytes)} bytes of the text are not shown here", css="note"))
    return join(parts)


def legend_of(shown: Shown) -> Html:
    """Each reason with the lines that are marked for it."""
    lines: dict[str, list[str]] = {}
    for reason, line, n_chars in shown.places:
        lines.setdefault(reason, []).append(f"{exact(line)} ({exact(n_chars)} characters)")
    items = [
        element("li", element("mark", reason), f" line {', '.join(found[:3])}{' and more' if len(found) > 3 else ''}")
        for reason, found in lines.items()
    ]
    return element("ul", *items, css="legend") if items else Html("")


def diff_of(keeper: bytes, document: bytes, *, max_lines: int = MAX_DIFF_LINES) -> Html:
    """What changed from the keeper to the document. Both without hidden values."""
    lines = list(diff_lines(keeper, document))
    kinds = {"+": "add", "-": "cut", "@": "note"}
    shown = [element("span", Html(escape(visible(line))), css=kinds.get(line[:1], "")) for line in lines[:max_lines]]
    if len(lines) > max_lines:
        shown.append(element("span", f"and {exact(len(lines) - max_lines)} more lines", css="note"))
    return element("pre", Html("\n".join(shown)), css="text", tabindex="0")


def diff_lines(keeper: bytes, document: bytes) -> Iterator[str]:
    """Lines of a unified diff, without the names at its head."""
    first, second = (text.decode("utf-8", errors="replace").splitlines() for text in (keeper, document))
    found = list(difflib.unified_diff(first, second, "keeper", "document", lineterm="", n=1))[2:]
    if not found:
        found = ["they differ in line ends or beyond what was compared" if keeper != document else "they are equal"]
    yield from found
