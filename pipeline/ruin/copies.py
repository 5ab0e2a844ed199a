"""How much of each document stands in other documents too, over the whole packed run and not a sample of it.

Every run of `GRAM` tokens is hashed; a keyed thirty-second part of the hashes are anchors, the same ones in every
document. A document's contained share is that of its anchors which another document has.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.arrays.compiled import compiled
from pipeline.ruin.sample import Ints, PackedPieces

GRAM = 24  # tokens: some hundred bytes, more than an idiom or the first line of a licence
# One hash in sixteen is an anchor: a document of a hundred tokens has five. In larger runs it is one in more, so that
# no more than some millions are sorted.
_MIN_STEP, _MAX_ANCHORS = 16, 4_000_000
_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _anchors(
    tokens: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    docs: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    owners: npt.NDArray[np.int64],
    step: int,
) -> int:
    """Fill `hashes` and `owners` with the anchors of all pieces of a block; their number."""
    top = np.uint64(1)
    for _ in range(GRAM):
        top *= _MULTIPLY
    n = 0
    for piece in range(len(starts)):
        rolling = np.uint64(0)
        first = starts[piece]
        for i in range(lengths[piece]):
            rolling = rolling * _MULTIPLY + np.uint64(tokens[first + i] + 1)
            if i >= GRAM:
                rolling -= top * np.uint64(tokens[first + i - GRAM] + 1)
            if i >= GRAM - 1:
                h = rolling ^ (rolling >> np.uint64(31))
                h *= np.uint64(0xBF58476D1CE4E5B9)
                h ^= h >> np.uint64(29)
                if h % np.uint64(step) == 0:
                    hashes[n] = h
                    owners[n] = docs[piece]
                    n += 1
    return n


def contained(blocks: Sequence[pa.RecordBatch], pieces: PackedPieces) -> tuple[npt.NDArray[np.float64], Ints]:
    """For each document: the share of its anchors that another document has, and how many it has."""
    all_hashes, all_owners = [], []
    step = max(_MIN_STEP, -(-int(pieces.length.sum()) // _MAX_ANCHORS))
    for number, block in enumerate(blocks):
        mine = pieces.block == number
        tokens = block.column("token_ids").flatten().to_numpy()
        room = int(pieces.length[mine].sum())
        hashes, owners = np.empty(room, np.uint64), np.empty(room, np.int64)
        n = _anchors(tokens, pieces.start[mine], pieces.length[mine], pieces.doc[mine], hashes, owners, step)
        all_hashes.append(hashes[:n].copy())
        all_owners.append(owners[:n].copy())
    hashes, owners = np.concatenate(all_hashes), np.concatenate(all_owners)
    n_anchors = np.bincount(owners, minlength=pieces.n_docs)
    if not len(hashes):
        return np.zeros(pieces.n_docs), n_anchors
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    first = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
    elsewhere = np.minimum.reduceat(owners, first) != np.maximum.reduceat(owners, first)
    shared = np.repeat(elsewhere, np.diff(np.append(first, len(hashes))))
    n_shared = np.bincount(owners, weights=shared, minlength=pieces.n_docs)
    return n_shared / np.maximum(1, n_anchors), n_anchors
