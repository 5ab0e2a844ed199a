"""Charts as SVG: panels with axes under a legend, laid out by estimated widths of text.

A plotting library takes a second to import and a quarter of one to draw; these few forms need neither. Colours are the
page's variables, so one drawing serves light, dark and print; text stays text. Equal numbers give equal bytes.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from pipeline.report.formats import plain, tick
from pipeline.report.svg import GRID, INK, MUTED, bar, line, mark, words

# A phone's page leaves 336 pixels of its 390: there letters of 12 pixels, drawn for this width, still have ten.
WIDTH = 400
_SIZE = 12  # pixels of a letter
_LINE = 18  # from one line of text to the next
_GAP = 6  # between text and what it stands at
_KEY = 20  # width of a legend's sample with its gap
_SLANT = math.sqrt(0.5)  # of text at 45 degrees
_STEPS = (1, 2, 5, 10)  # between ticks, times a power of ten
_WIDTHS = {
    "narrow": 0.36,
    "wide": 0.98,
    "capital": 0.72,
    "sign": 0.86,
    "full": 1.05,
    "other": 0.6,
}  # of a letter's size; generous
_NARROW = frozenset(" .,:;'|!ijlftr()[]-")


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`; `ticks` are values with their texts."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()
    title: str = ""
    colour: str = MUTED  # of the texts at its ticks
    slanted: bool = False  # long texts side by side


@dataclass(frozen=True)
class Scale:
    """Values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


Shapes = Callable[[Scale, Scale], Iterable[str]]


@dataclass(frozen=True)
class Key:
    """One entry of the legend."""

    name: str
    colour: str
    form: Literal["area", "line", "|", "diamond"] = "area"
    dash: str = ""
    marked: bool = False  # a line with dots


@dataclass(frozen=True)
class Panel:
    """One pair of axes, and what is drawn in it; `beside` has a second vertical axis at the right."""

    x: Axis
    y: Axis
    shapes: Shapes
    title: str = ""
    grid: Literal["x", "y", ""] = "y"
    beside: tuple[Axis, Shapes] | None = None


def draw(panels: Sequence[Panel], *, keys: Sequence[Key] = (), height: int, label: str, n_columns: int = 1) -> str:
    """`panels` in rows of `n_columns` below the legend: an <svg> element, WIDTH x `height`, `label` read aloud."""
    legend, top = _legend(keys)
    n_rows = math.ceil(len(panels) / n_columns)
    wide, high = WIDTH / n_columns, (height - top) / n_rows
    parts = legend
    for place, panel in enumerate(panels):
        row, column = divmod(place, n_columns)
        parts += _panel(
            panel, left=column * wide, top=top + row * high, wide=wide, high=high - (_GAP if row < n_rows - 1 else 0)
        )
    said = escape(plain(label), quote=True)
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}" font-size="{_SIZE}">'
    return f"{head}{''.join(parts)}</svg>\n"


def _width(text: str) -> float:
    """About how many pixels a text takes in the page's font, rather more than less."""
    return _SIZE * sum(_WIDTHS[_class(letter)] for letter in text)


def _class(letter: str) -> str:
    if letter in _NARROW:
        return "narrow"
    if letter in "mwMW@%":
        return "wide"
    if letter in "+=<>~_#&":
        return "sign"
    if ord(letter) >= 0x1100:  # ideographs, Hangul and what is as wide
        return "full"
    return "capital" if letter.isupper() else "other"


def _legend(keys: Sequence[Key]) -> tuple[list[str], float]:
    """Flush left, line after line, and how high it is."""
    parts: list[str] = []
    x, y = 0.0, _LINE / 2
    for key in keys:
        wide = _KEY + _width(key.name) + 2 * _GAP
        if x and x + wide > WIDTH:
            x, y = 0.0, y + _LINE
        parts += _sample(key, x, y)
        parts.append(words(key.name, (x + _KEY, y), colour=INK))
        x += wide
    return parts, y + _LINE / 2 + _GAP if keys else 0.0


def _sample(key: Key, x: float, y: float) -> Iterator[str]:
    end = x + _KEY - _GAP
    if key.form == "area":
        yield bar((x, y - 4), (end, y + 4), colour=key.colour)
    elif key.form == "line":
        yield line([(x, y), (end, y)], colour=key.colour, dash=key.dash)
        if key.marked:
            yield mark(((x + end) / 2, y), "dot", colour=key.colour)
    else:
        yield mark(((x + end) / 2, y), key.form, colour=key.colour)


def _panel(panel: Panel, *, left: float, top: float, wide: float, high: float) -> Iterator[str]:
    """Room for the texts is taken off the four sides; what is left is the plot."""
    x, y = panel.x, panel.y
    title = _LINE if panel.title or y.title else 0
    a = left + max([_width(text) for _, text in y.ticks], default=0) + _GAP + 2
    b = left + wide - _GAP
    if panel.beside is not None:
        b -= max([_width(text) for _, text in panel.beside[0].ticks], default=0) + _GAP
    elif x.ticks and not x.slanted:
        b -= _width(x.ticks[-1][1]) / 2  # the last text stands below its tick, half of it beyond
    longest = max([_width(text) for _, text in x.ticks], default=0)
    below = (longest * _SLANT + _GAP if x.slanted else _LINE if x.ticks else 0) + (_LINE if x.title else 0) + _GAP
    c, d = top + title + _GAP, top + high - below
    across, upward = Scale(x.low, x.high, a, b), Scale(y.low, y.high, d, c)
    yield from _frame(panel, across, upward)
    if panel.title or y.title:
        yield words(panel.title or y.title, (left, top + _LINE / 2), colour=INK if panel.title else MUTED)
    if x.title:
        yield words(x.title, ((a + b) / 2, top + high - _LINE / 2), colour=MUTED, anchor="middle")
    yield from panel.shapes(across, upward)
    if panel.beside is not None:
        axis, shapes = panel.beside
        second = Scale(axis.low, axis.high, d, c)
        for value, text in axis.ticks:
            yield words(text, (b + _GAP, second(value)), colour=axis.colour)
        yield from shapes(across, second)


def _frame(panel: Panel, across: Scale, upward: Scale) -> Iterator[str]:
    """Grid lines of one direction, the base line of the other, and the texts at the ticks."""
    a, b, d, c = across.start, across.end, upward.start, upward.end
    yield line([(a, c), (a, d)] if panel.grid == "x" else [(a, d), (b, d)], colour=GRID, width=1)
    for value, text in panel.x.ticks:
        at = across(value)
        if panel.grid == "x":
            yield line([(at, c), (at, d)], colour=GRID, width=1)
        place = (at, d + _LINE / 2 + 3)
        anchor: Literal["end", "middle"] = "end" if panel.x.slanted else "middle"
        yield words(text, place, colour=panel.x.colour, anchor=anchor, slanted=panel.x.slanted)
    for value, text in panel.y.ticks:
        at = upward(value)
        if panel.grid == "y":
            yield line([(a, at), (b, at)], colour=GRID, width=1)
        yield words(text, (a - _GAP, at), colour=panel.y.colour, anchor="end")


# --- axes ------------------------------------------------------------------------------------------------------------


def round_numbers(low: float, high: float, *, n: int, whole: bool = False) -> list[float]:
    """Multiples of a round step from `low` to `high`, at most n + 1 of them."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    rough = (high - low) / n
    power = math.floor(math.log10(rough))
    step = next(s for s in _STEPS if s * 10.0**power >= rough * (1 - 1e-9)) * 10.0**power
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, max(0, 1 - power)) for k in range(first, last + 1)]


def count_axis(high: float, *, n: int = 5, title: str = "") -> Axis:
    """From none to a little above `high`, ticks at whole numbers."""
    top = 1.05 * max(high, 1)
    return Axis(0, top, [(v, tick(v)) for v in round_numbers(0, top, n=n, whole=True)], title)


def percent_axis(high: float, *, n: int = 5, title: str = "") -> Axis:
    """Shares from nothing to `high`."""
    ticks = round_numbers(0, high, n=n)
    digits = 0 if len(ticks) < 2 or ticks[1] >= 0.01 else 1
    return Axis(0, high, [(v, f"{v:.{digits}%}") for v in ticks], title)


def value_axis(
    values: Iterable[float], *, n: int = 5, title: str = "", whole: bool = False, colour: str = MUTED
) -> Axis:
    """Around `values`, of which those that are not finite do not count."""
    found = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(found), max(found)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0  # one value alone stands in the middle
    ticks = round_numbers(low - room, high + room, n=n, whole=whole)
    return Axis(low - room, high + room, _texts(ticks), title, colour)


def _texts(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Equally many digits at all ticks; large numbers short."""
    if max(map(abs, ticks), default=0) >= 10_000:
        return [(v, tick(v)) for v in ticks]
    digits = max((len(f"{v:.6f}".rstrip("0").partition(".")[2]) for v in ticks), default=0)
    return [(v, f"{v:.{digits}f}") for v in ticks]


def name_axis(names: Sequence[str]) -> Axis:
    """Rows with a name each, the first on top."""
    return Axis(len(names) - 0.4, -0.6, list(enumerate(names)), colour=INK)


def bin_axis(names: Sequence[str], *, title: str) -> Axis:
    """Columns with a name each; many stand aslant."""
    return Axis(-0.6, len(names) - 0.4, list(enumerate(names)), title, slanted=len(names) > 5)
