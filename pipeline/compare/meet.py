"""How the documents of two runs meet, and what is summed of those that did.

Where both runs hold the same files of `documents`, row k of a shard is the same document in both, and shards are read
side by side. Else the rows of both go to partitions by their ids, where each partition is joined alone; what finds no
partner there goes on by path and bytes, since a file that was cut anew gives its rows other ids.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pipeline.arrays.columns import joined
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.arrays.runs import starts_run
from pipeline.compare.found import FATES, KINDS
from pipeline.compare.rows import WIDTH, DocumentRows, HashNames, rows_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.listed import n_files_of
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.schema import DOCUMENTS

N_EXAMPLES = 12  # of each kind: what one reads in some minutes
# A row has as many more words than those that `work` counts with as this, and both runs lie beside each other.
_HEAVIER = 5
_DROPPED, _SURPLUS, _CUT = (FATES.index(fate) for fate in ("dropped", "surplus", "cut"))
_NOTHING = np.uint64(0)
Place = tuple[int, int]  # positions in A and in B; -1: not there
Sums = dict[tuple[int, ...], np.ndarray]


@dataclass
class Met:
    """Sums over documents of both runs, and a few to look at. What is absent from a run has the hash 0 there."""

    # by what it is in A and in B: documents, bytes in A and B, kept tokens in A and B, packed tokens in A and B
    what: Sums = field(default_factory=dict)
    why: Sums = field(default_factory=dict)  # by fate and reasons in A, the same in B: documents
    counts: Counter[str] = field(default_factory=Counter)  # of KINDS
    examples: dict[str, list[tuple[int, Place]]] = field(default_factory=dict)  # of smallest key
    names: HashNames = field(default_factory=HashNames)
    n_both: int = 0

    def update(self, other: Met) -> None:
        """Add what another task has summed."""
        for mine, more in ((self.what, other.what), (self.why, other.why)):
            for key, sums in more.items():
                mine[key] = mine[key] + sums if key in mine else sums
        self.counts.update(other.counts)
        for kind, found in other.examples.items():
            self._choose(kind, found)
        self.names.update(other.names)
        self.n_both += other.n_both

    def add(self, a: DocumentRows, b: DocumentRows, *, moved: bool = False) -> None:
        """Sum documents that are in both runs, in the same order."""
        self.n_both += len(a)
        self._sum(a, b)
        for kind, mask in _kinds(a, b, moved=moved):
            self._note(kind, a.take(mask), b.take(mask))

    def add_alone(self, rows: DocumentRows, *, in_a: bool) -> None:
        """Sum documents that one run has alone."""
        none = DocumentRows(*([np.zeros(len(rows), np.uint64)] * WIDTH))
        a, b = (rows, none) if in_a else (none, rows)
        self._sum(a, b)
        self._note("only_a" if in_a else "only_b", a, b)

    def _sum(self, a: DocumentRows, b: DocumentRows) -> None:
        one = np.ones(len(a), np.uint64)
        numbers = [one, *(getattr(side, name) for name in ("n_bytes", "n_tokens", "n_packed") for side in (a, b))]
        _add(self.what, (a.what, b.what), numbers)
        _add(self.why, (a.fate, a.why, b.fate, b.why), [one])

    def _note(self, kind: str, a: DocumentRows, b: DocumentRows) -> None:
        """Count documents of a kind, and keep those of smallest key: the same ones in whatever order they come."""
        if not len(a):
            return
        self.counts[kind] += len(a)
        there = [np.where(a.fate > 0, getattr(a, half), getattr(b, half)) for half in ("high", "low")]
        keys = keyed_hash(stage_key(0, f"compare {kind}"), *there)
        places = [np.where(side.fate > 0, side.position.astype(np.int64), -1) for side in (a, b)]
        best = np.argsort(keys, kind="stable")[:N_EXAMPLES]
        self._choose(kind, ((int(keys[k]), (int(places[0][k]), int(places[1][k]))) for k in best))

    def _choose(self, kind: str, found: Iterable[tuple[int, Place]]) -> None:
        self.examples[kind] = heapq.nsmallest(N_EXAMPLES, [*self.examples.get(kind, ()), *found])


def _add(sums: Sums, keys: Sequence[np.ndarray], numbers: Sequence[np.ndarray]) -> None:
    """Add numbers up by their keys."""
    if not keys[0].size:
        return
    order = np.lexsort(keys)
    first = np.flatnonzero(starts_run(*(key[order] for key in keys)))
    found = np.stack([np.add.reduceat(number[order].astype(np.int64), first) for number in numbers], axis=1)
    for key, row in zip(zip(*(key[order][first].tolist() for key in keys), strict=True), found, strict=True):
        sums[key] = sums[key] + row if key in sums else row


def _kinds(a: DocumentRows, b: DocumentRows, *, moved: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Which documents of both runs differ in what."""
    kept, packed = ((a.fate >= low, b.fate >= low) for low in (_SURPLUS, _CUT))
    both, neither = kept[0] & kept[1], ~kept[0] & ~kept[1]
    other_keeper = neither & (a.keeper != b.keeper) & (a.keeper != _NOTHING) & (b.keeper != _NOTHING)
    if moved:  # their keepers have moved with them, and ids tell nothing
        other_keeper[:] = False
    known = (a.content != _NOTHING) & (b.content != _NOTHING)
    found = {
        "left": kept[0] & ~kept[1],
        "entered": ~kept[0] & kept[1],
        "out_of_mixture": both & packed[0] & ~packed[1],
        "into_mixture": both & ~packed[0] & packed[1],
        "other_amount": packed[0] & packed[1] & (a.n_packed != b.n_packed),
        "other_tokens": both & (a.n_tokens != b.n_tokens),
        "other_language": a.language != b.language,
        "other_keeper": other_keeper,
        "other_reasons": neither & (a.why != b.why),
        "other_bytes": np.where(known, a.content != b.content, a.n_bytes != b.n_bytes),
        "moved": np.full(len(a), moved),
    }
    assert found.keys() == KINDS.keys() - {"only_a", "only_b"}
    yield from ((kind, np.flatnonzero(mask)) for kind, mask in found.items())


# --- side by side ----------------------------------------------------------------------------------------------------


def hold_the_same(a: RunFiles, b: RunFiles) -> bool:
    """Whether all files of `documents` are the same in both runs, so that rows of equal number are one document."""
    if n_files_of(a.manifest["stages"][DOCUMENTS.name]) != n_files_of(b.manifest["stages"][DOCUMENTS.name]):
        return False
    pairs = zip(a.files(DOCUMENTS.name), b.files(DOCUMENTS.name), strict=True)
    return all(one.sha256 == other.sha256 for one, other in pairs)


def meet(a: RunFiles, b: RunFiles, work: Work) -> Met:
    """Match and sum every document of both runs."""
    met = Met()
    if hold_the_same(a, b):
        for found in work.each(partial(_side_by_side, a.tables, b.tables), work.shards(a), name="compare.documents"):
            met.update(found)
        return met
    return _by_id(a, b, work, met)


def _side_by_side(a: Tables, b: Tables, span: Span) -> Met:
    met = Met()
    for shard in span.items:
        one, other = (rows_of(tables, shard, met.names) for tables in (a, b))
        if not (np.array_equal(one.high, other.high) and np.array_equal(one.low, other.low)):
            raise StoreError(
                f"shard {shard}: the runs hold equal documents and other ids; loopmix verify says which errs"
            )
        met.add(one, other)
    return met


# --- by id, then by path and bytes -----------------------------------------------------------------------------------


def _by_id(a: RunFiles, b: RunFiles, work: Work, met: Met) -> Met:
    parts = work.n_parts(_HEAVIER * (n_docs_of(a) + n_docs_of(b)))
    ways, left = [], []
    for name, run in (("a", a), ("b", b)):
        spans = work.shards(run)
        way = work.spread(f"rows-{name}", width=WIDTH, n_sources=len(spans), n_parts=parts)
        for names in work.each(partial(_scatter, run.tables, way), spans, name=f"compare.{name}"):
            met.names.update(names)
        ways.append(way)
        left.append(work.spread(f"left-{name}", width=WIDTH, n_sources=parts, n_parts=parts))
    for found in work.each(partial(_join, ways, left), work.parts(ways[0]), name="compare.join"):
        met.update(found)
    for found in work.each(partial(_join_moved, left), work.parts(left[0]), name="compare.moved"):
        met.update(found)
    work.clear()
    return met


def _scatter(tables: Tables, way: Spread, span: Span) -> HashNames:
    """Pass on the documents of some shards by their ids."""
    names, found = HashNames(), []
    for shard in span.items:
        found.append(rows_of(tables, shard, names).columns)
    columns = joined(found, n=WIDTH)
    way.write(span.number, *columns, part=way.part_of(columns[0]))
    return names


def _join(ways: Sequence[Spread], left: Sequence[Spread], span: Span) -> Met:
    """Sum what meets by its id; pass on what does not, by path and bytes."""
    met = Met()
    a, b = (DocumentRows(*way.read(span.number)) for way in ways)
    in_a, in_b = partners((a.high, a.low), (b.high, b.low))
    met.add(a.take(in_a), b.take(in_b))
    for rows, met_rows, way in ((a, in_a, left[0]), (b, in_b, left[1])):
        alone = rows.take(np.setdiff1d(np.arange(len(rows)), met_rows))
        way.write(span.number, *alone.columns, part=way.part_of(alone.place))
    return met


def _join_moved(left: Sequence[Spread], span: Span) -> Met:
    """Sum what meets by path and bytes, the first by id the first, and what one run has alone."""
    met = Met()
    a, b = (_by_ids(DocumentRows(*way.read(span.number))) for way in left)
    known = [np.flatnonzero(rows.place != _NOTHING) for rows in (a, b)]
    pairs = partners((a.place[known[0]],), (b.place[known[1]],))
    in_a, in_b = (mine[found] for mine, found in zip(known, pairs, strict=True))
    met.add(a.take(in_a), b.take(in_b), moved=True)
    met.add_alone(a.take(np.setdiff1d(np.arange(len(a)), in_a)), in_a=True)
    met.add_alone(b.take(np.setdiff1d(np.arange(len(b)), in_b)), in_a=False)
    return met


def _by_ids(rows: DocumentRows) -> DocumentRows:
    return rows.take(np.lexsort((rows.low, rows.high)))


def partners(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `a` and of `b` with equal keys, which stand in some columns each, int64 [n] twice.

    Of several equal keys the first of `a` meets the first of `b`, the second the second; what is over stays alone.
    """
    keys = [np.concatenate(pair) for pair in zip(a, b, strict=True)]
    side = np.repeat([0, 1], [a[0].size, b[0].size])
    order = np.lexsort((side, *keys))
    groups = np.cumsum(starts_run(*(key[order] for key in keys)))
    begins = starts_run(groups, side[order])
    place = np.arange(order.size)
    rank = place - np.maximum.accumulate(np.where(begins, place, 0))
    again = np.lexsort((side[order], rank, groups))
    first, second = again[:-1], again[1:]
    meets = (groups[first] == groups[second]) & (rank[first] == rank[second])
    return order[first[meets]], order[second[meets]] - a[0].size
