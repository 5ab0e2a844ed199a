"""The few forms of which charts are made, as SVG that obeys the page's style sheet."""

import math
from collections.abc import Iterable
from html import escape
from typing import Literal

from pipeline.report.formats import plain

# Variables that `page.css` defines for light, dark and print.
_NAMES = ("ink", "muted", "grid", "surface", "code", "text", "bad", "paper", "soft")
INK, MUTED, GRID, SURFACE, CODE, TEXT, BAD, PAPER, SOFT = (f"var(--{name})" for name in _NAMES)
SERIES = tuple(f"var(--c{i})" for i in range(8))  # told apart by people who see few colours (Okabe and Ito)

Point = tuple[float, float]  # pixels from the left and from the top


def pixel(value: float) -> str:
    """A hundredth of a pixel is enough."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def words(
    text: str,
    at: Point,
    *,
    colour: str,
    anchor: Literal["start", "middle", "end"] = "start",
    slanted: bool = False,
) -> str:
    """Text on the height of `at`; aslant it ends there."""
    x, y = pixel(at[0]), pixel(at[1])
    turned = f' transform="rotate(-45 {x} {y})"' if slanted else ""
    style = f"fill:{colour};text-anchor:{anchor};dominant-baseline:central"
    return f'<text x="{x}" y="{y}"{turned} style="{style}">{escape(text, quote=False)}</text>'


def bar(corner: Point, other: Point, *, colour: str) -> str:
    """A rectangle between two corners."""
    (a, b), (c, d) = corner, other
    box = f'x="{pixel(min(a, c))}" y="{pixel(min(b, d))}" width="{pixel(abs(c - a))}" height="{pixel(abs(d - b))}"'
    return f'<rect {box} style="fill:{colour}"/>'


def area(points: Iterable[Point], *, colour: str) -> str:
    """A filled outline."""
    return f'<path d="M{"L".join(f"{pixel(x)} {pixel(y)}" for x, y in points)}Z" style="fill:{colour}"/>'


def line(points: Iterable[Point], *, colour: str, width: float = 2, dash: str = "") -> str:
    """A line through `points`, broken where one is not finite."""
    steps, begun = [], False
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            steps.append(f"{'L' if begun else 'M'}{pixel(x)} {pixel(y)}")
            begun = True
        else:
            begun = False
    dashes = f";stroke-dasharray:{dash}" if dash else ""
    return f'<path d="{"".join(steps)}" style="fill:none;stroke:{colour};stroke-width:{width:g}{dashes}"/>'


def mark(at: Point, form: Literal["dot", "ring", "|", "diamond", "cross"], *, colour: str, radius: float = 2) -> str:
    """A small sign at a place; nothing where that is not finite."""
    x, y = at
    if not (math.isfinite(x) and math.isfinite(y)):
        return ""
    if form == "|":
        return line([(x, y - 8), (x, y + 8)], colour=colour)
    if form == "cross":
        arms = f"M{pixel(x - 3)} {pixel(y - 3)}l6 6m0 -6l-6 6"
        return f'<path d="{arms}" style="fill:none;stroke:{colour};stroke-width:1"/>'
    if form == "diamond":
        corners = f"M{pixel(x)} {pixel(y - 5)}l5 5l-5 5l-5 -5Z"
        return f'<path d="{corners}" style="fill:{SURFACE};stroke:{colour};stroke-width:2"/>'
    fill, stroke = (SURFACE, f";stroke:{colour};stroke-width:1.5") if form == "ring" else (colour, "")
    return f'<circle cx="{pixel(x)}" cy="{pixel(y)}" r="{radius:g}" style="fill:{fill}{stroke}"/>'


def literal(name: str, *, limit: int = 22) -> str:
    """A name as a chart can show it: shortened if long, what would steer or hide as an escape."""
    shown = plain(name)
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
