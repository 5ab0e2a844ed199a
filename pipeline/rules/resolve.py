"""Which rules judge a mixture, with its limits: the rows of its sets and its own, less those it is to be without."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pipeline.features import MARK, SETS, SetName
from pipeline.filters import Quality, Rule
from pipeline.reasons import REASONS
from pipeline.rules.sets import Row, shipped
from pipeline.yaml_file import nearest

WITHOUT = "quality.without"  # the key of a rule that has no limit to move: what it asks is there or not


@dataclass(frozen=True)
class Asked:
    """A rule as a mixture asks it, and the dotted key of its limit there."""

    rule: Rule
    key: str

    @property
    def limit(self) -> float:
        return self.rule.limit


def resolve(quality: Quality) -> tuple[Asked, ...]:
    """Every rule that judges, in the order of the sets, then the mixture's own; `misnamed` says what it passes over."""
    return tuple(_asked(row, quality) for row in _rows(quality) if row.rule.reason not in quality.without)


def _rows(quality: Quality) -> list[Row]:
    return [*(row for name in quality.sets for row in shipped(name).rows), *(Row(rule, None) for rule in quality.rules)]


def rules_of(quality: Quality) -> tuple[Rule, ...]:
    """The rules alone."""
    return tuple(asked.rule for asked in resolve(quality))


def _asked(row: Row, quality: Quality) -> Asked:
    rule = row.rule
    if row.setting is not None:
        pool, _, field = row.setting.partition(".")
        limit = getattr(getattr(quality, pool), field)
        return Asked(rule.model_copy(update={rule.side: limit}), f"quality.{row.setting}")
    if rule.reason in quality.limits:
        rule = rule.model_copy(update={rule.side: quality.limits[rule.reason]})
    is_switch = rule.feature.startswith(MARK)
    return Asked(rule, WITHOUT if is_switch else f"quality.limits.{rule.reason}")


def misnamed(quality: Quality) -> Iterator[tuple[str, str]]:
    """What `without` and `limits` name wrongly: the key and what is wrong with it."""
    rows = _rows(quality)
    for rule in quality.rules:
        if rule.reason in REASONS:
            yield "rules", f"{rule.reason!r} is a reason of another kind, which no rule may give; take another name"
        elif rule.reason in _all_shipped():
            yield "rules", f"{rule.reason!r} is the reason of a rule that ships; take another name"
    settings = {row.rule.reason: row.setting for row in rows if row.setting is not None}
    known = {row.rule.reason for row in rows}
    for key, reasons in (("without", quality.without), ("limits", quality.limits)):
        for reason in reasons:
            if reason not in known:
                elsewhere = [name for name in SETS if reason in reasons_of(name)]
                hint = f": it is of set {elsewhere[0]}, which is not in quality.sets" if elsewhere else ""
                yield key, f"no rule has the reason {reason!r}{hint or nearest(reason, sorted(known))}"
            if key == "limits" and reason in settings:
                yield key, f"the limit of {reason!r} has a key of its own, {_keys(reason, rows)}"


@cache
def _all_shipped() -> frozenset[str]:
    """The reasons of every set: asked only of a mixture with rules of its own, for most name one or two sets."""
    return frozenset(reason for name in SETS for reason in reasons_of(name))


def _keys(reason: str, rows: Sequence[Row]) -> str:
    return " and ".join(f"quality.{row.setting}" for row in rows if row.rule.reason == reason and row.setting)


def reasons_of(name: SetName) -> Iterator[str]:
    """The reasons of a set that ships."""
    return (row.rule.reason for row in shipped(name).rows)
