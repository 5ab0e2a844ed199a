"""The promise of the epochs, recounted from the packed stream: copies of a document stand far from each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import joined
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles, plan_of
from pipeline.engine.tables import Tables
from pipeline.mix.places import read_places
from pipeline.phased import Phased
from pipeline.reading.spread import Spread
from pipeline.reading.stream_files import PIECES, StreamFiles, pieces_of, stream_files
from pipeline.reading.work import Span, Work, n_pieces_of
from pipeline.schema import LANGUAGES, POOLS

# An epoch is worth so many documents of equal length: (sum of tokens)^2 / sum of squared tokens. Where it is worth
# fewer, a few large ones decide how many tokens stand between two copies. Of 856 drawn streams worth as much none had
# copies less than half an epoch apart, of 584 worth less 126 (tests/bench/bench_epochs.py).
LEAST_WORTH = 64


@dataclass
class _Apart:
    """What was seen of pieces that stand more than once."""

    twice: int = 0  # in one sequence
    in_batch: int = 0  # in one global batch
    near: int = 0  # less than half an epoch apart
    nearest: float = np.inf  # in epochs

    def __add__(self, other: _Apart) -> _Apart:
        sums = (self.twice + other.twice, self.in_batch + other.in_batch, self.near + other.near)
        return _Apart(*sums, min(self.nearest, other.nearest))


@dataclass
class PoolPlan:
    """What the plan says of the documents of one pool."""

    n_most: int = 1  # copies
    n_docs: int = 0  # that stand more than once
    n_tokens: int = 0
    squares: float = 0.0  # of the tokens of what stands together, each as often as it stands

    def __add__(self, other: PoolPlan) -> PoolPlan:
        n_docs, n_tokens = self.n_docs + other.n_docs, self.n_tokens + other.n_tokens
        return PoolPlan(max(self.n_most, other.n_most), n_docs, n_tokens, self.squares + other.squares)

    @property
    def worth(self) -> float:
        """How many documents of equal length its epoch is worth."""
        return self.n_tokens**2 / (self.n_most * self.squares) if self.squares else np.inf


def epochs_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """No two copies in one sequence or global batch, and half an epoch apart: a document of n copies has an n-th of
    the stream as its epoch. Phases are streams of their own."""
    found = [_phase_holds(run, phase, work) for phase in run.phases]
    broken = [said for kept, said in found if not kept]
    return not broken, " | ".join(broken or [said for _, said in found])


def plans_of(run: RunFiles, phase: Phased, work: Work) -> list[PoolPlan]:
    """What is planned of each pool in a phase."""
    plans = [PoolPlan() for _ in POOLS]
    for planned in work.each(partial(_planned, run.tables, run.joined, phase), work.shards(run), name="verify.copies"):
        plans = [plan + more for plan, more in zip(plans, planned, strict=True)]
    return plans


def _phase_holds(run: RunFiles, phase: Phased, work: Work) -> tuple[bool, str]:
    plans = [plan for plan in plans_of(run, phase, work) if plan.n_docs]
    if not plans:
        return True, f"{phase.said}no document stands in the stream twice"
    n_docs, n_most, worth = sum(p.n_docs for p in plans), max(p.n_most for p in plans), min(p.worth for p in plans)
    batch, files = phase.global_batch, stream_files(run, phase)
    spans = files.spans(work, run)
    pieces = work.spread("copies", width=4, n_sources=len(spans), n_parts=work.n_parts(n_pieces_of(run)))
    lengths = [n for of in work.each(partial(_pieces, files, pieces), spans, name="verify.repeated") for n in of]
    before = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))  # sequences before each packed shard
    found = _Apart()
    for apart in work.each(partial(_measure, pieces, before, batch), work.parts(pieces), name="verify.epochs"):
        found += apart
    pieces.drop()
    said = f"{n_docs:,} documents stand up to {n_most} times; copies are at least {found.nearest:.2f} of an epoch apart"
    said = f"{phase.said}{said}"
    if found.twice:
        return False, f"{found.twice:,} times two copies stand in one sequence; {said}"
    if found.in_batch:
        return False, f"{found.in_batch:,} times two copies stand in one global batch of {batch:,} sequences; {said}"
    if found.near and worth >= LEAST_WORTH:
        return False, f"{found.near:,} times two copies are less than half an epoch apart; {said}"
    if found.near:
        return True, f"{said}, as one is worth no more than {worth:.0f} documents of equal length"
    return True, said


def _planned(tables: Tables, joined: bool, phase: Phased, span: Span) -> list[PoolPlan]:
    """What the plan says of each pool in some shards."""
    found = [PoolPlan() for _ in POOLS]
    for shard in span.items:
        plan = plan_of(tables, phase, shard)
        pool = tables.read(LANGUAGES, shard, columns=["pool"])["pool"]
        n_tokens, n_copies, cut = (plan[name].to_numpy() for name in ("n_tokens", "n_copies", "cut_tokens"))
        together = _together(tables, shard) if joined else np.arange(n_tokens.size)
        for number, name in enumerate(POOLS):
            mine = np.asarray(pc.equal(pool, name))
            copies = (n_copies + (cut > 0))[mine]
            of, whole, last = together[mine], n_tokens[mine], cut[mine]
            units = np.bincount(of, whole * (n_copies[mine] > 0), minlength=1)
            squares = (units**2 * np.bincount(of, n_copies[mine]) / np.maximum(1, np.bincount(of))).sum()
            sums = int((whole * n_copies[mine] + last).sum())
            squares += (last**2.0).sum()
            found[number] += PoolPlan(int(copies.max(initial=1)), int((copies > 1).sum()), sums, float(squares))
    return found


def _together(tables: Tables, shard: int) -> np.ndarray:
    """A number for each document of a shard; files of a part of a repository, which lie together, have one."""
    places = read_places(tables, shard)
    of, in_repo = np.arange(places.place.size), places.place >= 0
    of[in_repo] = of.size + np.unique(places.part[in_repo], return_inverse=True)[1]
    return of


def _pieces(files: StreamFiles, out: Spread, span: Span) -> list[int]:
    """Pass on document, offset and place of every piece of some packed shards; how many sequences each shard has."""
    words, lengths = [], []
    for number in span.items:
        table = files.read_sound(number, *PIECES)
        found = pieces_of(table, files.bounds)
        words.append((found.high, found.low, found.offset.view(np.uint64), positions(number, found.row)))
        lengths.append(table.num_rows)
    columns = joined(words, n=4)
    out.write(span.number, *columns, part=out.part_of(columns[0]))
    return lengths


def _measure(pieces: Spread, before: np.ndarray, batch: int | None, span: Span) -> _Apart:
    """How far apart the copies of one partition of the documents stand; `before`: sequences before each shard, and of
    all."""
    high, low, offset, place = pieces.read(span.number)
    sequence = before[shard_of(place)] + row_of(place)
    order = np.lexsort((sequence, offset, low, high))
    high, low, offset, sequence = (words[order] for words in (high, low, offset, sequence))
    same = (high[1:] == high[:-1]) & (low[1:] == low[:-1]) & (offset[1:] == offset[:-1])
    if not same.any():
        return _Apart()
    n_sequences = int(before[-1])
    piece = np.concatenate(([0], np.cumsum(~same)))
    n_times = np.bincount(piece)[piece[1:]][same]
    apart = (sequence[1:] - sequence[:-1])[same]
    return _Apart(
        twice=int((apart == 0).sum()),
        in_batch=0 if batch is None else int((sequence[1:] // batch == sequence[:-1] // batch)[same].sum()),
        # A sequence more or less is none of the order's doing, where an epoch is a handful of them.
        near=int((apart + 1 < n_sequences / (2 * n_times)).sum()),
        nearest=float((apart * n_times / n_sequences).min()),
    )
