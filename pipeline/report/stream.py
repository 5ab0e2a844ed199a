"""The packed stream: balance in every prefix, languages along it, and how full its sequences are. No token is read."""

from dataclasses import dataclass, replace
from math import gcd

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased
from pipeline.report.count_documents import Sums
from pipeline.report.stream_numbers import (
    PhaseStream,
    PieceBin,
    PoolPacking,
    Segment,
    SequencePacking,
    StreamMix,
    StreamPoint,
    TokenBalance,
)
from pipeline.schema import OTHERS, POOLS, bounds_of_pieces

N_POINTS = 200  # of the balance curve; each holds the extremes of its stretch, so no peak is lost
N_SEGMENTS = 40  # stretches of the stream: wide enough in the chart to be seen, and rows that can be read
N_NAMES = 7  # languages shown along the stream; more colours could not be told apart


@dataclass(frozen=True)
class Stream:
    """What is kept of each sequence, in stream order, and the tokens of each piece of code."""

    n_real: np.ndarray
    n_pieces: np.ndarray
    is_code: np.ndarray
    names: tuple[str, ...]
    code_tokens: np.ndarray  # [segment, name]
    segment_ends: np.ndarray


def read_stream(run: RunFiles, phase: Phased | None = None) -> Stream:
    """Read lengths and groups of all packed shards, or those of one phase."""
    heads = [_head(t) for t in run.packed(phase)]
    n_real, n_pieces, is_code = (np.concatenate(c) for c in zip(*heads, strict=True))
    ends = _ends(n_real.size, N_SEGMENTS)
    pieces, base = Sums(("name", "segment")), 0
    for table in run.packed(phase):
        segment = np.searchsorted(ends, base + np.arange(table.num_rows), side="right")
        pieces.add(_code_pieces(table, segment=segment))
        base += table.num_rows
    total = pieces.total()
    by_name = total.group_by("name", use_threads=False).aggregate([("n_tokens", "sum")])
    names = by_name.sort_by([("n_tokens_sum", "descending"), ("name", "ascending")])["name"]
    code_tokens = np.zeros((ends.size, len(names)), np.int64)
    code_tokens[total["segment"], pc.index_in(total["name"], value_set=names.combine_chunks())] = total["n_tokens"]
    return Stream(n_real, n_pieces, is_code, tuple(names.to_pylist()), code_tokens, ends)


def _head(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real tokens, pieces and pool of each sequence."""
    n_pieces = pc.list_value_length(table["doc_ids"]).to_numpy().astype(np.int64)
    is_code = pc.equal(table["pool"], "code").to_numpy()
    return table["n_real"].to_numpy().astype(np.int64), n_pieces, is_code


def _ends(n: int, n_parts: int) -> np.ndarray:
    """Ends of at most `n_parts` even parts of n sequences; none of them is empty."""
    return np.unique(np.linspace(0, n, min(n, n_parts) + 1).astype(np.int64)[1:])


def _code_pieces(table: pa.Table, *, segment: np.ndarray) -> pa.Table:
    """Language, segment and length of each piece of code. A list of ends holds one more than there are pieces."""
    cu, groups = one_chunk(table[bounds_of_pieces(table.column_names)]), one_chunk(table["groups"])
    ends = np.asarray(cu.flatten(), np.int64)
    is_last = np.zeros(ends.size, bool)
    is_last[np.cumsum(np.asarray(pc.list_value_length(cu))) - 1] = True
    length = np.diff(ends, append=0)[~is_last]
    row = np.asarray(pc.list_parent_indices(groups))
    pieces = pa.table({"name": groups.flatten(), "segment": segment[row], "n_tokens": length})
    return pieces.filter(pc.equal(table["pool"], "code").to_numpy()[row])


def balance_of(stream: Stream, *, code_parts: int, text_parts: int, seq_len: int) -> TokenBalance:
    """Balance over the run and in every prefix of the stream."""
    signed = np.where(stream.is_code, stream.n_real * text_parts, -stream.n_real * code_parts)
    prefix = np.cumsum(signed)
    ends = _ends(prefix.size, N_POINTS)
    points, start = [], 0
    for end in ends.tolist():
        part = prefix[start:end]
        points.append(StreamPoint(n_sequences=end, low=int(part.min()), high=int(part.max())))
        start = end
    return TokenBalance(
        code_parts=code_parts,
        text_parts=text_parts,
        n_code_tokens=int(stream.n_real[stream.is_code].sum()),
        n_text_tokens=int(stream.n_real[~stream.is_code].sum()),
        worst_prefix=int(np.abs(prefix).max(initial=0)),
        max_prefix=seq_len * max(code_parts, text_parts),
        points=tuple(points),
    )


def phases_of_run(run: RunFiles) -> tuple[PhaseStream, ...]:
    """The stream of each phase; none where the mixture names none."""
    found = []
    for phase in run.phases if run.mixture.phases else ():
        stream = read_stream(run, phase)
        n_split = 0
        for plan in run.plan(phase):
            n_tokens, n_copies, cut = (plan[c].to_numpy() for c in ("n_tokens", "n_copies", "cut_tokens"))
            n_split += int((np.where(n_copies > 0, n_tokens, cut) > phase.seq_len).sum())
        parts = {"code_parts": phase.code_parts, "text_parts": phase.text_parts}
        balance = balance_of(stream, **parts, seq_len=phase.seq_len)
        packing = packing_of(stream, seq_len=phase.seq_len, n_split_docs=n_split)
        found.append(PhaseStream(phase.name, balance, mix_of(stream), packing))
    return tuple(found)


def whole(
    run: RunFiles, stream: Stream, phases: tuple[PhaseStream, ...], *, n_split_docs: int
) -> tuple[TokenBalance, SequencePacking]:
    """Balance and packing of the whole stream; with phases these are held by each by itself, and are summed here."""
    if phases:
        return _whole_balance(phases), _whole_packing(stream, phases)
    (one,) = run.phases
    parts = {"code_parts": one.code_parts, "text_parts": one.text_parts}
    balance = balance_of(stream, **parts, seq_len=one.seq_len)
    return balance, packing_of(stream, seq_len=one.seq_len, n_split_docs=n_split_docs)


def _whole_balance(phases: tuple[PhaseStream, ...]) -> TokenBalance:
    """All phases as one: their tokens, in the ratio that these have, and the prefixes of each phase by itself."""
    code, text = (sum(getattr(p.balance, f"n_{pool}_tokens") for p in phases) for pool in POOLS)
    scale = gcd(code, text) or 1
    points, before = [], 0
    for phase in phases:
        points += [replace(point, n_sequences=point.n_sequences + before) for point in phase.balance.points]
        before += phase.n_sequences
    most = {name: max(getattr(p.balance, name) for p in phases) for name in ("worst_prefix", "max_prefix")}
    return TokenBalance(code // scale or 1, text // scale or 1, code, text, **most, points=tuple(points))


def _whole_packing(stream: Stream, phases: tuple[PhaseStream, ...]) -> SequencePacking:
    """All phases as one; the length of sequences is the longest."""
    pools = []
    for number, pool in enumerate(POOLS):
        mine = [phase.packing.pools[number] for phase in phases]
        names = ("n_sequences", "n_pieces", "n_real_tokens", "n_padding_tokens")
        pools.append(PoolPacking(pool, *(sum(getattr(one, name) for one in mine) for name in names)))
    n_full, n_split = (sum(getattr(p.packing, n) for p in phases) for n in ("n_full_sequences", "n_split_docs"))
    seq_len = max(phase.packing.seq_len for phase in phases)
    return SequencePacking(seq_len, n_full, n_split, tuple(pools), _piece_bins(stream))


def mix_of(stream: Stream) -> StreamMix:
    """Shares of the largest languages in each stretch of the stream, and of all others together."""
    top, rest = stream.code_tokens[:, :N_NAMES], stream.code_tokens[:, N_NAMES:].sum(axis=1, keepdims=True)
    tokens = np.concatenate((top, rest), axis=1)
    fracs = tokens / np.maximum(1, tokens.sum(axis=1, keepdims=True))
    segments = tuple(
        Segment(int(end), tuple(float(x) for x in row)) for end, row in zip(stream.segment_ends, fracs, strict=True)
    )
    return StreamMix((*stream.names[:N_NAMES], OTHERS), segments)


def packing_of(stream: Stream, *, seq_len: int, n_split_docs: int) -> SequencePacking:
    """How full the sequences are, per pool, and of how many pieces they are made."""
    pools = []
    for pool in POOLS:
        mine = stream.is_code == (pool == "code")
        n, n_real = int(mine.sum()), int(stream.n_real[mine].sum())
        pools.append(PoolPacking(pool, n, int(stream.n_pieces[mine].sum()), n_real, n * seq_len - n_real))
    return SequencePacking(
        seq_len=seq_len,
        n_full_sequences=int((stream.n_real == seq_len).sum()),
        n_split_docs=n_split_docs,
        pools=tuple(pools),
        pieces=_piece_bins(stream),
    )


def _piece_bins(stream: Stream) -> tuple[PieceBin, ...]:
    """Sequences by their number of pieces, in doubling bins."""
    bins = []
    for low, high in doubling(int(stream.n_pieces.max(initial=0)), first=1):
        here = (stream.n_pieces >= low) & (stream.n_pieces <= high)
        bins.append(PieceBin(low, high, int((here & stream.is_code).sum()), int((here & ~stream.is_code).sum())))
    return tuple(bins)


def doubling(largest: int, *, first: int) -> list[tuple[int, int]]:
    """Whole-number bins from `first` that reach `largest`: 1, 2, 3-4, 5-8, 9-16 and so on."""
    bins, low, high = [], first, first
    while low <= largest:
        bins.append((low, high))
        low, high = high + 1, max(high * 2, high + 1)
    return bins
