"""Patterns of a source's `include` and `exclude` that fit no file, as a slip in one leaves them."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.config import Source
from pipeline.globs import matches_none
from pipeline.sources.local import SKIPPED_FOLDERS
from pipeline.sources.roots import list_below, locate

_LISTED = ("directory", "parquet", "jsonl", "huggingface")
# Never listed, so that a pattern that leaves them out has no say and is no slip.
_NEVER = tuple(f"{folder.decode()}/{name}" for folder in SKIPPED_FOLDERS for name in ("config", "x.pyc"))


class Unmatched(NamedTuple):
    """Patterns of one key that fit no file of a source."""

    key: str  # include or exclude
    patterns: tuple[str, ...]
    is_beside: bool  # folders that other patterns leave out were not looked into


def unmatched(source: Source) -> list[Unmatched]:
    """At most one for each key. Lists the source, where nobody has; LoopmixError if that cannot be done."""
    if (source.include, source.exclude) == (("*",), ()) or source.kind not in (*_LISTED, "git"):
        return []
    names, is_beside = _names(source)
    found = []
    for key, patterns in (("include", source.include), ("exclude", source.exclude)):
        if idle := tuple(one for one in patterns if matches_none(one, names) and matches_none(one, _NEVER)):
            found.append(Unmatched(key, idle, is_beside))
    return found


def _names(source: Source) -> tuple[list[str], bool]:
    """Paths that the patterns are held against, and whether folders among them stand for all that is in them."""
    if source.kind == "git":
        from pipeline.sources.git import tracked_names

        return tracked_names(source), False
    root = locate(source)
    listed = list_below(root, exclude=source.exclude)
    return [*listed.pruned, *(file.path for file in listed.files if root.names(file.path))], bool(listed.pruned)
