"""What each reason means, in a sentence: those that are no rules from `reasons.py`, rules from what they ask."""

from collections.abc import Iterable

from pipeline.features import SETS
from pipeline.filters import Quality
from pipeline.reasons import REASONS, in_order
from pipeline.rules.resolve import WITHOUT, Asked, resolve


def meanings(quality: Quality) -> dict[str, str]:
    """Every reason that a mixture can give, in the order in which the ledger lists them, with its meaning."""
    asked = resolve(quality)
    rules = {reason: _meaning(reason, asked) for reason in dict.fromkeys(a.rule.reason for a in asked)}
    order = in_order({*REASONS, *rules}, rules=list(rules))
    return {reason: rules.get(reason) or REASONS[reason] for reason in order}


def usual_meaning(reason: str) -> str:
    """The meaning of a reason under the defaults; a rule that is in no set is one of the mixture's own."""
    return meanings(Quality(sets=SETS)).get(reason, "a rule of the mixture's own")


def _meaning(reason: str, asked: Iterable[Asked]) -> str:
    """What it is good for, and what it asks: of several rules each once."""
    mine = [one for one in asked if one.rule.reason == reason]
    said = [f"{one.rule.feature} {one.rule.side} {limit_of(one)}" for one in mine]
    why = next((one.rule.why for one in mine if one.rule.why), "")
    condition = " or ".join(dict.fromkeys(said))
    return f"{why} ({condition})" if why else condition


def limit_of(asked: Asked) -> str:
    """The key that holds a rule's limit, or the number itself where its key is no limit."""
    return f"{asked.limit:g}" if asked.key == WITHOUT else asked.key
