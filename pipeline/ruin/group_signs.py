"""Means of each group's sampled documents: what the page shows beside the losses of trained models."""

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pipeline.results import GroupSigns
from pipeline.ruin.healthy import Healthy
from pipeline.ruin.kinds import Measured
from pipeline.ruin.sample import SampledDocument, Spellings

_MAX_DOCS = 64  # of a group that are compressed twice: the mean of so many is steady


def permuted(document: SampledDocument, *, seed: int) -> np.ndarray:
    """The document's ids in random order, keyed; the end of the document stays."""
    rng = np.random.default_rng([seed, *document.doc_id.encode()])
    return np.append(rng.permutation(document.ids[:-1]), document.ids[-1:])


def group_signs(
    documents: Sequence[SampledDocument],
    measured: Sequence[Measured],
    *,
    spellings: Spellings,
    healthy: Healthy,
    seed: int,
) -> tuple[GroupSigns, ...]:
    """A row for each (pool, group), sorted. What models would tell is NaN until somebody asks them."""
    members = defaultdict(list)
    for i, d in enumerate(documents):
        members[d.pool, d.group].append(i)
    rows = []
    nan = float("nan")
    for (pool, group), places in sorted(members.items()):
        few = places[:_MAX_DOCS]
        n_bytes = max(1, sum(len(documents[i].text) for i in few))
        plain = sum(len(zlib.compress(documents[i].text)) for i in few)
        mixed = sum(len(zlib.compress(spellings.join(permuted(documents[i], seed=seed)))) for i in few)
        scores = [measured[i].order.score for i in places]
        known = [s for s in scores if s == s]
        order = float(np.mean(known)) if known else nan
        bits = 8 * plain / n_bytes, 8 * mixed / n_bytes
        rows.append(GroupSigns(pool, group, len(places), *bits, order, healthy.order(pool, group)[0]))
    return tuple(rows)
