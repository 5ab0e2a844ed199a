"""In a real browser: from the report to a sample, from a search to a document, at a desk and on a phone."""

from __future__ import annotations

import base64
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


def saved(browser: Tab, selector: str, folder: Path) -> Path:
    """The file that comes down at a click."""
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.seen.clear()
    browser.click(selector)
    browser.until(lambda: any(e.get("params", {}).get("state") == "completed" for e in browser.seen))
    (file,) = folder.iterdir()
    return file


def test_a_table_of_the_page_is_saved_as_a_file(browser: Tab, run: RunFiles, tmp_path: Path) -> None:
    browser.open((Path(run.store.root) / "report" / "index.html").as_uri())
    file = saved(browser, "#identity a.save", tmp_path)
    assert file.name == "identity.csv"
    assert file.read_text(encoding="utf-8").startswith("what,value\nmixture,read")


# Of an image: share of each colour, and that of its last corner. What is saved is decoded away from the page.
_COLOURS = """(async () => {
  const image = new Image();
  image.src = "data:image/png;base64,%s";
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const seen = {}, all = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let colour;
  for (let i = 0; i < all.length; i += 4) {
    colour = all.slice(i, i + 4).join();
    seen[colour] = (seen[colour] || 0) + 4 / all.length;
  }
  return {shares: seen, corner: colour};
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_a_chart_of_the_page_is_saved_as_png_that_is_drawn_and_light(
    browser: Tab, run: RunFiles, tmp_path: Path, dark: bool
) -> None:
    browser.window(1280, dark=dark)
    browser.open((Path(run.store.root) / "report" / "index.html").as_uri())
    n_charts = browser.run("document.querySelectorAll('.chart').length")
    assert n_charts == browser.run("document.querySelectorAll('.chart a.save[download$=png]').length") > 8
    box = browser.run("document.querySelector('#drops .chart svg').getAttribute('viewBox')")
    width, height = (3 * int(part) for part in box.split()[2:])
    file = saved(browser, "#drops .chart a.save[download$=png]", tmp_path)
    assert file.name == "documents-left.png"
    image = file.read_bytes()
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(image[16:20], "big"), int.from_bytes(image[20:24], "big")) == (width, height)
    assert width == 1200
    browser.open("about:blank")
    found = browser.run(_COLOURS % base64.b64encode(image).decode())
    assert found["corner"] == "255,255,255,255"
    shares = found["shares"]
    # white, the bars of documents and those of bytes, as in the light page; letters are smooth, so of many shades
    assert 0.4 < shares["255,255,255,255"] < 0.9
    assert shares["11,107,203,255"] > 0.01 and shares["184,195,207,255"] > 0.01
    assert len(shares) > 20


def test_without_scripts_a_chart_is_offered_as_svg_alone(browser: Tab, run: RunFiles) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open((Path(run.store.root) / "report" / "index.html").as_uri())
        assert browser.run("document.querySelectorAll('.chart a.save').length") > 8
        assert browser.run("document.querySelectorAll('.chart a.save[download$=png]').length") == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_page_runs_no_script_but_its_own(browser: Tab, run: RunFiles, tmp_path: Path) -> None:
    page = (Path(run.store.root) / "report" / "index.html").read_text(encoding="utf-8")
    other = tmp_path / "other.html"
    other.write_text(page.replace("</h1>", "</h1><script>document.title = 'ran'</script>", 1), encoding="utf-8")
    browser.open(other.as_uri())
    assert browser.run("document.title") == "read: Loopmix report"
    browser.run("document.querySelector('.chart a.save').href = 'data:image/svg+xml,<svg'")
    browser.click(".chart a.save[download$=png]")
    said = "document.querySelector('.chart').innerText.includes('draws no PNG of it; take the SVG')"
    browser.until(lambda: bool(browser.run(said)))


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
