"""The report's charts. Each is drawn once, in a width that a phone can show, and grows a little on a larger screen.

Every chart carries a sentence that says what it shows, for those who do not see it, and stands beside a table of the
same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, PercentFormatter

from pipeline.report.formats import between, exact, percent, short, tick
from pipeline.report.language_decisions import ConfidenceBin
from pipeline.report.numbers import Drop, Duplicates, FlowStep, Group, SequencePacking, StreamMix, TokenBalance
from pipeline.report.svg import (
    BAD,
    CODE,
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    SOFT,
    SURFACE,
    TEXT,
    bare,
    draw,
    literal,
    place_legend,
)
from pipeline.report.training import LossChange, Training

N_LOSS_GROUPS = 16  # rows that fit beside the table of all groups
N_CURVES = len(SERIES)  # a colour cannot stand for two groups
_ROW = 26  # pixels of a horizontal bar with its gap
_HEAD = 84  # pixels of a legend of two lines, and of the axis
_STEPS = [1, 2, 5, 10]  # between ticks, times a power of ten
_MAX_SPIKES = 50  # more of them are a grey area, not lines
_POOL_COLOURS = {"code": CODE, "text": TEXT}


def chart(name: str, paint: Callable[[Axes], None], *, height: int, label: str, n_legend: int = 2) -> str:
    """One pair of axes, `height` pixels high, under a legend of `n_legend` columns (0: none)."""

    def whole(figure: Figure) -> None:
        paint(figure.add_subplot())
        if n_legend:
            place_legend(figure, n_columns=n_legend)

    return draw(name, whole, height=height, label=label)


def _counts(axis: Axis, n: int) -> None:
    """About `n` ticks at whole numbers, which may be large."""
    axis.set_major_locator(MaxNLocator(n, integer=True, min_n_ticks=1, steps=_STEPS))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))


def _percents(axis: Axis, n: int = 5) -> None:
    axis.set_major_locator(MaxNLocator(n, steps=_STEPS))
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _listed(start: str, parts: Iterable[str]) -> str:
    """The sentence that is read aloud."""
    return f"{start}: {', '.join(parts)}"


def shares_chart(groups: Sequence[Group], *, name: str, paper: dict[str, float]) -> str:
    """Share of each group before and after, with its target and the paper's share."""

    def paint(axes: Axes) -> None:
        rows = range(len(groups))
        after = [g.after_frac for g in groups]
        axes.barh(rows, [g.before_frac for g in groups], height=0.74, color=SOFT, label="before (bytes)")
        axes.barh(rows, after, height=0.34, color=_POOL_COLOURS[groups[0].pool], label="after (tokens)")
        targets = {row: g.target_frac for row, g in enumerate(groups) if g.target_frac is not None}
        if targets:
            axes.plot([*targets.values()], [*targets], "|", color=INK, ms=15, mew=2, label="target")
        named = {row: paper[g.name] for row, g in enumerate(groups) if g.name in paper}
        if named:
            axes.plot([*named.values()], [*named], "D", mfc=SURFACE, mec=PAPER, ms=7, mew=2, label="paper")
        ends = [max(g.before_frac, g.after_frac, g.target_frac or 0, paper.get(g.name, 0)) for g in groups]
        _label_bars(axes, [g.name for g in groups], ends=ends, texts=[percent(x) for x in after])
        _percents(axes.xaxis, 4)

    label = _listed("Share of each group", (f"{g.name} {percent(g.after_frac)}" for g in groups))
    return chart(name, paint, height=_ROW * len(groups) + _HEAD, label=label)


def _label_bars(axes: Axes, names: Sequence[str], *, ends: Sequence[float], texts: Sequence[str]) -> None:
    """Names at horizontal bars, first on top, and where they end a number with room for it."""
    axes.set_yticks(range(len(names)), [literal(n, limit=24) for n in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        axes.annotate(text, (end, row), xytext=(9, 0), textcoords="offset points", va="center", color=MUTED)
    if ends:
        axes.set_xlim(0, max(ends) * 1.25 or 1)
    bare(axes, grid="x")


def flow_chart(flow: Sequence[FlowStep], *, words: dict[str, str]) -> str:
    """Documents and bytes left after each stage."""
    docs = [s.n_docs / max(1, flow[0].n_docs) for s in flow]
    volume = [s.n_bytes / max(1, flow[0].n_bytes) for s in flow]

    def paint(axes: Axes) -> None:
        axes.barh([r - 0.19 for r in range(len(flow))], docs, height=0.36, color=CODE, label="documents")
        axes.barh([r + 0.19 for r in range(len(flow))], volume, height=0.36, color=SOFT, label="bytes")
        ends = [max(pair) for pair in zip(docs, volume, strict=True)]
        _label_bars(axes, [words[s.stage] for s in flow], ends=ends, texts=[percent(x) for x in docs])
        _percents(axes.xaxis)
        axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))

    parts = (f"{words[s.stage]} {percent(share)}" for s, share in zip(flow, docs, strict=True))
    return chart("flow", paint, height=34 * len(flow) + _HEAD, label=_listed("Documents left", parts))


def drops_chart(drops: Sequence[Drop]) -> str:
    """Documents per reason, and those for which it is the only one."""

    def paint(axes: Axes) -> None:
        rows, ends = range(len(drops)), [d.n_docs for d in drops]
        axes.barh(rows, ends, height=0.7, color=SOFT, label="documents with this reason")
        axes.barh(rows, [d.n_only_docs for d in drops], height=0.34, color=BAD, label="with no other reason")
        _label_bars(axes, [d.reason for d in drops], ends=ends, texts=[short(n) for n in ends])
        _counts(axes.xaxis, 3)

    label = _listed("Documents dropped", (f"{d.reason} {exact(d.n_docs)}" for d in drops))
    return chart("drops", paint, height=_ROW * len(drops) + _HEAD, label=label, n_legend=1)


def duplicates_chart(duplicates: Duplicates) -> str:
    """Sizes of groups of equal documents, and similarities of verified pairs."""
    sizes, similar = duplicates.sizes, duplicates.similarities

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1)
        above.bar(range(len(sizes)), [s.n_groups for s in sizes], width=0.7, color=CODE)
        above.set_xticks(range(len(sizes)), [between(s.low, s.high) for s in sizes])
        above.set(title="groups of equal documents", xlabel="documents in the group")
        above.tick_params(axis="x", labelrotation=45 if len(sizes) > 5 else 0)
        width = similar[0].high - similar[0].low if similar else 0.02
        below.bar([(b.low + b.high) / 2 for b in similar], [b.n for b in similar], width=width * 0.86, color=PAPER)
        below.set(title="verified pairs", xlabel="similarity (Jaccard)")
        for axes in (above, below):
            _count_axis(axes)

    label = (
        f"{exact(duplicates.n_groups)} groups of equal documents by size; {exact(duplicates.n_pairs)} verified pairs"
    )
    return draw("duplicates", paint, height=460, label=label)


def _count_axis(axes: Axes) -> None:
    """Vertical bars of counts."""
    _counts(axes.yaxis, 5)
    axes.set_ylim(bottom=0)
    bare(axes, grid="y")


def confidences_chart(bins: Sequence[ConfidenceBin]) -> str:
    """Confidences of verdicts from content: shares of documents and of bytes."""
    n_docs, n_bytes = (max(1, sum(getattr(b, field) for b in bins)) for field in ("n_docs", "n_bytes"))
    docs, volume = [b.n_docs / n_docs for b in bins], [b.n_bytes / n_bytes for b in bins]

    def paint(axes: Axes) -> None:
        middle, width = [(b.low + b.high) / 2 for b in bins], bins[0].high - bins[0].low
        axes.bar(middle, volume, width=width * 0.9, color=SOFT, label="bytes")
        axes.bar(middle, docs, width=width * 0.45, color=CODE, label="documents")
        axes.set(xlim=(0, 1), xlabel="confidence of verdicts from content", ylim=(0, 1.08 * max(*docs, *volume)))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        axes.tick_params(axis="x", pad=8)
        _percents(axes.yaxis)
        bare(axes, grid="y")

    unsure = sum(share for b, share in zip(bins, docs, strict=True) if b.high <= 0.5)
    label = f"Confidence of verdicts from content; {percent(unsure)} of these documents lie below 0.5"
    return chart("confidences", paint, height=280, label=label)


# --- along the stream ------------------------------------------------------------------------------------------------


def balance_chart(balance: TokenBalance) -> str:
    """The prefix balance along the stream between its bounds."""

    def paint(axes: Axes) -> None:
        x = [p.n_sequences for p in balance.points]
        low, high = [p.low for p in balance.points], [p.high for p in balance.points]
        axes.fill_between(x, low, high, color=CODE, linewidth=0.8, label="code minus text, extremes")
        axes.axhline(0, color=MUTED, linewidth=1)
        for sign in (-1, 1):
            line = axes.axhline(sign * balance.max_prefix, color=BAD, linewidth=1.5, linestyle=(0, (5, 3)))
        line.set_label("allowed")
        reach = 1.12 * max(balance.max_prefix, balance.worst_prefix)
        _stream_axis(axes)
        axes.set(ylim=(-reach, reach), xlim=(0, max(x, default=1)), ylabel="tokens")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick(y)))

    label = f"Code minus text tokens along the stream stays within {exact(balance.worst_prefix)} tokens of zero"
    return chart("balance", paint, height=260, label=label)


def _stream_axis(axes: Axes) -> None:
    """Sequences along the stream, from left to right."""
    _counts(axes.xaxis, 4)
    axes.set_xlabel("sequences from the start of the stream")
    bare(axes, grid="y")


def mix_chart(mix: StreamMix) -> str:
    """Shares of languages along the stream, stacked."""
    ends = [s.n_sequences for s in mix.segments]

    def paint(axes: Axes) -> None:
        stripes = [[s.fracs[i] for s in mix.segments] for i in range(len(mix.names))]
        closed = [[*stripe, *stripe[-1:]] for stripe in stripes]  # a step ends where the next would begin
        axes.stackplot(
            [0, *ends][: len(closed[0])],
            closed,
            step="post",
            colors=(*SERIES[: len(mix.names) - 1], SOFT),
            labels=[literal(name, limit=14) for name in mix.names],
            linewidth=0,
        )
        _stream_axis(axes)
        _percents(axes.yaxis)
        axes.set(xlim=(0, max(ends, default=1)), ylim=(0, 1))

    label = f"Share of {', '.join(mix.names)} in the code tokens of {len(ends)} stretches of the stream"
    return chart("mix", paint, height=340, label=label, n_legend=3)


def pieces_chart(packing: SequencePacking) -> str:
    """How many pieces of documents make up a sequence."""
    bins = packing.pieces

    def paint(axes: Axes) -> None:
        rows = range(len(bins))
        axes.bar([r - 0.2 for r in rows], [b.n_code for b in bins], width=0.38, color=CODE, label="code")
        axes.bar([r + 0.2 for r in rows], [b.n_text for b in bins], width=0.38, color=TEXT, label="text")
        axes.set_xticks(rows, [between(b.low, b.high) for b in bins])
        axes.tick_params(axis="x", labelrotation=45 if len(bins) > 5 else 0)
        axes.set(xlabel="pieces in the sequence", ylabel="sequences")
        _count_axis(axes)

    parts = (f"{between(b.low, b.high)}: {exact(b.n_code)} code, {exact(b.n_text)} text" for b in bins)
    return chart("pieces", paint, height=270, label=_listed("Sequences by number of pieces", parts))


# --- over training steps ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A line over optimiser steps; `style` is matplotlib's."""

    name: str
    colour: str
    points: Sequence[tuple[int, float]]
    style: Any = "-"
    marker: str = ""
    width: float = 2

    @staticmethod
    def of_group(pool: str, name: str, *, colour: str, points: Sequence[tuple[int, float]]) -> Curve:
        """Text is dashed, since the colours of a chart tell groups apart, not pools."""
        return Curve(literal(name, limit=14), colour, points, style=(0, (4, 2)) if pool == "text" else "-")


def steps_chart(
    name: str,
    curves: Iterable[Curve],
    *,
    label: str,
    levels: Iterable[tuple[str, str, float]] = (),
    spikes: Sequence[int] = (),
    unit: str = "nats per token",
) -> str:
    """Curves over optimiser steps; `levels` are dotted lines (name, colour, value), `spikes` steps to mark."""

    def paint(axes: Axes) -> None:
        for c in curves:
            steps, values = zip(*c.points, strict=True) if c.points else ((), ())
            axes.plot(steps, values, color=c.colour, ls=c.style, marker=c.marker, ms=4, lw=c.width, label=c.name)
        for text, colour, value in levels:
            axes.axhline(value, color=colour, lw=1.2, ls=(0, (2, 2)), label=text)
        for place, step in enumerate(spikes[:_MAX_SPIKES]):
            axes.axvline(step, color=MUTED, lw=0.8, label=None if place else "spike")
        axes.set(xlabel="step", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=_STEPS))
        bare(axes, grid="y")

    return chart(name, paint, height=340, label=label)


def loss_chart(training: Training) -> str:
    """Training loss and held-out loss per pool over the steps."""
    curves, levels = [Curve("training", MUTED, [(p.step, p.loss) for p in training.curve], width=1.2)], []
    for pool, colour in _POOL_COLOURS.items():
        points = [(e.step, p.loss) for e in training.evaluations for p in e.pools if p.pool == pool]
        curves += [Curve(f"held-out {pool}", colour, points, marker="o")] if points else []
        if pool in training.unigram_entropies:
            levels.append((f"{pool} token frequencies", colour, training.unigram_entropies[pool]))
    last = training.evaluations[-1].loss if training.evaluations else math.nan
    at_end = f", {last:.3f} nats at the end" if math.isfinite(last) else ""
    label = f"Training and held-out loss over {training.n_steps} steps{at_end}"
    return steps_chart("loss", curves, levels=levels, label=label)


def curves_chart(training: Training, groups: Sequence[LossChange]) -> str:
    """Held-out loss over the steps, one line for each group."""
    curves = []
    for of, colour in zip(groups, SERIES, strict=False):
        found = [(e.step, g) for e in training.evaluations for g in e.groups]
        points = [(step, g.loss) for step, g in found if (g.pool, g.group) == (of.pool, of.group)]
        curves.append(Curve.of_group(of.pool, of.group, colour=colour, points=points))
    label = f"Held-out loss of {', '.join(g.group for g in groups)} over {training.n_steps} steps"
    return steps_chart("curves", curves, label=label)


def groups_chart(changes: Sequence[LossChange]) -> str:
    """How far each group's held-out loss fell."""
    shown = sorted(changes[:N_LOSS_GROUPS], key=lambda c: (c.pool, c.last))

    def paint(axes: Axes) -> None:
        _label_bars(axes, [c.group for c in shown], ends=(), texts=())
        for row, change in enumerate(shown):
            colour = _POOL_COLOURS[change.pool]
            axes.plot([change.last, change.first], [row, row], color=GRID, lw=3, solid_capstyle="round")
            axes.plot([change.first], [row], "o", mfc=SURFACE, mec=colour, ms=7, mew=1.5)
            axes.plot([change.last], [row], "o", color=colour, ms=8)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
        axes.set_xlabel("nats: first (hollow) and last")

    parts = (f"{c.group} from {c.first:.2f} to {c.last:.2f}" for c in shown)
    label = _listed("Held-out loss", parts)
    return chart("groups", paint, height=_ROW * len(shown) + 50, label=label, n_legend=0)
