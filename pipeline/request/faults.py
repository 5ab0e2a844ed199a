"""Why a source cannot be read, as a finding: the key that is at fault, and a remedy that fits it.

An error of a source begins with its key (`sources.NAME.KEY: `) or, where a file is at fault, with that file; what it
offers stands in it as one would write it. `tests/request/test_faults.py` holds each kind to its key and remedy.
"""

from __future__ import annotations

import re

from pipeline.config import Source
from pipeline.request.lint import LintFinding
from pipeline.sources.roots import DAMAGED

_KIND = re.compile(r"\buse (kind: \w+)")
_EXPLODE = re.compile(r"\bwrite (explode: .+)$")
_MEANT = re.compile(r"; did you mean (.+)\?$")
_EXPECTED = re.compile(r", expected (.+)$")
_FETCH = ("fetch it again", DAMAGED)
_SOFTWARE_HERITAGE = "'blob_id'"  # a column of ids, by which texts are fetched


def fault(source: Source, problem: str) -> LintFinding:
    """The finding of a source whose plan or first rows end in the error `problem`."""
    said = problem.removeprefix(f"source {source.name!r}: ")
    keyed = re.match(rf"sources\.{re.escape(source.name)}\.([a-z_]+(?:\.[a-z_]+)?): ", said)
    key = keyed[1] if keyed else _key_of(said)
    seen = said[keyed.end() :] if keyed else said
    kind = "source_empty" if key == "path" else "source_unreadable"
    return LintFinding(kind, f"sources.{source.name}.{key}", seen, "the run stops there", _remedy(source, key, seen))


def _key_of(said: str) -> str:
    """The key at fault where a file is named."""
    if _KIND.search(said):
        return "kind"
    if any(one in said for one in _FETCH):
        return "path"
    if "`explode`" in said:
        return "explode"
    return "columns.content" if "column" in said or "key" in said else "path"


def _remedy(source: Source, key: str, said: str) -> str:
    of = f"in source {source.name}"
    if kind := _KIND.search(said):
        return f"{kind[1]} {of}, or exclude such files"
    if any(one in said for one in _FETCH):
        name = said.partition(": ")[0].rpartition("/")[2]
        return f"the file fetched again, or exclude: [{name}] {of}; `curate --on-bad-shard skip` goes on without it"
    if key == "explode":
        return f"explode: NAME {of}, of a column that is a list of structs, or no `explode`"
    if explode := _EXPLODE.search(said):
        return f"{explode[1]} {of}"
    if key.startswith("columns."):
        return _column(source, key.removeprefix("columns."), said)
    return "a path that holds documents"


def _column(source: Source, field: str, said: str) -> str:
    """What `columns` should say of a field."""
    name = "NAME"
    if meant := _MEANT.search(said):
        name = meant[1]
    elif field == "content" and _SOFTWARE_HERITAGE in said:
        return (
            "a set that holds the texts: these rows only name them, so fetch each by its blob_id and write it beside "
            f"the other columns as {source.columns.content}"
        )
    expected = _EXPECTED.search(said)
    what = "" if name != "NAME" else f", a column of {expected[1]}" if expected else ", the column that holds it"
    return f"columns: {{{field}: {name}}} in source {source.name}{what}" + (
        "" if field == "content" else f", or no {field}"
    )
