"""Mapped columns that some files of a source lack: they are null there, and no file says so by itself.

Published sets have folders of another kind beside those of code, and files that name a column otherwise. A bounded
number of files is looked at, one of each folder first: files of one folder are seldom of two kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline.config import Source
from pipeline.errors import first_of
from pipeline.request.heads import Head, evenly
from pipeline.request.lint import LintFinding
from pipeline.sources import InputFile, missing_fields

_MAX_FILES = 256  # looked at: a second or two of footers, or of first rows
_MAX_NAMED = 3  # folders and files of a finding
_PLAIN = re.compile(r"[\w./-]+")  # what is written into a list of patterns as it is


def missing(source: Source, head: Head) -> Iterator[LintFinding]:
    """A finding for each mapped column that files lack, with how many, which, and how to leave them out."""
    looked = missing_fields(source, _chosen(head.files, most=_MAX_FILES))
    lacking: dict[str, list[str]] = {}
    for path, fields in looked.items():
        for field in fields:
            lacking.setdefault(field, []).append(path)
    for field, paths in lacking.items():
        yield _finding(source, field, paths, looked=list(looked))


def _chosen(files: Sequence[InputFile], *, most: int) -> list[InputFile]:
    """All, or the first of each folder and some between, evenly, in their order; at most `most`."""
    if len(files) <= most:
        return list(files)
    firsts: dict[str, int] = {}
    for at, file in enumerate(files):
        firsts.setdefault(_folder(file.path), at)
    chosen = set(evenly(list(firsts.values()), most))
    rest = [at for at in range(len(files)) if at not in chosen]
    return [files[at] for at in sorted(chosen | set(evenly(rest, most - len(chosen))))]


def _finding(source: Source, field: str, paths: list[str], *, looked: list[str]) -> LintFinding:
    column = source.explode if field == "explode" else getattr(source.columns, field)
    is_rows = source.kind == "jsonl"
    key = "explode" if field == "explode" else f"columns.{field}"
    folders = sorted(set(map(_folder, paths)) - {_folder(path) for path in looked if path not in set(paths)})
    whole = [f"{folder}/" for folder in folders if folder]  # of the folder of the source itself nothing would be left
    n = f"{len(paths)} of {len(looked)} files looked at {'has' if len(paths) == 1 else 'have'}"
    what = f"no key {column!r} in the first rows" if is_rows else f"no column {column!r}"
    return LintFinding(
        "column_missing_in_files",
        f"sources.{source.name}.{key}",
        f"{n} {what}: {first_of(whole or paths, most=_MAX_NAMED)}",
        _why(source, field),
        _remedy(source, whole or paths, is_all=len(paths) == len(looked)),
    )


def _why(source: Source, field: str) -> str:
    if field in ("content", "explode"):
        return "such a file gives no document, and the run stops there"
    if field in ("license", "repo") and getattr(source, field) is not None:
        return f"their documents have the {field} that the source states, whatever their rows say"
    return f"their documents have no {field}, and all that uses it does without"


def _remedy(source: Source, places: list[str], *, is_all: bool) -> str:
    """To leave out what lacks it, unless all does; patterns are written out where they are few and plain."""
    if is_all:
        return f"the name that the column has, or leave it out of the columns of source {source.name}"
    apart = "a source of its own for such files, with the names of their columns"
    if len(places) <= _MAX_NAMED and all(map(_PLAIN.fullmatch, places)):
        patterns = ", ".join(f"/{place}" for place in places)
        return f"exclude: [{', '.join([*source.exclude, patterns])}] in source {source.name}; or {apart}"
    return f"exclude for them in source {source.name}; or {apart}"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
