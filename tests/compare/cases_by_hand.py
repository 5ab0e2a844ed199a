"""A document as two runs would hold it, written by hand, and the cause that is named for it."""

from __future__ import annotations

from typing import Any

from pipeline.compare.causes import Case, cause_of
from pipeline.compare.found import SettingChange, ShareChange
from pipeline.compare.token_causes import MadeBy
from pipeline.config import Mixture, Source

NONE = (Source(name="hand", kind="directory", path="/nowhere"),)
USUAL = Mixture(name="hand", sources=NONE)
MADE = MadeBy("e" * 64, redacted=1, tokens=1)
STRICT = Mixture.model_validate(USUAL.model_dump() | {"near_dups": {"min_similarity": 0.9}})


def document(name: str, **changes: Any) -> dict[str, Any]:
    told = {"doc_id": name, "path": f"src/{name}.py", "pool": "code", "language": "Python", "group": "Python"}
    told |= {"decided_by": "extension", "n_bytes": 100, "keep": True, "fate": "packed", "reasons": [], "fired": []}
    told |= {"keeper_id": None, "similarity": None, "license": "MIT", "over_cap": None, "n_tokens": 10, "matches": []}
    told |= {"content_hash": None, "findings": [], "masked": "as it is", "form": None}
    return told | {"judged": None} | changes


def dropped(name: str, reason: str, **changes: Any) -> dict[str, Any]:
    return document(name, **{"keep": False, "fate": "dropped", "reasons": [reason], "n_tokens": 0} | changes)


def cause(
    kind: str,
    one: dict[str, Any],
    other: dict[str, Any],
    *,
    named: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], []),
    mixtures: tuple[Mixture, Mixture] = (USUAL, USUAL),
    changes: tuple[SettingChange, ...] = (),
    groups: tuple[ShareChange, ...] = (),
    made_by: tuple[MadeBy, MadeBy] = (MADE, MADE),
) -> str:
    known = [{found["doc_id"]: found for found in of_run} for of_run in named]
    return cause_of(Case(kind, (one, other), mixtures, (known[0], known[1]), changes, groups, made_by))
