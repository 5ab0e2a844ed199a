"""Columns of an input that look like licence, repository, revision, path or language, and that nothing is mapped to.

What is not mapped is lost without a word: every rule on licences, every cap on a repository and every credit then works
on nothing. A name alone is no proof (FineWeb's `file_path` is that of an archive), so the first rows are read once more
with the column mapped, by the readers of a run, and the values must be what the field is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.config import Mixture, Source
from pipeline.language.decide import language_named
from pipeline.language.path import by_path
from pipeline.language.table import languages
from pipeline.request.heads import Head, look_again
from pipeline.request.lint import LintFinding
from pipeline.select.licenses import COPYLEFT, PERMISSIVE, license_class

_HALF = 0.5  # of the values: a column of paths holds some without an ending, one of languages some that nobody knows


@dataclass(frozen=True)
class _Field:
    """A field of `columns`: how its columns are called, best first, what a value must be, and what is lost without."""

    names: tuple[str, ...]  # each for the whole name, or the part behind its last dot; case does not count
    column: str  # of `documents`
    is_meant: Callable[[str], bool]
    min_frac: float  # of the values that are there: above it the column is meant
    why: str


_FIELDS = {
    "path": _Field(
        ("path", "max_stars_repo_path", "file_?path", "file_?name", "path_in_repo(sitory)?"),
        "path",
        lambda value: bool(by_path(value).languages),
        _HALF,
        "languages are told by content alone, and no document can be asked for by its path",
    ),
    "repo": _Field(
        ("(full_?)?repo(sitory)?(_?(full_?)?name)?", "max_stars_repo_name", "repo(sitory)?_?(id|url)"),
        "repo",
        bool,
        0.0,
        "no document has a repository: no cap on one holds, and the ledger names none",
    ),
    "revision": _Field(
        ("revision(_?id)?", "commit(_?(id|sha|hash))?", "(max_stars_repo_)?head_?(hexsha|sha|commit)"),
        "revision",
        bool,
        0.0,
        "no document has a revision, so nobody can find again what it was made of",
    ),
    "license": _Field(
        ("detected_licen[cs]es", "licen[cs]es?", "(repo(sitory)?_|max_stars_repo_|file_|project_)?licen[cs]es?"
         "(_?(id|name|spdx))?", "spdx(_?id)?", "gha_licen[cs]e_id", "licen[cs]e_type"),
        "license",
        lambda value: license_class(value) in (PERMISSIVE, COPYLEFT),
        0.0,
        "documents count as of unknown licence, or of the one that the source states, whatever their rows say",
    ),
    "language": _Field(
        ("language", "lang", "programming_?lang(uage)?", "prog_?lang(uage)?"),
        "language_label",
        lambda value: language_named(value) in languages(),
        _HALF,
        "languages are told by path and content, and the ones that the rows state are not asked",
    ),
}  # fmt: skip
_BY_NAME = ("path", "language")  # a column of this very name is taken unasked, see `sources.values.mapped`


def unmapped(source: Source, head: Head, mixture: Mixture) -> Iterator[LintFinding]:
    """A finding for each field that is not mapped though a column of the source holds it; nothing where "" declines."""
    for name, field in _FIELDS.items():
        if getattr(source.columns, name) is not None or (name in _BY_NAME and _is_known(name, source, head)):
            continue
        alike = _alike(field, head.columns)
        for column in alike:
            values = [
                row[field.column] for row in look_again(mixture, source, head, **{name: column}) if row[field.column]
            ]
            n_meant = sum(map(field.is_meant, values))
            if n_meant > field.min_frac * len(values):
                others = [other for other in alike if other != column]
                yield _finding(source, name, column, of=field, n=f"{n_meant} of the rows looked at", others=others)
                break
            if name == "license" and values and column == alike[-1]:
                yield _classes(source, column, values[0])


def _is_known(name: str, source: Source, head: Head) -> bool:
    """Whether the field comes without a column, or is of no use: prose is told neither by its path nor by a label."""
    return source.pool == "text" or name in head.columns


def _alike(field: _Field, columns: tuple[str, ...]) -> list[str]:
    """The columns that are called like the field, best first; one of a struct behind those of the row."""
    found: dict[str, None] = {}
    for name in field.names:
        fits = [one for one in columns if re.fullmatch(name, one.rpartition(".")[2], re.IGNORECASE)]
        found |= dict.fromkeys(sorted(fits, key=lambda one: one.count(".")))
    return list(found)


def _finding(source: Source, name: str, column: str, *, of: _Field, n: str, others: list[str]) -> LintFinding:
    more = f"; {', '.join(map(repr, others))} is called like it too" if others else ""
    return LintFinding(
        "column_unmapped",
        f"sources.{source.name}.columns.{name}",
        f"the column {column!r} of source {source.name} says it in {n}, and nothing is mapped{more}",
        of.why,
        f'columns: {{{name}: {_written(column)}}} in source {source.name}, or {name}: "" if it is not meant',
    )


def _classes(source: Source, column: str, value: Any) -> LintFinding:
    """Of columns that are called like a licence and name none, as The Stack v2's `license_type`."""
    return LintFinding(
        "column_unmapped",
        f"sources.{source.name}.columns.license",
        f"the column {column!r} of source {source.name} holds {value!r:.40}, which names no licence",
        "documents count as of unknown licence, or of the one that the source states",
        f'license: NAME in source {source.name} if one holds for all of it, and columns: {{license: ""}} to say so',
    )


def _written(column: str) -> str:
    """As YAML wants it in braces."""
    return column if re.fullmatch(r"[A-Za-z_][\w.-]*", column) else json.dumps(column)
