"""The report's charts. Each is drawn twice, for wide and for narrow screens; the style sheet shows the one that fits.

Every chart carries a sentence that says what it shows, for those who do not see it, and stands beside a table of the
same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, PercentFormatter

from pipeline.report.formats import between, exact, percent, short, tick
from pipeline.report.language_decisions import ConfidenceBin
from pipeline.report.numbers import Drop, Duplicates, FlowStep, Group, Packing, StreamMix, TokenBalance
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

WIDE, NARROW = 600, 340
N_LOSS_GROUPS = 16
N_CURVES = len(SERIES)
_ROW = 26  # pixels of a horizontal bar with its gap
_HEAD = 64  # pixels of legend and axis
_STEPS = [1, 2, 5, 10]  # between ticks, times a power of ten
_POOL_COLOURS = {"code": CODE, "text": TEXT}


@dataclass(frozen=True)
class Chart:
    """One chart in two widths."""

    wide: str
    narrow: str


def both(name: str, paint: Callable[[Figure, bool], None], *, heights: tuple[int, int], label: str) -> Chart:
    """Draw for both widths; heights are in pixels, wide and narrow."""
    wide = draw(name, lambda figure: paint(figure, False), width=WIDE, height=heights[0], label=label)
    return Chart(wide, draw(name, lambda figure: paint(figure, True), width=NARROW, height=heights[1], label=label))


def shares_chart(groups: Sequence[Group], *, name: str, paper: dict[str, float]) -> Chart:
    """Share of each group before and after, with its target and the paper's share."""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        rows = range(len(groups))
        after = [g.after_frac for g in groups]
        axes.barh(rows, [g.before_frac for g in groups], height=0.74, color=SOFT, label="before (bytes)")
        axes.barh(rows, after, height=0.34, color=_POOL_COLOURS[groups[0].pool], label="after (tokens)")
        targets = [(row, g.target_frac) for row, g in enumerate(groups) if g.target_frac is not None]
        if targets:
            axes.plot([x for _, x in targets], [y for y, _ in targets], "|", color=INK, ms=15, mew=2, label="target")
        named = [(row, paper[g.name]) for row, g in enumerate(groups) if g.name in paper]
        if named:
            axes.plot(
                [x for _, x in named], [y for y, _ in named], "D", mfc=SURFACE, mec=PAPER, ms=7, mew=2, label="paper"
            )
        _bar_labels(axes, [g.name for g in groups], narrow=narrow)
        ends = [max(g.before_frac, g.after_frac, g.target_frac or 0, paper.get(g.name, 0)) for g in groups]
        _values(axes, ends, texts=[percent(x) for x in after])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        place_legend(figure, n_columns=2 if narrow else 4)

    label = "Share of each group: " + ", ".join(f"{g.name} {percent(g.after_frac)}" for g in groups)
    height = _ROW * len(groups) + _HEAD
    return both(name, paint, heights=(height, height + 20), label=label)


def _bar_labels(axes: Axes, names: Sequence[str], *, narrow: bool) -> None:
    """Names at horizontal bars, first on top."""
    axes.set_yticks(range(len(names)), [literal(n, limit=16 if narrow else 26) for n in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6, steps=_STEPS))
    bare(axes, grid="x")


def _values(axes: Axes, ends: Sequence[float], *, texts: Sequence[str]) -> None:
    """A number behind each horizontal bar, and room for it."""
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        axes.annotate(text, (end, row), xytext=(9, 0), textcoords="offset points", va="center", color=MUTED)
    axes.set_xlim(0, max(ends, default=0.0) * 1.25 or 1)


def flow_chart(flow: Sequence[FlowStep], *, words: dict[str, str]) -> Chart:
    """Documents and bytes left after each stage."""
    first = flow[0]
    docs = [s.n_docs / max(1, first.n_docs) for s in flow]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        rows = range(len(flow))
        axes.barh([r - 0.19 for r in rows], docs, height=0.36, color=CODE, label="documents")
        volume = [s.n_bytes / max(1, first.n_bytes) for s in flow]
        axes.barh([r + 0.19 for r in rows], volume, height=0.36, color=SOFT, label="bytes")
        _bar_labels(axes, [words[s.stage] for s in flow], narrow=False)
        _values(axes, [max(pair) for pair in zip(docs, volume, strict=True)], texts=[percent(x) for x in docs])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1] if narrow else [0, 0.25, 0.5, 0.75, 1]))
        place_legend(figure, n_columns=2)

    label = "Documents left: " + ", ".join(
        f"{words[s.stage]} {percent(share)}" for s, share in zip(flow, docs, strict=True)
    )
    height = 34 * len(flow) + _HEAD
    return both("flow", paint, heights=(height, height), label=label)


def drops_chart(drops: Sequence[Drop]) -> Chart:
    """Documents per reason, and those for which it is the only one."""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        rows = range(len(drops))
        axes.barh(rows, [d.n_docs for d in drops], height=0.7, color=SOFT, label="documents with this reason")
        axes.barh(rows, [d.n_only_docs for d in drops], height=0.34, color=BAD, label="with no other reason")
        _bar_labels(axes, [d.reason for d in drops], narrow=narrow)
        _values(axes, [d.n_docs for d in drops], texts=[short(d.n_docs) for d in drops])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick(x)))
        axes.xaxis.set_major_locator(MaxNLocator(2 if narrow else 5, integer=True, steps=_STEPS))
        place_legend(figure, n_columns=1 if narrow else 2)

    label = "Documents dropped: " + ", ".join(f"{d.reason} {exact(d.n_docs)}" for d in drops)
    height = _ROW * len(drops) + _HEAD
    return both("drops", paint, heights=(height, height + 16), label=label)


def duplicates_chart(duplicates: Duplicates) -> Chart:
    """Sizes of groups of equal documents, and similarities of verified pairs."""
    sizes, similar = duplicates.sizes, duplicates.similarities

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        axes[0].bar(range(len(sizes)), [s.n_groups for s in sizes], width=0.7, color=CODE)
        axes[0].set_xticks(range(len(sizes)), [between(s.low, s.high) for s in sizes])
        axes[0].set(title="groups of equal documents", xlabel="documents in the group")
        if len(sizes) > 5:
            axes[0].tick_params(axis="x", labelrotation=45)
        middle = [(b.low + b.high) / 2 for b in similar]
        width = similar[0].high - similar[0].low if similar else 0.02
        axes[1].bar(middle, [b.n for b in similar], width=width * 0.86, color=PAPER)
        axes[1].set(title="verified pairs", xlabel="similarity (Jaccard)")
        for ax in axes:
            _count_axis(ax)

    label = (
        f"{exact(duplicates.n_groups)} groups of equal documents by size; {exact(duplicates.n_pairs)} verified pairs"
    )
    return both("duplicates", paint, heights=(320, 480), label=label)


def confidences_chart(bins: Sequence[ConfidenceBin]) -> Chart:
    """Confidences of verdicts from content: shares of documents and of bytes."""
    n_docs, n_bytes = (max(1, sum(getattr(b, field) for b in bins)) for field in ("n_docs", "n_bytes"))
    docs, volume = [b.n_docs / n_docs for b in bins], [b.n_bytes / n_bytes for b in bins]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        middle, width = [(b.low + b.high) / 2 for b in bins], bins[0].high - bins[0].low
        axes.bar(middle, volume, width=width * 0.9, color=SOFT, label="bytes")
        axes.bar(middle, docs, width=width * 0.45, color=CODE, label="documents")
        axes.set(xlim=(0, 1), xlabel="confidence of verdicts from content", ylim=(0, 1.08 * max(*docs, *volume)))
        axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 10, steps=_STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.tick_params(axis="x", pad=8)
        bare(axes, grid="y")
        place_legend(figure, n_columns=2)

    unsure = sum(share for b, share in zip(bins, docs, strict=True) if b.high <= 0.5)
    label = f"Confidence of verdicts from content; {percent(unsure)} of these documents lie below 0.5"
    return both("confidences", paint, heights=(300, 280), label=label)


def _count_axis(axes: Axes) -> None:
    """Vertical bars of counts."""
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1, steps=_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick(y)))
    axes.tick_params(axis="y", labelcolor=MUTED)
    axes.set_ylim(bottom=0)
    bare(axes, grid="y")


def balance_chart(balance: TokenBalance) -> Chart:
    """The prefix balance along the stream between its bounds."""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        x = [p.n_sequences for p in balance.points]
        low, high = [p.low for p in balance.points], [p.high for p in balance.points]
        axes.fill_between(x, low, high, color=CODE, linewidth=0.8, label="code minus text, extremes")
        axes.axhline(0, color=MUTED, linewidth=1)
        for sign in (-1, 1):
            line = axes.axhline(sign * balance.max_prefix, color=BAD, linewidth=1.5, linestyle=(0, (5, 3)))
        line.set_label("allowed")
        reach = 1.12 * max(balance.max_prefix, balance.worst_prefix)
        _stream_axis(axes, narrow=narrow)
        axes.set(ylim=(-reach, reach), xlim=(0, max(x, default=1)), ylabel="tokens")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: tick(y)))
        axes.tick_params(axis="y", labelcolor=MUTED)
        bare(axes, grid="y")
        place_legend(figure, n_columns=2)

    label = f"Code minus text tokens along the stream stays within {exact(balance.worst_prefix)} tokens of zero"
    return both("balance", paint, heights=(300, 260), label=label)


def _stream_axis(axes: Axes, *, narrow: bool) -> None:
    """Sequences along the stream, from left to right."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: tick(x)))
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 7, integer=True, steps=_STEPS))
    axes.set_xlabel("sequences from the start of the stream")


def mix_chart(mix: StreamMix) -> Chart:
    """Shares of languages along the stream, stacked."""
    ends = [s.n_sequences for s in mix.segments]

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
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
        _stream_axis(axes, narrow=narrow)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.set(xlim=(0, max(ends, default=1)), ylim=(0, 1))
        bare(axes, grid="y")
        place_legend(figure, n_columns=2 if narrow else 4)

    label = f"Share of {', '.join(mix.names)} in the code tokens of {len(ends)} stretches of the stream"
    return both("mix", paint, heights=(320, 340), label=label)


def pieces_chart(packing: Packing) -> Chart:
    """How many pieces of documents make up a sequence."""
    bins = packing.pieces

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        rows = range(len(bins))
        axes.bar([r - 0.2 for r in rows], [b.n_code for b in bins], width=0.38, color=CODE, label="code")
        axes.bar([r + 0.2 for r in rows], [b.n_text for b in bins], width=0.38, color=TEXT, label="text")
        axes.set_xticks(rows, [between(b.low, b.high) for b in bins])
        axes.tick_params(axis="x", labelrotation=45 if len(bins) > (5 if narrow else 10) else 0)
        axes.set(xlabel="pieces in the sequence", ylabel="sequences")
        _count_axis(axes)
        place_legend(figure, n_columns=2)

    label = "Sequences by number of pieces: " + ", ".join(
        f"{between(b.low, b.high)}: {exact(b.n_code)} code, {exact(b.n_text)} text" for b in bins
    )
    return both("pieces", paint, heights=(270, 270), label=label)


def loss_chart(training: Training) -> Chart:
    """Training loss and held-out loss per pool over the steps."""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        axes.plot(
            [p.step for p in training.curve], [p.loss for p in training.curve], color=MUTED, lw=1.2, label="training"
        )
        for pool in _POOL_COLOURS:
            found = [(e.step, p.loss) for e in training.evaluations for p in e.pools if p.pool == pool]
            colour = _POOL_COLOURS[pool]
            if found:
                steps, losses = zip(*found, strict=True)
                axes.plot(steps, losses, color=colour, marker="o", ms=4, lw=2, label=f"held-out {pool}")
            entropy = training.unigram_entropies.get(pool)
            if entropy is not None:
                dotted = (0, (2, 2))
                axes.axhline(entropy, color=colour, lw=1.2, ls=dotted, label=f"{pool} token frequencies")
        step_axis(axes, narrow=narrow)
        place_legend(figure, n_columns=2 if narrow else 3)

    last = training.evaluations[-1].loss if training.evaluations else math.nan
    at_end = f", {last:.3f} nats at the end" if math.isfinite(last) else ""
    label = f"Training and held-out loss over {training.n_steps} steps{at_end}"
    return both("loss", paint, heights=(340, 340), label=label)


def curves_chart(training: Training, groups: Sequence[tuple[str, str]]) -> Chart:
    """Held-out loss over the steps, one line for each (pool, group)."""

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        for (pool, group), colour in zip(groups, SERIES, strict=False):
            found = [
                (e.step, g.loss) for e in training.evaluations for g in e.groups if (g.pool, g.group) == (pool, group)
            ]
            steps, losses = zip(*found, strict=True) if found else ((), ())
            style = (0, (4, 2)) if pool == "text" else "-"
            axes.plot(steps, losses, color=colour, lw=2, ls=style, label=literal(group, limit=14))
        step_axis(axes, narrow=narrow)
        place_legend(figure, n_columns=2 if narrow else 4)

    label = f"Held-out loss of {', '.join(group for _, group in groups)} over {training.n_steps} steps"
    return both("curves", paint, heights=(320, 340), label=label)


def step_axis(axes: Axes, *, narrow: bool) -> None:
    """Optimiser steps against loss."""
    axes.set(xlabel="step", ylabel="nats per token")
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, integer=True, steps=_STEPS))
    axes.tick_params(axis="y", labelcolor=MUTED)
    bare(axes, grid="y")


def groups_chart(changes: Sequence[LossChange]) -> Chart:
    """How far each group's held-out loss fell."""
    shown = sorted(changes[:N_LOSS_GROUPS], key=lambda c: (c.pool, c.last))

    def paint(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        for row, change in enumerate(shown):
            colour = _POOL_COLOURS[change.pool]
            axes.plot([change.last, change.first], [row, row], color=GRID, lw=3, solid_capstyle="round")
            axes.plot([change.first], [row], "o", mfc=SURFACE, mec=colour, ms=7, mew=1.5)
            axes.plot([change.last], [row], "o", color=colour, ms=8)
        _bar_labels(axes, [c.group for c in shown], narrow=narrow)
        axes.set_xlabel("held-out loss in nats: first (hollow) and last evaluation")
        if narrow:
            axes.set_xlabel("nats: first (hollow) and last")

    ends = _ends(shown)
    return both("groups", paint, heights=(_ROW * len(shown) + 50, _ROW * len(shown) + 50), label=ends)


def _ends(changes: Iterable[LossChange]) -> str:
    """The sentence that is read aloud."""
    return "Held-out loss: " + ", ".join(f"{c.group} from {c.first:.2f} to {c.last:.2f}" for c in changes)
