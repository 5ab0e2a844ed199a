"""The page in a real browser: it fits desktop and phone, shows the right drawings and asks nothing of the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hand_run import hand_run, model_folder, renamed

from pipeline.report import write_report

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one to look at the report page"),
]

# The page allows no script but its own, so another page holds it in a frame and measures it from outside.
_PROBE = """<!DOCTYPE html><body style="margin:0"><iframe id="frame" src="index.html" width="{width}" height="800"
style="border:0"></iframe><pre id="found"></pre><script>
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
  const shown = (e) => e.getClientRects().length > 0;
  const boxes = [...page.querySelectorAll("body *")].filter((e) => shown(e) && !e.closest(".scroll"));
  found.textContent = "FOUND" + JSON.stringify({{
    scroll_width: root.scrollWidth, client_width: root.clientWidth, height: root.scrollHeight,
    too_wide: boxes.filter((e) => e.getBoundingClientRect().right > root.clientWidth + 0.5)
      .map((e) => e.outerHTML.slice(0, 80)),
    n_charts: [...page.querySelectorAll("svg")].filter(shown).length,
    least_font: Math.min(...[...page.querySelectorAll("svg text")].filter(shown).map((e) =>
      parseFloat(view.getComputedStyle(e).fontSize) * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))),
    cut: [...page.querySelectorAll("svg text")].filter(shown).filter((e) => {{
      const own = e.getBoundingClientRect(), all = e.closest("svg").getBoundingClientRect();
      const sides = [all.left - own.left, own.right - all.right, all.top - own.top, own.bottom - all.bottom];
      return Math.max(...sides) > 1;
    }}).map((e) => e.textContent),
    ink: view.getComputedStyle(page.body).color,
    first_fill: view.getComputedStyle(page.querySelector("svg rect[style*='fill:var']")).fill,
    n_requests: view.performance.getEntriesByType("resource").length,
    alerts: page.title,
  }}) + "END";
}};
</script></body>"""


@dataclass(frozen=True)
class Browser:
    """Headless Chromium on one report folder."""

    folder: Path

    def _run(self, *arguments: str) -> str:
        assert CHROMIUM is not None
        quiet = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars "
            "--allow-file-access-from-files --virtual-time-budget=5000"
        )
        profile = f"--user-data-dir={self.folder / 'profile'}"
        command = [CHROMIUM, *quiet.split(), profile, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=600).stdout

    def measure(self, width: int) -> dict[str, Any]:
        probe = self.folder / "report" / f"probe-{width}.html"
        probe.write_text(_PROBE.format(width=width), encoding="utf-8")
        dom = self._run("--dump-dom", probe.as_uri())
        found = re.search(r"FOUND(\{.*?\})END</pre>", dom, flags=re.DOTALL)
        assert found, dom[-2000:]
        return dict(json.loads(unescape(found.group(1))))

    def photograph(self, width: int) -> bytes:
        target = self.folder / f"{width}.png"
        page = (self.folder / "report" / "index.html").as_uri()
        self._run(f"--screenshot={target}", f"--window-size={width},900", page)
        return target.read_bytes()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    folder = tmp_path_factory.mktemp("browser")
    long = "a-very-long-name-without-any-place-to-break-it-" * 6
    shards = renamed(a={"language": "<img src=x onerror=document.title=1>"}, c={"license": long, "language": long})
    run = hand_run(folder, shards=shards, problem=f"/data/{long}")
    write_report(run, model=model_folder(folder / "model", run))
    return Browser(folder)


@pytest.mark.parametrize("width", [1280, 390])
def test_page_when_shown_fits_the_window(browser: Browser, width: int) -> None:
    found = browser.measure(width)
    assert found["scroll_width"] == found["client_width"] == width
    assert found["too_wide"] == []
    assert found["n_charts"] == 13
    assert found["cut"] == []
    assert found["least_font"] > 9.5  # CSS pixels: small, but readable
    assert found["n_requests"] == 0
    assert found["alerts"] == "hand: Loopmix report"
    assert found["first_fill"].startswith("rgb")  # a colour variable that resolves


def test_page_when_photographed_is_not_blank(browser: Browser) -> None:
    for width in (1280, 500):
        image = browser.photograph(width)
        assert image[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(image[16:20], "big") == width
        assert len(image) > 20_000  # an empty page of this size packs into a few kilobytes
