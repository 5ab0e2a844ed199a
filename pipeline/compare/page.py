"""The page of a comparison: one HTML file in the look of the report, without fonts or requests."""

from __future__ import annotations

from pathlib import Path

from pipeline.compare import tables
from pipeline.compare.found import KINDS, DocumentChanges, RunComparison
from pipeline.compare.terminal import headline
from pipeline.errors import StoreError
from pipeline.report.markup import Html, draw, element, section
from pipeline.report.page import document
from pipeline.report.table import ReportTable


def write_page(found: RunComparison, path: Path) -> None:
    """Write the page. StoreError where that cannot be."""
    try:
        path.write_bytes(render(found))
    except OSError as error:
        raise StoreError(f"{path}: the page cannot be written: {error}") from error


def render(found: RunComparison) -> bytes:
    """The whole page. Equal findings give equal bytes."""
    parts = [_overview(found), _settings(found)]
    if found.documents is not None:
        parts += [_documents(found.documents), _shares(found.documents)]
    parts += [_promises(found), *([_examples(found.documents)] if found.documents else [])]
    links = [("overview", "Overview"), ("settings", "Settings"), ("documents", "Documents"), ("shares", "Shares")]
    links += [("promises", "Balance"), ("examples", "Examples")]
    drawn = "".join(parts)
    nav = element("nav", *(element("a", title, href=f"#{name}") for name, title in links if f'id="{name}"' in drawn))
    about = [element("p", f"{name}: {side.run}", css="about") for name, side in (("A", found.a), ("B", found.b))]
    title = f"{found.a.mixture} and {found.b.mixture}" if found.a.mixture != found.b.mixture else found.a.mixture
    head = element("header", element("h1", f"{title}: two runs compared"), *about, nav)
    foot = element("footer", element("p", f"Loopmix {found.version}. “loopmix compare --json” has every digit."))
    return document(f"{title}: Loopmix comparison", (head, element("main", *parts), foot))


def _overview(found: RunComparison) -> Html:
    guide = "A is the first run, B the second. No text of a document stands here; both runs stay as they are."
    said = headline(found)
    big = element("p", f"{said[0].upper()}{said[1:]}.", css="big good" if found.same else "big")
    return section(
        "overview", "Overview", big, *_drawn(tables.runs_table(found), tables.verdicts_table(found)), guide=guide
    )


def _settings(found: RunComparison) -> Html:
    guide = (
        "Every key of the two resolved mixtures that differs, defaults included. A stage of which all files are equal "
        "did the same work on the same input; the first one that is not is where the runs part."
    )
    kept = tables.settings_table(found) if found.settings else None
    none = [] if found.settings else [element("p", "No setting differs.")]
    return section(
        "settings",
        "Settings, input and stages",
        *none,
        *_drawn(kept, tables.inputs_table(found), tables.stages_table(found)),
        guide=guide,
    )


def _documents(found: DocumentChanges) -> Html:
    how = (
        "Both runs hold the same rows of documents, so they were read side by side."
        if found.side_by_side
        else "Documents are matched by their id (source, input file and row), then by repository, path and bytes."
    )
    guide = f"{how} Every document of both runs is counted in exactly one row from fate to fate."
    moves = tables.moves_table(found) if found.moves else None
    reasons = tables.reasons_table(found) if found.reasons else None
    return section(
        "documents",
        "Documents",
        *_drawn(tables.kinds_table(found), tables.flows_table(found), reasons, moves),
        guide=guide,
    )


def _shares(found: DocumentChanges) -> Html:
    guide = "Shares of each pool's packed tokens; of sources, of all packed tokens. Points are B less A."
    code, text = ([g for g in found.groups if g.pool == pool] for pool in ("code", "text"))
    drawn = _drawn(
        tables.shares_table("Languages of the code pool", "language", code),
        tables.shares_table("Sources of the text pool", "source", text),
        tables.shares_table("All sources", "source", found.sources),
    )
    return section("shares", "Shares of languages and sources", *drawn, guide=guide)


def _promises(found: RunComparison) -> Html:
    guide = (
        "The balance of both streams as their reports count it, and what one report points at and the other does not."
    )
    return section(
        "promises",
        "Balance and notices",
        *_drawn(tables.balance_table(found), tables.notices_table(found)),
        guide=guide,
    )


def _examples(found: DocumentChanges) -> Html:
    guide = (
        "Documents of each kind, drawn by a key of the document: the same ones each time. Why: which limit, keeper, "
        "language or bytes made the difference. “loopmix why RUN DOC_ID --text” shows one of them."
    )
    by_kind = [(kind, [e for e in found.examples if e.kind == kind]) for kind in KINDS]
    drawn = _drawn(*(tables.examples_table(kind, shown) for kind, shown in by_kind if shown))
    return section("examples", "Examples", *(drawn or [element("p", "No document differs.")]), guide=guide)


def _drawn(*shown: ReportTable | None) -> list[Html]:
    return [draw(table) for table in shown if table is not None]
