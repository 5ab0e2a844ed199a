"""Patterns of `include` and `exclude` that fit no file, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.config import Mixture, Source
from pipeline.errors import LoopmixError
from pipeline.request.lint import LintFinding
from pipeline.sources.unmatched import Unmatched, unmatched

_A_FOLDER = re.compile(r"/[^*?\[\]\\]+/")  # by its whole name, as a run's that is not made yet


def idle_patterns(source: Source) -> Iterator[LintFinding]:
    """A finding for each key that has such patterns; a folder by its name may be one that the run will make."""
    for found in _of(source):
        patterns = tuple(one for one in found.patterns if not _A_FOLDER.fullmatch(one))
        if patterns:
            yield LintFinding(
                "pattern_without_file",
                f"sources.{source.name}.{found.key}",
                _seen(found._replace(patterns=patterns)),
                "what was meant is read all the same" if found.key == "exclude" else "what was meant is not read",
                "the pattern as docs/patterns.md has it, from the source's folder on, or take it out",
            )


def lines_of_idle(mixture: Mixture) -> Iterator[str]:
    """What a run says of each source that has some."""
    for source in mixture.sources:
        for found in _of(source):
            yield f"source {source.name}: {found.key}: {_seen(found)}"


def _of(source: Source) -> list[Unmatched]:
    try:
        return unmatched(source)
    except LoopmixError:  # the plan's to say
        return []


def _seen(found: Unmatched) -> str:
    listed = ", ".join(map(repr, found.patterns))
    return f"no file matches {listed}" + ", beside those in folders that others leave out" * found.is_beside
