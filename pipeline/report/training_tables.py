"""The report's tables on a model trained on the run."""

from collections.abc import Iterable, Sequence

from pipeline.report.formats import exact
from pipeline.report.table import STATUS, TEN_THOUSANDTHS, TENTHS, TEXT, THOUSANDTHS, Column, ReportTable
from pipeline.report.training import LossChange, Training
from pipeline.results import Check, GroupLoss

_STEP = Column("step", TEXT)


def checks_table(checks: Iterable[Check]) -> ReportTable:
    """What a verdict rests on."""
    columns = [Column("check", TEXT), Column("status", STATUS), Column("what was found", TEXT)]
    return ReportTable("Checks", columns, [(c.name, c.status, c.message) for c in checks])


def losses_table(training: Training) -> ReportTable:
    """Held-out loss over the steps."""
    columns = [_STEP, *(Column(title, THOUSANDTHS) for title in ("all", "code", "text"))]
    rows = [(exact(e.step), e.loss, _of(e.pools, "code"), _of(e.pools, "text")) for e in training.evaluations]
    return ReportTable("Held-out loss in nats", columns, rows)


def group_curves_table(training: Training, groups: Sequence[LossChange]) -> ReportTable:
    """Held-out loss of some groups over the steps."""
    columns = [_STEP, *(Column(g.group, THOUSANDTHS) for g in groups)]
    rows = [(exact(e.step), *(_of(e.groups, g.pool, group=g.group) for g in groups)) for e in training.evaluations]
    return ReportTable("Held-out loss of the largest groups", columns, rows)


def loss_changes_table(changes: Sequence[LossChange]) -> ReportTable:
    """First and last loss of all groups."""
    columns = [Column("group", TEXT), Column("pool", TEXT), Column("held-out tokens")]
    columns += [Column("first", THOUSANDTHS), Column("last", THOUSANDTHS)]
    rows = [(c.group, c.pool, c.n_tokens, c.first, c.last) for c in changes]
    return ReportTable("Loss per group", columns, rows)


def loops_table(training: Training) -> ReportTable:
    """Loop diagnostics: a loop that shifts nothing costs compute for nothing."""
    columns = [Column("loop", TEXT), Column("loss (nats)", THOUSANDTHS)]
    columns += [Column("output shift (KL, nats)", TEN_THOUSANDTHS), Column("effective rank", TENTHS)]
    columns += [Column("weight of the global branch", THOUSANDTHS)]
    rows = [(exact(x.loop), x.loss, x.output_shift, x.effective_rank, x.gate_mean) for x in training.loops]
    return ReportTable("What each loop does", columns, rows)


def _of(losses: Iterable[GroupLoss], pool: str, *, group: str = "") -> float | None:
    """The loss of one pool, or of one of its groups."""
    return next((x.loss for x in losses if (x.pool, x.group) == (pool, group)), None)
