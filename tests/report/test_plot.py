"""Charts: ticks at round numbers, bars as long as their values, names that never become markup."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.plot import (
    Axis,
    Key,
    Panel,
    Scale,
    bin_axis,
    count_axis,
    draw,
    name_axis,
    percent_axis,
    round_numbers,
    value_axis,
)
from pipeline.report.svg import CODE, bar, line, mark, pixel

HOSTILE = "</text><script>alert(1)</script>&\"'"


def _nothing(_x: Scale, _y: Scale) -> Iterator[str]:
    yield ""


def _texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter("text")]


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(1, 8), st.booleans())
def test_round_numbers_are_multiples_of_a_round_step(low: float, reach: float, n: int, whole: bool) -> None:
    high = low + reach
    if reach < abs(low) * 1e-6:  # fewer digits than a float holds between them
        return
    found = round_numbers(low, high, n=n, whole=whole)
    assert len(found) <= n + 1
    slack = 1e-6 * (abs(low) + reach)
    assert all(low - slack <= value <= high + slack for value in found)
    for first, second in pairwise(found):
        step = float(f"{second - first:.3g}") if reach >= abs(low) * 1e-2 else None
        assert step is None or f"{step:e}"[0] in "125"
        assert second - first >= 1 or not whole


def test_round_numbers_when_known() -> None:
    assert round_numbers(0, 1, n=5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert round_numbers(0, 37, n=4) == [0, 10, 20, 30]
    assert round_numbers(0, 1.05, n=5, whole=True) == [0, 1]
    assert round_numbers(2.31, 2.38, n=4) == [2.32, 2.34, 2.36, 2.38]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 0), (math.nan, 1), (0, math.inf)])
def test_round_numbers_when_there_is_no_range_are_none(low: float, high: float) -> None:
    assert round_numbers(low, high, n=4) == []


def test_axes_name_their_ticks() -> None:
    assert count_axis(25_000, n=3).ticks == [(0.0, "0"), (10000.0, "10k"), (20000.0, "20k")]
    assert [text for _, text in percent_axis(0.45, n=4).ticks] == ["0%", "20%", "40%"]
    assert [text for _, text in percent_axis(0.009, n=4).ticks] == ["0.0%", "0.5%"]
    assert [text for _, text in value_axis((1, 1.5, math.nan, math.inf), n=3).ticks] == ["1.0", "1.2", "1.4"]
    assert name_axis(["a", "b"]).low > name_axis(["a", "b"]).high  # the first on top
    assert not bin_axis(["1"] * 5, title="").slanted
    assert bin_axis(["1"] * 6, title="").slanted


@pytest.mark.parametrize("values", [(), (3.0,), (0.0, 0.0), (math.nan,)])
def test_an_axis_of_few_values_has_a_range(values: tuple[float, ...]) -> None:
    axis = value_axis(values)
    assert axis.low < axis.high


def test_a_bar_is_as_long_as_its_value() -> None:
    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        for row, value in enumerate((10, 40)):
            yield bar((x(0), y(row - 0.3)), (x(value), y(row + 0.3)), colour=CODE)

    svg = draw([Panel(Axis(0, 50), name_axis(["a", "b"]), shapes, grid="x")], height=100, label="x")
    short, long = (float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', svg))
    assert long == pytest.approx(4 * short, abs=0.05)
    assert long < 400


def test_a_line_breaks_where_a_value_is_not_finite() -> None:
    found = line([(0, 1), (1, 2), (2, math.nan), (3, math.inf), (4, 5), (5, 6)], colour=CODE)
    assert 'd="M0 1L1 2M4 5L5 6"' in found
    assert mark((1, math.nan), "dot", colour=CODE) == ""


def test_hostile_names_stay_text_wherever_they_stand() -> None:
    x, y = Axis(0, 1, [(0.5, HOSTILE)], HOSTILE), Axis(0, 1, [(0.5, HOSTILE)], HOSTILE, slanted=True)
    beside = (Axis(0, 1, [(0, HOSTILE)]), _nothing)
    panels = [Panel(x, y, _nothing, HOSTILE, beside=beside), Panel(y, x, _nothing)]
    svg = draw(panels, keys=[Key(HOSTILE, CODE)], height=300, label=HOSTILE)
    assert "<script" not in svg
    assert _texts(svg).count(HOSTILE) == 10
    assert ElementTree.fromstring(svg).get("aria-label") == HOSTILE


def test_a_legend_too_wide_for_one_line_takes_more() -> None:
    def rows(n: int) -> set[str]:
        svg = draw([Panel(Axis(0, 1), Axis(0, 1), _nothing)], keys=[Key("a" * 14, CODE)] * n, height=300, label="x")
        return set(re.findall(r'<text x="[\d.]+" y="([\d.]+)"', svg))

    assert len(rows(2)) == 1
    assert len(rows(8)) == 3


def test_panels_share_rows_and_columns() -> None:
    def corner(x: Scale, y: Scale) -> Iterator[str]:
        yield f'<i a="{pixel(x.start)}" b="{pixel(y.end)}"/>'

    svg = draw([Panel(Axis(0, 1), Axis(0, 1), corner)] * 3, height=200, label="x", n_columns=2)
    places = re.findall(r'a="([\d.]+)" b="([\d.]+)"', svg)
    assert places[0][1] == places[1][1] != places[2][1]
    assert places[0][0] == places[2][0] != places[1][0]


def test_numbers_of_pixels_are_short() -> None:
    assert [pixel(value) for value in (0, -0.001, 100, 1.5, 2.346)] == ["0", "0", "100", "1.5", "2.35"]
