"""Loop diagnostics as tables and charts, beside what the LoopCoder-v2 report prints for its four-loop model.

The report's numbers are of a 7B model after instruction tuning; a small one trained for minutes can be compared in the
direction of each line, not in its height. Only numbers printed in its tables and text stand here; curves that exist as
figures alone have no value to quote.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.report.formats import NOTHING, number
from pipeline.report.markup import Html, element, figure, section
from pipeline.report.markup import draw as draw_table
from pipeline.report.page import document
from pipeline.report.plot import Axis, Key, Panel, Scale, Shapes, draw, value_axis
from pipeline.report.svg import CODE, PAPER, line, literal, mark
from pipeline.report.table import TEXT, THOUSANDTHS, Column, ReportTable
from pipeline.report.terminal_table import table_lines
from pipeline.results import DIAGNOSTICS_NAME, Diagnostics, LoopDiagnostics, Stat, to_json


@dataclass(frozen=True)
class Measure:
    """One line of the table. `paper`: printed values of PLT with four loops, by loop."""

    key: str
    title: str
    unit: str
    digits: int
    paper: tuple[tuple[int, float], ...] = ()
    chart: bool = True


MEASURES = (
    Measure("step_size", "step size", "norm", 2, ((2, 846.0), (3, 464.0), (4, 1014.0))),
    Measure("step_size_normed", "step size, normed states", "norm", 2, chart=False),
    Measure("alignment", "update alignment", "cosine", 3, ((2, -0.72), (3, -0.46), (4, 0.04))),
    Measure("alignment_normed", "update alignment, normed states", "cosine", 3, chart=False),
    Measure("sequence_rank", "effective rank in a sequence", "directions", 1, ((2, 174.6), (3, 172.5), (4, 158.2))),
    Measure("effective_rank", "effective rank, sequences pooled", "directions", 1, chart=False),
    Measure("fixed_point_gap", "fixed-point gap", "norm", 2),
    Measure("offset_cost", "offset cost", "norm", 2, chart=False),
    Measure("offset_cost_normed", "offset cost, normed states", "norm", 2),
    Measure("attention_entropy", "attention entropy", "nats", 3),
    Measure("attention_change", "attention change from the loop before", "nats (KL)", 3),
    Measure("head_rank", "head diversity: effective rank", "heads", 2),
    Measure("head_similarity", "head similarity", "cosine", 3),
    Measure("gate_mean", "gate: weight of the global branch", "share", 3),
    Measure("output_shift", "output shift", "nats (KL)", 4, ((2, 1.75), (3, 1.32), (4, 1.58))),
    Measure("target_rank", "rank of the true token, median", "rank", 1),
    Measure("output_entropy", "output entropy", "nats", 3),
    Measure("loss", "loss if read out here", "nats", 3),
    Measure("output_shift_share", "share of all output shift", "share", 3, ((2, 0.38), (3, 0.28), (4, 0.34))),
    Measure("attention_change_share", "share of all attention change", "share", 3, ((2, 0.50), (3, 0.25), (4, 0.25))),
    Measure("peak_share", "tokens that change most here", "share", 3, ((2, 0.43), (3, 0.13), (4, 0.44))),
)
_DASHES = ("", "6 3", "2 2", "6 2 2 2")  # of models side by side; more are not drawn
_N_COLUMNS = 2  # of small charts: more would be too small on a phone
PAPER_HEADS = (
    "Of its heads the report prints those of three loops: similarity 0.57, 0.67, 0.71; effective rank 11.9, 10.8, 9.5."
)


def _value(loop: LoopDiagnostics, key: str) -> Stat | None:
    """The measure `key`; plain numbers have no interval."""
    found = getattr(loop, key)
    return found if found is None or isinstance(found, Stat) else Stat(found, math.nan)


def _cell(value: Stat | None, *, digits: int) -> str:
    """A mean and the half-width of its interval."""
    if value is None:
        return NOTHING
    if math.isnan(value.mean):
        return "not finite"
    spread = "" if math.isnan(value.ci95) else f" ± {number(value.ci95, digits=digits)}"
    return number(value.mean, digits=digits) + spread


def diagnosis_table(found: Diagnostics) -> ReportTable:
    """A row for each measure: name, unit, each loop, the report's values."""
    rows = []
    for measure in MEASURES:
        ours = [_cell(_value(loop, measure.key), digits=measure.digits) for loop in found.loops]
        rows.append((measure.title, measure.unit, *ours, ", ".join(f"{value:g}" for _, value in measure.paper)))
    columns = [Column("measure", TEXT), Column("unit", TEXT, 1)]
    columns += [Column(f"loop {loop.loop}", THOUSANDTHS) for loop in found.loops]
    columns += [Column("report, R = 4", TEXT)]
    note = "the report gives loops 2, 3, 4"
    return ReportTable(f"R = {len(found.loops)}: mean ± half of the 95 % interval", columns, rows, note)


def lines(found: Diagnostics) -> list[str]:
    """The same table for a terminal."""
    table = diagnosis_table(found)
    return table_lines(replace(table, note=f"{table.note}. {about(found)} {PAPER_HEADS}"))


def about(found: Diagnostics) -> str:
    """What was measured."""
    return (
        f"{found.n_sequences} held-out sequences, {found.n_tokens:,} tokens that follow another of their document; "
        f"means over sequences with 95 % intervals; ranks over {found.n_sequence_rank_tokens} tokens of a sequence and "
        f"{found.n_rank_tokens:,} pooled."
    )


def loop_section(found: dict[str, Diagnostics], *, name: str = "loops", title: str = "What each loop does") -> Html:
    """Tables of one or several models (by number of loops) and a chart of each measure."""
    guide = (
        "What the report measures in its looped models, here on held-out sequences of this one. The report's column is "
        "a 7B model after instruction tuning: compare directions, not heights. In it loop 2 does most of the refining, "
        "later loops turn back (alignment below zero), and the gate stays above one half."
    )
    tables = [draw_table(diagnosis_table(d)) for _, d in sorted(found.items(), key=lambda item: int(item[0]))]
    first = next(iter(found.values()))
    notes = (element("p", about(first), css="guide"), element("p", PAPER_HEADS, css="guide"))
    return section(name, title, figure(loops_chart(found)), *tables, *notes, guide=guide)


def loops_chart(found: dict[str, Diagnostics]) -> str:
    """Every measure over the loops, a line for each model, with intervals; the report's printed values as crosses."""
    shown = [m for m in MEASURES if m.chart]
    models = sorted(found.items(), key=lambda item: -int(item[0]))
    keys = [
        Key(f"this model, R = {n}", CODE, "line", dash, marked=True)
        for (n, _), dash in zip(models, _DASHES, strict=False)
    ]
    keys.append(Key("report, R = 4 (right scale)", PAPER, "line"))
    panels = [_panel(measure, [diagnosis for _, diagnosis in models]) for measure in shown]
    label = "Loop diagnostics: " + ", ".join(m.title for m in shown)
    height = math.ceil(len(shown) / _N_COLUMNS) * 150 + 60
    return draw(panels, keys=keys, height=height, label=label, n_columns=_N_COLUMNS)


def _panel(measure: Measure, models: Sequence[Diagnostics]) -> Panel:
    ours = [_points(measure.key, model.loops) for model in models[: len(_DASHES)]]
    last = max([len(d.loops) for d in models] + [loop for loop, _ in measure.paper])
    x = Axis(0.7, last + 0.3, [(loop, str(loop)) for loop in range(1, last + 1)])
    reached = [end for points in ours for _, value, half in points for end in (value - half, value + half)]
    beside = None
    if measure.paper:
        beside = value_axis([value for _, value in measure.paper], n=3, colour=PAPER), _crosses(measure)
    return Panel(x, value_axis(reached, n=3), _lines(ours), literal(measure.title, limit=28), beside=beside)


def _lines(ours: Sequence[Sequence[tuple[int, float, float]]]) -> Shapes:
    """A line for each model, and its interval at each loop."""

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        for points, dash in zip(ours, _DASHES, strict=False):
            yield line([(x(loop), y(value)) for loop, value, _ in points], colour=CODE, width=1.6, dash=dash)
            for loop, value, half in points:
                yield line([(x(loop), y(value - half)), (x(loop), y(value + half))], colour=CODE, width=1.6)
                yield mark((x(loop), y(value)), "dot", colour=CODE, radius=1.8)

    return shapes


def _crosses(measure: Measure) -> Shapes:
    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        places = [(x(loop), y(value)) for loop, value in measure.paper]
        yield line(places, colour=PAPER, width=0.8)
        yield from (mark(place, "cross", colour=PAPER) for place in places)

    return shapes


def _points(key: str, loops: Sequence[LoopDiagnostics]) -> list[tuple[int, float, float]]:
    found = [(loop.loop, _value(loop, key)) for loop in loops]
    return [(n, v.mean, 0.0 if math.isnan(v.ci95) else v.ci95) for n, v in found if v and not math.isnan(v.mean)]


def write_diagnosis(found: Diagnostics, *, out: Path, name: str) -> Path:
    """Write diagnostics.json and index.html into `out`; gives the page."""
    out.mkdir(parents=True, exist_ok=True)
    (out / DIAGNOSTICS_NAME).write_text(to_json(found, indent=1) + "\n", encoding="utf-8")
    parts = loop_section({str(len(found.loops)): found})
    head = element("header", element("h1", f"{name}: loop diagnostics"))
    page = out / "index.html"
    page.write_bytes(document(f"{name}: Loopmix diagnostics", (head, element("main", parts))))
    return page
