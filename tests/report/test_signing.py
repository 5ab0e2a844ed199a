"""What a mixture is signed by, counted again from its tables by another engine."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import jsonschema
import pytest
import yaml
from hand_run import hand_run, model_folder, renamed
from hypothesis import given
from hypothesis import strategies as st
from read_runs import read_run

from pipeline.config import Mixture
from pipeline.engine.run_folder import RunFiles
from pipeline.report import notices, write_report
from pipeline.report.advice import ADVICE
from pipeline.report.compute import compute
from pipeline.report.count_signing import N_REPOSITORIES, spread_of
from pipeline.report.downloads import csv_of, file_name, numbered, svg_file
from pipeline.report.identity import MAX_MESSAGE_CHARS, MAX_WARNINGS
from pipeline.report.markup import draw, figure
from pipeline.report.numbers import Numbers, schema
from pipeline.report.page import document
from pipeline.report.signing import without_passwords
from pipeline.report.table import COUNT, TEXT, Column, ReportTable

SCHEMA_PAGE = Path(__file__).parents[2] / "docs" / "report.schema.json"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return read_run(tmp_path_factory.mktemp("signing"))


@pytest.fixture(scope="module")
def numbers(run: RunFiles) -> Numbers:
    return write_report(run)[0]


def counted(run: RunFiles, query: str) -> list[tuple[Any, ...]]:
    """A query on the run's ledger."""
    return duckdb.sql(query.format(ledger=f"read_parquet('{run.store.root}/tables/ledger/*.parquet')")).fetchall()


def rows_of(found: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return sorted(tuple(asdict(one).values()) for one in found)


def test_languages_by_source_are_those_of_the_ledger(run: RunFiles, numbers: Numbers) -> None:
    query = """select source, language, count(*), sum(n_bytes)::bigint, count(*) filter (keep),
        count(*) filter (fate in ('packed', 'cut')), sum(n_packed_tokens)::bigint from {ledger} group by 1, 2"""
    assert rows_of(numbers.signing.source_languages) == sorted(counted(run, query))
    sources = """select source, count(*), sum(n_bytes)::bigint, count(*) filter (keep),
        count(*) filter (fate in ('packed', 'cut')), sum(n_packed_tokens)::bigint from {ledger} group by 1"""
    found = [
        (s.name, s.n_docs, s.n_bytes, s.n_kept_docs, s.n_packed_docs, s.n_packed_tokens)
        for s in numbers.identity.sources
    ]
    assert sorted(found) == sorted(counted(run, sources))


def test_lengths_are_those_of_the_ledger(run: RunFiles, tmp_path: Path) -> None:
    sizes = dict(zip("abcdefghi", (0, 1, 2, 3, 4, 7, 8, 2**40 - 1, 2**40), strict=True))
    edges = hand_run(tmp_path, shards=renamed(**{name: {"n_bytes": size} for name, size in sizes.items()}))
    query = """select pool, low, case when low = 0 then 0 else 2 * low - 1 end, count(*), sum(n_bytes)::bigint,
        count(*) filter (packed), coalesce(sum(n_bytes) filter (packed), 0)::bigint
        from (select pool, n_bytes, fate in ('packed', 'cut') packed,
              case when n_bytes = 0 then 0 else (1::bigint << (length(bin(n_bytes)) - 1)::int) end low from {ledger})
        group by 1, 2"""
    for one in (run, edges):
        assert rows_of(compute(one).signing.lengths) == sorted(counted(one, query))


def test_copies_are_those_of_the_ledger(run: RunFiles, numbers: Numbers) -> None:
    query = """select pool, n_copies, count(*), count(*) filter (n_packed_tokens > n_copies * n_tokens),
        sum(n_packed_tokens)::bigint from {ledger} where keep group by 1, 2"""
    assert rows_of(numbers.signing.copies) == sorted(counted(run, query))


def test_repositories_are_those_of_the_ledger(tmp_path: Path) -> None:
    shards = renamed(a={"repo": "x/a"}, c={"repo": "x/b"}, e={"repo": None}, h={"repo": "x/a"})
    run = hand_run(tmp_path, shards=shards)
    found = compute(run).signing
    query = """select pool, repo, count(*), sum(n_packed_tokens)::bigint from {ledger}
        where n_packed_tokens > 0 and repo is not null group by 1, 2"""
    mine = [(r.pool, r.name, r.n_docs, r.n_packed_tokens) for r in found.repositories]
    assert (
        sorted(mine)
        == sorted(counted(run, query))
        == [("code", "x/a", 1, 10), ("code", "x/b", 1, 6), ("text", "x/a", 1, 4)]
    )
    assert [r.frac for r in found.repositories] == [10 / 16, 6 / 16, 4 / 16]
    code, text = found.spreads
    assert (code.n_repositories, code.n_packed_tokens, code.gini, code.half) == (2, 16, 0.125, 1)
    assert (text.n_repositories, text.n_packed_tokens, text.gini, text.half) == (1, 4, 0.0, 1)
    assert N_REPOSITORIES == 50


@given(st.lists(st.integers(1, 50), max_size=40))
def test_gini_and_half_are_what_their_definitions_say(sizes: list[int]) -> None:
    found = spread_of("code", {size: sizes.count(size) for size in sizes})
    total, n = sum(sizes), len(sizes)
    if not n:
        assert (found.gini, found.half) == (None, 0)
        return
    apart = sum(abs(a - b) for a in sizes for b in sizes)  # the mean difference of all pairs, over twice the mean
    assert found.gini == pytest.approx(apart / (2 * n * total))
    falling = sorted(sizes, reverse=True)
    assert found.half == next(k for k in range(1, n + 1) if 2 * sum(falling[:k]) >= total)


# --- identity ---------------------------------------------------------------------------------------------------------


def test_the_settings_on_the_page_are_those_of_the_run(run: RunFiles, numbers: Numbers) -> None:
    said = yaml.safe_load(numbers.identity.mixture)
    assert Mixture.model_validate_json(json.dumps(said)) == run.mixture
    assert numbers.identity.tokenizer_sha256 == numbers.tokenizer
    assert [stage.fingerprint for stage in numbers.identity.stages] == [
        run.manifest["stages"][name]["fingerprint"] for name in run.stages
    ]


def test_no_password_of_a_url_is_said() -> None:
    said = {"path": "https://me:secret@host/x", "many": ("s3://a/b", ["ftp://u@h/"]), "n": 3}
    assert without_passwords(said) == {"path": "https://...@host/x", "many": ["s3://a/b", ["ftp://...@h/"]], "n": 3}


def test_a_run_without_logs_has_no_record_and_one_with_logs_says_who_made_it(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    assert compute(run).record.starts == ()
    events = [
        {"time": "2026-01-02T03:04:05.000+00:00", "event": "start", "version": "9", "command": ["loopmix"],
         "host": "<h>", "mixture_file": {"text": "name: x", "sha256": "ab"}, "libraries": {"numpy": "2"}, "n_cpus": 4},
        {"time": "2026-01-02T03:04:06.000+00:00", "event": "inputs", "workers": "inline", "bytes": {"web": 7}},
        {"time": "2026-01-02T03:04:15.000+00:00", "event": "step_end", "step": "tokens", "n_items": 3, "seconds": 2.5},
        *({"time": "2026-01-02T03:04:15.000+00:00", "event": "warning", "message": said}
          for said in ("<w> ftp://me:secret@h/x", "<w> ftp://me:secret@h/x", "y" * 2 * MAX_MESSAGE_CHARS)),
        {"time": "2026-01-02T03:04:15.500+00:00", "event": "end", "ok": True},
    ]  # fmt: skip
    lines = "".join(json.dumps(event) + "\n" for event in events)
    ends = (("1", lines), ("2", lines[:-20]))  # the second was killed while it wrote
    ends += tuple((str(n), f'{lines[:-6]}false, "stopped": {said}}}\n') for n, said in ((3, "false"), (4, "true")))
    for name, text in ends:
        run.store.write_bytes(f"logs/20260102T030405Z-0000000{name}.jsonl", text.encode())
    found = compute(run).record
    assert [(s.outcome, s.seconds, s.host, s.n_cpus, s.workers) for s in found.starts] == [
        ("done", 10.5, "<h>", 4, "inline"),
        ("open", 10.0, "<h>", 4, "inline"),
        ("failed", 10.5, "<h>", 4, "inline"),
        ("stopped", 10.5, "<h>", 4, "inline"),
    ]
    assert [(s.step, s.n_starts, s.n_items, s.seconds) for s in found.steps] == [("tokens", 4, 12, 10.0)]
    assert [(w.message, w.n_starts) for w in found.warnings] == [
        ("<w> ftp://...@h/x", 4), ("y" * MAX_MESSAGE_CHARS + "…", 4)]  # fmt: skip
    page = Path(write_report(run)[1]).read_text(encoding="utf-8")
    assert "&lt;h&gt;" in page and "name: x" in page and "&lt;w&gt; ftp://...@h/x" in page


def test_a_log_that_warns_without_end_makes_no_page_without_end(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    events = [{"time": "2026-01-02T03:04:05.000+00:00", "event": "start"}]
    events += [events[0] | {"event": "warning", "message": f"number {n}"} for n in range(2 * MAX_WARNINGS)]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    run.store.write_bytes("logs/20260102T030405Z-00000001.jsonl", lines.encode())
    assert [w.message for w in compute(run).record.warnings] == [f"number {n}" for n in range(MAX_WARNINGS)]


def test_equal_runs_share_all_but_work_and_record(tmp_path: Path, run: RunFiles) -> None:
    root = Path(run.store.root).parent
    again = root.with_name(f"{root.name}-again")  # sources lie elsewhere, as the settings say
    other = read_run(again)

    def said(one: RunFiles) -> tuple[dict[str, Any], dict[str, str]]:
        write_report(one)
        folder = Path(one.store.root) / "report"
        whole = json.loads((folder / "report.json").read_text())
        varying = {key: whole.pop(key) for key in ("work", "record", "identity")}
        varying.clear()
        page = (folder / "index.html").read_text(encoding="utf-8")
        for name in ("work", "record", "identity"):
            page = re.sub(f'<section id="{name}">.*?</section>', "", page, flags=re.DOTALL)
        samples = {p.name: p.read_text(encoding="utf-8") for p in (folder / "samples").iterdir()}
        return whole, samples | {"page": page}

    assert said(run) == said(other)
    here, there = (compute(one).identity for one in (run, other))
    paths = [source.path for source in here.sources]
    assert paths != [source.path for source in there.sources]
    assert [s.n_docs for s in here.sources] == [s.n_docs for s in there.sources]


# --- what programs and spreadsheets read ------------------------------------------------------------------------------


def test_the_schema_is_that_of_the_types_and_holds_for_reports(run: RunFiles, numbers: Numbers, tmp_path: Path) -> None:
    if os.environ.get("LOOPMIX_WRITE_SCHEMA"):
        SCHEMA_PAGE.write_bytes(schema())
    assert SCHEMA_PAGE.read_bytes() == schema(), "LOOPMIX_WRITE_SCHEMA=1 pytest tests/report/test_signing.py writes it"
    folder = Path(run.store.root) / "report"
    assert (folder / "report.schema.json").read_bytes() == schema()
    checker = jsonschema.Draft202012Validator(json.loads(schema()))
    checker.check_schema(json.loads(schema()))
    report = json.loads((folder / "report.json").read_bytes())
    assert list(checker.iter_errors(report)) == []
    hand = hand_run(tmp_path / "hand")
    write_report(hand, model=model_folder(tmp_path / "model", hand))
    trained = json.loads((tmp_path / "hand" / "report" / "report.json").read_bytes())
    assert list(checker.iter_errors(trained)) == []
    assert list(checker.iter_errors(report | {"totals": {**report["totals"], "n_docs": "many"}}))
    assert list(checker.iter_errors({k: v for k, v in report.items() if k != "signing"}))


def test_each_table_of_the_page_downloads_with_the_rows_that_it_shows(run: RunFiles, numbers: Numbers) -> None:
    page = (Path(run.store.root) / "report" / "index.html").read_text(encoding="utf-8")
    tables = re.findall("<table>.*?</table>", page, flags=re.DOTALL)
    assert len(tables) > 20
    for table in tables:
        (address,) = re.findall(r'href="data:text/csv;charset=utf-8,([^"]*)"', table)
        rows = list(csv.reader(io.StringIO(unquote(address))))
        assert len({len(row) for row in rows}) == 1
        n_left = sum(map(int, re.findall(r"rows left out: (\d+)", table)))
        assert len(rows) - 1 == table.count("<tr>") - 1 + n_left
    assert str(numbers.totals.n_packed_tokens) in unquote(page)


def test_a_csv_does_nothing_in_a_spreadsheet_and_has_every_row() -> None:
    rows = [(text, n) for n, text in enumerate(("=1+1", "+x", "-x", "@x", "\tx", "\rx", "fine, “it”\nis", '"q"'))]
    table = ReportTable("A table", [Column("=name", TEXT), Column("n", COUNT)], [*rows, ("x", -0.5), ("y", None)])
    found = list(csv.reader(io.StringIO(csv_of(table.head(2)), newline="")))
    assert found[0] == ["'=name", "n"]
    assert [row[0] for row in found[1:7]] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx"]
    assert found[7:] == [["fine, “it”\nis", "6"], ['"q"', "7"], ["x", "-0.5"], ["y", ""]]
    assert file_name("Höhe <of> x/../y: " + "a" * 99, "csv") == f"h-he-of-x-y-{'a' * 48}.csv"


def test_no_two_links_of_a_page_save_under_one_name() -> None:
    charts = [figure(f'<svg viewBox="0 0 9 9" aria-label="Share of each group: {pool}">') for pool in ("code", "text")]
    tables = [draw(ReportTable("Share of each group", [Column("n", COUNT)], [(n,)])) for n in (1, 2)]
    names = re.findall(r' download="([^"]+)"', document("it", (*charts, *tables)).decode())
    assert names == [f"share-of-each-group{end}" for end in (".svg", "-2.svg", ".csv", "-2.csv")]


def test_a_name_that_is_taken_gets_the_next_number_that_is_free() -> None:
    links = "".join(f'<a download="{name}">' for name in ("a.svg", "a.svg", "a-2.svg", "a.csv", "a.svg"))
    assert re.findall('"(.*?)"', numbered(links)) == ["a.svg", "a-3.svg", "a-2.svg", "a.csv", "a-4.svg"]


def test_each_chart_downloads_as_an_image_of_its_own(run: RunFiles, numbers: Numbers) -> None:
    page = (Path(run.store.root) / "report" / "index.html").read_text(encoding="utf-8")
    addresses = re.findall(r'href="data:image/svg\+xml,([^"]*)"', page)
    assert len(addresses) == page.count('<div class="chart">') > 8
    for address in addresses:
        drawn = unquote(address)
        assert "var(" not in drawn
        root = ET.fromstring(drawn)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert f"0 0 {root.attrib['width']} {root.attrib['height']}" == root.attrib["viewBox"]
    with pytest.raises(KeyError):
        svg_file('<svg style="fill:var(--nowhere)">')


def test_each_notice_says_what_it_means_and_what_to_do(numbers: Numbers) -> None:
    assert {check.__name__.removeprefix("_") for check in notices._CHECKS} == ADVICE.keys()
    assert numbers.notices
    for notice in numbers.notices:
        assert (notice.meaning, notice.remedy) in ADVICE.values()
