"""The page: one HTML file without fonts or requests, whose only script draws charts as PNG. Numbers in, bytes out."""

from pathlib import Path

from pipeline.reading.samples import KINDS
from pipeline.report.downloads import numbered, png_script
from pipeline.report.formats import exact, sample_of, size
from pipeline.report.markup import Html, element, join
from pipeline.report.numbers import Numbers
from pipeline.report.overview import overview
from pipeline.report.sections import SECTIONS

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action {}"
_CHART = '<div class="chart">'  # markup, which no text of a run can be: all are escaped
_STYLE = Path(__file__).with_name("page.css")


def render(numbers: Numbers, *, has_samples: bool = False) -> bytes:
    """The whole page. Equal numbers give equal bytes; `has_samples`: pages of texts stand beside it."""
    drawn = [(name, title, part) for name, title, paint in SECTIONS if (part := paint(numbers)) is not None]
    links = [element("a", title, href=f"#{name}") for name, title, _ in drawn]
    if has_samples:
        links += [element("a", f"Samples by {kind}", href=f"samples/{kind}.html", css="out") for kind in KINDS]
    main = element("main", overview(numbers), *(part for *_, part in drawn))
    return document(f"{numbers.name}: Loopmix report", (_header(numbers, links), main, _footer(numbers)))


def document(title: str, body: tuple[Html, ...], *, form_action: str = "'none'") -> bytes:
    """A page that asks nobody for anything: style inside, everything else forbidden, forms but for `form_action`.

    A page with charts has the one script that saves them, which its policy names by its hash.
    """
    policy, shown = _POLICY.format(form_action), Html(numbered(join(body)))
    if _CHART in shown:
        script, allowed = png_script()
        policy, shown = f"{policy}; {allowed}", Html(f"{shown}<script>{script}</script>")
    head = (
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("title", title),
        Html(f"<style>{_STYLE.read_text(encoding='utf-8')}</style>"),
    )
    page = element("html", element("head", *head), element("body", shown), lang="en")
    return f"<!DOCTYPE html>\n{page}\n".encode()


def _header(numbers: Numbers, links: list[Html]) -> Html:
    """Title, one sentence, and links to the sections."""
    t = numbers.totals
    sequences = [f"{exact(one.n_sequences)} sequences of {exact(one.packing.seq_len)}" for one in numbers.streams]
    about = (
        f"{exact(t.n_docs)} documents ({size(t.n_bytes)}) became {exact(t.n_packed_tokens)} tokens in "
        f"{', then '.join(sequences)}."
    )
    head = [element("h1", numbers.name)]
    if (sample := numbers.sample) is not None:
        head.append(element("p", sample_of(sample.rate, sample.n_input_docs, sample.n_input_bytes), css="about warn"))
    return element("header", *head, element("p", about, css="about"), element("nav", *links))


def _footer(numbers: Numbers) -> Html:
    """What made the page; no date, so that equal runs make equal pages."""
    line = (
        f"Loopmix {numbers.version}, seed {numbers.seed}, {exact(numbers.n_shards)} input shards, "
        f"tokenizer with SHA-256 {numbers.tokenizer[:16]}. "
        "report.json beside this page holds the same numbers with every digit."
    )
    return element("footer", element("p", line))
