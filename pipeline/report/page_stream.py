"""The page's sections on the packed stream: balance, packing, the model trained on it, the work it took."""

from __future__ import annotations

from pipeline.report import charts
from pipeline.report.formats import NOTHING, between, exact, number, percent, seconds, size
from pipeline.report.markup import Cell, Html, bar, element, figure, section, table
from pipeline.report.numbers import GroupLoss, Numbers, Training
from pipeline.report.training import loss_changes

_STREAM_ROWS = 20


def stream(numbers: Numbers) -> Html:
    """Balance and languages from the first to the last sequence. Rows are fewer than points; report.json has all."""
    b = numbers.balance
    weighed = "" if b.code_parts == b.text_parts == 1 else f" (code x {b.text_parts} minus text x {b.code_parts})"
    guide = (
        "A trainer reads the stream from the left and may stop anywhere. The first chart shows code minus text tokens "
        f"up to each place{weighed}: it must stay between the dashed lines and end at zero. The second shows "
        "whether languages are spread evenly; stripes of equal height are good."
    )
    stride = max(1, -(-len(b.points) // _STREAM_ROWS))
    groups = [b.points[i : i + stride] for i in range(0, len(b.points), stride)]
    prefix = table(
        "Code minus text tokens",
        ("up to sequence", "lowest", "highest"),
        rows=[(exact(g[-1].n_sequences), exact(min(p.low for p in g)), exact(max(p.high for p in g))) for g in groups],
    )
    mix = table(
        "Share of code tokens since the row before",
        ("up to sequence", *numbers.mix.names),
        rows=[(exact(s.n_sequences), *(percent(f) for f in s.fracs)) for s in numbers.mix.segments],
    )
    drawn = figure(charts.balance_chart(b), prefix), figure(charts.mix_chart(numbers.mix), mix)
    return section("stream", "Balance along the stream", *drawn, guide=guide)


def packing(numbers: Numbers) -> Html:
    """How full the sequences are."""
    packing = numbers.packing
    guide = (
        "Padding is compute spent on nothing, so little is good. A document longer than a sequence is cut into "
        "pieces; pools are never mixed inside a sequence."
    )
    pools = table(
        f"Sequences of {exact(packing.seq_len)} tokens",
        ("pool", "sequences", "pieces", "real tokens", "padding", "share"),
        rows=[
            (p.pool, *(exact(n) for n in (p.n_sequences, p.n_pieces, p.n_real_tokens, p.n_padding_tokens)),
             f"{p.padding_frac:.3%}")
            for p in packing.pools
        ],
    )  # fmt: skip
    pieces = table(
        "Pieces in a sequence",
        ("pieces", "code sequences", "text sequences"),
        rows=[(between(b.low, b.high), exact(b.n_code), exact(b.n_text)) for b in packing.pieces],
    )
    line = (
        f"{exact(packing.n_full_sequences)} sequences have no padding at all. {exact(packing.n_split_docs)} documents "
        f"are longer than a sequence. {exact(numbers.totals.n_cut_docs)} documents are truncated where a budget ends."
    )
    chart = figure(charts.pieces_chart(packing), pools, pieces)
    return section("packing", "Packing", element("p", line, css="guide"), chart, guide=guide)


def training(training: Training | None) -> Html | None:
    """The verdict first, then the curves that it rests on."""
    if training is None:
        return None
    guide = (
        "A small model trained on these shards. Held-out loss must fall below the dotted lines, which counting tokens "
        "alone would reach, and must fall for every language."
    )
    parts: list[Cell] = [element("p", training.message, css=f"big {training.status or 'warn'}")]
    if training.checks:
        rows = [(c.name, element("span", c.status, css=c.status), c.message) for c in training.checks]
        parts.append(table("Checks", ("check", "status", "what was found"), rows=rows, names=3))
    if training.curve and training.evaluations:
        losses = table(
            "Held-out loss in nats",
            ("step", "all", "code", "text"),
            rows=[
                (exact(e.step), number(e.loss), *(number(_of(e.pools, pool)) for pool in ("code", "text")))
                for e in training.evaluations
            ],
        )
        parts.append(figure(charts.loss_chart(training), losses))
    parts += _group_losses(training)
    if training.loops:
        parts.append(_loops(training))
    return section("training", "Training", *parts, guide=guide)


def _group_losses(training: Training) -> list[Cell]:
    """Curves of the largest groups; first and last loss of all."""
    changes = loss_changes(training)
    if not changes:
        return []
    rows = [(c.group, c.pool, exact(c.n_tokens), number(c.first), number(c.last)) for c in changes]
    columns = ("group", "pool", "held-out tokens", "first", "last")
    largest = [(c.pool, c.group) for c in changes[: charts.N_CURVES]]
    curves = table(
        "Held-out loss of the largest groups",
        ("step", *(group for _, group in largest)),
        rows=[
            (exact(e.step), *(number(_of(e.groups, pool, group=group)) for pool, group in largest))
            for e in training.evaluations
        ],
    )
    return [
        figure(charts.curves_chart(training, largest), curves),
        figure(charts.groups_chart(changes), table("Loss per group", columns, rows=rows, names=2)),
    ]


def _of(losses: tuple[GroupLoss, ...], pool: str, *, group: str = "") -> float | None:
    """The loss of one pool, or of one of its groups."""
    return next((x.loss for x in losses if (x.pool, x.group) == (pool, group)), None)


def _loops(training: Training) -> Html:
    """Loop diagnostics: a loop that shifts nothing costs compute for nothing."""
    columns = ("loop", "loss (nats)", "output shift (KL, nats)", "effective rank", "weight of the global branch")
    rows = [
        (str(x.loop), number(x.loss), number(x.output_shift, digits=4), number(x.effective_rank, digits=1),
         number(x.gate_mean))
        for x in training.loops
    ]  # fmt: skip
    return table("What each loop does", columns, rows=rows)


def work(numbers: Numbers) -> Html:
    """What the stages cost, and which input could not be read."""
    guide = (
        "Seconds add up over a stage's tasks, so with several workers the clock showed less. Rates count the documents "
        "and bytes of the whole input."
    )
    total = max((w.seconds for w in numbers.work), default=0.0) or 1.0
    rows = [
        (
            w.name,
            seconds(w.seconds),
            NOTHING if w.docs_per_second is None else exact(round(w.docs_per_second)),
            number(w.megabytes_per_second, digits=1),
            exact(w.n_files),
            size(w.n_stored_bytes),
            bar(w.seconds / total, colour="code"),
        )
        for w in numbers.work
    ]
    columns = ("stage", "task time", "documents/s", "MB/s", "files", "stored", "")
    parts = [table("Stages", columns, rows=rows)]
    if numbers.bad_shards:
        bad = [(b.stage, exact(b.shard), b.problem) for b in numbers.bad_shards]
        parts.append(table("Shards that were skipped", ("stage", "shard", "problem"), rows=bad, names=3))
    return section("work", "Work", *parts, guide=guide)
