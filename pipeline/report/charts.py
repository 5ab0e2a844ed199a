"""The report's charts. Each is drawn once, in a width that a phone can show, and grows a little on a larger screen.

Every chart carries a sentence that says what it shows, for those who do not see it, and stands beside a table of the
same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.report.formats import between, exact, percent, short, size
from pipeline.report.language_decisions import ConfidenceBin
from pipeline.report.numbers import Drop, Duplicates, FlowStep, Group
from pipeline.report.plot import (
    Axis,
    Key,
    Panel,
    Scale,
    Shapes,
    bin_axis,
    count_axis,
    draw,
    name_axis,
    percent_axis,
    value_axis,
)
from pipeline.report.signing import LengthBin
from pipeline.report.stream_numbers import SequencePacking, StreamMix, TokenBalance
from pipeline.report.svg import (
    BAD,
    CODE,
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    SOFT,
    TEXT,
    area,
    bar,
    line,
    literal,
    mark,
    words,
)
from pipeline.report.training import LossChange, Training

N_LOSS_GROUPS = 16  # rows that fit beside the table of all groups
N_CURVES = len(SERIES)  # a colour cannot stand for two groups
_ROW = 26  # pixels of a horizontal bar with its gap
_HEAD = 84  # pixels of a legend of two lines, and of the axis
_MAX_SPIKES = 50  # more of them are a grey area, not lines
_POOL_COLOURS = {"code": CODE, "text": TEXT}
_STREAM = "sequences from the start of the stream"
_BESIDE = 1.25  # a number needs room where a bar ends: its axis goes on by a quarter of the longest


def _listed(start: str, parts: Iterable[str]) -> str:
    """The sentence that is read aloud."""
    return f"{start}: {', '.join(parts)}"


def _rows(across: Scale, upward: Scale, lengths: Sequence[float], *, height: float, colour: str, at: float = 0) -> str:
    """A horizontal bar for each row, `height` of a row high and `at` rows below its middle."""
    half = height / 2
    return "".join(
        bar((across(0), upward(row + at - half)), (across(length), upward(row + at + half)), colour=colour)
        for row, length in enumerate(lengths)
    )


def _columns(
    across: Scale, upward: Scale, places: Sequence[float], heights: Sequence[float], *, width: float, colour: str
) -> str:
    """A vertical bar at each place, `width` in units of the axis."""
    half = width / 2
    return "".join(
        bar((across(place - half), upward(0)), (across(place + half), upward(height)), colour=colour)
        for place, height in zip(places, heights, strict=True)
    )


def _numbers(across: Scale, upward: Scale, ends: Sequence[float], texts: Sequence[str]) -> str:
    """A number where each bar ends."""
    places = enumerate(zip(ends, texts, strict=True))
    return "".join(words(text, (across(end) + 9, upward(row)), colour=MUTED) for row, (end, text) in places)


def _names(names: Sequence[str]) -> Axis:
    return name_axis([literal(name, limit=24) for name in names])


def shares_chart(groups: Sequence[Group], *, name: str, paper: dict[str, float]) -> str:
    """Share of each group before and after, with its target and the paper's share."""
    colour, after = _POOL_COLOURS[groups[0].pool], [g.after_frac for g in groups]
    ends = [max(g.before_frac, g.after_frac, g.target_frac or 0, paper.get(g.name, 0)) for g in groups]
    targets = {row: g.target_frac for row, g in enumerate(groups) if g.target_frac is not None}
    named = {row: paper[g.name] for row, g in enumerate(groups) if g.name in paper}

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        yield _rows(x, y, [g.before_frac for g in groups], height=0.74, colour=SOFT)
        yield _rows(x, y, after, height=0.34, colour=colour)
        yield from (mark((x(share), y(row)), "|", colour=INK) for row, share in targets.items())
        yield from (mark((x(share), y(row)), "diamond", colour=PAPER) for row, share in named.items())
        yield _numbers(x, y, ends, [percent(share) for share in after])

    keys = [Key("before (bytes)", SOFT), Key("after (tokens)", colour)]
    keys += [Key("target", INK, "|")] if targets else []
    keys += [Key("paper", PAPER, "diamond")] if named else []
    x = percent_axis(max(ends) * _BESIDE or 1, n=4)
    label = _listed("Share of each group", (f"{g.name} {percent(g.after_frac)}" for g in groups))
    panel = Panel(x, _names([g.name for g in groups]), shapes, grid="x")
    return draw([panel], keys=keys, height=_ROW * len(groups) + _HEAD, label=label)


def flow_chart(flow: Sequence[FlowStep], *, words: dict[str, str]) -> str:
    """Documents and bytes left after each stage."""
    docs = [s.n_docs / max(1, flow[0].n_docs) for s in flow]
    volume = [s.n_bytes / max(1, flow[0].n_bytes) for s in flow]
    ends = [max(pair) for pair in zip(docs, volume, strict=True)]

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        yield _rows(x, y, docs, height=0.36, colour=CODE, at=-0.19)
        yield _rows(x, y, volume, height=0.36, colour=SOFT, at=0.19)
        yield _numbers(x, y, ends, [percent(share) for share in docs])

    parts = (f"{words[s.stage]} {percent(share)}" for s, share in zip(flow, docs, strict=True))
    x = Axis(0, max(ends) * _BESIDE or 1, [(share, f"{share:.0%}") for share in (0, 0.5, 1)])
    panel = Panel(x, _names([words[s.stage] for s in flow]), shapes, grid="x")
    keys = (Key("documents", CODE), Key("bytes", SOFT))
    return draw([panel], keys=keys, height=34 * len(flow) + _HEAD, label=_listed("Documents left", parts))


def drops_chart(drops: Sequence[Drop]) -> str:
    """Documents per reason, and those for which it is the only one."""
    ends = [d.n_docs for d in drops]

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        yield _rows(x, y, ends, height=0.7, colour=SOFT)
        yield _rows(x, y, [d.n_only_docs for d in drops], height=0.34, colour=BAD)
        yield _numbers(x, y, ends, [short(n) for n in ends])

    keys = (Key("documents with this reason", SOFT), Key("with no other reason", BAD))
    label = _listed("Documents dropped", (f"{d.reason} {exact(d.n_docs)}" for d in drops))
    panel = Panel(count_axis(max(ends) * _BESIDE, n=3), _names([d.reason for d in drops]), shapes, grid="x")
    return draw([panel], keys=keys, height=_ROW * len(drops) + _HEAD, label=label)


def duplicates_chart(duplicates: Duplicates) -> str:
    """Sizes of groups of equal documents, and similarities of verified pairs."""
    sizes, similar = duplicates.sizes, duplicates.similarities
    counts, pairs = [s.n_groups for s in sizes], [b.n for b in similar]
    width = similar[0].high - similar[0].low if similar else 0.02
    middles = [(b.low + b.high) / 2 for b in similar]

    def groups(x: Scale, y: Scale) -> Iterator[str]:
        yield _columns(x, y, range(len(sizes)), counts, width=0.7, colour=CODE)

    def verified(x: Scale, y: Scale) -> Iterator[str]:
        yield _columns(x, y, middles, pairs, width=width * 0.86, colour=PAPER)

    names = [between(s.low, s.high) for s in sizes]
    edges = [*(b.low for b in similar), *(b.high for b in similar)]
    above = Panel(
        bin_axis(names, title="documents in the group"),
        count_axis(max(counts, default=0)),
        groups,
        "groups of equal documents",
    )
    along = value_axis(edges, title="similarity (Jaccard)")
    below = Panel(along, count_axis(max(pairs, default=0)), verified, "verified pairs")
    n_groups, n_pairs = exact(duplicates.n_groups), exact(duplicates.n_pairs)
    label = f"{n_groups} groups of equal documents by size; {n_pairs} verified pairs"
    return draw([above, below], height=460, label=label)


def confidences_chart(bins: Sequence[ConfidenceBin]) -> str:
    """Confidences of verdicts from content: shares of documents and of bytes."""
    n_docs, n_bytes = (max(1, sum(getattr(b, field) for b in bins)) for field in ("n_docs", "n_bytes"))
    docs, volume = [b.n_docs / n_docs for b in bins], [b.n_bytes / n_bytes for b in bins]
    middles, width = [(b.low + b.high) / 2 for b in bins], bins[0].high - bins[0].low

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        yield _columns(x, y, middles, volume, width=width * 0.9, colour=SOFT)
        yield _columns(x, y, middles, docs, width=width * 0.45, colour=CODE)

    unsure = sum(share for b, share in zip(bins, docs, strict=True) if b.high <= 0.5)
    label = f"Confidence of verdicts from content; {percent(unsure)} of these documents lie below 0.5"
    fifths = [(i / 5, f"{i / 5:.1f}") for i in range(6)]
    x = Axis(0, 1, fifths, "confidence of verdicts from content")
    panel = Panel(x, percent_axis(1.08 * max(*docs, *volume) or 1), shapes)
    return draw([panel], keys=(Key("bytes", SOFT), Key("documents", CODE)), height=280, label=label)


def lengths_chart(bins: Sequence[LengthBin]) -> str:
    """Shares of a pool's bytes by the length of documents, before and in the mixture."""
    before, after = (max(1, sum(getattr(b, name) for b in bins)) for name in ("n_bytes", "n_packed_bytes"))
    all_of, packed = [b.n_bytes / before for b in bins], [b.n_packed_bytes / after for b in bins]
    rows = range(len(bins))

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        yield _columns(x, y, rows, all_of, width=0.84, colour=SOFT)
        yield _columns(x, y, rows, packed, width=0.42, colour=_POOL_COLOURS[bins[0].pool])

    most = bins[max(rows, key=lambda row: packed[row])]
    lengths = f"{between(most.low, most.high)} bytes"
    label = f"Length of documents of {bins[0].pool}: most of the mixture in those of {lengths}"
    x = bin_axis([size(b.low) for b in bins], title="bytes of a document, at least")
    panel = Panel(x, percent_axis(1.08 * max(*all_of, *packed) or 1), shapes)
    keys = (Key("before", SOFT), Key("in the mixture", _POOL_COLOURS[bins[0].pool]))
    return draw([panel], keys=keys, height=300, label=label)


# --- along the stream ------------------------------------------------------------------------------------------------


def _along(n_sequences: float) -> Axis:
    """Sequences along the stream, from left to right."""
    ticks = count_axis(n_sequences, n=4).ticks
    return Axis(0, n_sequences, [(v, text) for v, text in ticks if v <= n_sequences], _STREAM)


def balance_chart(balance: TokenBalance) -> str:
    """The prefix balance along the stream between its bounds."""
    steps, bound = [p.n_sequences for p in balance.points], balance.max_prefix
    reach = 1.12 * max(bound, balance.worst_prefix) or 1

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        upper = [(x(p.n_sequences), y(p.high)) for p in balance.points]
        lower = [(x(p.n_sequences), y(p.low)) for p in balance.points]
        if upper:
            yield area([*upper, *reversed(lower)], colour=CODE)
            yield line(upper, colour=CODE, width=0.8)  # an area without height would not be seen
        yield line([(x.start, y(0)), (x.end, y(0))], colour=MUTED, width=1)
        for level in (y(-bound), y(bound)):
            yield line([(x.start, level), (x.end, level)], colour=BAD, width=1.5, dash="8 5")

    keys = (Key("code minus text, extremes", CODE), Key("allowed", BAD, "line", dash="8 5"))
    label = f"Code minus text tokens along the stream stays within {exact(balance.worst_prefix)} tokens of zero"
    y = value_axis((-reach, reach), title="tokens")
    panel = Panel(_along(max(steps, default=0) or 1), Axis(-reach, reach, _inside(y, reach), y.title), shapes)
    return draw([panel], keys=keys, height=260, label=label)


def _inside(axis: Axis, reach: float) -> list[tuple[float, str]]:
    return [(v, text) for v, text in axis.ticks if abs(v) <= reach]


def mix_chart(mix: StreamMix) -> str:
    """Shares of languages along the stream, stacked."""
    ends = [s.n_sequences for s in mix.segments]
    colours = (*SERIES[: len(mix.names) - 1], SOFT)

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        floors = [0.0] * len(ends)
        for stripe, colour in enumerate(colours):
            tops = [floor + s.fracs[stripe] for floor, s in zip(floors, mix.segments, strict=True)]
            stairs = zip((0, *ends), ends, floors, tops, strict=False)
            boxes = [bar((x(a), y(low)), (x(b), y(high)), colour=colour) for a, b, low, high in stairs if high > low]
            yield "".join(boxes)
            floors = tops

    keys = [Key(literal(name, limit=14), colour) for name, colour in zip(mix.names, colours, strict=True)]
    panel = Panel(_along(max(ends, default=0) or 1), percent_axis(1), shapes)
    label = f"Share of {', '.join(mix.names)} in the code tokens of {len(ends)} stretches of the stream"
    return draw([panel], keys=keys, height=340, label=label)


def pieces_chart(packing: SequencePacking) -> str:
    """How many pieces of documents make up a sequence."""
    bins = packing.pieces
    code, text = [b.n_code for b in bins], [b.n_text for b in bins]

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        rows = range(len(bins))
        yield _columns(x, y, [r - 0.2 for r in rows], code, width=0.38, colour=CODE)
        yield _columns(x, y, [r + 0.2 for r in rows], text, width=0.38, colour=TEXT)

    names = [between(b.low, b.high) for b in bins]
    parts = (f"{name}: {exact(b.n_code)} code, {exact(b.n_text)} text" for name, b in zip(names, bins, strict=True))
    high = count_axis(max([*code, *text], default=0), title="sequences")
    panel = Panel(bin_axis(names, title="pieces in the sequence"), high, shapes)
    keys = (Key("code", CODE), Key("text", TEXT))
    return draw([panel], keys=keys, height=270, label=_listed("Sequences by number of pieces", parts))


# --- over training steps ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A line over optimiser steps; `dash` is SVG's."""

    name: str
    colour: str
    points: Sequence[tuple[int, float]]
    dash: str = ""
    marked: bool = False
    width: float = 2

    @staticmethod
    def of_group(pool: str, name: str, *, colour: str, points: Sequence[tuple[int, float]]) -> Curve:
        """Text is dashed, since the colours of a chart tell groups apart, not pools."""
        return Curve(literal(name, limit=14), colour, points, dash="8 4" if pool == "text" else "")


def steps_chart(
    curves: Sequence[Curve],
    *,
    label: str,
    levels: Sequence[tuple[str, str, float]] = (),
    spikes: Sequence[int] = (),
    unit: str = "nats per token",
) -> str:
    """Curves over optimiser steps; `levels` are dotted lines (name, colour, value), `spikes` steps to mark."""
    shown = spikes[:_MAX_SPIKES]
    steps = [step for c in curves for step, _ in c.points]
    values = [value for c in curves for _, value in c.points] + [value for _, _, value in levels]
    keys = [Key(c.name, c.colour, "line", c.dash, c.marked) for c in curves]
    keys += [Key(name, colour, "line", "2 2") for name, colour, _ in levels]
    keys += [Key("spike", MUTED, "line")] if shown else []
    panel = Panel(
        value_axis([*steps, *shown], title="step", whole=True),
        value_axis(values, title=unit),
        _curves(curves, levels=levels, spikes=shown),
    )
    return draw([panel], keys=keys, height=340, label=label)


def _curves(curves: Sequence[Curve], *, levels: Sequence[tuple[str, str, float]], spikes: Sequence[int]) -> Shapes:
    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        for step in spikes:
            yield line([(x(step), y.start), (x(step), y.end)], colour=MUTED, width=0.8)
        for _, colour, value in levels:
            yield line([(x.start, y(value)), (x.end, y(value))], colour=colour, width=1.2, dash="2 2")
        for c in curves:
            points = [(x(step), y(value)) for step, value in c.points]
            yield line(points, colour=c.colour, width=c.width, dash=c.dash)
            if c.marked:
                yield from (mark(point, "dot", colour=c.colour) for point in points)

    return shapes


def loss_chart(training: Training) -> str:
    """Training loss and held-out loss per pool over the steps."""
    curves, levels = [Curve("training", MUTED, [(p.step, p.loss) for p in training.curve], width=1.2)], []
    for pool, colour in _POOL_COLOURS.items():
        points = [(e.step, p.loss) for e in training.evaluations for p in e.pools if p.pool == pool]
        curves += [Curve(f"held-out {pool}", colour, points, marked=True)] if points else []
        if pool in training.unigram_entropies:
            levels.append((f"{pool} token frequencies", colour, training.unigram_entropies[pool]))
    last = training.evaluations[-1].loss if training.evaluations else math.nan
    at_end = f", {last:.3f} nats at the end" if math.isfinite(last) else ""
    return steps_chart(curves, levels=levels, label=f"Training and held-out loss over {training.n_steps} steps{at_end}")


def curves_chart(training: Training, groups: Sequence[LossChange]) -> str:
    """Held-out loss over the steps, one line for each group."""
    curves = []
    for of, colour in zip(groups, SERIES, strict=False):
        found = [(e.step, g) for e in training.evaluations for g in e.groups]
        points = [(step, g.loss) for step, g in found if (g.pool, g.group) == (of.pool, of.group)]
        curves.append(Curve.of_group(of.pool, of.group, colour=colour, points=points))
    label = f"Held-out loss of {', '.join(g.group for g in groups)} over {training.n_steps} steps"
    return steps_chart(curves, label=label)


def groups_chart(changes: Sequence[LossChange]) -> str:
    """How far each group's held-out loss fell."""
    shown = sorted(changes[:N_LOSS_GROUPS], key=lambda c: (c.pool, c.last))

    def shapes(x: Scale, y: Scale) -> Iterator[str]:
        for row, change in enumerate(shown):
            colour, first, last = _POOL_COLOURS[change.pool], (x(change.first), y(row)), (x(change.last), y(row))
            yield line([last, first], colour=GRID, width=3)
            yield mark(first, "ring", colour=colour, radius=3.5)
            yield mark(last, "dot", colour=colour, radius=4)

    label = _listed("Held-out loss", (f"{c.group} from {c.first:.2f} to {c.last:.2f}" for c in shown))
    losses = [loss for c in shown for loss in (c.first, c.last)]
    x = value_axis(losses, n=4, title="nats: first (hollow) and last")
    panel = Panel(x, _names([c.group for c in shown]), shapes, grid="x")
    return draw([panel], height=_ROW * len(shown) + 50, label=label)
