"""A table of the report in the width of a terminal: which columns it can hold, how wide they are, what is shortened.

First all columns with every digit. Where that does not fit, the columns that may leave go one by one, pairs together,
then counts lose digits (1.23M), and at last columns leave from the right. A note names all that left. So no number is
ever cut and no line is too long.
"""

import io
from collections.abc import Iterator
from typing import Literal

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.report.brief import STATUS_STYLES
from pipeline.report.formats import plain
from pipeline.report.table import BAR, PATH, STATUS, TEXT, Column, ReportTable

_GAP = 2  # between columns: one space of padding and one that the box draws
# Narrower than this text is hard to read, so another column leaves instead. A path needs more to say which file it is,
# and a text that may leave (a meaning, a source) is a sentence rather than a name.
_MIN_TEXT, _MIN_LONG = 12, 28


def draw(table: ReportTable, *, width: int) -> RenderableType:
    """Title, table and note, at most `width` characters wide. Foreign text is shown literally, never as markup."""
    places, brief = next(p for p in _choices(table) if _min_width(table, *p) <= width or len(p[0]) == 1)
    columns = [table.columns[i] for i in places]
    rows = [[table.columns[i].cell(row[i], brief=brief) for i in places] for row in table.rows]
    widths = _widths(columns, rows, room=width - _GAP * (len(columns) - 1))
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column, room in zip(columns, widths, strict=True):
        drawn.add_column(Text(column.heading), width=room, overflow="fold", justify=_side(column))
    for row in rows:
        drawn.add_row(*(_shown(*cell) for cell in zip(columns, row, widths, strict=True)))
    missed = dict.fromkeys(
        c.heading for i, c in enumerate(table.columns) if not (i in places or c.kind is BAR) and c.heading
    )
    left_out = f"columns left out: {', '.join(missed)}" if missed else ""
    note = "; ".join(filter(None, (plain(table.note), left_out)))
    parts: list[RenderableType] = [Text(plain(table.title), style="bold"), drawn]
    return Group(*parts, Text(note, style="dim")) if note else Group(*parts)


def table_lines(table: ReportTable) -> list[str]:
    """The table as plain lines, as wide as the terminal; 80 characters where there is none."""
    console = Console(file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(draw(table, width=console.width))
    return [line.rstrip() for line in captured.get().splitlines()]


def _choices(table: ReportTable) -> Iterator[tuple[list[int], bool]]:
    """Places of columns, and whether counts are brief: from everything to the first column alone."""
    shown = [i for i, column in enumerate(table.columns) if column.kind is not BAR]
    yield shown, False
    for i in sorted(shown, key=lambda i: (-table.columns[i].priority, -i)):
        if table.columns[i].priority and i in shown:
            shown = _without(table, shown, i)
            yield shown, False
    yield shown, True
    while len(shown) > 1:
        shown = _without(table, shown, shown[-1]) or shown[:1]
        yield shown, True


def _without(table: ReportTable, places: list[int], place: int) -> list[int]:
    """The places less one, and less all that are of a pair with it."""
    pair = table.columns[place].pair
    return [i for i in places if i != place and not (pair and table.columns[i].pair == pair)]


def _min_width(table: ReportTable, places: list[int], brief: bool) -> int:
    columns = [table.columns[i] for i in places]
    rows = [[table.columns[i].cell(row[i], brief=brief) for i in places] for row in table.rows]
    return sum(low for low, _ in _limits(columns, rows)) + _GAP * (len(columns) - 1)


def _limits(columns: list[Column], rows: list[list[str]]) -> list[tuple[int, int]]:
    """Least and best width of each column. Headings break between words, text and paths do; all else never."""
    found = []
    for i, column in enumerate(columns):
        cells = max((cell_len(row[i]) for row in rows), default=0)
        best = max(cells, cell_len(column.heading))
        word = max((cell_len(word) for word in column.heading.split()), default=0)
        least = _MIN_LONG if column.priority or column.kind is PATH else _MIN_TEXT
        found.append((min(best, max(least, word)) if column.kind in (TEXT, PATH) else max(cells, word), best))
    return found


def _widths(columns: list[Column], rows: list[list[str]], *, room: int) -> list[int]:
    """The widest columns give way until the row fits; the first column alone may have to be narrower than it likes."""
    limits = _limits(columns, rows)
    cap = max(best for _, best in limits)
    while cap > 1 and sum(max(low, min(best, cap)) for low, best in limits) > room:
        cap -= 1
    return [min(room, max(low, min(best, cap))) for low, best in limits]


def _side(column: Column) -> Literal["left", "right"]:
    return "left" if column.kind.is_text else "right"


def _shown(column: Column, cell: str, width: int) -> Text:
    if column.kind is PATH and cell_len(cell) > width:
        cell = "…" + set_cell_size(cell[::-1], width - 1)[::-1]
    return Text(cell, style=STATUS_STYLES.get(cell, "") if column.kind is STATUS else "")
