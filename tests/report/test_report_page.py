"""The page: safe with hostile names, complete without the network, the same everywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hand_run import hand_run, model_folder, renamed

from pipeline.reading.samples import KINDS
from pipeline.report import write_report
from pipeline.report.compute import compute
from pipeline.report.markup import element, text
from pipeline.report.numbers import Notice
from pipeline.report.overview import _mix, _wrong
from pipeline.report.page import document, render
from pipeline.report.svg import literal

HOSTILE = "<script>alert('1')</script>\"&\x1b[31m\u202e$x^2$ &amp; 日本"


class _Reader(HTMLParser):
    """Collects tags and attributes, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "br"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    run = hand_run(folder / "run", problem="part-1.parquet: page checksum <mismatch>")
    _, path = write_report(run, model=model_folder(folder / "model", run))
    return Path(path).read_text(encoding="utf-8")


def test_page_when_read_is_well_formed_with_unique_ids(page: str) -> None:
    reader = _read(page)
    assert len(reader.ids) == len(set(reader.ids))
    targets = [a["href"] or "" for tag, a in reader.tags if tag == "a" and "download" not in a]
    inside = [t for t in targets if t.startswith("#")]
    assert inside
    assert all(t[1:] in reader.ids for t in inside)
    assert [t for t in targets if t not in inside] == [f"samples/{kind}.html" for kind in KINDS]


def _is_own(address: str) -> bool:
    """Of the page, of a page beside it, or a file that the address itself holds."""
    return address.startswith(("#", "samples/", "data:text/csv;charset=utf-8,", "data:image/svg+xml,"))


def test_page_when_opened_asks_nothing_of_the_network(page: str) -> None:
    reader = _read(page)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form", "image"} & {t for t, _ in reader.tags}
    assert not re.search(r"https?:|//[a-z]|@import|@font-face|url\((?!#)", page)
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name == "src" for name in attributes), tag
        assert all(_is_own(attributes.get(name) or "#") for name in ("href", "xlink:href"))
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"; script-src 'sha256-{digest}'; img-src data:")
    assert [t for t, _ in reader.tags].count("script") == 1


def test_a_page_without_charts_has_no_script_and_allows_none() -> None:
    plain = document("t", (element("p", '<div class="chart">'),)).decode()
    assert "<script" not in plain and "script-src" not in plain and "img-src" not in plain


def test_page_when_read_aloud_names_every_chart(page: str) -> None:
    reader = _read(page)
    charts = [a for tag, a in reader.tags if tag == "svg"]
    labels = [a["aria-label"] for a in charts]
    assert all(a["role"] == "img" and a["aria-label"] for a in charts)
    assert len(charts) == len(set(labels)) == 13
    figures = page.split("<figure>")[1:]
    assert len(figures) == 13
    assert all("<table>" in f.split("</figure>")[0] for f in figures)


def test_page_when_names_are_hostile_shows_them_as_text(tmp_path: Path) -> None:
    shards = renamed(a={"language": HOSTILE, "license": HOSTILE}, c={"decided_by": HOSTILE}, e={"source": HOSTILE})
    page = render(compute(hand_run(tmp_path, shards=shards, problem=HOSTILE))).decode()
    reader = _read(page)
    assert [tag for tag, _ in reader.tags].count("script") == 1  # the page's own
    assert "\x1b" not in page
    assert "\u202e" not in page
    said = "".join(reader.said)
    assert said.count("<script>alert('1')</script>\"&\\x1b[31m\\u202e$x^2$ &amp; 日本") > 5


def test_page_when_drawn_twice_has_equal_bytes(tmp_path: Path) -> None:
    numbers = compute(hand_run(tmp_path))
    assert render(numbers) == render(numbers)


def test_page_when_coloured_uses_variables_that_are_defined(page: str) -> None:
    style = page.split("<style>")[1].split("</style>")[0]
    used = set(re.findall(r"var\(--(\w+)\)", page))
    defined = set(re.findall(r"--(\w+):", style))
    assert used <= defined


def test_element_when_values_need_escaping() -> None:
    made = element("p", 'a < b & "c"', css="x", title="'\"<>")
    assert made == '<p class="x" title="&#x27;&quot;&lt;&gt;">a &lt; b &amp; &quot;c&quot;</p>'
    assert text(made) == made


def test_literal_when_names_are_long_or_hold_what_cannot_be_shown() -> None:
    assert literal("a$x$ 日本\n") == "a$x$ 日本\\n"
    assert literal("x" * 40, limit=10) == "xxxxxxxxx…"


@pytest.mark.parametrize(
    ("levels", "answer"),
    [((), "Nothing"), (("note",), "No; there are notes"), (("warn", "note"), "Have a look"), (("fail",), "Yes")],
)
def test_whether_anything_is_wrong_is_answered_by_what_stands_below(levels: tuple[Any, ...], answer: str) -> None:
    numbers = SimpleNamespace(notices=tuple(Notice(level, "m", "means", "do") for level in levels))
    assert f">{answer}<" in _wrong(numbers)  # type: ignore[arg-type]


def test_the_card_of_the_mix_counts_what_it_names_and_nothing_that_is_no_language(tmp_path: Path) -> None:
    numbers = compute(hand_run(tmp_path))
    python = next(g for g in numbers.groups if g.name == "Python")
    there = [replace(python, name=f"L{n}", n_packed_tokens=1, after_frac=0.05) for n in range(18)]
    there += [replace(there[0], name=name) for name in ("Text", "Other code")]
    absent = [replace(there[0], name=f"M{n}", n_packed_tokens=0, after_frac=0.0) for n in range(5)]
    prose = replace(there[0], pool="text", name="web")
    said = _mix(replace(numbers, groups=(*there, *absent, prose)))
    assert ">18 languages<" in said and ">11 others<" in said  # nine are named, of twenty that enter
    assert "Of no language, and not counted as one: Text, Other code. The text comes from 1 source." in said
    apart = [replace(there[0], name=name) for name in ("XML", "XML prose", "HTML prose")]
    assert ">2 languages<" in _mix(replace(numbers, groups=(*apart, prose))), "prose set apart is of its format"
    few = _mix(replace(numbers, groups=(there[0], *absent, prose, replace(prose, name="books"))))
    assert ">1 language<" in few and "others" not in few and "M0" not in few
    assert "code tokens. The text comes from 2 sources." in few
