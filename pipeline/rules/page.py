"""The page of all rules, `docs/filters.md` below its mark: made from the sets, so that it cannot say otherwise.

What was measured and read of a rule stands in `evidence.yaml`, by reason: share of bytes of its pool that it drops on
the development corpus, alone and in all; how many of its lone drops were read, and how many of these were wrong.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from pipeline.features import FEATURES, SETS
from pipeline.filters import Condition, Quality
from pipeline.rules.resolve import WITHOUT, Asked, resolve
from pipeline.rules.sets import shipped
from pipeline.yaml_file import parse_shipped

MARK = "<!-- Below: made from the rule sets by `pipeline/rules/page.py`. -->"
MOST_NAMES = 16  # of a rule's languages in a cell; `loopmix rules` lists all


@cache
def evidence() -> dict[str, dict[str, Any]]:
    """What was measured and read of each reason."""
    text = files("pipeline.rules").joinpath("evidence.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = parse_shipped(text) or {}
    return found


def page() -> str:
    """Everything below the mark."""
    lines = [MARK, ""]
    for name in SETS:
        lines += [f"## Set `{name}`", "", f"{shipped(name).about[:1].upper()}{shipped(name).about[1:]}.", ""]
        lines += ["| reason | drops where | limit | default | for | source | why | drops | alone | wrong of read |"]
        lines += ["|---|---|---|---|---|---|---|---|---|---|"]
        lines += [_row(asked) for asked in resolve(Quality(sets=(name,)))]
        lines += [""]
    lines += ["## Features", "", "| feature | what it is | pool |", "|---|---|---|"]
    lines += [f"| `{name}` | {_cell(f.meaning)} | {f.pool or 'both'} |" for name, f in FEATURES.items()]
    return "\n".join(lines) + "\n"


def _row(asked: Asked) -> str:
    rule, known = asked.rule, evidence().get(asked.rule.reason, {})
    conditions = " and ".join(_condition(c) for c in (rule, *rule.when))
    limit = "`quality.without`" if asked.key == WITHOUT else f"`{asked.key}`"
    default = "" if asked.key == WITHOUT else f"{asked.limit:,.15g}"
    numbers = (_percent(known.get("dropped_frac")), _percent(known.get("alone_frac")), _read(known))
    cells = (f"`{rule.reason}`", conditions, limit, default, ", ".join(_where(asked)) or "all", rule.source, rule.why)
    return f"| {' | '.join(_cell(cell) for cell in (*cells, *numbers))} |"


def _condition(condition: Condition) -> str:
    if condition.feature.startswith("mark."):
        return f"`{condition.feature}`" if condition.side == "above" else f"not `{condition.feature}`"
    return f"`{condition.feature}` {condition.side} {condition.limit:g}"


def _where(asked: Asked) -> Iterator[str]:
    rule = asked.rule
    if rule.pool:
        yield rule.pool
    if rule.languages:
        yield "only " + _some(rule.languages)
    if rule.exempt:
        yield "not " + _some(rule.exempt)
    if rule.keep_frac:
        yield f"of them {rule.keep_frac:.0%} stay"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:MOST_NAMES])} and {more} more"


def _percent(frac: float | None) -> str:
    return "" if frac is None else f"{frac:.2%}"


def _read(known: dict[str, Any]) -> str:
    return f"{known['wrong']} of {known['read']}" if "read" in known else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
