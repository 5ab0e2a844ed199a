"""The documents that hurt most: those that would be met least often in healthy data of their group."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.results import HurtDocument
from pipeline.ruin.healthy import Healthy
from pipeline.ruin.kinds import Kind, Measured
from pipeline.ruin.ledger import Entry
from pipeline.ruin.sample import SampledDocument

PER_GROUP = 10  # documents listed of each group
_ALWAYS = 200  # the worst of all groups are listed, however many of one group they are
_START = 160  # characters shown
# Added to a share before its logarithm: of signs that the table has never seen in a group, none counts as impossible.
_FLOOR = 1e-5


def worst_documents(
    documents: Sequence[SampledDocument],
    measured: Sequence[Measured],
    kinds: Sequence[tuple[Kind, ...]],
    *,
    healthy: Healthy,
    ledger: Mapping[str, Entry],
) -> tuple[HurtDocument, ...]:
    """The _ALWAYS worst of all and PER_GROUP of each group, by surprise."""
    surprises = [_surprise(d, m, of, healthy) for d, m, of in zip(documents, measured, kinds, strict=True)]
    order = np.argsort(-np.array(surprises), kind="stable").tolist()
    taken: dict[tuple[str, str], int] = {}
    found: list[HurtDocument] = []
    for i in order:
        d = documents[i]
        taken[d.pool, d.group] = taken.get((d.pool, d.group), 0) + 1
        if taken[d.pool, d.group] > PER_GROUP and len(found) >= _ALWAYS:
            continue
        entry = ledger.get(d.doc_id)
        start = d.text[: 4 * _START].decode("utf-8", "replace")[:_START]
        place = (entry.path, entry.source) if entry else ("", "")
        kind = kinds[i][0] if kinds[i] else ""
        found.append(HurtDocument(d.doc_id, d.pool, d.group, kind, surprises[i], *place, start))
    return tuple(found)


def _surprise(document: SampledDocument, m: Measured, kinds: tuple[Kind, ...], healthy: Healthy) -> float:
    """Nats against this document in healthy data: of its sign, and of how poor its order is."""
    poor = 0.0 if math.isnan(m.order.score) else max(0.0, healthy.order_z(document.pool, document.group, m.order.score))
    rare = [-math.log(healthy.expected(document.pool, document.group, kind) + _FLOOR) for kind in kinds]
    return max(rare, default=0.0) + min(poor, 4.0) / 4
