"""Building blocks of the page. Every text goes through `text`, so a hostile name can never become markup."""

from collections.abc import Iterable
from html import escape
from typing import Any

from pipeline.report.downloads import csv_address, file_name, svg_address, svg_name
from pipeline.report.formats import plain
from pipeline.report.table import BAR, STATUS, ReportTable

_LONG = 30  # characters; longer text gets a column wide enough to read


class Html(str):
    """Text that is markup already; everything else is escaped."""

    __slots__ = ()


Cell = str | Html


def text(value: Cell) -> Html:
    """Escape `value`, and show control characters instead of sending them."""
    return value if isinstance(value, Html) else Html(escape(plain(value), quote=True))


def join(parts: Iterable[Cell]) -> Html:
    """Parts side by side."""
    return Html("".join(text(p) for p in parts))


def element(tag: str, *parts: Cell, css: str = "", **attributes: str) -> Html:
    """<tag class="css" ...>parts</tag>; underscores in attribute names become hyphens."""
    given = {"class": css} if css else {}
    given |= {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    shown = "".join(f' {name}="{escape(plain(value), quote=True)}"' for name, value in given.items())
    return Html(f"<{tag}{shown}>{join(parts)}</{tag}>")


def draw(table: ReportTable) -> Html:
    """A table in a box that scrolls by itself, with its note behind its title."""

    def cell(place: int, value: Any) -> Html:
        kind = table.columns[place].kind
        shown = table.columns[place].cell(value) if kind is not BAR else ""
        if place == 0:
            return element("th", shown, scope="row")
        if kind is BAR:
            return element("td", bar(value[0], colour=value[1]), css="n")
        if kind is STATUS:
            return element("td", element("span", shown, css=shown))
        return element("td", shown, css="n" if not kind.is_text else "long" if len(shown) > _LONG else "")

    heads = (element("th", c.title, css="" if c.kind.is_text or not i else "n", scope="col")
             for i, c in enumerate(table.columns))  # fmt: skip
    body = [element("tr", *(cell(i, value) for i, value in enumerate(row))) for row in table.rows]
    note = element("span", f"; {table.note}", css="note") if table.note else ""
    caption = element(
        "caption", table.title, note, " ", _saved("CSV", csv_address(table), file_name(table.title, "csv"))
    )
    whole = element("table", caption, element("thead", element("tr", *heads)), element("tbody", *body))
    return element("div", whole, css="scroll", tabindex="0", role="region", aria_label=table.title)


def _saved(title: str, address: str, name: str) -> Html:
    """A link under which something is saved as a file."""
    return element("a", title, href=address, download=name, css="save")


def figure(chart: str, *beside: Cell) -> Html:
    """A chart (an <svg> element) and, beside it where there is room, its numbers."""
    drawn = element("div", Html(chart), _saved("SVG", svg_address(chart), svg_name(chart)), css="chart")
    return element("figure", drawn, element("div", *beside, css="beside"))


def section(name: str, title: str, *parts: Cell, guide: str) -> Html:
    """A section that begins by saying how to read it."""
    return element("section", element("h2", title), element("p", guide, css="guide"), *parts, id=name)


def bar(frac: float, *, colour: str) -> Html:
    """A small horizontal bar of `frac` of its cell; `colour` is a variable of the style sheet."""
    width = f"width:{max(0.0, min(1.0, frac)) * 100:.2f}%;background:var(--{colour})"
    return element("span", element("span", style=width), css="bar", aria_hidden="true")
