"""Terminal tables."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hand_run import hand_run, model_folder, renamed
from rich.console import Console

from pipeline.report.compute import compute
from pipeline.report.formats import measured, percent, plain, points, seconds, short, size, tick
from pipeline.report.terminal import print_report


def _printed(numbers: object, *, width: int = 80) -> str:
    out = io.StringIO()
    print_report(numbers, Console(file=out, width=width))  # type: ignore[arg-type]
    return out.getvalue()


def test_report_when_piped_is_plain_and_fits_80_columns(tmp_path: Path) -> None:
    run = hand_run(tmp_path / "run")
    printed = _printed(compute(run, model=model_folder(tmp_path / "model", run)))
    assert "\x1b" not in printed
    assert "…" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 80
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "balance exact: code 16, text 16 tokens" in lines
    assert "Python 3 2 10 0.59x 66.7% 73.9% 62.5% 50.0% 10.1%" in lines
    assert "long_line rules 1 11.1% 1 0 40 B 0" in lines
    assert "code 2 2 16 4 20.000%" in lines
    assert "classifier code 1 11.1% 60 B 7 0.500" in lines
    assert "documents 0 █ █ █ 1" in lines
    assert "Python Cython 1 60 B 1 0.125" in lines
    assert "src/g.py Python 0.500 Cython 0.375 classifier" in lines
    assert "plain text code 1 11.1% 20 B 1 8" in lines
    assert "h.txt plain text code Text text prose kept" in lines
    assert "held-out loss 5.000 at step 0, 3.000 at step 20" in lines


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_report_when_numbers_are_huge_breaks_none(tmp_path: Path, width: int) -> None:
    big = 987_654_321_012_345
    shards = renamed(a={"n_bytes": big}, c={"language": "Visual Basic .NET"})
    printed = _printed(compute(hand_run(tmp_path, shards=shards)), width=width)
    assert max(len(line) for line in printed.splitlines()) <= width
    assert "988 TB" in printed
    tables = re.sub(r"columns\s+left\s+out:.*?(\n\n|$)", "", printed, flags=re.DOTALL)
    assert ("in words" in tables) == (width == 200)  # more columns where there is room for them
    assert ("columns left out: in words" in " ".join(printed.split())) == (width < 200)


def test_report_when_names_hold_markup_prints_them(tmp_path: Path) -> None:
    shards = renamed(a={"language": "[red]x[/red]\x1b[0m"})
    printed = _printed(compute(hand_run(tmp_path, shards=shards)), width=200)
    assert "[red]x[/red]\\x1b[0m" in printed
    assert "\x1b" not in printed


def test_words_when_numbers_are_small_or_large() -> None:
    assert [short(n) for n in (0, 9_999, 10_000, 99_949, 99_950, 999_499, 999_500, 1.5e9)] == [
        "0", "9,999", "10.0k", "99.9k", "100k", "999k", "1.00M", "1.50B",
    ]  # fmt: skip
    assert [size(n) for n in (0, 40, 1_000, 1_234_567)] == ["0 B", "40 B", "1.00 kB", "1.23 MB"]
    assert [percent(x) for x in (None, 0, 0.0004, 0.5, 1)] == ["\N{EN DASH}", "0.0%", "<0.1%", "50.0%", "100.0%"]
    assert [points(x) for x in (0.0001, 0.012, -0.012)] == ["0.0", "+1.2", "-1.2"]
    assert [tick(n) for n in (0, 500, 20_000, 2.5e6)] == ["0", "500", "20k", "2.5M"]
    assert [seconds(x) for x in (0.04, 99.9, 120, 7_200)] == ["0.0 s", "99.9 s", "2.0 min", "2.0 h"]
    assert plain("é\t\udc80") == "é\\t\\udc80"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *[(12_000.0, "12,000"), (1_234_567.8, "1,234,568"), (999.5, "999.5"), (60.0, "60"), (100.0, "100")],
        *[(0.12345, "0.1235"), (0.0, "0"), (1e-6, "<0.0001"), (-3.25, "-3.25")],
    ],
)
def test_what_a_rule_measured_is_written_out(value: float, words: str) -> None:
    assert measured(value) == words
