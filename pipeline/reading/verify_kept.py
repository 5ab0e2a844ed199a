"""The promise on duplicates, recounted from groups and pairs: no two documents are kept that are known to be alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, joined
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.engine.exchange import shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.reading.components import root, roots_of, stars, write_edges
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of, n_pairs_of
from pipeline.schema import EXACT_DUPS, NEAR_DUPS, SELECT


@dataclass(frozen=True)
class _Pairs:
    """Where pairs go, and how they are read."""

    store: Store
    files: tuple[str, ...]
    n_shards: int
    least: float
    by_left: Spread
    equal: Spread


def duplicates_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Documents of equal shingles are one class, by the verified pairs of similarity 1; what is near to one of them is
    near to all. Of no class two are kept, nor two classes that a pair joins."""
    files, n_pairs = tuple(f.path for f in run.files(NEAR_DUPS.name)), n_pairs_of(run)
    shards, spans = work.shards(run), work.spans(len(files), n_rows=n_pairs)
    n_parts = work.n_parts(max(n_docs_of(run), n_pairs))
    kept = work.spread("kept", width=1, n_sources=len(shards), n_parts=n_parts)
    by_left = work.spread("pairs", width=2, n_sources=len(spans), n_parts=n_parts)
    n_kept = sum(work.each(partial(_kept, run.tables, kept), shards, name="verify.kept"))
    least = run.mixture.near_dups.min_similarity
    pairs = _Pairs(run.store, files, run.n_shards, least, by_left, replace(by_left, name="equal"))
    counted = list(work.each(partial(_scatter, pairs), spans, name="verify.pairs"))
    n_pairs, below = (sum(of) for of in zip(*counted, (0, 0), strict=True))
    star = stars(work, pairs.equal)
    n_classes, both = _classes(work, kept, by_left, star, n_shards=run.n_shards)
    twice = n_kept - n_classes
    if twice or both or below:
        return (
            False,
            f"{twice} equal documents and {both} near duplicates kept twice, {below} pairs below the threshold",
        )
    return True, f"no two kept documents are equal or known to be near; {n_pairs:,} verified pairs"


def _classes(work: Work, kept: Spread, by_left: Spread, star: Spread, *, n_shards: int) -> tuple[int, int]:
    """How many classes hold a kept document, and how many pairs join two such classes.

    A pair asks four times: for the class of its one end, of its other, and whether either is kept.
    """
    n = kept.n_parts
    classes, by_right = replace(kept, name="classes", n_sources=n), replace(by_left, name="right", n_sources=n)
    by_one, by_other = replace(by_right, name="one"), replace(classes, name="other")
    parts = work.parts(kept)
    list(work.each(partial(_of_left, kept, by_left, star, classes, by_right), parts, name="verify.left"))
    list(work.each(partial(_of_right, by_right, star, by_one), parts, name="verify.right"))
    n_classes = sum(work.each(partial(_one_kept, classes, by_one, by_other, n_shards), parts, name="verify.one"))
    both = sum(work.each(partial(_other_kept, classes, by_other, n_shards), parts, name="verify.other"))
    for spread in (kept, by_left, star, classes, by_right, by_one, by_other):
        spread.drop()
    return n_classes, both


def _kept(tables: Tables, out: Spread, span: Span) -> int:
    """Pass on the group of each kept document of some shards; how many there are."""
    found: list[Sequence[np.ndarray]] = []
    for shard in span.items:
        keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
        group = tables.read(EXACT_DUPS, shard, columns=["group_position"])
        found.append(columns(group.filter(keep), "group_position"))
    (position,) = joined(found, n=1)
    out.write(span.number, position, part=out.part_of(mix(position)))
    return position.size


def _scatter(pairs: _Pairs, span: Span) -> tuple[int, int]:
    """Pass on the pairs of some files; how many there are, and how many of them below the threshold."""
    ends, equals, below = [], [], 0
    for path in pairs.files[span.first : span.end]:
        table = pairs.store.read_parquet(
            path, schema=NEAR_DUPS.schema, columns=["position", "other_position", "similarity"]
        )
        left, right = columns(table, "position", "other_position")
        same = pc.equal(table["similarity"], 1.0).to_numpy() & (shard_of(right) < pairs.n_shards)
        below += int(pc.sum(pc.less(table["similarity"], pairs.least)).as_py() or 0)
        ends.append((left, right))
        equals.append((left[same], right[same]))
    left, right = joined(ends, n=2)
    pairs.by_left.write(span.number, left, right, part=pairs.by_left.part_of(mix(left)))
    write_edges(pairs.equal, span.number, *joined(equals, n=2))
    return left.size, below


def _of_left(kept: Spread, by_left: Spread, star: Spread, classes: Spread, by_right: Spread, span: Span) -> None:
    known = roots_of(star, span.number)
    (position,) = kept.read(span.number)
    of_kept = _distinct(root(_distinct(position), known))
    classes.write(span.number, of_kept, part=classes.part_of(mix(of_kept)))
    left, right = by_left.read(span.number)
    by_right.write(span.number, root(left, known), right, part=by_right.part_of(mix(right)))


def _of_right(by_right: Spread, star: Spread, by_one: Spread, span: Span) -> None:
    one, right = by_right.read(span.number)
    other = root(right, roots_of(star, span.number))
    apart = one != other
    one, other = one[apart], other[apart]
    by_one.write(span.number, one, other, part=by_one.part_of(mix(one)))


def _one_kept(classes: Spread, by_one: Spread, by_other: Spread, n_shards: int, span: Span) -> int:
    """How many classes are kept; passes on the other class of each pair whose one is kept."""
    is_kept = _distinct(classes.read(span.number)[0])
    one, other = by_one.read(span.number)
    other = other[_stays(one, is_kept, n_shards)]
    by_other.write(span.number, other, part=by_other.part_of(mix(other)))
    return is_kept.size


def _other_kept(classes: Spread, by_other: Spread, n_shards: int, span: Span) -> int:
    is_kept = _distinct(classes.read(span.number)[0])
    return int(_stays(by_other.read(span.number)[0], is_kept, n_shards).sum())


def _distinct(values: np.ndarray) -> np.ndarray:
    """The values in order, each once. `np.unique` hashes, and positions, which count up, meet in its buckets: that is a
    hundred times as slow."""
    ordered = np.sort(values)
    distinct: np.ndarray = ordered[starts_run(ordered)]
    return distinct


def _stays(position: np.ndarray, is_kept: np.ndarray, n_shards: int) -> np.ndarray:
    """Which classes are kept; documents of other runs, whose shards are numbered behind, all stay."""
    return np.isin(position, is_kept) | (shard_of(position) >= n_shards)
