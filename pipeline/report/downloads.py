"""What can be taken from the page: each table as CSV, each chart as SVG, and as PNG where scripts run.

All lie in the page itself; a PNG is drawn from the SVG by the page's only script, when it is asked for.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.report.table import BAR, ReportTable

# Spreadsheets run what begins with one of these, whatever quotes stand around it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LINK = re.compile(r' download="([^"]+)"')
_STYLE = Path(__file__).with_name("page.css")
_DRAWS_PNG = Path(__file__).with_name("png.js")


def csv_of(table: ReportTable) -> str:
    """The table with every row and digit. A text that a spreadsheet would run begins with an apostrophe."""
    places = [place for place, column in enumerate(table.columns) if column.kind is not BAR]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(table.columns[place].title) for place in places])
    writer.writerows([_cell(row[place]) for place in places] for row in table.every or table.rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value) if isinstance(value, float) else value


def file_name(title: str, suffix: str) -> str:
    """A name that every system takes."""
    return f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')[:60] or 'table'}.{suffix}"


def numbered(page: str) -> str:
    """Markup whose links save under names of their own: the second of one name ends in -2, so that a browser, or who
    moves the files, puts none over another. No text of a run can look like a link: its quotes are escaped."""
    taken = set(_LINK.findall(page))
    seen: set[str] = set()

    def one(found: re.Match[str]) -> str:
        name, (stem, _, suffix) = found[1], found[1].rpartition(".")
        if name in seen:
            name = next(new for n in count(2) if (new := f"{stem}-{n}.{suffix}") not in taken)
            taken.add(name)
        seen.add(name)
        return f' download="{name}"'

    return _LINK.sub(one, page)


def csv_address(table: ReportTable) -> str:
    """The table as an address that holds it."""
    return f"data:text/csv;charset=utf-8,{quote(csv_of(table), safe=',')}"


def svg_address(chart: str) -> str:
    """The same of an <svg> element."""
    return f"data:image/svg+xml,{quote(svg_file(chart), safe='')}"


def svg_name(chart: str) -> str:
    """A file name for a chart, from what it says of itself."""
    label = re.search(r'aria-label="([^"]*)"', chart)
    return file_name((label[1] if label else "chart").partition(":")[0], "svg")


def svg_file(chart: str) -> str:
    """A chart as a file of its own: with a name space and a size, which browsers need to draw it as an image, and with
    the light page's colours in the place of its variables."""
    drawn = re.sub(r"var\(--(\w+)\)", lambda found: _colours()[found[1]], chart)
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" style="background:#ffffff" '
    return re.sub(r'<svg (?=viewBox="0 0 (\d+) (\d+)")', rf'{head}width="\1" height="\2" ', drawn, count=1)


@cache
def png_script() -> tuple[str, str]:
    """What offers each chart as PNG, and what a policy says to let this script run and no other, nor any image but
    those that the page itself holds."""
    script = _DRAWS_PNG.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return script, f"script-src 'sha256-{digest}'; img-src data:"


@cache
def _colours() -> dict[str, str]:
    """The variables of the style sheet, as the light page has them."""
    root = _STYLE.read_text(encoding="utf-8").partition("}")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]+);", root))
