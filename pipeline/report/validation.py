"""The verdict page of `loopmix validate`: one HTML file without fonts or requests; and its terminal lines."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import __version__
from pipeline.report.charts import N_CURVES, Curve, steps_chart
from pipeline.report.formats import exact, number, percent, short
from pipeline.report.inspection import inspection_section
from pipeline.report.inspection import lines as inspection_lines
from pipeline.report.loops import loop_section
from pipeline.report.markup import Html, draw, element, figure, section
from pipeline.report.page import document
from pipeline.report.svg import CODE, SERIES
from pipeline.report.svg import TEXT as TEXT_COLOUR
from pipeline.report.table import BAR, COUNT, PERCENT, STATUS, TEXT, THOUSANDTHS, Column, ReportTable
from pipeline.report.terminal_table import table_lines
from pipeline.report.training_tables import checks_table
from pipeline.results import Comparison, GroupScore, Validation

PAGE_NAME = "index.html"
_COLOURS = {"code": CODE, "text": TEXT_COLOUR}


def write_page(found: Validation, out: Path) -> Path:
    """Write `out`/index.html."""
    path = out / PAGE_NAME
    path.write_bytes(render(found))
    return path


def render(found: Validation) -> bytes:
    """The whole page. Equal numbers give equal bytes."""
    parts = [_verdict(found)]
    if found.inspection:
        parts.append(inspection_section(found.inspection))
    parts += [_losses(found), _languages(found)]
    if found.comparisons:
        parts.append(_comparisons(found))
    if found.diagnostics:
        parts.append(loop_section(found.diagnostics))
    parts.append(_speed(found))
    about = (
        f"{exact(found.n_tokens)} tokens in sequences of {exact(found.seq_len)}, {short(found.n_parameters)} "
        f"parameters, R = {found.n_loops}. Scores are {found.unit}."
    )
    head = element("header", element("h1", f"{found.mixture}: does it train?"), element("p", about, css="about"))
    foot = element("footer", element("p", f"Loopmix {__version__}. validation.json beside this page has every digit."))
    return document(f"{found.mixture}: Loopmix validation", (head, element("main", *parts), foot))


def _verdict(found: Validation) -> Html:
    guide = "Fail: mixture or training is broken. Warn: it deserves a look, or could not be judged with this budget."
    verdict = element("p", found.message, css=f"big {found.status}")
    return section("verdict", "Verdict", verdict, draw(checks_table(found.checks)), guide=guide)


def _losses(found: Validation) -> Html:
    guide = (
        "Held-out score of both pools while training. The dotted lines are what token frequencies of the same tokens "
        "reach; step 0 is the untrained model. Bits per byte can be compared between languages and between tokenizers."
    )
    charts = *((figure(_pool_chart(found)),) if found.pools else ()), figure(_step_chart(found))
    scores = draw(scores_table(found.unit.capitalize(), found.pools))
    return section("losses", "Loss over training", *charts, scores, guide=guide)


def scores_table(title: str, scores: Sequence[GroupScore]) -> ReportTable:
    """Held-out scores of pools or groups before, without and after learning."""
    rows = []
    for g in scores:
        bar = (0.0 if math.isnan(g.gain) else g.gain, g.pool)
        measured = (g.untrained, g.unigram, g.final, g.gain, None if math.isnan(g.gap) else g.gap)
        rows.append((g.name, g.pool, g.status, g.message, g.n_tokens, *measured, bar))
    columns = [
        Column("name", TEXT),
        Column("pool", TEXT, 3),
        Column("status", STATUS),
        Column("what was found", TEXT, 1),
    ]
    columns += [Column("held-out tokens", COUNT, 2), Column("untrained", THOUSANDTHS)]
    columns += [Column("frequencies", THOUSANDTHS), Column("trained", THOUSANDTHS)]
    columns += [Column("below frequencies", PERCENT), Column("permutation gap", THOUSANDTHS), Column("", BAR)]
    return ReportTable(title, columns, rows)


def _pool_chart(found: Validation) -> str:
    curves = [Curve(f"held-out {p.pool}", _COLOURS[p.pool], p.curve, marked=True) for p in found.pools]
    levels = [(f"{p.pool} frequencies", _COLOURS[p.pool], p.unigram) for p in found.pools]
    label = "Held-out score: " + ", ".join(f"{p.pool} {number(p.final)} {found.unit}" for p in found.pools)
    return steps_chart(curves, levels=levels, unit=found.unit, label=label)


def _step_chart(found: Validation) -> str:
    """Training loss per pool: means over even stretches of the steps, and where it jumped."""
    curves = []
    for pool, colour in _COLOURS.items():
        losses = [(s.step, getattr(s, f"{pool}_loss")) for s in found.steps]
        points = [(step, loss) for step, loss in losses if not math.isnan(loss)]
        size = max(1, len(points) // 60)
        parts = [points[i : i + size] for i in range(0, len(points), size)]
        means = [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
        curves += [Curve(f"training {pool}", colour, means, width=1.6)] if means else []
    label = f"Training loss per pool in nats per token, {len(found.spikes)} spikes"
    return steps_chart(curves, spikes=found.spikes, label=label)


def _languages(found: Validation) -> Html:
    guide = (
        "Every language and text source with enough held-out tokens, worst first. Learnt means below its own token "
        "frequencies; the bar is how far below. A language above them beyond what its documents' spread explains has "
        "too few tokens, too many repeats, or is not what its label says. The permutation gap is how much more the "
        "same tokens cost in a drawn order: near zero, there was no order to learn."
    )
    chart = figure(_group_chart(found)) if found.groups else ""
    every = draw(scores_table(f"{len(found.groups)} groups, {found.unit}", found.groups))
    small = draw(_unjudged_table(found)) if found.not_judged else ""
    return section("languages", "Loss per language", chart, every, small, guide=guide)


def _unjudged_table(found: Validation) -> ReportTable:
    rows = [(g.group, g.pool, g.n_tokens, g.n_run_tokens) for g in found.not_judged]
    columns = [Column("name", TEXT), Column("pool", TEXT), Column("held-out tokens"), Column("tokens of the run")]
    return ReportTable(f"{len(rows)} groups not judged: too few held-out tokens", columns, rows)


def _group_chart(found: Validation) -> str:
    """Curves of the groups with most held-out tokens."""
    largest = sorted(found.groups, key=lambda g: -g.n_tokens)[:N_CURVES]
    curves = [
        Curve.of_group(g.pool, g.name, colour=colour, points=g.curve)
        for g, colour in zip(largest, SERIES, strict=False)
    ]
    label = f"Held-out score of {', '.join(g.name for g in largest)}"
    return steps_chart(curves, unit=found.unit, label=label)


def _comparisons(found: Validation) -> Html:
    guide = (
        "All trainings saw equally many tokens. Differences are second minus first: below zero the second is better. "
        "The interval holds what other seeds (first weights, order, sample of documents) and other held-out documents "
        "would move, for its line alone; the verdict counts all lines (Holm), so one page of twenty errs."
    )
    rows = [
        (*_named(c), c.first_score, c.second_score, _difference(c), _chance(c), c.n_seeds, c.n_documents)
        for c in found.comparisons
    ]
    columns = [Column(title, TEXT) for title in ("first", "second", "scored on", "part", "verdict")]
    columns += [Column("loss of first", THOUSANDTHS), Column("loss of second", THOUSANDTHS)]
    columns += [Column(f"difference, {found.unit}"), Column("corrected p"), Column("seeds"), Column("documents")]
    every = [
        (v.name, tail, v.n_parameters, v.n_tokens, *(of.get(pool) for pool in ("all", "code", "text")))
        for v in found.variants
        for tail, of in v.scores.items()
    ]
    names = [Column("training", TEXT), Column("scored on", TEXT), Column("parameters"), Column("tokens")]
    names += [Column(pool, THOUSANDTHS) for pool in ("all", "code", "text")]
    tables = ReportTable("Differences", columns, rows), ReportTable(f"Every training, {found.unit}", names, every)
    return section("comparisons", "Comparisons at equal tokens", *map(draw, tables), guide=guide)


def _named(found: Comparison) -> tuple[str, ...]:
    return found.first, found.second, found.tail, found.part, found.message


def _chance(found: Comparison) -> str:
    return "-" if found.corrected_p is None else f"{found.corrected_p:.3f}"


def _difference(found: Comparison) -> str:
    if math.isnan(found.difference):
        return "not finite"
    spread = f" ± {found.half_width:.4f}" if found.half_width is not None else ""
    return f"{found.difference:+.4f}{spread}"


def _speed(found: Validation) -> Html:
    speed = found.speed
    guide = "The only numbers here that depend on this machine and on what else ran on it."
    rows = [
        ("training", f"{exact(round(speed.tokens_per_second))} tokens/s on {speed.device}"),
        ("waiting for the loader", percent(speed.wait_frac) + " of the training time"),
        ("loader alone, one thread", f"{short(speed.loader_tokens_per_second)} tokens/s"),
        ("a 7B run takes, per H200", f"{exact(round(speed.needed_tokens_per_second))} tokens/s (R = 2, MFU 45 %)"),
    ]
    throughput = ReportTable("Throughput", [Column("what", TEXT), Column("measured", TEXT)], rows)
    return section("speed", "Speed", draw(throughput), guide=guide)


def lines(found: Validation, *, n_groups: int = 12) -> Iterator[str]:
    """The page's first half for a terminal: pools, the worst groups, those not judged, comparisons, checks, verdict."""
    shown = scores_table(f"{found.unit}, held out", (*found.pools, *found.groups))
    yield from table_lines(shown.head(len(found.pools) + n_groups))
    if found.not_judged:
        names = ", ".join(g.group for g in found.not_judged[:n_groups])
        more = len(found.not_judged) - n_groups
        yield f"  not judged, too few held-out tokens: {names}" + (f" and {more} more" if more > 0 else "")
    for c in found.comparisons:
        if not c.claimed and (c.tail, c.pool) != (found.mixture, "all"):
            continue  # the page has the other tails, pools and languages
        yield f"  {c.second} against {c.first}, on {c.tail}, {c.part}: {_difference(c)} {found.unit}: {c.message}"
    if found.inspection:
        yield from inspection_lines(found.inspection)
    yield from table_lines(checks_table(found.checks))
    yield f"verdict: {found.status.upper()}: {found.message}"
