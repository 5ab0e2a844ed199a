"""What made two runs decide otherwise about one document: the limit, keeper, language or bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.compare.found import SettingChange, ShareChange
from pipeline.compare.settings import limits, value
from pipeline.compare.token_causes import MadeBy, has_equal_bytes, mask_causes, token_causes
from pipeline.config import Mixture
from pipeline.reading.limits import limits_of
from pipeline.reasons import REASONS

_NAMES = ("A", "B")
_DUPLICATES = ("exact_duplicate", "near_duplicate", "known_duplicate")
_MAX_KEYS = 3


@dataclass(frozen=True)
class Case:
    """A document of one kind of change, as both runs hold it, and what one may need to say why."""

    kind: str
    sides: tuple[dict[str, Any] | None, dict[str, Any] | None]
    mixtures: Sequence[Mixture]
    named: tuple[Mapping[str, dict[str, Any]], Mapping[str, dict[str, Any]]]  # keepers and others, by id, in each run
    changes: Sequence[SettingChange]
    groups: Sequence[ShareChange]
    made_by: Sequence[MadeBy]


def cause_of(case: Case) -> str:
    """One sentence or several; what no difference explains says so."""
    one, other = case.sides
    if one is None or other is None:
        return f"the input of {_NAMES[one is None]} alone holds it"
    if case.kind == "moved":
        return "read from another place of the input" + (f"; {_fates(case)}" if one["fate"] != other["fate"] else "")
    found = list(_common(case, one, other))
    if case.kind in ("left", "entered"):
        found += _dropped(case, dropping=case.kind == "left")
    elif case.kind in ("out_of_mixture", "into_mixture", "other_amount"):
        found += _balanced(case, one, other)
    elif case.kind == "other_tokens":
        found += token_causes(one, other, case.mixtures, case.made_by)
    elif case.kind == "other_keeper":
        found += _keepers(case, one, other)
    elif case.kind == "other_reasons":
        found += _reasons(case, one, other)
    elif case.kind == "other_language":
        found += _language(case, one, other)
    if not found and case.kind != "other_language":  # languages are told before anything is masked
        found += mask_causes(one, other, case.mixtures, case.made_by)
    return (
        "; ".join(dict.fromkeys(found)) or "no difference of settings or documents explains it: loopmix why tells more"
    )


def _common(case: Case, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """What changes everything behind it."""
    if case.kind == "other_bytes" or (case.kind != "other_language" and not has_equal_bytes(one, other)):
        yield _bytes(one, other)
    if case.kind != "other_language" and (one["pool"], one["language"]) != (other["pool"], other["language"]):
        yield f"it is {one['language']} in A and {other['language']} in B, so other rules judge it"


def _bytes(one: dict[str, Any], other: dict[str, Any]) -> str:
    if one["n_bytes"] == other["n_bytes"]:
        return f"the input holds other bytes in A and B, {one['n_bytes']:,} each"
    return f"the input holds {one['n_bytes']:,} bytes in A and {other['n_bytes']:,} in B"


def _fates(case: Case) -> str:
    one, other = case.sides
    assert one is not None and other is not None
    return f"{one['fate']} in A, {other['fate']} in B"


# --- dropped in one run ----------------------------------------------------------------------------------------------


def _dropped(case: Case, *, dropping: int) -> Iterator[str]:
    """Why one run drops it and the other does not. `dropping`: which one, 0 or 1."""
    document = case.sides[dropping]
    assert document is not None
    for reason in document["reasons"]:
        if reason in _DUPLICATES:
            yield from _duplicate(case, document, reason, dropping)
        else:
            yield from _limited(case, document, reason, dropping)


def _limited(case: Case, document: dict[str, Any], reason: str, dropping: int) -> Iterator[str]:
    """Limits of a reason that the other mixture sets otherwise."""
    elsewhere = limits(case.mixtures[1 - dropping])
    drops, keeps = _NAMES[dropping], _NAMES[1 - dropping]
    crossed = [limit for limit in limits_of(case.mixtures[dropping], document) if limit.reason == reason]
    for limit in crossed:
        key = (reason, limit.key or "")
        if key not in elsewhere and reason not in REASONS:
            yield f"{reason}: {keeps} has no such rule"
        elif key in elsewhere and elsewhere[key] != limit.value and limit.value is not None:
            measured = "" if limit.measured is None else f"{measured_as(limit.measured)} is {limit.crossed} "
            limit_there = f"{limit.key} = {value(limit.value)} of {drops}, which is {value(elsewhere[key])} in {keeps}"
            yield f"{reason}: {measured}{limit_there}"


def measured_as(found: float | str) -> str:
    """What a document has, in a sentence."""
    return found if isinstance(found, str) else value(found) if float(found).is_integer() else f"{found:.4g}"


def _duplicate(case: Case, document: dict[str, Any], reason: str, dropping: int) -> Iterator[str]:
    """What the other run makes of the keeper, and of a similarity below its threshold."""
    keeps = _NAMES[1 - dropping]
    least = [mixture.near_dups.min_similarity for mixture in case.mixtures]
    similarity, there = document["similarity"], case.sides[1 - dropping]
    assert there is not None
    if reason != "exact_duplicate" and similarity is not None and similarity < least[1 - dropping]:
        yield (
            f"{reason}: {similarity:.3f} similar to its keeper, from near_dups.min_similarity = {least[dropping]:g} on "
            f"a duplicate in {_NAMES[dropping]}, from {least[1 - dropping]:g} on in {keeps}"
        )
        return
    keeper = case.named[1 - dropping].get(document["keeper_id"] or "")
    path = case.named[dropping].get(document["keeper_id"] or "", {}).get("path", "a document of another run")
    if keeper is None:
        if reason != "known_duplicate":
            yield f"{reason}: its keeper {path} is not in {keeps}"
    elif keeper["keeper_id"] == there["doc_id"]:
        ids = (
            "; their ids differ in the runs, and decide between equals" if document["doc_id"] != there["doc_id"] else ""
        )
        yield f"{reason}: in {keeps} it is the keeper, and {path} is dropped for it{ids}"
    elif not keeper["keep"]:
        yield f"{reason}: its keeper {path} is dropped in {keeps} ({', '.join(keeper['reasons'])})"
    else:
        yield from _otherwise(case, ("near_dups", "exact_dups", "privacy", "against"), f"{reason}: ")


def _otherwise(case: Case, sections: Sequence[str], before: str) -> Iterator[str]:
    """Keys of sections that differ and may be why."""
    keys = [change.key for change in case.changes if change.key.partition(".")[0] in sections]
    if keys:
        more = f" and {len(keys) - _MAX_KEYS} more" if len(keys) > _MAX_KEYS else ""
        yield f"{before}these differ: {', '.join(keys[:_MAX_KEYS])}{more}"


# --- kept, or dropped, in both ---------------------------------------------------------------------------------------


def _balanced(case: Case, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """How much of its group the balance takes in each run; a cap where one keeps it out."""
    for name, document in zip(_NAMES, (one, other), strict=True):
        if document["over_cap"]:
            yield f"over balance.{document['pool']}.{document['over_cap']} in {name}"
    yield from token_causes(one, other, case.mixtures, case.made_by)
    for name, document, side in zip(_NAMES, (one, other), ("a", "b"), strict=True):
        for group in case.groups:
            if (group.pool, group.name) == (document["pool"], document["group"]):
                packed, kept = getattr(group, f"n_tokens_{side}"), getattr(group, f"n_kept_tokens_{side}")
                yield f"{name} packs {packed:,} tokens of {group.name} from {kept:,} kept ones"


def _keepers(case: Case, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """What became of each keeper in the other run."""
    for side, document in enumerate((one, other)):
        keeper = document["keeper_id"]
        there, path = case.named[1 - side].get(keeper), case.named[side].get(keeper, {}).get("path", keeper)
        if there is not None and there["doc_id"] == (other, one)[side]["keeper_id"]:
            yield f"{path}, its keeper, was read from another place of the input"
        elif there is None:
            yield f"{path}, its keeper in {_NAMES[side]}, is not in {_NAMES[1 - side]}"
        elif not there["keep"]:
            why = ", ".join(there["reasons"])
            yield f"{path}, its keeper in {_NAMES[side]}, is dropped in {_NAMES[1 - side]} ({why})"
    similarities = one["similarity"], other["similarity"]
    if None not in similarities and similarities[0] != similarities[1]:
        yield f"{similarities[0]:.3f} similar to its keeper in A, {similarities[1]:.3f} in B"


def _reasons(case: Case, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """The reasons of one run alone, each as if it alone decided."""
    for side, (document, there) in enumerate(((one, other), (other, one))):
        alone = [reason for reason in document["reasons"] if reason not in there["reasons"]]
        part = {**document, "reasons": alone}
        sides = (part, there) if side == 0 else (there, part)
        yield from _dropped(replace(case, sides=sides), dropping=side)


def _language(case: Case, one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """What decided it in each run."""
    if not has_equal_bytes(one, other):
        yield _bytes(one, other)
    if one["decided_by"] != other["decided_by"]:
        yield f"decided by {one['decided_by']} in A and {other['decided_by']} in B"
    if one["path"] != other["path"]:
        yield f"its path is {one['path']} in A and {other['path']} in B"
    yield from _otherwise(case, ("classify", "sources"), "")
