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
    """A finding for each set of files that lack mapped columns, with these, which files, and how to leave them out."""
    looked = missing_fields(source, _chosen(head.files, most=_MAX_FILES))
    lacking: dict[str, list[str]] = {}
    for path, fields in looked.items():
        for field in fields:
            lacking.setdefault(field, []).append(path)
    alike: dict[tuple[str, ...], list[str]] = {}  # fields that the very same files lack, by these files
    for field, paths in lacking.items():
        alike.setdefault(tuple(paths), []).append(field)
    for places, together in alike.items():
        yield _finding(source, together, list(places), looked=list(looked))


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


def _finding(source: Source, fields: list[str], paths: list[str], *, looked: list[str]) -> LintFinding:
    columns = [source.explode if field == "explode" else getattr(source.columns, field) for field in fields]
    keys = ["explode" if field == "explode" else f"columns.{field}" for field in fields]
    noun = ("key" if source.kind == "jsonl" else "column") + ("" if len(columns) == 1 else "s")
    folders = sorted(set(map(_folder, paths)) - {_folder(path) for path in looked if path not in set(paths)})
    whole = [f"{folder}/" for folder in folders if folder]  # of the folder of the source itself nothing would be left
    n = f"{len(paths)} of {len(looked)} files looked at {'has' if len(paths) == 1 else 'have'}"
    what = f"no {noun} {', '.join(map(repr, columns))}{' in the first rows' if source.kind == 'jsonl' else ''}"
    return LintFinding(
        "column_missing_in_files",
        f"sources.{source.name}.{keys[0] if len(keys) == 1 else 'columns'}",
        f"{n} {what}: {first_of(whole or paths, most=_MAX_NAMED)}",
        "; ".join(_whys(source, fields)),
        _remedy(source, whole or paths, is_all=len(paths) == len(looked), is_one=len(fields) == 1),
    )


def _whys(source: Source, fields: list[str]) -> Iterator[str]:
    """What comes of it, once for all fields of which the same comes."""
    if {"content", "explode"} & set(fields):
        yield "such a file gives no document, and the run stops there"
        return
    stated = [field for field in fields if field in ("license", "repo") and getattr(source, field) is not None]
    for field in stated:
        yield f"their documents have the {field} that the source states, whatever their rows say"
    if unsaid := [field for field in fields if field not in stated]:
        yield f"their documents have no {' and no '.join(unsaid)}, and all that uses it does without"


def _remedy(source: Source, places: list[str], *, is_all: bool, is_one: bool) -> str:
    """To leave out what lacks it, unless all does; patterns are written out where they are few and plain."""
    if is_all:
        name = (
            "the name that the column has, or leave it" if is_one else "the names that the columns have, or leave them"
        )
        return f"{name} out of the columns of source {source.name}"
    apart = "a source of its own for such files, with the names of their columns"
    if len(places) <= _MAX_NAMED and all(map(_PLAIN.fullmatch, places)):
        patterns = ", ".join(f"/{place}" for place in places)
        return f"exclude: [{', '.join([*source.exclude, patterns])}] in source {source.name}; or {apart}"
    return f"exclude for them in source {source.name}; or {apart}"


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
