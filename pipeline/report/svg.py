"""Matplotlib as a drawing board: a figure goes in, an SVG that obeys the page's style sheet comes out.

Colours are drawn as fixed stand-ins and replaced by CSS variables, so one drawing serves light, dark and print. Text
stays text: it takes the page's font, can be searched and copied, and is small. Matplotlib's own settings are restored
afterwards, and the user's matplotlibrc has no say, so equal numbers give equal bytes everywhere.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from pipeline.report.formats import plain

# Stand-ins for the variables that `page.css` defines for light, dark and print: near black, so in no real use.
_NAMES = ("ink", "muted", "grid", "surface", "code", "text", "bad", "paper", "soft")
INK, MUTED, GRID, SURFACE, CODE, TEXT, BAD, PAPER, SOFT = (f"#01010{i}" for i in range(1, 10))
SERIES = tuple(f"#01011{i}" for i in range(1, 9))  # told apart by people who see few colours (Okabe and Ito)
_VARIABLES = {f"#01010{i}": name for i, name in enumerate(_NAMES, 1)} | {c: f"c{i}" for i, c in enumerate(SERIES)}

# A phone's page leaves 336 pixels of its 390: there letters of 12 pixels, drawn for this width, still have ten.
WIDTH = 400
PIXELS_PER_INCH = 72  # an SVG unit of matplotlib is a point; the page shows it as one CSS pixel
_SETTINGS = {
    "svg.fonttype": "none",
    "font.size": 12,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so widths are measured alike everywhere
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 1,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.4,
}

Paint = Callable[[Figure], None]


def draw(name: str, paint: Paint, *, height: int, label: str) -> str:
    """The figure that `paint` fills, WIDTH x `height` CSS pixels, as an <svg> element with `label` read aloud."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"svg.hashsalt": name})
        layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
        figure = Figure(figsize=(WIDTH / PIXELS_PER_INCH, height / PIXELS_PER_INCH), layout=layout)
        paint(figure)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    return _inline(out.getvalue(), label=label)


def _inline(svg: str, *, label: str) -> str:
    """Reduce a document of matplotlib's to the element that stands inside HTML."""
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r" font-family: [^;\"]+;?", "", body)
    body = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", body)
    body = re.sub(r"(\d\.\d\d)\d{2,}", r"\1", body)  # a hundredth of a pixel is enough
    body = re.sub(r"\s*\n\s*", " ", body)
    body = re.sub(r"#0101[01][0-9a-f]", _variable, body)
    return f'<svg viewBox="{box.group(1)}" role="img" aria-label="{escape(plain(label), quote=True)}">{body.strip()}\n'


def _variable(found: re.Match[str]) -> str:
    """A text that merely looks like a stand-in stays as it is."""
    name = _VARIABLES.get(found.group())
    return f"var(--{name})" if name else found.group()


def literal(name: str, *, limit: int = 22) -> str:
    """A name as a chart can show it: no formulas, only letters that the measuring font has, shortened if long."""
    shown = name.encode("latin-1", "replace").decode("latin-1")
    shown = "".join(c if c.isprintable() else "?" for c in shown)
    shown = shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
    return shown.replace("$", r"\$")


def bare(axes: Axes, *, grid: Literal["x", "y"] = "x") -> None:
    """Leave the grid lines of one direction and a base line; numbers at the left are muted, names are not."""
    axes.grid(visible=True, axis=grid)
    axes.spines["bottom"].set_visible(grid == "y")
    axes.spines["left"].set_visible(grid == "x")
    if grid == "y":
        axes.tick_params(axis="y", labelcolor=MUTED)


def place_legend(figure: Figure, *, n_columns: int) -> None:
    """One legend above all axes, flush left: areas before lines and marks."""
    found = [pair for axes in figure.axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    found.sort(key=lambda pair: isinstance(pair[0], Line2D))
    figure.legend(*zip(*found, strict=True), loc="outside upper left", ncols=n_columns)
