"""What a path alone says a document is: `paths.yaml` as a few regular expressions over a column of paths."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.quality.marks.tables import pattern_of, read_table


@dataclass(frozen=True)
class PathRule:
    """A mark and the expression (RE2, over the path with a slash before it) that gives it; `only` and `unless` are
    expressions that must match as well, or must not."""

    mark: str
    match: str
    only: str = ""
    unless: str = ""


@cache
def path_rules() -> tuple[PathRule, ...]:
    """All rows of paths.yaml; those of a mark without a further condition are one expression."""
    plain: dict[str, list[str]] = {}
    rules = []
    for mark, rows in read_table("paths.yaml").items():
        for row in rows:
            match = _expression(row)
            if "only" in row or "unless" in row:
                rules.append(PathRule(mark, match, _ending(row.get("only", [])), _ending(row.get("unless", []))))
            else:
                plain.setdefault(mark, []).append(match)
    return (*(PathRule(mark, "|".join(parts)) for mark, parts in plain.items()), *rules)


def _expression(row: dict[str, Any]) -> str:
    """One expression of a row's names, endings, folders and its own `regex`."""
    parts = []
    if names := row.get("names"):
        parts.append(f"/(?:{'|'.join(map(_glob, names))})$")
    if endings := row.get("endings"):
        parts.append(f"(?:{'|'.join(map(_glob, endings))})$")
    if folders := row.get("folders"):
        parts.append(f"/(?:{'|'.join(map(_glob, folders))})/")
    case = "" if row.get("exact") else "(?i)"
    if parts:
        parts = [f"(?:{case}{'|'.join(parts)})"] if not case else [f"(?i:{'|'.join(parts)})"]
    if own := row.get("regex"):
        parts.append(f"(?:{pattern_of(own)})")
    return "|".join(parts)


def _glob(pattern: str) -> str:
    return "[^/]*".join(re.escape(piece) for piece in pattern.split("*"))


def _ending(endings: list[str]) -> str:
    """An expression for paths that end so; an empty ending stands for a name without a dot."""
    parts = [r"/[^/.]+" if ending == "" else re.escape(ending) for ending in endings]
    return f"(?i:(?:{'|'.join(parts)})$)" if parts else ""


def rooted(paths: pa.Array) -> pa.Array:
    """The paths with a slash before each, which begins every name and folder; a null path is the root alone."""
    return pc.binary_join_element_wise("/", pc.fill_null(paths, ""), "")


def find_by_path(paths: pa.Array) -> dict[str, np.ndarray]:
    """For each mark of paths.yaml which of the rooted paths it fits, as booleans."""
    found: dict[str, np.ndarray] = {}
    for rule in path_rules():
        hits = path_matches(paths, rule.match)
        if hits.any() and rule.only:
            hits &= path_matches(paths, rule.only)
        if hits.any() and rule.unless:
            hits &= ~path_matches(paths, rule.unless)
        found[rule.mark] = hits | found[rule.mark] if rule.mark in found else hits
    return found


def path_matches(paths: pa.Array, expression: str) -> np.ndarray:
    """Which paths an expression (RE2) fits, as booleans."""
    return np.asarray(pc.match_substring_regex(paths, expression).to_numpy(zero_copy_only=False), bool)
