"""What changed since the run was last worked on, in words: which settings, which input, which code, and what is redone.

A run whose mixture, input or code has changed is redone from there on. That may be days of work, and the old tables are
gone with the first of them; so it is said before it is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline.config import Mixture
from pipeline.engine.stage import Stage

MAX_CAUSES = 12  # said of one start: a new mixture changes dozens, and the first ones show that it is one
_MAX_VALUE_CHARS = 60  # of a value: a list of patterns may fill a page
# Stages that read what the mixture only names: which of its keys decide the stage, and what else may have changed.
_OUTSIDE = {
    "documents": (("sources", "ingest"), "the input files changed"),
    "overlaps": (("against",), "the files of a benchmark in `against` changed"),
    "similar": (("against", "near_dups"), "a run in `against` changed"),
    "tokens": (("tokenizer", "forms", "pack", "seed"), "the tokenizer's file changed"),
}


def what_changed(
    manifest: dict[str, Any], mixture: Mixture, stages: Sequence[Stage], *, marks: dict[str, str]
) -> str | None:
    """One line on what is redone and why; None where nothing changed. `marks` are the fingerprints of now."""
    made = manifest["stages"]
    redone = [s for s in stages if s.name in made and made[s.name]["fingerprint"] != marks[s.name]]
    causes = list(_settings(manifest.get("mixture"), mixture))
    sections = {key.partition(".")[0] for key, _ in causes}
    said = [text for _, text in causes]
    said += _versions(manifest, redone)
    said += _outside(redone, sections=sections)
    if not redone:
        return f"changed since the last start: {_listed(said)}" if said else None
    names = [s.name for s in redone]
    what = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"redoing {what}, because {_listed(said) or 'what they read changed'}"


def _settings(before: Any, mixture: Mixture) -> Iterator[tuple[str, str]]:
    """Dotted key and text of every setting that changed."""
    if not isinstance(before, dict):
        return
    try:  # so that a setting which is new in this version stands there with its default
        before = Mixture.model_validate_json(json.dumps(before)).model_dump(mode="json")
    except ValidationError:
        before = dict(before)
    old, new = dict(flat(before)), dict(flat(mixture.model_dump(mode="json")))
    for kind in ("sources", "against"):
        named = [{entry["name"] for entry in found.get(kind) or ()} for found in (before, mixture.model_dump())]
        for name, verb in [(n, "is gone") for n in named[0] - named[1]] + [(n, "is new") for n in named[1] - named[0]]:
            yield kind, f"{kind}.{name} {verb}"
            for found in (old, new):
                for key in [key for key in found if key.startswith(f"{kind}.{name}.")]:
                    del found[key]
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield key, f"{key} is set to {_short(new[key])}"
        elif key not in new:
            yield key, f"{key} is no longer set (was {_short(old[key])})"
        elif old[key] != new[key]:
            yield key, f"{key} changed from {_short(old[key])} to {_short(new[key])}"


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values; entries of lists are told by their names where they have some."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and value and all(isinstance(v, dict) and "name" in v for v in value):
        for entry in value:
            yield from flat({k: v for k, v in entry.items() if k != "name"}, f"{prefix}.{entry['name']}")
    elif value not in ({}, [], ()):
        yield prefix, value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}..."


def _versions(manifest: dict[str, Any], redone: Sequence[Stage]) -> Iterator[str]:
    for stage in redone:
        before = manifest["stages"][stage.name]["version"]
        if before != stage.version:
            yield f"loopmix makes {stage.name} in version {stage.version} now (was {before})"


def _outside(redone: Sequence[Stage], *, sections: set[str]) -> Iterator[str]:
    """What changed behind names that did not: for stages of which nothing that they read is redone."""
    names = {s.name for s in redone}
    for stage in redone:
        keys, text = _OUTSIDE.get(stage.name, ((), ""))
        if text and not sections & set(keys) and not names & {table.name for table in stage.reads}:
            yield text


def _listed(said: Sequence[str]) -> str:
    more = f"; and {len(said) - MAX_CAUSES} more" if len(said) > MAX_CAUSES else ""
    return "; ".join(said[:MAX_CAUSES]) + more
