"""The one table model: the same rows on page and terminal, within the width, and no number ever cut."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.report.formats import NOTHING, exact, short
from pipeline.report.markup import draw as draw_page
from pipeline.report.table import BAR, COUNT, PATH, PERCENT, STATUS, TEXT, Column, ReportTable
from pipeline.report.terminal_table import draw

HOSTILE = "<b>x</b>[red]\x1b[31m\u202e"
WIDE = ReportTable(
    "Languages",
    (
        Column("language", TEXT),
        Column("path", PATH, 3),
        Column("docs"),
        Column("tokens packed", COUNT, 2),
        Column("of all", PERCENT, 1),
        Column("", BAR),
    ),
    (
        ("Python", "some/long/folder/with/many/parts/file.py", 12_345_678, 9_876_543_210, 0.5, (0.5, "code")),
        ("C", "a.c", 1, None, 0.25, (0.25, "code")),
    ),
    note="a note",
)


def lines(table: ReportTable, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(draw(table, width=width), width=width)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "row", "left"),
    [
        (120, "Python some/long/folder/with/many/parts/file.py 12,345,678 9,876,543,210 50.0%", ""),
        (73, "Python …der/with/many/parts/file.py 12,345,678 9,876,543,210 50.0%", ""),
        (50, "Python 12,345,678 9,876,543,210 50.0%", "path"),  # the path left first
        (30, "Python 12,345,678 50.0%", "path, tokens packed"),
        (20, "Python 12,345,678", "path, tokens packed, of all"),
        (17, "Python 12.3M", "path, tokens packed, of all"),  # only then counts lose digits
        (12, "Python", "path, docs, tokens packed, of all"),
    ],
)
def test_row_when_the_terminal_narrows_gives_up_columns_and_says_which_then_digits(
    width: int, row: str, left: str
) -> None:
    found = lines(WIDE, width)
    assert row in found
    note = " ".join(" ".join(found).rpartition("a note")[2].split())
    assert note == (f"; columns left out: {left}" if left else "")


@pytest.mark.parametrize("width", range(8, 60))
def test_columns_of_a_pair_when_the_terminal_narrows_stay_or_leave_together(width: int) -> None:
    columns = [Column("name", TEXT), Column("m", COUNT, 2, pair="m"), Column("kept", COUNT, 2)]
    columns += [Column("n", COUNT, 2, pair="m"), Column("x", pair="x"), Column("y", pair="x")]
    row = (("a", 111_111, 5, 222_222, 33_333_333, 44_444_444),)
    shown = " ".join(lines(ReportTable("Any", columns, row), width))
    assert ("111,111" in shown) == ("222,222" in shown) == ("columns left out: m" not in shown)
    for one, other in (("33,333,333", "44,444,444"), ("33.3M", "44.4M")):
        assert (one in shown) == (other in shown)


@given(
    st.lists(
        st.tuples(st.text(max_size=40), st.integers(0, 10**15), st.floats(0, 1), st.integers(0, 10**9)), max_size=5
    ),
    st.integers(1, 120),
)
def test_lines_when_names_are_any_stay_in_the_width_and_cut_no_number(
    rows: list[tuple[str, int, float, int]], width: int
) -> None:
    columns = (Column("name", TEXT), Column("documents kept"), Column("of all", PERCENT, 2), Column("files", COUNT, 1))
    table = ReportTable("Any", columns, tuple(rows))
    out = io.StringIO()
    console = Console(file=out, width=width)
    console.print(draw(table, width=width), width=width)
    printed = out.getvalue()
    assert all(console.measure(line).maximum <= width for line in printed.splitlines())
    if "columnsleftout:documents" not in "".join(printed.split()):
        assert all(exact(row[1]) in printed or short(row[1]) in printed for row in rows)


def test_table_when_names_are_hostile_shows_them_escaped_on_page_and_terminal() -> None:
    columns = (Column(HOSTILE, TEXT), Column("path", PATH), Column("state", STATUS), Column("n"))
    table = ReportTable(HOSTILE, columns, ((HOSTILE, HOSTILE, HOSTILE, HOSTILE),), note=HOSTILE)
    page = draw_page(table)
    assert "<b>" not in page
    assert page.count("&lt;b&gt;x&lt;/b&gt;[red]\\x1b[31m\\u202e") == 9  # the state also names its class
    shown = "\n".join(lines(table, 300))
    assert shown.count("<b>x</b>[red]\\x1b[31m\\u202e") == 7
    assert not any(c in page + shown for c in ("\x1b", "\u202e"))


def test_cell_when_there_is_no_number_is_a_dash_and_words_stand_for_themselves() -> None:
    column = Column("target", PERCENT)
    found = [column.cell(value) for value in (None, math.nan, "natural", "", 0.5)]
    assert found == [NOTHING, NOTHING, "natural", "", "50.0%"]


def test_head_when_rows_are_left_out_says_how_many() -> None:
    assert WIDE.head(1).note == "a note; rows left out: 1"
    assert WIDE.head(2) is WIDE
