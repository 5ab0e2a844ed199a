"""Make the reference's tables from a healthy packed run: pairs of tokens, and how often each sign occurs by group."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, pstdev

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipeline.ruin.kinds import Measured, kinds_of
from pipeline.ruin.sample import SampledDocument, list_pieces

# Of a language and of a text source: no language decides the table, and text is in few sources.
_MAX_TOKENS = {"code": 2_000_000, "text": 32_000_000}
_MIN_SCORES = 5  # documents with a score for which a mean is written


def count_pairs(blocks: Sequence[pa.RecordBatch], *, vocab_size: int, seed: int) -> npt.NDArray[np.int64]:
    """Counts of neighbouring tokens, shape (V, V), over a keyed sample of each group's pieces."""
    pieces = list_pieces(blocks)
    flat = [block.column("token_ids").flatten().to_numpy() for block in blocks]
    counts = np.zeros(vocab_size * vocab_size, dtype=np.int64)
    keys = np.array([xxhash.xxh3_64_intdigest(d.encode(), seed=seed) for d in pieces.doc_ids], dtype=np.uint64)
    for number, (pool, _) in enumerate(pieces.groups):
        mine = np.flatnonzero(pieces.group == number)
        mine = mine[np.argsort(keys[pieces.doc[mine]], kind="stable")]
        used = 0
        for piece in mine.tolist():
            begin, n = pieces.start[piece], pieces.length[piece]
            ids = flat[pieces.block[piece]][begin : begin + n].astype(np.int64)
            np.add.at(counts, ids[:-1] * vocab_size + ids[1:], 1)
            used += n
            if used > _MAX_TOKENS[pool]:
                break
    return counts.reshape(vocab_size, vocab_size)


def count_signs(
    documents: Sequence[SampledDocument], measured: Sequence[Measured], gaps: Sequence[float | None]
) -> str:
    """The JSON that `healthy.from_json` reads. `gaps` are the reference model's, None where it read nothing."""
    n_docs: Counter[tuple[str, str]] = Counter()
    signs: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    orders, of_gaps = defaultdict(list), defaultdict(list)
    for d, m, gap in zip(documents, measured, gaps, strict=True):
        label = d.pool, d.group
        n_docs[label] += 1
        signs[label].update(kinds_of(m))
        if m.order.score == m.order.score:  # not NaN: too short
            orders[label].append(m.order.score)
        if gap is not None:
            of_gaps[label].append(gap)
    rows = []
    for label in sorted(n_docs):
        row: dict[str, object] = {"pool": label[0], "group": label[1], "n_docs": n_docs[label]}
        row["signs"] = dict(sorted(signs[label].items()))
        for name, values in (("order", orders[label]), ("gap", of_gaps[label])):
            if len(values) >= _MIN_SCORES:
                row[name] = [round(fmean(values), 3), round(pstdev(values), 3)]
        rows.append(row)
    return '{"groups": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]}\n"
