"""The texts of a run's documents as they were compared and trained on, by doc_id: for `why` and `verify`."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of
from pipeline.arrays.trained import trained
from pipeline.dedup.settings import signing_of
from pipeline.engine.exchange import row_of, shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED


def runs_of(run: RunFiles) -> list[RunFiles]:
    """The run itself and those in its `against`, whose documents may be keepers."""
    return [run, *(RunFiles(open_store(a.path)) for a in run.mixture.against if a.kind == "run")]


def contents(run: RunFiles, ids: Iterable[str]) -> dict[str, tuple[bytes, str]]:
    """Bytes of the documents with these ids, in this run or one of `against`, and the pool in whose words each was
    compared: that of the first of its equals, since one text may lie in both pools. Unknown ids are left out.
    """
    wanted = pa.array(sorted(set(ids)), pa.string())
    found: dict[str, tuple[bytes, str]] = {}
    for place in runs_of(run):
        for shard in range(place.n_shards):
            column = place.tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"]
            rows = np.flatnonzero(np.asarray(pc.is_in(column, value_set=wanted)))
            if not rows.size:
                continue
            index = pa.array(rows)
            tables = (place.tables.read(table, shard, columns=["content"]) for table in (DOCUMENTS, REDACTED))
            content = trained(*(table.take(index) for table in tables))
            first = place.tables.read(EXACT_DUPS, shard, columns=["group_position"])["group_position"].take(index)
            texts = zip(
                column.take(index).to_pylist(), content.to_pylist(), _pools(place, first.to_numpy()), strict=True
            )
            found |= {i: (text, pool) for i, text, pool in texts if i not in found}
    return found


def _pools(run: RunFiles, position: np.ndarray) -> list[str]:
    """The pool of the document at each position."""
    shards = shard_of(position)
    of_shard = {
        shard: run.tables.read(LANGUAGES, shard, columns=["pool"])["pool"] for shard in np.unique(shards).tolist()
    }
    rows = row_of(position).tolist()
    return [of_shard[shard][row].as_py() for shard, row in zip(shards.tolist(), rows, strict=True)]


def similarities(run: RunFiles, pairs: list[tuple[str, str]]) -> list[float]:
    """Jaccard of each pair of documents, taken from their texts again; equal bytes are 1, a missing text is 0."""
    from pipeline.dedup import jaccard  # kernels, which who only asks for texts need not load
    from pipeline.dedup.shingling import shingle_chunks

    texts = contents(run, [i for pair in pairs for i in pair])
    ids = sorted(texts)
    place = {i: n for n, i in enumerate(ids)}
    data, offsets = bytes_of(pa.array([texts[i][0] for i in ids], pa.large_binary()))
    is_code = np.array([texts[i][1] == "code" for i in ids], bool)
    sets: dict[int, np.ndarray] = {}
    every = np.arange(len(ids))
    signing = signing_of(run.mixture.near_dups)
    for rows, hashes, ends in shingle_chunks(data, offsets, rows=every, is_code=is_code, config=signing):
        distinct, stops = jaccard.distinct(hashes, ends)
        for n, row in enumerate(rows.tolist()):
            sets[row] = distinct[stops[n] : stops[n + 1]]
    out = []
    for a, b in pairs:
        if a not in texts or b not in texts:
            out.append(0.0)
        elif texts[a][0] == texts[b][0]:
            out.append(1.0)
        else:
            x, y = sets[place[a]], sets[place[b]]
            shared = np.intersect1d(x, y, assume_unique=True).size
            out.append(shared / max(1, x.size + y.size - shared))
    return out
