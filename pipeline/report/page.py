"""The page: one HTML file without scripts, fonts or requests. Numbers in, bytes out."""

from __future__ import annotations

from pathlib import Path

from pipeline.report import page_decisions, page_documents, page_stream
from pipeline.report.formats import exact, size
from pipeline.report.markup import Html, element
from pipeline.report.numbers import Numbers
from pipeline.report.overview import overview

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = Path(__file__).with_name("page.css")


def render(numbers: Numbers) -> bytes:
    """The whole page. Equal numbers give equal bytes."""
    parts = [
        page_documents.languages(numbers),
        page_documents.sources(numbers),
        page_decisions.decisions(numbers),
        page_documents.drops(numbers),
        page_documents.duplicates(numbers),
        page_documents.origins(numbers),
        page_stream.stream(numbers),
        page_stream.packing(numbers),
        page_stream.training(numbers.training),
        page_stream.work(numbers),
    ]
    sections = [p for p in parts if p is not None]
    body = (_header(numbers), element("main", overview(numbers), *sections), _footer(numbers))
    return document(f"{numbers.name}: Loopmix report", body)


def document(title: str, body: tuple[Html, ...]) -> bytes:
    """A page that asks nobody for anything: style inside, everything else forbidden."""
    head = (
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", title),
        Html(f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"),
    )
    page = element("html", element("head", *head), element("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n".encode()


_PLACES = (
    ("languages", "Languages"),
    ("sources", "Text sources"),
    ("decisions", "Languages decided"),
    ("drops", "Drops"),
    ("duplicates", "Duplicates"),
    ("origins", "Licences"),
    ("stream", "Stream"),
    ("packing", "Packing"),
    ("training", "Training"),
    ("work", "Work"),
)


def _header(numbers: Numbers) -> Html:
    """Title, one sentence, and links to the sections."""
    t = numbers.totals
    n_sequences = sum(p.n_sequences for p in numbers.packing.pools)
    about = (
        f"{exact(t.n_docs)} documents ({size(t.n_bytes)}) became {exact(t.n_packed_tokens)} tokens in "
        f"{exact(n_sequences)} sequences of {exact(numbers.packing.seq_len)}."
    )
    links = [element("a", title, href=f"#{name}") for name, title in _PLACES if name != "training" or numbers.training]
    return element("header", element("h1", numbers.name), element("p", about, css="about"), element("nav", *links))


def _footer(numbers: Numbers) -> Html:
    """What made the page; no date, so that equal runs make equal pages."""
    line = (
        f"Loopmix {numbers.version}, seed {numbers.seed}, {exact(numbers.n_shards)} input shards. "
        "report.json beside this page holds the same numbers with every digit."
    )
    return element("footer", element("p", line))
