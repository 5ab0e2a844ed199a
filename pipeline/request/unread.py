"""Files of rows that a source passes over for the `.` or `_` in front of a name, in words."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Mixture, Source
from pipeline.errors import first_of
from pipeline.request.lint import LintFinding
from pipeline.sources import passed_over

_MAX_NAMED = 3


def unread(source: Source) -> Iterator[LintFinding]:
    """A finding where there are such files; excluded ones are spoken of already."""
    if found := passed_over(source):
        signs = sorted({part[0] for path in found for part in path.split("/") if part[0] in "._"})
        patterns = ", ".join(f'"{sign}*"' for sign in signs)
        yield LintFinding(
            "files_passed_over",
            f"sources.{source.name}.path",
            _seen(found),
            "what writers of data name so is unfinished or no data; if these are, they are missing",
            f"exclude: [{patterns}] in source {source.name}, which says that they are not meant; or the same behind "
            'the "*" of `include`, which reads them',
        )


def lines_of_unread(mixture: Mixture) -> Iterator[str]:
    """What a run says of each source that passes over some."""
    for source in mixture.sources:
        if found := passed_over(source):
            yield f"source {source.name}: {_seen(found)}"


def _seen(found: list[str]) -> str:
    n = f"{len(found):,} file{' is' if len(found) == 1 else 's are'}"
    return f"{n} passed over, with `.` or `_` in front of a name: {first_of(found, most=_MAX_NAMED)}"
