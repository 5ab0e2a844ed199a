"""Best-fit packing of token runs into sequences of one length.

Best-fit decreasing after "Fewer Truncations Improve Language Modeling" (arXiv 2404.10830): a document longer than a
sequence is cut into full sequences and a remainder; each piece, longest first, goes into the fullest sequence that
still takes it. A bitmap over remaining lengths finds that sequence in at most L/64 steps.
"""

import numpy as np

from pipeline.arrays.compiled import compiled


def split(lengths: np.ndarray, *, seq_len: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut runs of `lengths` tokens into pieces of at most `seq_len`.

    Returns (run, offset, length), int64 [n_pieces] each: piece p is tokens offset .. offset + length of its run.
    """
    lengths = lengths.astype(np.int64)
    n_pieces = (lengths + seq_len - 1) // seq_len
    run = np.repeat(np.arange(lengths.size), n_pieces)
    within = np.arange(run.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    offset = within * seq_len
    return run, offset, np.minimum(lengths[run] - offset, seq_len)


@compiled
def _fit(order: np.ndarray, lengths: np.ndarray, seq_len: int, bins: np.ndarray, starts: np.ndarray) -> int:
    n_words = seq_len // 64 + 1
    bitmap = np.zeros(n_words, np.uint64)  # bit c: some open sequence has c places left
    head = np.full(seq_len + 1, -1, np.int64)  # newest open sequence with c places left
    below = np.full(order.size, -1, np.int64)  # the one under it on the same stack
    n_bins = 0
    for p in order:
        need = lengths[p]
        place, word = -1, need // 64
        bits = bitmap[word] >> np.uint64(need % 64) << np.uint64(need % 64)
        while True:
            if bits != 0:
                low = 0
                while not (bits >> np.uint64(low)) & np.uint64(1):
                    low += 1
                place = word * 64 + low
                break
            word += 1
            if word >= n_words:
                break
            bits = bitmap[word]
        if place < 0:
            b, left = n_bins, seq_len
            n_bins += 1
        else:
            b, left = head[place], place
            head[place] = below[b]
            if head[place] < 0:
                bitmap[place // 64] &= ~(np.uint64(1) << np.uint64(place % 64))
        bins[p], starts[p] = b, seq_len - left
        left -= need
        if left > 0:
            below[b] = head[left]
            head[left] = b
            bitmap[left // 64] |= np.uint64(1) << np.uint64(left % 64)
    return n_bins


def best_fit(lengths: np.ndarray, *, seq_len: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Place pieces of 1 .. seq_len tokens; pieces of equal length keep their order.

    Returns (sequence, start, n_sequences): piece p occupies start[p] .. start[p] + lengths[p] of sequence[p].
    """
    lengths = lengths.astype(np.int64)
    assert lengths.size == 0 or (lengths.min() >= 1 and lengths.max() <= seq_len), "pieces must fit a sequence"
    order = np.argsort(-lengths, kind="stable")
    bins, starts = np.empty(lengths.size, np.int64), np.empty(lengths.size, np.int64)
    n_bins = _fit(order, lengths, seq_len, bins, starts)
    return bins, starts, n_bins


@compiled
def copy_slices(
    source: np.ndarray, starts: np.ndarray, lengths: np.ndarray, target: np.ndarray, places: np.ndarray
) -> None:
    """target[places[i] : places[i] + lengths[i]] = source[starts[i] : starts[i] + lengths[i]] for each i."""
    for i in range(starts.size):
        for k in range(lengths[i]):
            target[places[i] + k] = source[starts[i] + k]
