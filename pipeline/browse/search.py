"""Find documents of a run: some columns of the ledger, shard by shard, until a page is full."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError
from pipeline.language.decide import language_named
from pipeline.schema import LEDGER

N_ROWS = 50  # of a page
MAX_ROW = 1 << 40  # far beyond any shard
MAX_SHARDS = 200  # searched for one page: some seconds; what is rare is found by going on
FATES = ("packed", "cut", "surplus", "dropped")
COLUMNS = [
    *("doc_id", "path", "language", "pool", "source", "repo", "license", "n_bytes", "n_tokens", "fate", "reasons"),
    *("keeper_id", "similarity"),
]
_ASKED = {"reason": ("reasons",), "family": ("doc_id", "keeper_id")}  # the columns of what is not called after one


@dataclass(frozen=True)
class Query:
    """What is asked for; an empty text asks for nothing. All that is asked for must hold."""

    path: str = ""  # part of the path, in any case
    language: str = ""  # whole, in any case, as source; an alias such as cpp too
    source: str = ""
    repo: str = ""  # part of it
    reason: str = ""  # one of its reasons
    fate: str = ""
    family: str = ""  # the id of a keeper: itself, and what was dropped for it
    shard: int = 0  # where the page begins
    row: int = 0

    @property
    def asked(self) -> dict[str, str]:
        """The parts that ask for something, for a link to the same search."""
        names = ("path", "language", "source", "repo", "reason", "fate", "family")
        return {name: value for name in names if (value := getattr(self, name))}


class Total(NamedTuple):
    """How many documents a search finds before the place where its page begins, and in all."""

    n_before: int
    n: int


@dataclass(frozen=True)
class ResultPage:
    """Some rows of the ledger, how many shards were searched for them, where to go on, and of how many they are."""

    rows: tuple[dict[str, Any], ...]
    n_shards: int
    more: Query | None  # None: the run ends here
    total: Total | None  # None: not counted, in a run of more shards than are searched for one page


def query_of(asked: dict[str, str]) -> Query:
    """What a URL asks. ConfigError for a part that there is not, or a place that is none."""
    try:
        places = {name: int(asked.get(name) or 0) for name in ("shard", "row")}
        found = Query(**{**{name: value.strip() for name, value in asked.items()}, **places})  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigError("no search: it names a part that there is not, or a place that is no number") from None
    if found.fate and found.fate not in FATES:
        raise ConfigError(f"fate {found.fate!r}: expected one of {', '.join(FATES)}")
    if found.shard < 0 or found.row < 0:
        raise ConfigError("a search begins at shard 0 and row 0, not before")
    return found


def find(run: RunFiles, query: Query) -> ResultPage:
    """The next documents. One shard of the ledger is held at a time, and is read once: in the columns of a page where
    that shows it, and where it is only counted in those that are asked for."""
    if query.shard >= max(1, run.n_shards) or query.row > MAX_ROW:
        raise ConfigError(f"a search that begins there finds nothing: the run has {run.n_shards} shards, from 0 on")
    rows: list[dict[str, Any]] = []
    more: Query | None = None
    is_counted = run.n_shards <= MAX_SHARDS
    end = min(run.n_shards, query.shard + MAX_SHARDS)
    asked = [column for name in query.asked for column in _ASKED.get(name, (name,))] or ["fate"]
    n_shards = n_before = n = 0
    for shard in range(0 if is_counted else query.shard, end):
        is_shown = shard >= query.shard and more is None
        if not (is_shown or is_counted):
            break
        ledger = run.tables.read(LEDGER, shard, columns=COLUMNS if is_shown else asked)
        hits = np.flatnonzero(_hits(ledger, query))
        first = query.row if shard == query.shard else 0
        n_before += hits.size if shard < query.shard else int((hits < first).sum())
        n += hits.size
        if is_shown:
            hits, room = hits[hits >= first], N_ROWS - len(rows)
            rows += ledger.take(pa.array(hits[:room])).to_pylist()
            more = replace(query, shard=shard, row=int(hits[room])) if hits.size > room else None
            n_shards += 1
    if more is None and end < run.n_shards:
        more = replace(query, shard=end, row=0)
    return ResultPage(tuple(rows), n_shards, more, Total(n_before, n) if is_counted else None)


def _hits(ledger: pa.Table, query: Query) -> np.ndarray:
    hits = np.ones(ledger.num_rows, bool)
    for name in ("path", "repo"):
        if part := getattr(query, name):
            hits &= _true(pc.match_substring(ledger[name], part, ignore_case=True))
    for name in ("language", "source", "fate"):
        if whole := getattr(query, name):
            wanted = language_named(whole) if name == "language" else whole
            hits &= _true(pc.equal(pc.utf8_lower(ledger[name]), wanted.lower()))
    if query.reason:
        hits &= lists_with(ledger["reasons"], query.reason)
    if query.family:
        hits &= _true(pc.equal(ledger["doc_id"], query.family)) | _true(pc.equal(ledger["keeper_id"], query.family))
    return hits


def _true(found: pa.ChunkedArray) -> np.ndarray:
    """As booleans; what is not known is not what was asked for."""
    return np.asarray(pc.fill_null(found, False))
