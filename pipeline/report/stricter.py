"""How much of the mixture is like a document that was judged more strictly: what a lawyer would look at after the
licences. A judgement holds for equal documents; near ones are another text, so they stay and are counted.
"""

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, lists_with, one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.reasons import JUDGEMENTS
from pipeline.report.numbers import StricterCopies
from pipeline.schema import EXACT_DUPS, LEDGER
from pipeline.select.licenses import COPYLEFT, OTHER, license_class

_JUDGED = OTHER + 1  # dropped by a judgement: stricter than any licence that may enter


def stricter_of(run: RunFiles) -> StricterCopies:
    """Count documents of the mixture that have an equal or verified near duplicate of a stricter class."""
    left, right = columns(run.near_dups(), "position", "other_position")
    groups = [
        columns(t, "group_position", "group_size")
        for t in run.shards(EXACT_DUPS, columns=["group_position", "group_size"])
    ]
    nodes = np.unique(np.concatenate([left, right, *(g[size > 1] for g, size in groups)]))
    strictest = np.zeros(nodes.size, np.int64)  # of each group of equal documents
    documents = []
    for (group, _), ledger in zip(
        groups, run.shards(LEDGER, columns=["license", "reasons", "n_packed_tokens"]), strict=True
    ):
        place = np.minimum(np.searchsorted(nodes, group), max(0, nodes.size - 1))
        rows = np.flatnonzero(nodes[place] == group) if nodes.size else np.zeros(0, np.int64)
        coded = one_chunk(ledger["license"]).dictionary_encode()
        of_spelling = np.array([license_class(x) for x in [*coded.dictionary.to_pylist(), None]])
        own = of_spelling[pc.fill_null(coded.indices, of_spelling.size - 1).to_numpy()]
        judged = np.logical_or.reduce([lists_with(ledger["reasons"], reason) for reason in JUDGEMENTS])
        own = np.where(judged, _JUDGED, own)[rows]
        np.maximum.at(strictest, place[rows], own)
        documents.append((place[rows], own, ledger["n_packed_tokens"].to_numpy()[rows]))
    near = strictest.copy()
    a, b = np.searchsorted(nodes, left), np.searchsorted(nodes, right)
    np.maximum.at(near, a, strictest[b])
    np.maximum.at(near, b, strictest[a])
    place, own, n_tokens = (np.concatenate(c) for c in zip(*documents, strict=True))
    stricter = (near[place] > own) & (near[place] >= COPYLEFT) & (n_tokens > 0)
    return StricterCopies(int(stricter.sum()), int(n_tokens[stricter].sum()))
