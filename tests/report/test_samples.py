"""Samples: a dozen of each group, the same for everybody, and nothing on their pages that nobody may see."""

from __future__ import annotations

import html
import re
from pathlib import Path

import duckdb
import pytest
from handmade import ShuffledExecutor
from read_runs import HOSTILE, MAIL, VALUES, read_run

from pipeline.engine.run_folder import RunFiles
from pipeline.reading import samples
from pipeline.reading import work as work_module
from pipeline.reading.lookup import why
from pipeline.reading.samples import Samples, draw_samples
from pipeline.reading.work import working
from pipeline.report import count, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    run = read_run(tmp_path_factory.mktemp("samples"))
    write_report(run)
    return run


@pytest.fixture(scope="module")
def pages(run: RunFiles) -> dict[str, str]:
    folder = Path(run.store.root) / "report"
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


def drawn(run: RunFiles, *, families: tuple[str, ...] = (), n_each: int = 12) -> Samples:
    with working() as work:
        return draw_samples(run, work, families=families, n_each=n_each)


def test_no_value_that_was_found_is_on_any_page_nor_in_what_why_prints(run: RunFiles, pages: dict[str, str]) -> None:
    assert {name.partition("/")[0] for name in pages} >= {"index.html", "report.json", "samples"}
    for name, page in pages.items():
        assert not [value for value in VALUES if value in html.unescape(page)], name
    shown = html.unescape(pages["samples/language.html"])
    assert "[email hidden]" in shown and "[ipv4 hidden]" in html.unescape(pages["samples/reason.html"])
    (document,) = why(run, "p1.py", text=True)
    assert document["text"].count("[email hidden]") == 2 and MAIL not in document["text"]


def test_each_group_has_a_dozen_or_all_and_its_documents(run: RunFiles) -> None:
    found, root = drawn(run, n_each=5), run.store.root
    ledger = f"read_parquet('{root}/tables/ledger/*.parquet')"
    counted = {
        ("language", name): n
        for name, n in duckdb.sql(f"select language, count(*) from {ledger} group by 1").fetchall()
    }
    sources = duckdb.sql(f"select source, count(*) from {ledger} group by 1").fetchall()
    reasons = duckdb.sql(f"select r, count(*) from (select unnest(reasons) r from {ledger}) group by 1").fetchall()
    counted |= {("source", name): n for name, n in sources} | {("reason", name): n for name, n in reasons}
    assert found.n_docs == counted
    for (kind, name), docs in found.docs.items():
        assert len(docs) == min(5, counted[kind, name])
        assert len({one.row["doc_id"] for one in docs}) == len(docs)
        for one in docs:
            assert name in one.row["reasons"] if kind == "reason" else one.row[kind] == name
    fates = [one.row["fate"] for one in found.docs["language", "Python"]]
    assert set(fates) <= {"packed", "cut"}  # there are enough of them
    assert {one.row["fate"] for one in found.docs["language", "JavaScript"]} == {"dropped"}


def test_samples_are_the_same_in_another_order_of_work(run: RunFiles) -> None:
    with working(ShuffledExecutor(3)) as work:
        assert draw_samples(run, work, families=()) == drawn(run)


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_numbers_and_samples_are_the_same_where_one_task_reads_several_shards(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch, n_tasks: int
) -> None:
    assert run.n_shards > 2
    one_each = count(run), drawn(run)
    monkeypatch.setattr(work_module, "MIN_TASKS", n_tasks)
    assert (count(run), drawn(run)) == one_each


def test_few_shards_are_read_and_rare_groups_are_whole(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.n_shards > 4
    monkeypatch.setattr(samples, "N_SHARDS", 1)
    ids = [set(table["doc_id"].to_pylist()) for table in run.shards(samples.LEDGER)]

    def shards_of(found: Samples, *groups: tuple[str, str]) -> set[int]:
        texts = {one.row["doc_id"] for group in groups for one in found.docs[group]}
        return {shard for shard, mine in enumerate(ids) if mine & texts}

    all_of = drawn(run, n_each=1)
    assert len(shards_of(all_of, ("language", "Python"), ("source", "code"), ("source", "text"))) == 2
    few = drawn(run, n_each=3)
    assert len(few.docs["reason", "merge_conflict"]) == len(few.docs["reason", "long_line"]) == 1
    monkeypatch.setattr(samples, "MAX_SHARDS", 1)
    assert len(shards_of(drawn(run, n_each=3), *few.docs)) == 1


def test_hostile_text_is_shown_and_not_done(pages: dict[str, str]) -> None:
    page = pages["samples/reason.html"]
    assert "<script" not in page and "\u202e" not in page and "\x1b" not in page
    said = html.unescape(re.sub("<[^>]*>", "", page))
    assert HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b") in said
    assert "default-src 'none'" in page


def test_families_show_what_changed_from_their_keeper(run: RunFiles, pages: dict[str, str]) -> None:
    page = re.sub("<[^>]*>", "", html.unescape(pages["samples/family.html"]))
    assert ("-import os" in page and "+import sys" in page) or ("+import os" in page and "-import sys" in page)
    assert "they are equal" in page
    keepers = {d["keeper_id"] for d in why(run, "near.py") if d["keeper_id"]}
    found = drawn(run, families=tuple(keepers))
    for keeper in keepers:
        assert found.keepers[keeper].row["doc_id"] == keeper
        assert {one.row["keeper_id"] for one in found.docs["family", keeper]} == {keeper}


def test_a_page_of_samples_bears_marks(pages: dict[str, str]) -> None:
    page = pages["samples/reason.html"]
    assert '<mark title="merge_conflict">=======</mark>' in page
    assert re.search('<mark title="long_line">let b = \\[', page)
    assert 'css="soft"' not in page and '<mark class="soft" title="github_token redacted">ghp_EXAMPLE' in "".join(
        pages.values()
    )


def test_a_run_without_texts_has_a_report_without_samples(tmp_path: Path) -> None:
    run = read_run(tmp_path)
    for file in (tmp_path / "run" / "tables" / "documents").iterdir():
        file.unlink()
    write_report(RunFiles(run.store))
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "samples/" not in page and not (tmp_path / "run" / "report" / "samples").exists()
