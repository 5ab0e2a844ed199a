"""Blank bytes that an LZ4 block makes, in a block of the same length."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pipeline.arrays import lz4_block as lz4

# Bytes between sequences that are mended together: what lies between two that are further apart stays as it is. Where
# that leaves too little to save on, all within a match's reach.
_APART = (1_000, 70_000)
_N_VERSIONS = 48  # of one stretch
_MIN_RUN = 16  # blanked bytes that can take what is left over
_MOST_SPLITS = 3
_MORE = (0, 64, 1_024, 16_384)  # sequences behind that are compressed again too, where it takes their savings


def blanked(block: np.ndarray, plain: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the length of `block` (uint8) that make `plain`, several to choose from; none where it cannot be done.

    `plain` is what comes out of `block` but for some ranges, which are zeros: so the lengths of rows stay, too.
    """
    rows = lz4.sequences(block, plain.size)
    if not len(rows):
        return
    block = block.copy()
    is_bad = lz4.wrong(rows, block, plain)
    if is_bad.any():  # most matches of what is gone have other places to copy from, and need no byte more for that
        lz4.other_sources(rows, is_bad, plain, block)
    if not is_bad.any():
        yield block
        return
    attempts = (_stretches(rows, is_bad, block, plain, apart=apart) for apart in _APART)
    stretches = next((found for found in attempts if found), [])
    if not stretches:
        return
    for start, versions in stretches:
        block[start : start + versions[0].size] = versions[0]
    yield block
    for start, versions in stretches:
        for version in versions[1:]:
            whole = block.copy()
            whole[start : start + version.size] = version
            yield whole


def _stretches(
    rows: np.ndarray, is_bad: np.ndarray, block: np.ndarray, plain: np.ndarray, *, apart: int
) -> list[tuple[int, list[np.ndarray]]]:
    """Where stretches of the block are written again, and versions of each; empty where one cannot be."""
    stretches: list[tuple[int, list[np.ndarray]]] = []
    at = 0
    while (found := np.flatnonzero(is_bad[at:])).size:
        first = last = at + int(found[0])
        for row in (at + found[1:]).tolist():
            if rows[row, lz4.OUT] - rows[last, lz4.OUT] > apart:
                break
            last = row
        mended = _mended(rows, is_bad, first, last, block, plain)
        if mended is None:
            return []
        at = mended[0] + 1
        stretches.append((int(rows[first, lz4.AT]), mended[1]))
    return stretches


def _mended(
    rows: np.ndarray, is_bad: np.ndarray, first: int, last: int, block: np.ndarray, plain: np.ndarray
) -> tuple[int, list[np.ndarray]] | None:
    """The last sequence that is written again so that those from `first` to `last` are right, and versions of what is
    written from the beginning of the first; None where it cannot be."""
    for more in _MORE:
        after = min(last + 1 + more, len(rows) - 1)
        while after < len(rows) - 1 and is_bad[after]:
            after += 1
        # The sequence behind is right: its match stays, and takes in what is left of literals.
        begin, stop = int(rows[first, lz4.OUT]), int(rows[after, lz4.OUT] + rows[after, lz4.LITERALS])
        tail = int(rows[after, lz4.OFFSET]), int(rows[after, lz4.MATCH])
        end = int(rows[after + 1, lz4.AT]) if after + 1 < len(rows) else block.size
        versions = list(islice(_rewritten(plain, begin, stop, tail, end - int(rows[first, lz4.AT])), _N_VERSIONS))
        if versions:
            return after, versions
    return None


def _rewritten(plain: np.ndarray, begin: int, stop: int, tail: tuple[int, int], size: int) -> Iterator[np.ndarray]:
    """Sequences of `size` bytes that make plain[begin:stop] and then the match `tail`."""
    run = _largest_run(plain, begin, min(stop, plain.size - 16))
    if run is not None:
        zeros, n_zeros = run
        before, behind = _compressed(plain, begin, zeros), _compressed(plain, zeros + n_zeros, stop)
        behind[-1, 1], behind[-1, 2] = tail
        yield from _fitted(before, behind, n_zeros, plain, begin, size)
        return
    every = _compressed(plain, begin, stop)
    every[-1, 1], every[-1, 2] = tail
    spare = size - _size(every)
    out = np.empty(size, np.uint8)
    if spare >= 0 and lz4.spend(every, spare) == 0 and lz4.emit(every, plain, begin, out) == size:
        yield out


def _largest_run(plain: np.ndarray, begin: int, stop: int) -> tuple[int, int] | None:
    """Start and length of the longest run of zeros in plain[begin:stop]; None where none is long enough."""
    if stop - begin < _MIN_RUN:
        return None
    is_zero = np.concatenate(([False], plain[begin:stop] == 0, [False]))
    edges = np.flatnonzero(np.diff(is_zero.astype(np.int8)))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not starts.size or lengths.max() < _MIN_RUN:
        return None
    best = int(lengths.argmax())
    return begin + int(starts[best]), int(lengths[best])


def _compressed(plain: np.ndarray, first: int, last: int) -> np.ndarray:
    out = np.empty(((last - first) // 4 + 2, 3), np.int64)
    return out[: lz4.compress(plain, first, last, out)].copy()


def _size(rows: np.ndarray) -> int:
    return sum(lz4.n_bytes(int(a), int(m)) for a, _, m in rows.tolist() if a >= 0)


def _fitted(
    before: np.ndarray, behind: np.ndarray, n_zeros: int, plain: np.ndarray, begin: int, size: int
) -> Iterator[np.ndarray]:
    """Sequences of exactly `size` bytes: those before a run of zeros, the run, those behind it.

    The literals left before the run join its first sequence.
    """
    joined = int(before[-1, 0])
    head = before[:-1]
    least = lz4.n_bytes(joined + 1, n_zeros - 1)
    spare = size - _size(head) - _size(behind) - least
    if spare < 0:
        return
    # What the run cannot take goes first; half of the run stays for what does not come out even.
    most = n_zeros // 2
    if spare > most:
        spare = most + lz4.spend(behind, spare - most)
    if spare > most and head.shape[0]:
        # The last row of these has no successor of its own: the run's first sequence, which is not theirs to join.
        spare = most + lz4.spend(head, spare - most)
    target = spare + least
    out = np.empty(size, np.uint8)
    for run in _runs(joined, n_zeros, target):
        rows = np.concatenate((head, np.array(run, np.int64).reshape(-1, 3), behind))
        if _size(rows) == size and lz4.emit(rows, plain, begin, out) == size:
            yield out.copy()


def _runs(joined: int, n_zeros: int, target: int) -> Iterator[list[tuple[int, int, int]]]:
    """Ways to write a run of zeros behind `joined` literals in exactly `target` bytes."""
    for n_splits in range(_MOST_SPLITS + 1):
        for short in range(4, 4 + 8):
            if n_splits == 0 and short > 4:
                break
            # Short matches behind the long one take 3 bytes each, so a target that is stepped over is met all the same.
            rest = n_zeros - n_splits * short
            low, high = 1, rest - 4
            while low <= high:
                literal = (low + high) // 2
                size = lz4.n_bytes(joined + literal, rest - literal) + n_splits * lz4.n_bytes(0, short)
                if size == target:
                    yield [(joined + literal, 1, rest - literal), *[(0, 1, short)] * n_splits]
                    break
                low, high = (literal + 1, high) if size < target else (low, literal - 1)
