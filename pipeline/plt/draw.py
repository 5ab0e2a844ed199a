"""Which sequences `validate` holds out and in which order it trains on the rest: both drawn, by key.

Held out is a draw in which every language that is large enough has the tokens to be judged. No document with a piece
there is trained on: the sequences that hold another piece of it are left out altogether, so nothing need be masked.
The order of training is drawn anew for each seed, at the ratio of the stream, so that a short training sees another
sample of documents each time and every prefix of it is balanced.

Cost: some 80 bytes of memory for each piece of the run, while drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigError
from pipeline.plt.data import PackedRun, Split, read_rows
from pipeline.plt.keyed import draw, shuffled
from pipeline.schema import POOLS
from pipeline.sequences import Ints

# Scored tokens that each group gets: enough for a mean over several documents, at a price of a few sequences.
GROUP_TOKENS = 2_000
# The part of a group that may be held out for that: a twentieth is no loss to what is trained on it.
_GROUP_FRAC = 1 / 20
# Part of the run that may be left out because its documents reach into held-out sequences. Long documents cost most, so
# the bound says how long a held-out document may be.
_LEFT_OUT_FRAC = 0.1
# In a small run of long documents even one sequence may cost more. Then it may cost this, once for each pool.
_LEFT_OUT_FRAC_AT_LEAST_ONE = 0.5
_HELD_OUT_FRAC = 0.2  # of the run at most, as small as it may be


@dataclass(frozen=True)
class Pieces:
    """Every piece of a run in stream order, as columns of one length; and its sequences, as columns of another."""

    run: PackedRun
    sequence: Ints
    document: Ints  # index into `doc_ids`
    group: Ints  # index into `groups`
    n_scored: Ints  # targets: a piece's tokens but the first
    doc_ids: pa.Array
    groups: tuple[tuple[str, str], ...]  # (pool, group)
    pool: Ints  # of each sequence, index into POOLS
    n_real: Ints  # of each sequence

    def group_tokens(self) -> dict[tuple[str, str], int]:
        """Scored tokens of each group."""
        totals = np.bincount(self.group, weights=self.n_scored, minlength=len(self.groups))
        return dict(zip(self.groups, totals.astype(int).tolist(), strict=True))

    def documents_of(self, sequences: Ints) -> pa.Array:
        """Ids of all documents with a piece in one of these."""
        return self.doc_ids.take(pa.array(np.unique(self.document[np.isin(self.sequence, sequences)])))

    def holding(self, doc_ids: pa.Array) -> Ints:
        """The sequences that hold a piece of any of these documents, ascending."""
        wanted = pc.is_in(self.doc_ids, value_set=doc_ids).to_numpy(zero_copy_only=False)
        return np.unique(self.sequence[wanted[self.document]])


def read_pieces(run: PackedRun) -> Pieces:
    """One pass over the metadata of the stream; no token is read."""
    rows = list(read_rows(run, 0, stop=run.n_sequences))
    n_pieces = np.concatenate([r.n_pieces for r in rows])
    pool = np.array([POOLS.index(pool) for r in rows for pool in r.pools], dtype=np.int64)
    documents, names = (
        pa.concat_arrays([r.block.column(name).flatten() for r in rows]).dictionary_encode()
        for name in ("doc_ids", "groups")
    )
    kinds, group = np.unique(
        names.indices.to_numpy().astype(np.int64) * len(POOLS) + np.repeat(pool, n_pieces), return_inverse=True
    )
    return Pieces(
        run=run,
        sequence=np.repeat(np.arange(run.n_sequences), n_pieces),
        document=documents.indices.to_numpy().astype(np.int64),
        group=group,
        n_scored=np.concatenate([r.ends - r.starts - r.closes for r in rows]),
        doc_ids=documents.dictionary,
        groups=tuple((POOLS[k % len(POOLS)], names.dictionary[k // len(POOLS)].as_py()) for k in kinds.tolist()),
        pool=pool,
        n_real=np.concatenate([r.n_real for r in rows]),
    )


def draw_held_out(pieces: Pieces, *, n_sequences: int, min_tokens: int, seed: int) -> Ints:
    """About `n_sequences`, ascending: first what each group needs, then half of the budget from each pool.

    A group of at least 20 times 2,000 scored tokens gets 2,000 of them, a smaller one a twentieth of its own, unless
    that is below `min_tokens`, with which it cannot be judged. Where many groups need that, it may become more than the
    budget, but never more than a fifth of the run.
    """
    at_most = int(_HELD_OUT_FRAC * pieces.run.n_sequences)
    if not at_most:
        raise ConfigError(
            f"{pieces.run.folder}: {pieces.run.n_sequences} sequences are too few to hold some out; curate more data"
        )
    taken = _Taken(pieces, price=_prices(pieces), at_most=at_most)
    order = _preference(taken.price, n_sequences=n_sequences, seed=seed)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    totals = np.bincount(pieces.group, weights=pieces.n_scored)
    for group in np.argsort(totals, kind="stable").tolist():  # the rarest first: they have the least choice
        mine = np.flatnonzero(pieces.group == group)
        per_sequence = np.bincount(pieces.sequence[mine], weights=pieces.n_scored[mine])
        wanted = min(GROUP_TOKENS, _GROUP_FRAC * totals[group])
        if wanted < min_tokens:
            continue
        candidates = np.unique(pieces.sequence[mine])
        taken.until(candidates[np.argsort(place[candidates])], worth=per_sequence, wanted=wanted)
    ones = np.ones(pieces.run.n_sequences)
    for pool in range(len(POOLS)):
        taken.until(order[pieces.pool[order] == pool], worth=ones, wanted=n_sequences // 2)
    taken.budget = _LEFT_OUT_FRAC_AT_LEAST_ONE * pieces.run.n_sequences
    for pool in range(len(POOLS)):
        taken.until(order[pieces.pool[order] == pool], worth=ones, wanted=1)
    if not taken.held_out.any():
        raise ConfigError(
            f"{pieces.run.folder}: every sequence shares documents with half of the others, so none can be held out "
            "without leaving those out too; curate more data, or shorter documents"
        )
    return np.flatnonzero(taken.held_out)


class _Taken:
    """The draw so far."""

    def __init__(self, pieces: Pieces, *, price: Ints, at_most: int) -> None:
        self.held_out = np.zeros(pieces.run.n_sequences, dtype=bool)
        self.price, self.n_left, self.paid = price, at_most, 0.0
        self.budget = _LEFT_OUT_FRAC * pieces.run.n_sequences

    def until(self, candidates: Ints, *, worth: npt.NDArray[Any], wanted: float) -> None:
        """Take from `candidates` in turn until what is held out of them is worth `wanted`."""
        have = float(worth[candidates[self.held_out[candidates]]].sum())
        for sequence in candidates.tolist():
            if have >= wanted or not self.n_left:
                return
            if self.held_out[sequence] or self.paid + self.price[sequence] > self.budget:
                continue
            self.held_out[sequence] = True
            self.n_left -= 1
            self.paid += float(self.price[sequence])
            have += float(worth[sequence])


def _prices(pieces: Pieces) -> Ints:
    """How many other sequences each one's documents reach into; twice where two of them do."""
    n_sequences = pieces.run.n_sequences
    pairs = np.unique(pieces.document * n_sequences + pieces.sequence)
    document, sequence = pairs // n_sequences, pairs % n_sequences
    others = np.bincount(document)[document] - 1
    return np.bincount(sequence, weights=others, minlength=n_sequences).astype(np.int64)


def _preference(price: Ints, *, n_sequences: int, seed: int) -> Ints:
    """All sequences in the order in which they are taken: drawn among those that can be afforded, dearer ones last.

    Affordable is a price up to the largest at which `n_sequences` of them leave out a tenth of the run, on average:
    so documents are as long as that allows, and not the shortest there are.
    """
    ascending = np.sort(price)
    means = np.cumsum(ascending) / np.arange(1, len(price) + 1)
    affordable = means * n_sequences <= _LEFT_OUT_FRAC * len(price)
    limit = ascending[affordable][-1] if affordable.any() else 0
    bits = draw(f"{seed}/held out", np.arange(len(price)))
    return np.lexsort((bits, np.maximum(price, limit)))


def draw_split(
    pieces: Pieces, *, held_out: Ints, unread: pa.Array, seed: int, parts: dict[str, int], at_most: int | None = None
) -> Split:
    """Train on what holds no document of `unread`, in the order of `seed`, `at_most` so many sequences of it.

    `unread` are the documents of all held-out sequences, of other runs too where models are scored on those.
    """
    trained = np.ones(pieces.run.n_sequences, dtype=bool)
    trained[held_out] = False
    trained[pieces.holding(unread)] = False
    order = _order(pieces, sequences=np.flatnonzero(trained), seed=seed, parts=_ratio(pieces, promised=parts))[:at_most]
    if not len(order):
        raise ConfigError(
            f"{pieces.run.folder}: every sequence holds a piece of a held-out document, so none is left to train on; "
            "curate more data"
        )
    return Split(run=pieces.run, train=order, held_out=held_out, seen=frozenset())


def _ratio(pieces: Pieces, *, promised: dict[str, int]) -> dict[str, float]:
    """What the stream holds of each pool. Where that is the promised ratio to one sequence, it is that one exactly."""
    parts = [promised[pool] for pool in POOLS]
    totals = np.bincount(pieces.pool, weights=pieces.n_real, minlength=len(POOLS))
    kept = abs(totals[0] * parts[1] - totals[1] * parts[0]) <= pieces.run.seq_len * max(parts)
    return dict(zip(POOLS, parts if kept else totals.tolist(), strict=True))


def _order(pieces: Pieces, *, sequences: Ints, seed: int, parts: dict[str, float]) -> Ints:
    """`sequences` shuffled within their pools and merged: next is always the pool that is behind its part.

    It ends with the pool that ends first, so that a training that reads on from the start stays balanced.
    """
    members, progress = [], []
    for number, pool in enumerate(POOLS):
        mine = shuffled(f"{seed}/order/{pool}", sequences[pieces.pool[sequences] == number])
        if len(mine):
            n_real = pieces.n_real[mine]
            members.append(mine)
            progress.append((np.cumsum(n_real) - n_real) / parts[pool])
    if not members:
        return sequences
    ends = [
        done[-1] + pieces.n_real[mine[-1]] / parts[POOLS[pieces.pool[mine[0]]]]
        for mine, done in zip(members, progress, strict=True)
    ]
    merged, done = np.concatenate(members), np.concatenate(progress)
    order = np.lexsort((pieces.pool[merged], done))
    kept: Ints = merged[order[done[order] < min(ends)]]
    return kept
