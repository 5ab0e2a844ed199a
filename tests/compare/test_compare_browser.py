"""The page of a comparison in a real browser: at a desk and on a phone, by day and by night, nothing is cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, Tab, tab
from compared import beside
from hand_run import hand_run, renamed

from pipeline.compare.found import RunComparison
from pipeline.compare.page import write_page
from pipeline.engine.run_folder import RunFiles

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one to look at the pages"),
]
_LOOKS = [(1280, False), (1280, True), (390, False), (390, True)]
# What sticks out of the window, boxes that scroll by themselves aside.
_TOO_WIDE = """[...document.querySelectorAll("body *")]
  .filter((e) => e.getClientRects().length && !e.closest(".scroll"))
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((e) => e.outerHTML.slice(0, 80))"""
# Titles, notes and links of tables of which a part can be read only after scrolling, or which scroll away.
_CUT_TITLES = """[...document.querySelectorAll(".scroll")].flatMap((box) => [0, box.scrollWidth].map((at) => {
    box.scrollLeft = at
    const own = box.querySelector("caption").getBoundingClientRect(), all = box.getBoundingClientRect()
    return own.right > all.right + 0.5 || own.left < all.left - 0.5 ? `${box.ariaLabel} at ${at}` : "" }))
  .filter((name) => name)"""
# Examples of which a part is beside the box.
_CUT_EXAMPLES = """[...document.querySelectorAll("#examples .scroll")]
  .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.ariaLabel)"""
# The smallest contrast of a text with what is painted behind it (WCAG 2.2).
_CONTRAST = """(() => {
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const behind = (e) => { for (; e; e = e.parentElement) {
    const colour = numbers(getComputedStyle(e).backgroundColor)
    if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3) } }
  const found = [...document.querySelectorAll("h1, h2, p, a, span, caption, th, td")]
    .filter((e) => e.getClientRects().length && e.textContent.trim()).map((e) => {
      const [a, b] = [light(numbers(getComputedStyle(e).color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x)
      return (a + 0.05) / (b + 0.05) })
  return Math.min(...found) })()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with tab(tmp_path_factory.mktemp("profile")) as found:
        yield found


def looked_at(browser: Tab, found: RunComparison, page: Path) -> None:
    """The page fits every window; LOOPMIX_PICTURES names a folder for pictures of it."""
    write_page(found, page)
    inks = set()
    for width, dark in _LOOKS:
        browser.window(width, dark=dark)
        browser.open(page.as_uri())
        assert browser.run(_TOO_WIDE) == [], width
        assert browser.run("document.querySelectorAll('#examples .scroll').length") > 0
        assert browser.run(_CUT_TITLES) == [], width
        assert browser.run(_CUT_EXAMPLES) == [], width
        assert browser.run(_CONTRAST) >= 4.5, (width, dark)
        inks.add(browser.run("getComputedStyle(document.body).color"))
        if folder := os.environ.get("LOOPMIX_PICTURES"):
            browser.photograph(Path(folder) / f"{page.stem}-{width}-{'dark' if dark else 'light'}.png")
    assert len(inks) == 2


def test_page_of_other_settings_is_readable_everywhere(browser: Tab, a: RunFiles, b: RunFiles, tmp_path: Path) -> None:
    looked_at(browser, beside(a, b), tmp_path / "settings.html")


def test_page_of_long_names_is_readable_everywhere(browser: Tab, tmp_path: Path) -> None:
    """Names without a place to break: of a language, and of the paths of a dropped document and of its keeper."""
    long = "a-very-long-name-without-any-place-to-break-" * 6
    path = f"src/c{long.replace('-', '_')}.js"
    shards = [
        renamed(c={"path": path}, d={"path": path[::-1]}),
        renamed(c={"path": path, "language": long}, d={"path": path[::-1], "reasons": (), "n_tokens": 3}),
    ]
    runs = [hand_run(tmp_path / name, shards=of) for name, of in zip("ab", shards, strict=True)]
    looked_at(browser, beside(*runs), tmp_path / "names.html")


def test_examples_on_a_phone_say_what_each_line_is(browser: Tab, a: RunFiles, b: RunFiles, tmp_path: Path) -> None:
    """Headings have no room there, so each line begins with its own; and they are those of the table."""
    write_page(beside(a, b), tmp_path / "page.html")
    browser.window(390)
    browser.open((tmp_path / "page.html").as_uri())
    said = """[...document.querySelectorAll("#examples tbody tr:first-child")].map((row) => [...row.cells].slice(1)
      .map((cell) => getComputedStyle(cell, "::before").content.slice(1, -3)).join())"""
    heads = """[...document.querySelectorAll("#examples thead tr")].map((row) => [...row.cells].slice(1)
      .map((cell) => cell.textContent).join())"""
    assert browser.run(said) == browser.run(heads)
    assert browser.run(said)[0] == "why,A,B,source,doc_id"
