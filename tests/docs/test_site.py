"""The site of docs: every page is in the navigation, and every link and anchor between pages leads somewhere.

`make docs` builds it and checks the same and more; this is what can be said without its tools.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OTHERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "mixture_configs" / "README.md"]
_PARSER = MarkdownIt("commonmark").enable("table")


def listed_in(page: Path) -> Iterator[Path]:
    """The pages of the navigation of one page, and of those that it lists."""
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                for found in sorted(page.parent.glob(f"{line}.md")):
                    if found != page:
                        yield found
                        yield from listed_in(found)


def test_every_page_is_in_the_navigation_once() -> None:
    """A new page has a line in a `toctree` of docs/index.md."""
    index = DOCS / "index.md"
    assert Counter(listed_in(index)) == Counter(path for path in PAGES if path != index)


def inline(path: Path) -> Iterator[Any]:
    for token in _PARSER.parse(path.read_text(encoding="utf-8")):
        yield from token.children or ()


def anchors(path: Path) -> set[str]:
    """The anchors of headings, as GitHub and the site make them."""
    tokens = _PARSER.parse(path.read_text(encoding="utf-8"))
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    seen: Counter[str] = Counter()
    found = set()
    for title in titles:
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return found


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_pages_and_anchors_that_there_are(path: Path) -> None:
    hrefs = [str(token.attrs["href"]) for token in inline(path) if token.type == "link_open"]
    broken = []
    for href in hrefs:
        if re.match(r"[a-z]+:", href):
            continue
        name, _, anchor = href.partition("#")
        target = (path.parent / name).resolve() if name else path
        inside = path not in PAGES or target.is_relative_to(DOCS)  # the site holds nothing outside of docs
        if not target.is_file() or not inside or (anchor and anchor not in anchors(target)):
            broken.append(href)
    assert broken == []


_NAMED = re.compile(r"(?<![\w/.-])(?:docs|mixture_configs|jobs|tests|pipeline)/[\w./-]*\.(?:md|py|yaml)\b")


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(path: Path) -> None:
    named = set(_NAMED.findall(path.read_text(encoding="utf-8")))
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_a_list_begins_behind_an_empty_line(path: Path) -> None:
    """Parsers differ where it follows a paragraph at once: a numbered one is a part of it for most."""
    lines, fenced, wrong = path.read_text(encoding="utf-8").splitlines(), False, []
    for before, line in zip(["", *lines], lines, strict=False):
        fenced ^= line.startswith("```")
        if (
            not fenced
            and re.match(r"([-*]|\d+\.) ", line)
            and before.strip()
            and not re.match(r"\s|[-*]|\d+\.", before)
        ):
            wrong.append(line)
    assert wrong == []
