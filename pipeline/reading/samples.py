"""Documents to read, drawn by key: of each language, source, reason and family of duplicates a dozen.

The same run gives the same samples, whoever draws them. Texts lie in shards of which a large run has thousands, so a
draw prefers a few shards, drawn by key too, and goes to others only for what those hold too little of.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, one_chunk, strings
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.config import Mixture
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.marks import MarkedPlace, Part, parts_of, places_of, windows
from pipeline.reading.masked import MaskedText, masked_of
from pipeline.reading.work import Span, Work
from pipeline.schema import DOCUMENTS, LEDGER, OVERLAPS, QUALITY

N_EACH = 12  # of each group: what one reads in some minutes
N_SHARDS = 32  # of which samples are drawn first: of a small run all
MAX_SHARDS = 128  # that are read for texts, whatever is missing: at 64 MB each some seconds of a core
MAX_GROUPS = 120  # of each kind, the largest: who wants the others asks for them
KINDS = ("language", "source", "reason", "family")
MAX_BYTES, MIN_BYTES, PAGE_BYTES = 2_000, 500, 3_000_000  # of a text at most and at least, and of all of a kind
_MAX_COMPARED_BYTES = 32_000  # of a text that is compared with its keeper's

Group = tuple[str, str]  # kind and name
_COLUMNS = ["doc_id", "language", "source", "reasons", "keeper_id", "fate"]


class SampleCandidate(NamedTuple):
    """Where a document stands in the draw of its group: the smallest are taken."""

    rank: int  # 0: packed, where that is asked for
    shard_rank: int
    key: int
    shard: int
    row: int
    doc_id: str


@dataclass(frozen=True)
class Shown:
    """A document as a page shows it. `excerpts`: parts of each, and the line on which it begins."""

    row: dict[str, Any]  # of the ledger
    n_chars: int
    excerpts: tuple[tuple[int, tuple[Part, ...]], ...]
    n_left_bytes: int  # of the text that are not shown
    places: tuple[tuple[str, int, int], ...]  # reason, line, characters of each mark
    compared: bytes = b""  # of a family's members: the beginning of the text, without hidden values


@dataclass(frozen=True)
class Samples:
    """Of each group, in the order of its kind, how many documents it has and those that were drawn."""

    n_docs: dict[Group, int]
    docs: dict[Group, tuple[Shown, ...]]
    keepers: dict[str, Shown]  # of the families, by id; those of other runs are missing
    n_shards: int  # of which was drawn first
    n_left_groups: dict[str, int]  # of each kind, which are not shown


def has_texts(run: RunFiles) -> bool:
    """Whether the run still has what samples are drawn of."""
    return run.store.exists(run.tables.path(DOCUMENTS, 0))


def draw_samples(run: RunFiles, work: Work, *, families: Sequence[str], n_each: int = N_EACH) -> Samples:
    """Draw them; `families` are the ids of keepers. Raises StoreError where texts are gone."""
    seed = run.mixture.seed
    order = np.argsort(keyed_hash(stage_key(seed, "samples of shards"), np.arange(run.n_shards, dtype=np.uint64)))
    ranks = np.zeros(run.n_shards, np.int64)
    ranks[order] = np.maximum(np.arange(run.n_shards) - N_SHARDS + 1, 0)
    counts: dict[Group, int] = {}
    drawn: dict[Group, list[SampleCandidate]] = {}
    keepers: dict[str, SampleCandidate] = {}
    task = partial(_candidates, run.tables, ranks.tolist(), seed, frozenset(families), n_each)
    for here in work.each(task, work.shards(run), name="report.samples"):
        for group, (n, mine) in here.groups.items():
            counts[group] = counts.get(group, 0) + n
            drawn[group] = heapq.nsmallest(n_each, [*drawn.get(group, ()), *mine])
        keepers |= here.keepers
    groups, left = _largest(counts, families)
    taken = {group: drawn[group] for group in groups}
    shown = _shown(run, work, taken, keepers)
    return Samples(
        n_docs={group: counts[group] for group in groups},
        docs={g: tuple(shown[c.shard, c.row] for c in mine if (c.shard, c.row) in shown) for g, mine in taken.items()},
        keepers={i: shown[c.shard, c.row] for i, c in keepers.items() if (c.shard, c.row) in shown},
        n_shards=min(N_SHARDS, run.n_shards),
        n_left_groups=left,
    )


def _largest(counts: Mapping[Group, int], families: Sequence[str]) -> tuple[list[Group], dict[str, int]]:
    """The groups of each kind that are shown, the largest first; families in the order in which they were asked for."""
    groups, left = list[Group](), dict[str, int]()
    for kind in KINDS:
        names = [name for of, name in counts if of == kind]
        place = {name: n for n, name in enumerate(families)}
        names.sort(key=lambda name: (place.get(name, 0) if kind == "family" else -counts[kind, name], name))
        groups += [(kind, name) for name in names[:MAX_GROUPS]]
        left[kind] = max(0, len(names) - MAX_GROUPS)
    return groups, left


# --- the draw ---------------------------------------------------------------------------------------------------------


class _Drawn(NamedTuple):
    groups: dict[Group, tuple[int, list[SampleCandidate]]]
    keepers: dict[str, SampleCandidate]


def _candidates(
    tables: Tables, ranks: Sequence[int], seed: int, families: frozenset[str], n_each: int, span: Span
) -> _Drawn:
    """Of some shards the smallest of each group, and how many documents each has."""
    found: dict[Group, tuple[int, list[SampleCandidate]]] = {}
    keepers: dict[str, SampleCandidate] = {}
    wanted = pa.array(sorted(families), pa.string())
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=_COLUMNS)
        keys = keyed_hash(stage_key(seed, "samples"), *doc_words(ledger))
        out = ~np.isin(np.asarray(ledger["fate"]), ["packed", "cut"])
        at = partial(_candidate, ledger, keys, shard, ranks[shard])
        for group, rows in _groups(ledger, wanted):
            rank = out[rows] if group[0] in ("language", "source") else np.zeros(rows.size, bool)
            order = np.lexsort((keys[rows], rank))[:n_each]
            n, before = found.get(group, (0, []))
            mine = [at(int(rows[k]), rank=int(rank[k])) for k in order.tolist()]
            found[group] = n + rows.size, heapq.nsmallest(n_each, [*before, *mine])
        for row in pc.indices_nonzero(pc.is_in(ledger["doc_id"], value_set=wanted)).to_pylist():
            one = at(row, rank=0)
            keepers.setdefault(one.doc_id, one)
    return _Drawn(found, keepers)


def _candidate(
    ledger: pa.Table, keys: np.ndarray, shard: int, shard_rank: int, row: int, *, rank: int
) -> SampleCandidate:
    return SampleCandidate(rank, shard_rank, int(keys[row]), shard, row, ledger["doc_id"][row].as_py())


def _groups(ledger: pa.Table, families: pa.StringArray) -> Iterable[tuple[Group, np.ndarray]]:
    """Each group of a shard and its rows."""
    for kind in ("language", "source"):
        yield from _by_name(kind, strings(ledger[kind]), np.arange(ledger.num_rows))
    lists = one_chunk(ledger["reasons"])
    reasons = np.array(lists.flatten().to_pylist(), np.str_)
    yield from _by_name("reason", reasons, np.asarray(pc.list_parent_indices(lists)))
    rows = np.flatnonzero(np.asarray(pc.is_in(ledger["keeper_id"], value_set=families)))
    yield from _by_name("family", strings(ledger["keeper_id"].take(pa.array(rows))), rows)


def _by_name(kind: str, names: np.ndarray, rows: np.ndarray) -> Iterable[tuple[Group, np.ndarray]]:
    every, codes = np.unique(names, return_inverse=True)
    for k, name in enumerate(every.tolist()):
        yield (kind, name), rows[codes == k]


# --- the texts --------------------------------------------------------------------------------------------------------


def _shown(
    run: RunFiles, work: Work, taken: Mapping[Group, Sequence[SampleCandidate]], keepers: Mapping[str, SampleCandidate]
) -> dict[tuple[int, int], Shown]:
    """Every document that was drawn, by shard and row; none of the shards beyond MAX_SHARDS."""
    rows: dict[int, set[int]] = {}
    rank: dict[int, int] = {}
    whole = {(c.shard, c.row) for c in keepers.values()}
    whole |= {(c.shard, c.row) for (kind, _), mine in taken.items() if kind == "family" for c in mine}
    for one in [*keepers.values(), *(c for mine in taken.values() for c in mine)]:
        rows.setdefault(one.shard, set()).add(one.row)
        rank[one.shard] = one.shard_rank
    shards = sorted(rows, key=lambda shard: (rank[shard], shard))[:MAX_SHARDS]
    per_kind = max((sum(len(m) for (of, _), m in taken.items() if of == kind) for kind in KINDS), default=1)
    n_bytes = max(MIN_BYTES, min(MAX_BYTES, PAGE_BYTES // max(1, per_kind)))
    items = [(k, at, [(row, (at, row) in whole) for row in sorted(rows[at])]) for k, at in enumerate(shards)]
    found: dict[tuple[int, int], Shown] = {}
    task = partial(_texts, run.tables, run.mixture, n_bytes)
    for (_, shard, mine), texts in zip(items, work.each(task, items, name="report.texts"), strict=True):
        found |= {(shard, row): one for (row, _), one in zip(mine, texts, strict=True)}
    return found


def _texts(
    tables: Tables, mixture: Mixture, n_bytes: int, item: tuple[int, int, list[tuple[int, bool]]]
) -> list[Shown]:
    """Some documents of one shard, and whether each is compared with others."""
    _, shard, mine = item
    rows = [row for row, _ in mine]
    texts = masked_of(tables, shard, rows, policies=mixture.privacy.policies)
    shown = []
    for document, text, (_, is_compared) in zip(rows_of(tables, shard, rows), texts, mine, strict=True):
        one = show(mixture, document, text, n_bytes=n_bytes)
        shown.append(replace(one, compared=text.safe[:_MAX_COMPARED_BYTES] if is_compared else b""))
    return shown


def rows_of(tables: Tables, shard: int, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the ledger with what `places_of` asks for beside them."""
    wanted = pa.array(rows, pa.int64())
    lines = tables.read(QUALITY, shard, columns=["generated_line"])["generated_line"].take(wanted).to_pylist()
    matches = tables.read(OVERLAPS, shard, columns=["matches"])["matches"].take(wanted).to_pylist()
    ledger = tables.read(LEDGER, shard).take(wanted).to_pylist()
    return [
        row | {"features": {"generated_line": line}, "matches": mine}
        for row, line, mine in zip(ledger, lines, matches, strict=True)
    ]


def show(mixture: Mixture, document: dict[str, Any], found: MaskedText, *, n_bytes: int | None) -> Shown:
    """A document with its marks; `n_bytes`: of the beginning and around marks, None: all of it."""
    text = found.text
    places = places_of(mixture, document, text)
    hidden = [MarkedPlace(f.start, f.end, f.kind) for f in found.hidden]
    redacted = [MarkedPlace(f.start, f.end, f"{f.kind} redacted") for f in found.finds if not f.is_hidden]
    marked = sorted([*places, *redacted])
    spans = [(0, len(text))] if n_bytes is None else windows(text, [*places, *hidden], n_bytes=n_bytes)
    excerpts = tuple(
        (text.count(b"\n", 0, start) + 1, tuple(parts_of(text, marked, hidden, start=start, end=end)))
        for start, end in spans
    )
    said = tuple(
        (p.reason, text.count(b"\n", 0, p.start) + 1, len(text[p.start : p.end].decode("utf-8", errors="replace")))
        for p in places
    )
    n_left = len(text) - sum(end - start for start, end in spans)
    n_chars = len(text.decode("utf-8", errors="replace"))
    return Shown(document, n_chars, excerpts, n_left, said)
