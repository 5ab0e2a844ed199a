"""How a comparison is shown: terminal, page and JSON say the same, whatever documents are called."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
from compared import beside, call, recount
from hand_run import Doc, hand_run, renamed
from rich.console import Console

from pipeline.compare import tables
from pipeline.compare.found import FATES, KINDS, to_json
from pipeline.compare.page import render
from pipeline.compare.terminal import headline, lines
from pipeline.engine.run_folder import RunFiles
from pipeline.report.formats import exact
from pipeline.report.table import ReportTable
from pipeline.report.terminal_table import draw

HOSTILE = "<script>alert('1')</script>\"&\x1b[31m\u202e"


class _Tables(HTMLParser):
    """The rows of every table by its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.caption, self.tag = "", ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tag = tag
        if tag == "table":
            self.caption = ""
        elif tag == "tr" and self.caption:
            self.rows.setdefault(self.caption, []).append([])
        elif tag in ("td", "th") and self.caption:
            self.rows[self.caption][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tag == "caption":
            self.caption = data
        elif self.tag in ("td", "th", "span") and self.rows.get(self.caption):
            self.rows[self.caption][-1][-1] += data


def test_terminal_and_page_show_the_recounted_numbers(a: RunFiles, b: RunFiles) -> None:
    found, counted = beside(a, b), recount(a, b)
    page = _Tables()
    page.feed(render(found).decode())
    shown = {KINDS[kind]: exact(n) for kind, n in counted["kinds"].items() if n}
    assert {row[0]: row[1] for row in page.rows["Documents that differ"][1:]} == shown
    flows = {(row[0], row[1]): row[2] for row in page.rows["From fate to fate"][1:]}
    assert flows == {pair: exact(n) for pair, n in counted["flows"].items()}
    terminal = list(lines(found, width=80))
    for meaning, n in shown.items():
        assert any(re.match(rf"{re.escape(meaning)} +{n} ", line) for line in terminal), meaning
    for (one, other), n in flows.items():
        assert any(re.match(rf"{one} +{other} +{n} ", line) for line in terminal), (one, other)
    for reason, n in counted["reasons"]["b"].items():
        (row,) = [row for row in page.rows["Why documents were dropped"] if row[0] == reason]
        assert row[2] == exact(n)


def test_the_legend_of_fates_is_what_documents_of_these_fates_are(tmp_path: Path) -> None:
    cut = [Doc("a.py", "Python", 9, n_tokens=9, cut=4), Doc("b.py", "Python", 9, n_tokens=9, n_copies=2, cut=4)]
    one, other = (hand_run(tmp_path / n, shards=(*renamed(c={"license": n}), cut)) for n in ("x", "y"))
    rows = pq.read_table(f"{one.store.root}/tables/ledger", columns=["path", "fate", "n_copies"]).to_pylist()
    copies = {row["path"]: (row["fate"], row["n_copies"]) for row in rows}
    assert (copies["a.py"], copies["b.py"]) == (("cut", 0), ("packed", 2))
    note = tables.flows_table(beside(one, other).documents).note  # type: ignore[arg-type]
    assert "; cut: in with its beginning alone" in note
    assert "packed: with whole copies, and perhaps the beginning of one more" in note


def test_terminal_lines_fit_into_80_columns_and_name_examples(a: RunFiles, grown: RunFiles) -> None:
    found = beside(a, grown)
    shown = list(lines(found, width=80))
    assert not [line for line in shown[2:] if len(line) > 80 and " " in line.strip()]
    assert any(line.startswith("in the input of B alone (2), as") for line in shown)
    assert any(line.startswith("  new.py") for line in shown)


def test_numbers_of_both_runs_stay_or_leave_a_narrow_terminal_together(a: RunFiles, b: RunFiles) -> None:
    shares = beside(a, b).documents.sources  # type: ignore[union-attr]
    table = tables.shares_table("All sources", "source", [replace(one, name="x" * 12) for one in shares])
    for n_sides in (1, 2, 3, 4):  # all, then without documents, kept, tokens
        assert any(_sides(table, width) == n_sides for width in range(20, 130)), n_sides
    assert "columns left out: documents in A, in B" in _drawn(table, 75)


def _drawn(table: ReportTable, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(draw(table, width=width))
    return " ".join(out.getvalue().split())


def _sides(table: ReportTable, width: int) -> int:
    """How many pairs of columns are drawn; a side without its other fails."""
    heads = _drawn(table, width).partition("─")[0]
    n_a, n_b = len(re.findall(r" A\b", heads)), len(re.findall(r" B\b", heads))
    assert n_a == n_b, (width, heads)
    return n_a


def test_runs_that_differ_in_nothing_that_is_compared_are_not_called_equal(tmp_path: Path) -> None:
    found = beside(hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(c={"license": "MIT"})))
    assert found.same is None
    assert headline(found) == (
        "no document differs in fate, tokens, language, keeper, reasons or bytes; the runs are not the same bytes, "
        "see the stages"
    )


def test_hostile_names_become_neither_markup_nor_commands(tmp_path: Path) -> None:
    one = hand_run(tmp_path / "a")
    stays = {"language": "<b>Rust</b>", "reasons": (), "keeper": None, "n_tokens": 3}
    hostile = tuple(
        tuple(replace(doc, path=f"src/{HOSTILE}") if doc.language == "<b>Rust</b>" else doc for doc in docs)
        for docs in renamed(b=stays)
    )
    found = beside(one, hand_run(tmp_path / "b", shards=hostile))
    page = render(found).decode()
    assert "<script" not in page
    assert "<b>Rust" not in page
    assert "&lt;b&gt;Rust" in page
    assert not [c for line in lines(found, width=80) for c in line if not c.isprintable()]
    assert any("alert" in line for line in lines(found, width=80)), "the hostile document is not shown at all"


def test_command_writes_page_and_json_of_the_same_comparison(a: RunFiles, b: RunFiles, tmp_path: Path) -> None:
    result = call("compare", a.store.root, b.store.root, "--html", tmp_path / "page.html", "--json", "--workers", "1")
    assert result.exit_code == 0, result.output
    found = beside(a, b)
    assert result.stdout.encode() == to_json(found)
    assert (tmp_path / "page.html").read_bytes() == render(found)
    said = json.loads(result.stdout)
    assert sum(flow["n_docs"] for flow in said["documents"]["flows"]) == found.a.n_docs
    assert {flow["fate_a"] for flow in said["documents"]["flows"]} <= set(FATES)
    result = call("compare", a.store.root, b.store.root, "--html", tmp_path / "no/page.html")
    assert result.exit_code == 1
    assert "the page cannot be written" in result.output
