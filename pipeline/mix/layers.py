"""How phases share the copies of documents: each takes from where the ones that chose before it have stopped.

A document that may appear m times has m places on an axis: copy 0, 1 .. m - 1, and within each its place in the keyed
order. A phase goes up that axis over the documents that may enter it: first those that no phase has taken yet, in keyed
order; then those that were taken once, together with the second copies of the others; and so on. A document of which u
copies are used has its next one in *layer* u. So nothing is read again before all else that may enter was read, and no
document is read more often, over all phases, than it may be. A copy that was cut counts as a whole one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.mix.quota import Quota

Quotas = Mapping[tuple[str, str], Quota]  # by pool and group; `whole` is the layer in which the budget ends
_NOTHING = Quota("", 0, -1, 0)


@dataclass(frozen=True)
class Kept:
    """The documents of a shard, arrays of shape [n]."""

    names: Sequence[tuple[str, str]]  # pool and group
    name: np.ndarray  # place in `names`; -1: dropped
    n_tokens: np.ndarray
    key: np.ndarray  # uint64: place in the keyed order
    bucket: np.ndarray
    position: np.ndarray  # uint64: between equal keys
    most: np.ndarray  # copies that all phases together may take


@dataclass(frozen=True)
class Taken:
    """What one phase takes of each document, int64 [n] each."""

    n_copies: np.ndarray
    cut_tokens: np.ndarray  # of one more, truncated copy; 0: none

    @property
    def used(self) -> np.ndarray:
        """Copies that nobody else may have."""
        used: np.ndarray = self.n_copies + (self.cut_tokens > 0)
        return used


def take(kept: Kept, quotas: Quotas, *, may: np.ndarray, used: np.ndarray) -> Taken:
    """What a phase takes under its quotas of the documents that `may` enter, of which `used` copies are gone."""
    open_ = may & (kept.name >= 0)  # who is used up lies behind the layer in which any budget ends
    of = [quotas.get(name, _NOTHING) for name in kept.names] or [_NOTHING]
    name = np.where(open_, kept.name, 0)

    def each(field: str, kind: type) -> np.ndarray:
        return np.array([getattr(q, field) for q in of], kind)[name]

    layer, end = each("whole", np.int64), each("bucket", np.int64)
    cut_key, cut_position = each("cut_key", np.uint64), each("cut_position", np.uint64)
    in_layer = open_ & (used <= layer)
    ends_here = in_layer & (kept.bucket == end)
    before = (kept.key < cut_key) | ((kept.key == cut_key) & (kept.position < cut_position))
    one_more = (in_layer & (kept.bucket < end)) | (ends_here & before)
    n_copies = np.where(open_, np.maximum(0, layer - used), 0) + one_more
    at_cut = ends_here & (kept.key == cut_key) & (kept.position == cut_position)
    return Taken(n_copies.astype(np.int64), np.where(at_cut, each("cut_tokens", np.int64), 0))


def layered_quota(group: str, n_tokens: int, *, counts: np.ndarray) -> Quota:
    """Take `n_tokens` of a group; counts[u, b] are its tokens in bucket b of the key of which u copies are used.

    The quota's `whole` is the layer in which the tokens end, `bucket` the bucket there; `left` is taken from it.
    """
    left = n_tokens
    layers = np.cumsum(counts, axis=0)
    for layer, held in enumerate(layers):
        if left == 0:
            return Quota(group, layer, -1, 0)
        total = int(held.sum())
        if left >= total:
            left -= total
            continue
        ends = np.cumsum(held)
        bucket = int(np.searchsorted(ends, left))
        return Quota(group, layer, bucket, left - int(ends[bucket] - held[bucket]))
    assert left == 0, f"{group}: {left} tokens more than there are"
    return Quota(group, len(layers), -1, 0)
