"""Measure sampled documents: all signs of all of them, in batches where that is faster."""

from collections.abc import Sequence

import numpy as np

from pipeline.arrays.keys import mix
from pipeline.ruin.kinds import Measured
from pipeline.ruin.labels import judge
from pipeline.ruin.pairs import Order, PairTable
from pipeline.ruin.sample import SampledDocument, Spellings, utf8
from pipeline.ruin.signs import measure, word_grams

_POOR = 1.4  # order score below which the tokens are tried backwards


def measure_all(
    documents: Sequence[SampledDocument],
    contained: np.ndarray,
    n_anchors: np.ndarray,
    *,
    spellings: Spellings,
    table: PairTable,
) -> list[Measured]:
    """Everything about each document; `contained` and `n_anchors` are of these documents, see `copies.py`."""
    clean = [d.clean for d in documents]
    orders = table.order(clean)
    labels = judge(clean, [(d.pool, d.group) for d in documents])
    poor = [i for i, o in enumerate(orders) if o.score < _POOR]
    turned = [utf8(spellings.join(documents[i].ids[::-1])) for i in poor]
    backwards: dict[int, Order] = dict(zip(poor, table.order(turned), strict=True))
    masked, n_masked = masked_contained(documents)
    return [
        Measured(
            measure(d.text),
            orders[i],
            backwards.get(i),
            labels[i],
            float(contained[i]),
            int(n_anchors[i]),
            float(masked[i]),
            int(n_masked[i]),
            d.ends,
        )
        for i, d in enumerate(documents)
    ]


def masked_contained(documents: Sequence[SampledDocument]) -> tuple[np.ndarray, np.ndarray]:
    """For each document the share of its word runs, numbers masked, that another of its group has; how many it has."""
    hashes, owners = [], []
    names = sorted({(d.pool, d.group) for d in documents})
    salt = dict(zip(names, mix(np.arange(len(names), dtype=np.uint64)), strict=True))
    for number, d in enumerate(documents):
        _, _, masked = word_grams(d.text)
        kept = np.unique(masked ^ salt[d.pool, d.group])
        kept = kept[kept % np.uint64(4) == 0]  # a keyed quarter is enough for a share
        hashes.append(kept)
        owners.append(np.full(len(kept), number))
    h, o = np.concatenate(hashes), np.concatenate(owners)
    _, inverse, counts = np.unique(h, return_inverse=True, return_counts=True)
    n = np.bincount(o, minlength=len(documents))
    shared = np.bincount(o, weights=counts[inverse] > 1, minlength=len(documents))
    return shared / np.maximum(1, n), n
