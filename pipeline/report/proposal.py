"""The page of `loopmix propose`, the lines it prints, and the part of a mixture file that its shares make."""

import math
from collections.abc import Iterator
from pathlib import Path

import yaml

from pipeline import __version__
from pipeline.report.formats import exact, percent, short
from pipeline.report.markup import Html, draw, element, section
from pipeline.report.page import document
from pipeline.report.table import BAR, COUNT, PERCENT, TEN_THOUSANDTHS, TEXT, THOUSANDTHS, TIMES, Column, ReportTable
from pipeline.report.terminal_table import table_lines
from pipeline.results import GroupProposal, Proposal
from pipeline.schema import POOLS

PAGE_NAME, SHARES_NAME = "index.html", "shares.yaml"
_STATUS = {"confirmed": "pass", "not confirmed": "warn", "no gain predicted": "warn"}


def write_page(found: Proposal, out: Path) -> Path:
    """Write `out`/index.html and `out`/shares.yaml; returns the page."""
    (out / SHARES_NAME).write_text(shares_yaml(found), encoding="utf-8")
    path = out / PAGE_NAME
    path.write_bytes(render(found))
    return path


def shares_yaml(found: Proposal) -> str:
    """The section `balance` of a mixture file with the recommended shares, in percent of each pool."""
    is_gain = found.outcome == "confirmed"
    balance: dict[str, object] = {
        pool: {"shares": {g.group: round(100 * (g.proposed if is_gain else g.natural), 2) for g in groups}}
        for pool in POOLS
        if len(groups := [g for g in found.groups if g.pool == pool]) > 1
    }
    balance["total_tokens"] = found.mixture_tokens
    balance["max_copies"] = max(1, *(math.ceil(g.epochs - 1e-6) for g in found.groups)) if is_gain else 1
    head = "# What `loopmix propose` recommends: " + (
        "the proposed shares, confirmed by new trainings." if is_gain else "the natural shares; no gain was shown."
    )
    return f"{head}\n{yaml.safe_dump({'balance': balance}, sort_keys=False, allow_unicode=True)}"


def render(found: Proposal) -> bytes:
    """The whole page. Equal numbers give equal bytes."""
    about = (
        f"{found.n_trainings} trainings of {exact(found.n_tokens_each)} tokens, {short(found.n_parameters)} parameters "
        f"each. Shares ask for at most {found.max_epochs:g} passes over a group in a mixture of "
        f"{exact(found.mixture_tokens)} tokens."
    )
    head = element("header", element("h1", f"{found.mixture}: better shares?"), element("p", about, css="about"))
    foot = element("footer", element("p", f"Loopmix {__version__}. proposal.json beside this page has every digit."))
    parts = _verdict(found), _shares(found), _predictors(found), _trainings(found)
    return document(f"{found.mixture}: Loopmix proposal", (head, element("main", *parts), foot))


def _verdict(found: Proposal) -> Html:
    guide = (
        "Shares are recommended only if trainings with new seeds, on documents that no training of the search saw, "
        "gain more than their spread. The prediction alone is no claim: the best of many predictions flatters itself."
    )
    verdict = element("p", found.message, css=f"big {_STATUS[found.outcome]}")
    tables = [draw(comparisons_table(found))] if found.comparisons else []
    return section("verdict", "Verdict", verdict, *tables, guide=guide)


def comparisons_table(found: Proposal) -> ReportTable:
    """What new trainings showed."""
    rows = [
        (f"{c.first} against {c.second}", f"{c.difference:+.4f} ± {c.half_width:.4f}", c.n_seeds, c.message)
        for c in found.comparisons
    ]
    columns = [Column("shares", TEXT), Column("bits per byte"), Column("new seeds"), Column("what was found", TEXT, 1)]
    return ReportTable("Confirmation, below zero is a gain", columns, rows)


def _shares(found: Proposal) -> Html:
    guide = (
        "Shares of a pool's tokens. The interval comes from resampled trainings: where it is wide, the score hardly "
        "depends on that share. Own share is what the trivial rule gives, as much of a group as the target weighs it. "
        "Passes are how often the tokens of a group would be read with the proposed shares."
    )
    return section("shares", "Shares", draw(shares_table(found)), guide=guide)


def shares_table(found: Proposal) -> ReportTable:
    """Natural, proposed and other shares of every group."""
    rows = [
        (
            *(_name(g), g.pool, g.natural, g.proposed, _interval(g), g.paper, g.own_share),
            *(g.epochs, g.weight, g.n_tokens, (g.proposed, g.pool)),
        )
        for g in found.groups
    ]
    columns = [Column("group", TEXT), Column("pool", TEXT, 2), Column("natural", PERCENT), Column("proposed", PERCENT)]
    columns += [Column("95 % interval"), Column("paper", PERCENT, 1), Column("own share", PERCENT, 3)]
    columns += [Column("passes", TIMES, 2), Column("target weight", PERCENT, 4), Column("tokens", COUNT, 5)]
    return ReportTable("Shares", [*columns, Column("", BAR)], rows)


def _name(group: GroupProposal) -> str:
    return group.group if group.n_groups == 1 else f"{group.group} ({group.n_groups} groups)"


def _interval(group: GroupProposal) -> str:
    if group.low == group.high:
        return ""
    return f"{percent(group.low)} to {percent(group.high)}"


def _predictors(found: Proposal) -> Html:
    guide = (
        "How well each regression predicts a mixture that it did not see. Own share ranks mixtures by how much they "
        "have of what the target weighs, without learning which group gains most: what does not predict better than "
        "it is not used. Noise is the spread of one mixture over seeds, and paired noise what is left of it where "
        "mixtures share a seed, as in the search: no prediction can be better than that."
    )
    gain = f"predicted gain {found.predicted_gain:.4f} ± {found.predicted_half_width:.4f} bits per byte"
    tables = draw(predictors_table(found)), draw(noise_table(found))
    return section("predictors", "Predictions", element("p", gain), *tables, guide=guide)


def predictors_table(found: Proposal) -> ReportTable:
    """Errors on left-out mixtures."""
    rows = [(p.name, p.error, p.rank_correlation, "chosen" if p.is_chosen else "") for p in found.predictors]
    columns = [Column("regression", TEXT), Column("error, bits per byte", TEN_THOUSANDTHS)]
    return ReportTable("Left-out mixtures", [*columns, Column("rank correlation", THOUSANDTHS), Column("", TEXT)], rows)


def noise_table(found: Proposal) -> ReportTable:
    """Spread over seeds, which differs from mixture to mixture."""
    rows = [(n.name, n.mean, n.deviation, n.n_trainings) for n in found.noise]
    columns = [Column("mixture", TEXT), Column("mean, bits per byte", TEN_THOUSANDTHS)]
    note = f"paired {found.paired_noise:.4f}"
    return ReportTable("Noise", [*columns, Column("deviation", TEN_THOUSANDTHS), Column("trainings")], rows, note)


def _trainings(found: Proposal) -> Html:
    guide = "Every training: the shares of the tokens that it read, and the held-out score by the target's weights."
    names = [Column("training", TEXT), Column("score", TEN_THOUSANDTHS)]
    columns = [*names, *(Column(f"{g.group} ({g.pool})", PERCENT) for g in found.groups)]
    rows = [(t.name, t.score, *t.shares) for t in found.trainings]
    return section("trainings", "Trainings", draw(ReportTable("All trainings", columns, rows)), guide=guide)


def lines(found: Proposal) -> Iterator[str]:
    """The page without its last section, for a terminal."""
    yield from table_lines(shares_table(found))
    yield from table_lines(predictors_table(found))
    yield from table_lines(noise_table(found))
    if found.comparisons:
        yield from table_lines(comparisons_table(found))
    yield f"{found.outcome.upper()}: {found.message}"
