"""In a real browser: from the report to a sample, from a search to a document, at a desk and on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browse.browse_runs import Site, site_of
from chromium import CHROMIUM, Tab, tab
from report.read_runs import VALUES, read_run

from pipeline.engine.run_folder import RunFiles
from pipeline.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one to look at the pages"),
]
# What sticks out of the window, boxes that scroll by themselves aside.
_TOO_WIDE = """[...document.querySelectorAll("body *")]
  .filter((e) => e.getClientRects().length && !e.closest(".scroll"))
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((e) => e.outerHTML.slice(0, 80))"""
_LOOKS = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    run = read_run(tmp_path_factory.mktemp("reading"))
    write_report(run)
    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def site(run: RunFiles) -> Iterator[Site]:
    with site_of(run) as found:
        yield found


def looked_at(browser: Tab, name: str) -> None:
    """The page fits every window; LOOPMIX_PICTURES names a folder for pictures of it."""
    inks = set()
    for width, dark in _LOOKS:
        browser.window(width, dark=dark)
        assert browser.run(_TOO_WIDE) == [], (name, width)
        inks.add(browser.run("getComputedStyle(document.body).color"))
        if folder := os.environ.get("LOOPMIX_PICTURES"):
            browser.photograph(Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png")
    assert len(inks) == 2
    assert not [value for value in VALUES if value in browser.run("document.documentElement.outerHTML")]


def test_from_the_report_to_a_sample_with_its_mark(browser: Tab, run: RunFiles) -> None:
    browser.open((Path(run.store.root) / "report" / "index.html").as_uri())
    looked_at(browser, "report")
    browser.click("ul.notices summary")
    assert browser.run("document.querySelector('ul.notices details p').checkVisibility()")
    browser.follow("a[href='samples/reason.html']")
    assert browser.run("document.title") == "read: samples by drop reasons"
    mark = "mark[title=merge_conflict]"
    assert not browser.run(f"document.querySelector('{mark}').checkVisibility()")
    browser.run(f"document.querySelector('{mark}').closest('details').querySelector('summary').click()")
    assert browser.run(f"document.querySelector('{mark}').checkVisibility()")
    assert browser.run(f"document.querySelector('{mark}').innerText") == "<<<<<<< HEAD"
    looked_at(browser, "samples")
    for kind in ("language", "source", "family"):
        browser.follow(f"a[href='{kind}.html']")
        assert browser.run("document.querySelectorAll('details.sample').length") > 1
        browser.run("document.querySelectorAll('details.sample').forEach((e) => { e.open = true; })")
        looked_at(browser, kind)
    browser.follow("a[href='../index.html']")
    assert browser.run("document.title") == "read: Loopmix report"
    assert browser.run("performance.getEntriesByType('resource').length") == 0


def test_a_table_of_the_page_is_saved_as_a_file(browser: Tab, run: RunFiles, tmp_path: Path) -> None:
    browser.open((Path(run.store.root) / "report" / "index.html").as_uri())
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.seen.clear()
    browser.click("#identity a.save")
    while not any(e.get("params", {}).get("state") == "completed" for e in browser.seen):
        browser.call("Page.getLayoutMetrics")  # takes in events
    (file,) = tmp_path.iterdir()
    assert file.name == "identity.csv"
    assert file.read_text(encoding="utf-8").startswith("what,value\nmixture,read")


def test_from_a_search_to_a_document_and_its_family(browser: Tab, site: Site) -> None:
    browser.open(site.address)
    looked_at(browser, "search")
    browser.run("document.querySelector('select[name=reason]').value = 'near_duplicate'")
    browser.follow("form button")
    assert "reason=near_duplicate" in browser.run("location.search")
    assert browser.run("document.querySelector('select[name=reason]').value") == "near_duplicate"
    n_rows = browser.run("document.querySelectorAll('#documents tbody tr').length")
    assert n_rows == 1
    browser.follow("#documents tbody a")
    looked_at(browser, "document")
    assert "import sys" in browser.run("document.querySelector('#diff pre').innerText")
    for said in ("#fate h2", "#diff .guide", "#fate td"):
        browser.run(f"document.querySelector('{said}').textContent = 'a'.repeat(3000)")
    looked_at(browser, "long")
    browser.follow("#diff a")
    assert browser.run("document.querySelectorAll('#tokens .t').length") > 100
    looked_at(browser, "kept")
    browser.follow("#fate a")
    assert browser.run("document.querySelectorAll('#documents tbody tr').length") == 2
    browser.run("document.querySelector('input[name=path]').value = 'no such path'")
    browser.follow("form button")
    assert browser.run("document.querySelector('#documents').innerText").endswith("None.")
