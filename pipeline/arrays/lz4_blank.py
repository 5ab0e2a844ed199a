"""Blank bytes that an LZ4 block makes, in a block of the same length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.arrays import lz4_block as lz4

# Sequences that are further apart than a match reaches are mended each for itself.
_APART = 70_000
_MIN_RUN = 16  # blanked bytes that can take what is left over
_MOST_SPLITS = 3
_MORE = (0, 64, 1_024, 16_384)  # sequences behind that are compressed again too, where it takes their savings


def blanked(block: np.ndarray, plain: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the length of `block` (uint8) that make `plain`, several to choose from; none where it cannot be done.

    `plain` is what comes out of `block` but for some ranges, which are zeros: so the lengths of rows stay, too.
    """
    rows = lz4.sequences(block, plain.size)
    bad = np.flatnonzero(lz4.wrong(rows, block, plain)) if len(rows) else np.zeros(0, np.int64)
    if not len(rows):
        return
    if not bad.size:
        yield block
        return
    ends = np.flatnonzero(np.diff(rows[bad, lz4.OUT]) > _APART).tolist()
    bounds = [0, *(e + 1 for e in ends), bad.size]
    out = block.copy()
    for k in range(len(bounds) - 1):
        first, last = int(bad[bounds[k]]), int(bad[bounds[k + 1] - 1])
        versions = _mended(rows, first, last, block, plain)
        if k < len(bounds) - 2:
            found = next(versions, None)
            if found is None:
                return
            out[found[0] : found[0] + found[1].size] = found[1]
            continue
        for at, data in versions:
            whole = out.copy()
            whole[at : at + data.size] = data
            yield whole


def _mended(
    rows: np.ndarray, first: int, last: int, block: np.ndarray, plain: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Where new bytes of the block begin, and versions of them, so that sequences `first` to `last` are right."""
    for more in _MORE:
        yield from _rewritten(rows, first, min(last + 1 + more, len(rows) - 1), block, plain)


def _rewritten(
    rows: np.ndarray, first: int, after: int, block: np.ndarray, plain: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """The same up to sequence `after`, which is right: its match stays, and takes in what is left of literals."""
    begin, stop = int(rows[first, lz4.OUT]), int(rows[after, lz4.OUT] + rows[after, lz4.LITERALS])
    tail = int(rows[after, lz4.OFFSET]), int(rows[after, lz4.MATCH])
    at = int(rows[first, lz4.AT])
    end = int(rows[after + 1, lz4.AT]) if after + 1 < len(rows) else block.size
    run = _largest_run(plain, begin, min(stop, plain.size - 16))
    if run is None:
        return
    zeros, n_zeros = run
    before, behind = _compressed(plain, begin, zeros), _compressed(plain, zeros + n_zeros, stop)
    behind[-1, 1], behind[-1, 2] = tail
    for data in _fitted(before, behind, n_zeros, plain, begin, end - at):
        yield at, data


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
