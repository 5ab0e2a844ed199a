"""Read the packed stream for the report: sums by stretch of it, however many sequences it has. No token is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased
from pipeline.reading.stream_files import StreamFiles, stream_files
from pipeline.reading.work import Span, Work
from pipeline.report.count_documents import Sums
from pipeline.schema import POOLS

N_POINTS = 200  # of the balance curve; each holds the extremes of its stretch, so no peak is lost
N_SEGMENTS = 40  # stretches of the stream: wide enough in the chart to be seen, and rows that can be read
_NONE = np.iinfo(np.int64).max  # the least of nothing


@dataclass(frozen=True)
class BalanceCurve:
    """The balance along a stretch of the stream, by the points that it touches, int64 [n_points] each: its sum, and the
    extremes of its prefixes, which begin with 0 at each point."""

    sums: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def then(self, later: BalanceCurve) -> BalanceCurve:
        """This stretch and one behind it."""
        low = np.where(later.low == _NONE, _NONE, self.sums + np.where(later.low == _NONE, 0, later.low))
        high = np.where(later.low == _NONE, -_NONE, self.sums + np.where(later.low == _NONE, 0, later.high))
        return BalanceCurve(self.sums + later.sums, np.minimum(self.low, low), np.maximum(self.high, high))


@dataclass(frozen=True)
class Stream:
    """What is kept of the sequences, and the tokens of the pieces of code."""

    ends: np.ndarray  # of the points of the curve, in sequences
    curve: BalanceCurve
    packing: np.ndarray  # [pool, (sequences, pieces, real tokens)]
    n_full: int
    pieces: dict[str, Counter[int]]  # by pool: sequences with so many pieces
    names: tuple[str, ...]
    code_tokens: np.ndarray  # [segment, name]
    segment_ends: np.ndarray


@dataclass(frozen=True)
class _Layout:
    """What a task must know of the whole stream."""

    files: StreamFiles
    before: np.ndarray  # sequences before each packed shard, and of all
    ends: np.ndarray
    segment_ends: np.ndarray
    code_parts: int
    text_parts: int
    seq_len: int


@dataclass(frozen=True)
class _Part:
    """What is counted of some packed shards."""

    curve: BalanceCurve
    packing: np.ndarray
    n_full: int
    pieces: dict[str, Counter[int]]
    code: pa.Table  # name, segment, n_tokens


def read_stream(run: RunFiles, work: Work, phase: Phased | None = None) -> Stream:
    """Read lengths and groups of all packed shards, or those of one phase; the balance is in the ratio of that phase,
    or of the first."""
    files, of = stream_files(run, phase), phase or run.phases[0]
    spans = files.spans(work, run)
    lengths = [n for found in work.each(partial(_lengths, files), spans, name="report.lengths") for n in found]
    before = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    points, segments = (ends_of(int(before[-1]), n) for n in (N_POINTS, N_SEGMENTS))
    layout = _Layout(files, before, points, segments, of.code_parts, of.text_parts, of.seq_len)
    whole, code = _nothing(layout), Sums(("name", "segment"))
    for part in work.each(partial(_read, layout), spans, name="report.stream"):
        whole = _joined(whole, part)
        code.add(part.code)
    total = code.total() if spans else whole.code
    by_name = total.group_by("name", use_threads=False).aggregate([("n_tokens", "sum")])
    names = by_name.sort_by([("n_tokens_sum", "descending"), ("name", "ascending")])["name"]
    code_tokens = np.zeros((segments.size, len(names)), np.int64)
    code_tokens[total["segment"], pc.index_in(total["name"], value_set=one_chunk(names))] = total["n_tokens"]
    named = tuple(names.to_pylist())
    return Stream(points, whole.curve, whole.packing, whole.n_full, whole.pieces, named, code_tokens, segments)


def ends_of(n: int, n_parts: int) -> np.ndarray:
    """Ends of at most `n_parts` even parts of n sequences; none of them is empty."""
    return np.unique(np.linspace(0, n, min(n, n_parts) + 1).astype(np.int64)[1:])


def curve_of(signed: np.ndarray, *, base: int, ends: np.ndarray) -> BalanceCurve:
    """The curve of consecutive sequences, the first of which is number `base`, by what each adds to the balance."""
    curve = BalanceCurve(np.zeros(ends.size, np.int64), np.full(ends.size, _NONE), np.full(ends.size, -_NONE))
    prefix, bounds = np.cumsum(signed), np.searchsorted(ends, base + np.arange(signed.size), side="right")
    for point in np.unique(bounds).tolist():
        first, last = np.searchsorted(bounds, (point, point + 1))
        here = prefix[first:last] - (prefix[first - 1] if first else 0)
        curve.sums[point], curve.low[point], curve.high[point] = here[-1], here.min(), here.max()
    return curve


def _nothing(layout: _Layout) -> _Part:
    n = layout.ends.size
    curve = BalanceCurve(np.zeros(n, np.int64), np.full(n, _NONE), np.full(n, -_NONE))
    pieces = {pool: Counter[int]() for pool in POOLS}
    code = pa.table(
        {"name": pa.array([], pa.string()), **{c: pa.array([], pa.int64()) for c in ("segment", "n_tokens")}}
    )
    return _Part(curve, np.zeros((len(POOLS), 3), np.int64), 0, pieces, code)


def _joined(one: _Part, later: _Part) -> _Part:
    """Two parts of the stream, but for the pieces of code."""
    pieces = {pool: one.pieces[pool] + later.pieces[pool] for pool in POOLS}
    return replace(
        one,
        curve=one.curve.then(later.curve),
        packing=one.packing + later.packing,
        n_full=one.n_full + later.n_full,
        pieces=pieces,
    )


def _lengths(files: StreamFiles, span: Span) -> list[int]:
    return [files.read(number, "n_real").num_rows for number in span.items]


def _read(layout: _Layout, span: Span) -> _Part:
    whole, code = _nothing(layout), Sums(("name", "segment"))
    for number in span.items:
        table = layout.files.read_sound(number, "pool")
        base = int(layout.before[number])
        whole = _joined(whole, _one(table, layout, base=base))
        segment = np.searchsorted(layout.segment_ends, base + np.arange(table.num_rows), side="right")
        code.add(_code_pieces(table, layout.files.bounds, segment=segment))
    return replace(whole, code=code.total())


def _one(table: pa.Table, layout: _Layout, *, base: int) -> _Part:
    """Real tokens, pieces and pool of the sequences of one packed shard."""
    n_real = table["n_real"].to_numpy().astype(np.int64)
    n_pieces = pc.list_value_length(table["groups"]).to_numpy().astype(np.int64)
    is_code = pc.equal(table["pool"], "code").to_numpy()
    signed = np.where(is_code, n_real * layout.text_parts, -n_real * layout.code_parts)
    part = _nothing(layout)
    for row, pool in enumerate(POOLS):
        mine = is_code == (pool == "code")
        part.packing[row] = mine.sum(), n_pieces[mine].sum(), n_real[mine].sum()
        number, count = np.unique(n_pieces[mine], return_counts=True)
        part.pieces[pool].update(dict(zip(number.tolist(), count.tolist(), strict=True)))
    curve = curve_of(signed, base=base, ends=layout.ends)
    return replace(part, curve=curve, n_full=int((n_real == layout.seq_len).sum()))


def _code_pieces(table: pa.Table, bounds: str, *, segment: np.ndarray) -> pa.Table:
    """Language, segment and length of each piece of code. A list of ends holds one more than there are pieces."""
    cu, groups = one_chunk(table[bounds]), one_chunk(table["groups"])
    ends = np.asarray(cu.flatten(), np.int64)
    is_last = np.zeros(ends.size, bool)
    is_last[np.cumsum(np.asarray(pc.list_value_length(cu))) - 1] = True
    length = np.diff(ends, append=0)[~is_last]
    row = np.asarray(pc.list_parent_indices(groups))
    pieces = pa.table({"name": groups.flatten(), "segment": segment[row], "n_tokens": length})
    return pieces.filter(pc.equal(table["pool"], "code").to_numpy()[row])
