"""The packed stream: balance in every prefix, languages along it, and how full its sequences are. No token is read."""

from dataclasses import replace
from math import gcd

import numpy as np

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.work import Work
from pipeline.report.read_stream import Stream, read_stream
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
from pipeline.schema import OTHERS, POOLS

N_NAMES = 7  # languages shown along the stream; more colours could not be told apart


def balance_of(stream: Stream, *, code_parts: int, text_parts: int, seq_len: int) -> TokenBalance:
    """Balance over the run and in every prefix of the stream."""
    curve = stream.curve
    before = np.cumsum(curve.sums) - curve.sums
    low, high = before + curve.low, before + curve.high
    points = tuple(StreamPoint(*point) for point in np.stack([stream.ends, low, high], axis=1).tolist())
    n_code, n_text = (int(stream.packing[POOLS.index(pool), 2]) for pool in ("code", "text"))
    return TokenBalance(
        code_parts=code_parts,
        text_parts=text_parts,
        n_code_tokens=n_code,
        n_text_tokens=n_text,
        worst_prefix=max((max(abs(point.low), abs(point.high)) for point in points), default=0),
        max_prefix=seq_len * max(code_parts, text_parts),
        points=points,
    )


def phases_of_run(run: RunFiles, work: Work) -> tuple[PhaseStream, ...]:
    """The stream of each phase; none where the mixture names none."""
    found = []
    for phase in run.phases if run.mixture.phases else ():
        stream = read_stream(run, work, phase)
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
    for pool, (n, n_pieces, n_real) in zip(POOLS, stream.packing.tolist(), strict=True):
        pools.append(PoolPacking(pool, n, n_pieces, n_real, n * seq_len - n_real))
    return SequencePacking(
        seq_len=seq_len,
        n_full_sequences=stream.n_full,
        n_split_docs=n_split_docs,
        pools=tuple(pools),
        pieces=_piece_bins(stream),
    )


def _piece_bins(stream: Stream) -> tuple[PieceBin, ...]:
    """Sequences by their number of pieces, in doubling bins."""
    bins, most = [], max((max(found, default=0) for found in stream.pieces.values()), default=0)
    for low, high in doubling(most, first=1):
        counts = (sum(n for k, n in stream.pieces[pool].items() if low <= k <= high) for pool in ("code", "text"))
        bins.append(PieceBin(low, high, *counts))
    return tuple(bins)


def doubling(largest: int, *, first: int) -> list[tuple[int, int]]:
    """Whole-number bins from `first` that reach `largest`: 1, 2, 3-4, 5-8, 9-16 and so on."""
    bins, low, high = [], first, first
    while low <= largest:
        bins.append((low, high))
        low, high = high + 1, max(high * 2, high + 1)
    return bins
