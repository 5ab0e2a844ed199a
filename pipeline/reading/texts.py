"""The texts of a run's documents as they were compared and trained on, by doc_id: for `why` and `verify`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, one_chunk
from pipeline.arrays.trained import texts_of
from pipeline.dedup.settings import signing_of
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED


class DocText(NamedTuple):
    """A document's text, and what was compared in its place: the text of the first of its equals, in the words of the
    pool of that. Both may be others than its own where one text lies in both pools: which passwords are found, and so
    redacted, depends on the language."""

    content: bytes
    pool: str
    compared: bytes


def runs_of(run: RunFiles) -> list[RunFiles]:
    """The run itself and those in its `against`, whose documents may be keepers."""
    return [run, *(RunFiles(open_store(a.path)) for a in run.mixture.against if a.kind == "run")]


def contents(run: RunFiles, ids: Iterable[str], work: Work) -> dict[str, DocText]:
    """Texts of the documents with these ids, in this run or one of `against`. Unknown ids are left out.

    Of shards without any of them one column is read, and no shard when all are found.
    """
    missing = set(ids)
    found: dict[str, DocText] = {}
    for place in runs_of(run) if missing else ():
        wanted = pa.array(sorted(missing), pa.string())
        texts: dict[str, _Own] = {}
        for here in work.each(partial(_found, place.tables, wanted), work.shards(place), name="verify.texts"):
            texts = here | texts  # of two documents with one id the first
            if len(texts) == len(wanted):
                break
        firsts = _firsts(place, [own[1:] for own in texts.values()], work)
        for (i, (text, *_)), (pool, first) in zip(texts.items(), firsts, strict=True):
            found[i] = DocText(text, pool, first or text)  # a first one that is forgotten has no text
        missing -= texts.keys()
        if not missing:
            break
    return found


_Own = tuple[bytes, int, int]  # a text, its position, and that of the first of its equals


def _found(tables: Tables, wanted: pa.StringArray, span: Span) -> dict[str, _Own]:
    """The texts of the wanted documents among some shards."""
    found: dict[str, _Own] = {}
    for shard in span.items:
        column = tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"]
        rows = np.flatnonzero(np.asarray(pc.is_in(column, value_set=wanted)))
        if not rows.size:
            continue
        first = tables.read(EXACT_DUPS, shard, columns=["group_position"])["group_position"].take(pa.array(rows))
        own = zip(_trained(tables, shard, rows), positions(shard, rows).tolist(), first.to_pylist(), strict=True)
        found = dict(zip(column.take(pa.array(rows)).to_pylist(), own, strict=True)) | found
    return found


def _trained(tables: Tables, shard: int, rows: np.ndarray) -> list[bytes]:
    texts = (tables.read(table, shard, columns=["content"]) for table in (DOCUMENTS, REDACTED))
    return list(texts_of(*texts, rows=rows))


def _firsts(run: RunFiles, places: Sequence[tuple[int, int]], work: Work) -> list[tuple[str, bytes | None]]:
    """The pool of the first of the equals of each document, and its text where that is another document."""
    own, first = np.array(places, np.uint64).reshape(-1, 2).T
    shards, item = np.unique(shard_of(first), return_inverse=True)
    rows = [np.flatnonzero(item == k) for k in range(shards.size)]
    items = [
        (k, shard, row_of(first[mine]), own[mine] != first[mine])
        for k, (shard, mine) in enumerate(zip(shards.tolist(), rows, strict=True))
    ]
    found: list[tuple[str, bytes | None]] = [("", None)] * own.size
    for mine, texts in zip(rows, work.each(partial(_first, run.tables), items, name="verify.firsts"), strict=True):
        for place, text in zip(mine.tolist(), texts, strict=True):
            found[place] = text
    return found


def _first(tables: Tables, item: tuple[int, int, np.ndarray, np.ndarray]) -> list[tuple[str, bytes | None]]:
    _, shard, rows, is_other = item
    pools = one_chunk(tables.read(LANGUAGES, shard, columns=["pool"])["pool"]).take(pa.array(rows)).to_pylist()
    others = iter(_trained(tables, shard, rows[is_other]) if is_other.any() else ())
    return [(pool, next(others) if other else None) for pool, other in zip(pools, is_other.tolist(), strict=True)]


def similarities(run: RunFiles, pairs: list[tuple[str, str]], texts: Mapping[str, DocText]) -> list[float]:
    """Jaccard of each pair of documents, taken from their texts again; equal bytes are 1, a missing text is 0."""
    from pipeline.dedup import jaccard  # kernels, which who only asks for texts need not load
    from pipeline.dedup.shingling import shingle_chunks

    ids = sorted({i for pair in pairs for i in pair} & texts.keys())
    place = {i: n for n, i in enumerate(ids)}
    data, offsets = bytes_of(pa.array([texts[i].compared for i in ids], pa.large_binary()))
    is_code = np.array([texts[i].pool == "code" for i in ids], bool)
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
        elif texts[a].compared == texts[b].compared:
            out.append(1.0)
        else:
            x, y = sets[place[a]], sets[place[b]]
            shared = np.intersect1d(x, y, assume_unique=True).size
            out.append(shared / max(1, x.size + y.size - shared))
    return out
