"""What a mixture will regret, found before any run: each finding names its key, what is seen, why, and what to write.

What no input could meet is an error of the file itself (`contradictions.py`). Here is what reads well and goes wrong:
keys without effect, rules that can fire on nothing or on everything, and, from a bounded look at the inputs
(`heads.py`), sources with nothing, licences, groups and budgets that cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.config import Mixture
from pipeline.features import FEATURES
from pipeline.filters import Rule
from pipeline.language.table import group_of
from pipeline.request.without_effect import without_effect
from pipeline.schema import OTHERS


@dataclass(frozen=True)
class LintFinding:
    """Something to mend in a mixture."""

    kind: str
    key: str  # dotted, as it stands in the file
    seen: str
    why: str
    write: str


def lint_mixture(mixture: Mixture) -> Iterator[LintFinding]:
    """What the mixture alone tells; looks at no input."""
    for line in without_effect(mixture):
        yield _of_line(line)
    for number, rule in enumerate(mixture.quality.rules):
        yield from _rule(rule, f"quality.rules.{number}", mixture)
    yield from _limits(mixture)


def _of_line(line: str) -> LintFinding:
    """A line of `without_effect`: its key, then why it has none."""
    key, _, rest = line.partition(" ")
    seen = line if key.endswith(":") else rest
    write = "take the key out, or change what keeps it from working"
    if f"names no `{OTHERS}`" in rest:  # it has an effect, and mostly a larger one than was meant
        write = f"`{OTHERS}: 1`, or its weight, among them, so that all that is not named has a share"
    return LintFinding(
        "no_effect",
        key.rstrip(":"),
        seen.removeprefix(f"{key} "),
        "the run will not be what the mixture reads as",
        write,
    )


# --- rules -----------------------------------------------------------------------------------------------------------


def _rule(rule: Rule, key: str, mixture: Mixture) -> Iterator[LintFinding]:
    """A rule of the mixture's own that judges nothing, or a whole pool."""
    if never := _never(rule, mixture):
        why = "documents that it should drop will be packed"
        yield LintFinding("rule_cannot_fire", key, f"{rule.reason} {never}", why, "mend the rule or take it out")
    feature = FEATURES.get(rule.feature)
    if feature is None or feature.pool is None or feature.nullable:
        return
    other = "code" if feature.pool == "text" else "text"
    # What is not measured counts as 0, which lies below every limit.
    if rule.side == "below" and rule.limit > 0 and rule.pool != feature.pool:
        yield LintFinding(
            "rule_of_other_pool",
            key,
            f"{rule.feature} is measured of {feature.pool} alone, so it is 0, below {rule.limit:g}, for all {other}",
            f"{rule.reason} drops every document of {other}",
            f"pool: {feature.pool} in this rule",
        )


def _never(rule: Rule, mixture: Mixture) -> str | None:
    """Why a rule fires on no document."""
    feature = FEATURES.get(rule.feature)
    if feature is not None and (said := _beyond(rule.feature, rule.side, rule.limit)):
        return said
    is_measured = feature is None or feature.pool is None or rule.pool in (None, feature.pool)
    if not is_measured and rule.side == "above" and rule.limit >= 0:
        assert feature is not None
        return f"judges {rule.pool} by {rule.feature}, which is measured of {feature.pool} alone and 0 there"
    left = set(rule.languages) - set(rule.exempt)
    if rule.languages and not left:
        return "exempts all of its languages"
    dropped = set(mixture.select.drop_languages)
    if rule.languages and left <= dropped:
        return f"is for {', '.join(sorted(left))} alone, which select.drop_languages drops anyway"
    if rule.pool == "text" and rule.languages and "Text" not in rule.languages:
        return f"is for {', '.join(rule.languages)} in the text pool, where every document is Text"
    return None


def _beyond(feature: str, side: str, limit: float) -> str | None:
    """Why nothing lies on that side of the limit."""
    kind = FEATURES[feature].kind
    is_share = feature.endswith("_frac") or kind == "bool"
    if side == "above" and is_share and limit >= 1:
        return f"asks for {feature} above {limit:g}, and it is never above 1"
    if side == "below" and limit <= 0 and (is_share or kind == "int"):
        return f"asks for {feature} below {limit:g}, and it is never below 0"
    return None


def _limits(mixture: Mixture) -> Iterator[LintFinding]:
    """Limits of rules that ship, moved to where nothing crosses them."""
    from pipeline.rules.resolve import resolve

    for asked in resolve(mixture.quality):
        rule = asked.rule
        if rule.reason not in mixture.quality.limits or rule.feature not in FEATURES:
            continue
        if said := _beyond(rule.feature, rule.side, rule.limit):
            yield LintFinding(
                "rule_cannot_fire",
                f"quality.limits.{rule.reason}",
                f"the rule then {said}",
                "the rule is switched off by a number that reads as a limit",
                f"quality.without: [{rule.reason}], or a limit that can be crossed",
            )


def named_groups(mixture: Mixture) -> Iterator[tuple[str, str]]:
    """Key and group of everything that balance says of a language of code by name."""
    code = mixture.balance.code
    for name, of in (("shares", code.shares), ("max_frac", code.max_frac)):
        for group in of:
            yield f"balance.code.{name}.{group}", group_of(group)
    for phase in mixture.phases:
        for group in phase.shares.code or ():
            yield f"phases.{phase.name}.shares.code.{group}", group_of(group)
