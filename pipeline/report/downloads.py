"""What can be taken from the page: each table as CSV, each chart as an SVG file. Both lie in the page itself."""

from __future__ import annotations

import csv
import io
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.report.table import BAR, ReportTable

# Spreadsheets run what begins with one of these, whatever quotes stand around it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_STYLE = Path(__file__).with_name("page.css")


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
    """A chart as a file of its own: with a name space, and the light page's colours in the place of its variables."""
    drawn = re.sub(r"var\(--(\w+)\)", lambda found: _colours()[found[1]], chart)
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" style="background:#ffffff" '
    return drawn.replace("<svg ", head, 1)


@cache
def _colours() -> dict[str, str]:
    """The variables of the style sheet, as the light page has them."""
    root = _STYLE.read_text(encoding="utf-8").partition("}")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]+);", root))
