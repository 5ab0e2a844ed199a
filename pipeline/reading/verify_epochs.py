"""The promise of the epochs, recounted from the packed stream: copies of a document stand far from each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.arrays.columns import joined
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles, plan_of
from pipeline.engine.tables import Tables
from pipeline.phased import Phased
from pipeline.reading.spread import Spread
from pipeline.reading.stream_files import PIECES, StreamFiles, pieces_of, stream_files
from pipeline.reading.work import Span, Work, n_pieces_of

# A document that is larger than this part of an epoch may fill what stands between two copies: no order could help it.
_LARGE_FRAC = 1 / 16


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


def epochs_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """No two copies in one sequence or global batch, and half an epoch apart: a document of n copies has an n-th of
    the stream as its epoch. Phases are streams of their own."""
    found = [_phase_holds(run, phase, work) for phase in run.phases]
    broken = [said for kept, said in found if not kept]
    return not broken, " | ".join(broken or [said for _, said in found])


def _phase_holds(run: RunFiles, phase: Phased, work: Work) -> tuple[bool, str]:
    n_most, n_docs, largest = 1, 0, 0
    for most, n, tokens in work.each(partial(_planned, run.tables, phase), work.shards(run), name="verify.copies"):
        n_most, n_docs, largest = max(n_most, most), n_docs + n, max(largest, tokens)
    if n_docs == 0:
        return True, f"{phase.said}no document stands in the stream twice"
    batch, files = phase.global_batch, stream_files(run, phase)
    spans = files.spans(work, run)
    pieces = work.spread("copies", width=4, n_sources=len(spans), n_parts=work.n_parts(n_pieces_of(run)))
    lengths = [n for of in work.each(partial(_pieces, files, pieces), spans, name="verify.repeated") for n in of]
    before = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))  # sequences before each packed shard
    n_sequences = int(before[-1])
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
    if found.near and largest * n_most <= _LARGE_FRAC * n_sequences * phase.seq_len:
        return False, f"{found.near:,} times two copies are less than half an epoch apart; {said}"
    if found.near:
        return True, f"{said}, as a document of {largest:,} tokens is a large part of one"
    return True, said


def _planned(tables: Tables, phase: Phased, span: Span) -> tuple[int, int, int]:
    """Of some shards the most copies of a document, how many have more than one, tokens of the largest of these."""
    n_most, n_docs, largest = 1, 0, 0
    for shard in span.items:
        plan = plan_of(tables, phase, shard)
        n_tokens, n_copies, cut = (plan[name].to_numpy() for name in ("n_tokens", "n_copies", "cut_tokens"))
        copies = n_copies + (cut > 0)
        again = copies > 1
        n_most, n_docs = max(n_most, int(copies.max(initial=1))), n_docs + int(again.sum())
        largest = max(largest, int(n_tokens[again].max(initial=0)))
    return n_most, n_docs, largest


def _pieces(files: StreamFiles, out: Spread, span: Span) -> list[int]:
    """Pass on document, offset and place of every piece of some packed shards; how many sequences each shard has."""
    words, lengths = [], []
    for number in span.items:
        table = files.read(number, files.bounds, *PIECES)
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
