"""Sequences that their segment could not fill wait for pieces of later segments, so that a pool ends in one gap, not
one for each segment. Two pieces of one document never share such a sequence: they could be copies.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

Doc = tuple[int, int]  # both halves of its id

# Of a segment's sequences the emptiest wait: packing longest first leaves few that are not full, and all of them at
# once would be too much for the one task that fills them.
MOST_WAITING = 4
_FULL_FRAC = 63 / 64  # a sequence that is fuller is done: to wait for the last pieces would keep the others waiting too
_MOST_OPEN = 8


def waiting(n_real: np.ndarray, *, seq_len: int) -> np.ndarray:
    """Which of a segment's sequences of `n_real` tokens wait for more, bool [n]: the emptiest that are not full."""
    emptiest = np.argsort(n_real, kind="stable")[:MOST_WAITING]
    out = np.zeros(n_real.size, bool)
    out[emptiest] = n_real[emptiest] < _FULL_FRAC * seq_len
    return out


@dataclass
class _Open:
    """A sequence that is being filled."""

    since: int  # the first segment that it holds a piece of
    latest: int  # the last one, behind which it stands
    left: int
    pieces: list[int] = field(default_factory=list)
    docs: set[Doc] = field(default_factory=set)


@dataclass(frozen=True)
class Filled:
    """Where pieces stand, int64 [n_pieces] each, and the segment behind which each sequence stands [n_sequences]."""

    sequence: np.ndarray
    start: np.ndarray
    segment: np.ndarray


def fill(
    segment: np.ndarray, lengths: np.ndarray, docs: Sequence[Collection[Doc]], *, seq_len: int, patience: int
) -> Filled:
    """Fit pieces into sequences, segment by segment, best fit, longest first.

    Pieces stand in the order of their segments; each is of the documents `docs`, more than one where files of a
    repository were joined. A sequence waits `patience` segments at most: its pieces come that
    much later than they should.
    """
    sequence, start = np.zeros(lengths.size, np.int64), np.zeros(lengths.size, np.int64)
    done: list[_Open] = []
    opened: list[_Open] = []
    bounds = np.flatnonzero(np.diff(segment, prepend=-1, append=-1))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        now = int(segment[begin])
        done += [one for one in opened if one.since + patience < now]
        opened = [one for one in opened if one.since + patience >= now]
        for piece in sorted(range(begin, end), key=lambda i: (-lengths[i], i)):
            _put(opened, piece, int(lengths[piece]), docs[piece], now=now, seq_len=seq_len)
            if len(opened) > _MOST_OPEN:
                fullest = min(opened, key=lambda one: one.left)
                opened.remove(fullest)
                done.append(fullest)
        done += [one for one in opened if one.left <= seq_len * (1 - _FULL_FRAC)]
        opened = [one for one in opened if one.left > seq_len * (1 - _FULL_FRAC)]
    done += opened
    for number, one in enumerate(done):
        n = lengths[one.pieces]
        sequence[one.pieces], start[one.pieces] = number, np.cumsum(n) - n
    return Filled(sequence, start, np.array([one.latest for one in done], np.int64))


def _put(opened: list[_Open], piece: int, n: int, docs: Collection[Doc], *, now: int, seq_len: int) -> None:
    """Into the fullest open sequence that takes the piece, or a new one."""
    fits = [one for one in opened if one.left >= n and one.docs.isdisjoint(docs)]
    into = min(fits, key=lambda one: one.left, default=None)
    if into is None:
        into = _Open(now, now, seq_len)
        opened.append(into)
    into.latest = now
    into.left -= n
    into.pieces.append(piece)
    into.docs.update(docs)
