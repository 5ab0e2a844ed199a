"""Which limits of its mixture a document crossed: the key, its value then, whose limit it is, and how to change it."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from pipeline.config import Mixture
from pipeline.privacy.kinds import PERSONAL, kinds
from pipeline.reasons import SETTINGS, Setting, in_order
from pipeline.rules.resolve import WITHOUT, Asked, resolve
from pipeline.schema import PROSE_GROUP
from pipeline.select.licenses import dropped_class

# What to write where the run did not keep what was measured.
_UNKNOWN = {
    "above": "at least its own, which the run did not keep",
    "below": "at most its own, which the run did not keep; 0 lets everything in",
    "at least": "above its own, which the run did not keep",
}
_MEASURES = {"min_telling_words": "n_telling_words", "min_contained_frac": "contained_frac"}  # of benchmarks


@dataclass(frozen=True)
class Limit:
    """One limit behind one reason of one document."""

    reason: str
    measured: int | float | str | None  # None: not kept by the run, as the size of a row that was too large
    crossed: str  # above, below, at least, in, not in, set: how what was measured stands to `value`
    key: str | None  # dotted key of the mixture; None: fixed
    value: Any  # of the key in the mixture of the run
    source: str  # whose limit it is
    change: str | None  # what to write in the mixture so that this limit lets the document pass; None: nothing does
    # Where the run cannot tell the value it stands as N, with words for what it must be.


def limits_of(mixture: Mixture, document: dict[str, Any]) -> list[Limit]:
    """Every limit that a document crossed, in the order of its reasons.

    `document` is a row of the ledger, and as `matches` those of its row of `overlaps`; `judged`, if there, is the same
    of the equal document whose judgement it shares.
    """
    values = {fired["rule"]: fired["value"] for fired in document["fired"]}
    found: list[Limit] = []
    asked = resolve(mixture.quality)
    for reason in in_order({*document["reasons"], *values}, rules=[one.rule.reason for one in asked]):
        if reason in values:
            found += _of_rules(document, (one for one in asked if one.rule.reason == reason), values[reason])
        for setting in SETTINGS:
            if setting.reason == reason == "contaminated":
                found += _of_benchmark(mixture, document, setting)
            elif setting.reason == reason == "dropped_license":
                found.append(_of_license(mixture, document, setting))
            elif setting.reason == reason and setting.applies == "drops":
                found.append(_of_privacy(mixture, document, setting))
            elif setting.reason == reason:
                found.append(_of_setting(mixture, document, setting))
    return found


def _of_rules(document: dict[str, Any], asked: Iterable[Asked], value: float) -> Iterator[Limit]:
    """Of the rules of one reason those that the document crossed; `value` is what the first of them measured."""
    for one in asked:
        rule = one.rule
        fits = rule.pool in (None, document["pool"]) and document["language"] not in rule.exempt
        if fits and rule.is_met(value) and (not rule.languages or document["language"] in rule.languages):
            limit = _limit(Setting(rule.reason, one.key, rule.side, rule.source), value, rule.limit)
            if one.key == WITHOUT:
                limit = replace(limit, measured=None, value=None, change=_without(rule.reason))
            yield limit


def _without(reason: str) -> str:
    return f"quality: {{without: [{reason}]}}"


def _of_setting(mixture: Mixture, document: dict[str, Any], setting: Setting) -> Limit:
    measured = {
        "too_large": document.get("input_bytes"),
        "dropped_language": document["language"],
        # The format, also where a mixture sets its prose apart, in a group of its own.
        "prose_in_format": (document.get("group") or "").removesuffix(PROSE_GROUP.format("")),
        "dropped_prose_language": document.get("prose_language"),
        "other_prose_language": document.get("prose_language"),
        "known_duplicate": document["similarity"],
        "near_duplicate": document["similarity"],
    }.get(setting.reason)
    return _limit(setting, measured, reduce(getattr, setting.key.split("."), mixture) if setting.key else None)


def _of_license(mixture: Mixture, document: dict[str, Any], setting: Setting) -> Limit:
    """Its own licence, or that of the equal document whose judgement holds for it."""
    dropped = mixture.select.drop_licenses
    license_id = document["license"]
    if dropped_class(license_id, dropped) is None and document.get("judged"):
        license_id = document["judged"]["license"]
    free: list[str] = []  # of `drop_licenses` what may stay there
    for name in dropped:
        if dropped_class(license_id, [*free, name]) is None:
            free.append(name)
    limit = _limit(setting, dropped_class(license_id, dropped), dropped)
    return replace(limit, change=_yaml("select.drop_licenses", json.dumps(free)))


def _of_privacy(mixture: Mixture, document: dict[str, Any], setting: Setting) -> Limit:
    """The kinds of its finds that drop it."""
    names = {"secret": False, "personal_data": True}
    found = dict.fromkeys(one["kind"] for one in document.get("findings", ()) if one["policy"] == "drop")
    dropping = [kind for kind in found if (kinds()[kind].cls in PERSONAL) == names[setting.reason]]
    limit = _limit(setting, ", ".join(dropping), mixture.privacy.policies)
    wanted = ", ".join(f"{kind}: redact" for kind in dropping)
    return replace(limit, change=f"privacy: {{policies: {{{wanted}}}}}")


def _of_benchmark(mixture: Mixture, document: dict[str, Any], setting: Setting) -> Iterator[Limit]:
    """The limits of benchmarks that the document, or the equal one that was judged, reaches: for each the largest."""
    matches = [*document["matches"], *(document.get("judged") or {"matches": ()})["matches"]]
    field = str(setting.key).rpartition(".")[2]
    measure = _MEASURES[field]
    for entry in mixture.against:
        reached = [match[measure] for match in matches if match["benchmark"] == entry.name]
        limit = getattr(entry, field)
        if reached and max(reached) >= limit:
            yield _limit(replace(setting, key=str(setting.key).format(benchmark=entry.name)), max(reached), limit)


def _limit(setting: Setting, measured: int | float | str | None, value: Any) -> Limit:
    change = None
    if setting.key is not None:
        wanted = _passing(measured, setting.applies, value)
        change = None if wanted is None else _yaml(setting.key, wanted)
        if wanted == "N" and setting.applies in _UNKNOWN:  # who drops by kind says what to write himself
            change = f"{change}, where N is {_UNKNOWN[setting.applies]}"
    return Limit(setting.reason, measured, setting.applies, setting.key, value, setting.source, change)


def _passing(measured: int | float | str | None, applies: str, value: Any) -> str | None:
    """A value near the measured one at which the limit is not crossed, as YAML; None: there is none."""
    if applies == "in":
        return json.dumps([name for name in value if name != measured], ensure_ascii=False)
    if applies == "not in":
        return json.dumps([*value, measured], ensure_ascii=False)
    if applies == "set":
        return json.dumps(not value)
    if isinstance(measured, int):
        return str(measured + 1 if applies == "at least" else measured)
    if not isinstance(measured, float):
        return "N"
    # Three decimals are enough for a threshold; rounded to the side on which nothing fires.
    if applies == "at least":
        wanted = (math.floor(measured * 1000) + 1) / 1000
        return json.dumps(wanted) if wanted <= 1 else None  # equal texts: no threshold of at most 1 lets both in
    if measured.is_integer():
        return str(int(measured))
    return json.dumps((math.floor if applies == "below" else math.ceil)(measured * 1000) / 1000)


def _yaml(key: str, wanted: str) -> str:
    """One line of YAML that sets a dotted key: quality: {code: {max_lines: 10}}."""
    first, _, rest = key.partition(".")
    if rest.startswith("limits."):  # a reason may hold dots
        return f"{first}: {{limits: {{{rest.removeprefix('limits.')}: {wanted}}}}}"
    name, _, field = rest.rpartition(".")  # the name of a benchmark may hold dots
    if first == "against":
        return f"against: [{{name: {name}, {field}: {wanted}}}]"
    for part in reversed(rest.split(".")):
        wanted = f"{{{part}: {wanted}}}"
    return f"{first}: {wanted}"
