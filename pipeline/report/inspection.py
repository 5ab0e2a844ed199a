"""The section of the validation page that looks at the data: findings, each group's signs, the documents that hurt."""

from collections.abc import Iterator

from pipeline.report.formats import exact
from pipeline.report.markup import Html, draw, element, section
from pipeline.report.table import COUNT, ID, PATH, PERCENT, STATUS, TEXT, THOUSANDTHS, Column, Kind, ReportTable
from pipeline.report.terminal_table import table_lines
from pipeline.results import RUIN, HurtDocument, Inspection, RuinFinding

_UNLIKELY = "unlikely text"
_N_WORST = 30  # documents of all groups shown first
_NATS = Kind("{:+.2f}".format)
_BITS = Kind("{:.2f}".format)


def findings_table(found: tuple[RuinFinding, ...]) -> ReportTable:
    """A row for each group and kind of ruin, surest first."""
    columns = [
        Column("group", TEXT),
        Column("pool", TEXT, 3),
        Column("status", STATUS),
        Column("what was found", TEXT),
        Column("documents", COUNT),
        Column("looked at", COUNT, 2),
        Column("healthy share", PERCENT, 1),
        Column("for example", ID, 9),
    ]
    rows = [
        (f.group, f.pool, f.status, RUIN[f.kind], f.n_found, f.n_docs, f.expected, ", ".join(f.examples[:2]))
        for f in found
    ]
    return ReportTable("Groups with more ruin than healthy data have", columns, rows)


def signs_table(found: Inspection) -> ReportTable:
    """A row for each group: what compressors and models make of its order, beside healthy text."""
    columns = [Column("group", TEXT), Column("pool", TEXT), Column("documents", COUNT)]
    columns += [Column("deflate", _BITS), Column("permuted", _BITS)]
    columns += [Column("pair order", _NATS), Column("healthy", _NATS)]
    columns += [Column("reference", THOUSANDTHS), Column("its gap", _NATS), Column("healthy gap", _NATS)]
    columns += [Column("seen in training", PERCENT)]
    rows = [
        (
            *(g.group, g.pool, g.n_docs, g.deflate, g.deflate_permuted, g.order, g.order_healthy),
            *(g.reference, g.reference_gap, g.gap_healthy, g.seen),
        )
        for g in found.groups
    ]
    note = "deflate and reference in bits per byte, orders and gaps in nats per token"
    return ReportTable(f"{len(found.groups)} groups", columns, rows, note)


def documents_table(title: str, documents: list[HurtDocument]) -> ReportTable:
    """Documents with their place and what speaks against them."""
    columns = [
        Column("path", PATH),
        Column("group", TEXT),
        Column("kind", TEXT),
        Column("surprise", _BITS),
        Column("begins", TEXT, 9),
        Column("ask", TEXT, 9),
    ]
    rows = [
        (d.path or d.doc_id, d.group, RUIN.get(d.kind, _UNLIKELY), d.surprise, d.start, f"loopmix why RUN {d.doc_id}")
        for d in documents
    ]
    return ReportTable(title, columns, rows)


def inspection_section(found: Inspection) -> Html:
    """Findings first, then every group, then documents."""
    guide = (
        f"{exact(found.n_sampled)} of {exact(found.n_docs)} documents were looked at before any training. Order is how "
        "much better neighbours fit than chance, by a table of pairs and by a small reference model, made "
        "from a healthy mixture; its gap is what it loses when a document's tokens are permuted. Text that deflate "
        "makes no larger when permuted has no order; below half a bit per byte it repeats itself."
    )
    parts = [draw(findings_table(found.findings))] if found.findings else [element("p", "No group shows ruin.")]
    parts.append(draw(signs_table(found)))
    worst = list(found.documents[:_N_WORST])
    parts.append(draw(documents_table("Documents that hurt most, by surprise in nats", worst)))
    groups = sorted({(d.pool, d.group) for d in found.documents})
    for pool, group in groups:
        of_group = [d for d in found.documents if (d.pool, d.group) == (pool, group)][:10]
        table = draw(documents_table(f"{group} ({pool})", of_group))
        parts.append(element("details", element("summary", f"{group}: the ten least likely"), table))
    return section("data", "What the data say", *parts, guide=guide)


def lines(found: Inspection) -> Iterator[str]:
    """Findings for a terminal, and the worst documents where there are any."""
    if not found.findings:
        return
    yield from table_lines(findings_table(found.findings).head(12))
    for f in found.findings[:6]:
        for d in [d for d in found.documents if d.doc_id in f.examples[:1]]:
            yield f"  for example {d.path or d.doc_id}: {RUIN.get(d.kind, '')}"
