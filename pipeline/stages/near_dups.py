"""Near dedup: MinHash-LSH finds candidates, exact Jaccard of their shingle sets verifies each of them.

Two stages. `sign` is a map: one signature per group of equal documents. `link` is an exchange of hashes and positions:
band keys meet in partitions, pairs are made unique, and the shingles of candidates alone travel to be compared. The
table `near_dups` holds verified pairs only, so no false candidate can drop a document.
"""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.columns import bytes_of, columns, one_chunk
from pipeline.config import NearDups
from pipeline.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.schema import NEAR_DUPS, SIGNATURES
from pipeline.stage import Job, Marker, Outcome
from pipeline.store import Tables, part
from pipeline.text import minhash, shingles
from pipeline.text.keys import mix
from pipeline.text.runs import starts_run


def sign(documents: pa.Table, exact_dups: pa.Table, *, config: NearDups) -> pa.Table:
    """Table `signatures`: MinHash of each document that is the first of its group and has any words."""
    first = exact_dups["is_first"].to_numpy()
    hashes, ends = _shingles(documents.filter(pa.array(first)), config=config)
    n_hashes = config.n_bands * config.rows_per_band
    n_shingles = np.zeros(documents.num_rows, np.int64)
    n_shingles[first] = np.diff(ends)
    signed = n_shingles > 0
    signatures = minhash.sign(hashes, ends, n_hashes=n_hashes)[signed[first]]
    offsets = np.concatenate(([0], np.cumsum(signed * n_hashes)))
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(signatures.ravel()),
        type=SIGNATURES.field("signature").type,
        mask=pa.array(~signed),
    )
    return pa.table({"n_shingles": n_shingles, "signature": lists}, schema=SIGNATURES)


def link(job: Job, *, config: NearDups) -> list[Marker]:
    """Write table `near_dups`: each pair of documents whose verified similarity reaches the threshold, once."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    bands = job.channel("band", n_sources=n_shards, n_partitions=n)
    links = job.channel("link", n_sources=n, n_partitions=n)
    wanted = job.channel("pair", n_sources=n, n_partitions=n_shards)
    sets = job.channel("shingle", n_sources=n_shards, n_partitions=n)
    job.step("band", partial(_band, tables, bands, config), items=n_shards)
    job.step("link", partial(_link, bands, links, config), items=n)
    job.step("pair", partial(_pair, links, wanted), items=n)
    job.step("shingle", partial(_shingle, tables, wanted, sets, config), items=n_shards)
    return job.step("", partial(_verify, tables, links, sets, config), items=n)


def _band(tables: Tables, out: Channel, config: NearDups, shard: int, _: None) -> Outcome:
    """Scatter (band key, position) of every signed document."""
    column = tables.read("signatures", shard, columns=["signature"])["signature"].combine_chunks()
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    n_hashes = config.n_bands * config.rows_per_band
    signatures = column.flatten().to_numpy().reshape(-1, n_hashes)
    keys = minhash.band_keys(signatures, n_bands=config.n_bands).ravel()
    table = pa.table({"key": keys, "position": np.repeat(positions(shard, rows), config.n_bands)})
    entry = out.scatter(shard, table, partition=spread(mix(keys), out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _link(bands: Channel, out: Channel, config: NearDups, partition: int, _: None) -> Outcome:
    """Documents that share a band key are candidates; a pair goes where its first position sends it."""
    keys, position = columns(bands.gather(partition), "key", "position")
    left, right = minhash.link(keys, position, max_bucket=config.max_bucket_docs)
    left, right = _unique_pairs(left, right)
    entry = out.scatter(
        partition, pa.table({"left": left, "right": right}), partition=spread(mix(left), out.n_partitions)
    )
    return Outcome((entry,), {"n_links": left.size})


def _pair(links: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Ask each shard for the shingles of the candidates that this partition will compare."""
    left, right = _unique_pairs(*columns(links.gather(partition), "left", "right"))
    ends = np.unique(np.concatenate((left, right)))
    entry = out.scatter(partition, pa.table({"position": ends}), partition=shard_of(ends))
    return Outcome((entry,), {"n_candidates": left.size})


def _shingle(tables: Tables, wanted: Channel, out: Channel, config: NearDups, shard: int, _: None) -> Outcome:
    """Send the sorted distinct shingles of each wanted document to the partitions that compare it."""
    asked = [wanted.gather_one(source, shard)["position"].to_numpy() for source in range(wanted.n_sources)]
    rows = np.unique(row_of(np.concatenate(asked))) if asked else np.zeros(0, np.int64)
    names = ["doc_id", "content"] if rows.size else ["doc_id"]
    documents = tables.read("documents", shard, columns=names)
    if "content" not in names:
        documents = documents.append_column("content", pa.nulls(documents.num_rows, pa.large_binary()))
    lists, ids = _distinct(documents.take(pa.array(rows)), config=config), documents["doc_id"].take(pa.array(rows))
    partition = np.repeat(np.arange(len(asked)), [a.size for a in asked])
    place = np.searchsorted(rows, row_of(np.concatenate(asked)))
    index = pa.array(place)
    table = pa.table({"position": np.concatenate(asked), "doc_id": ids.take(index), "shingles": lists.take(index)})
    return Outcome((out.scatter(shard, table, partition=partition),), {"n_docs": rows.size})


def _verify(tables: Tables, links: Channel, sets: Channel, config: NearDups, partition: int, _: None) -> Outcome:
    """Exact Jaccard of every candidate pair; those that reach the threshold become rows."""
    left, right = _unique_pairs(*columns(links.gather(partition), "left", "right"))
    found = sets.gather(partition).combine_chunks().sort_by("position")
    known = found["position"].to_numpy()
    lists = found["shingles"].combine_chunks()
    a, b = np.searchsorted(known, left), np.searchsorted(known, right)
    similarity = shingles.jaccard_pairs(lists.flatten().to_numpy(), _offsets(lists), a, b)
    near = similarity >= config.min_similarity
    ids = found["doc_id"]
    table = pa.table(
        {
            "doc_id": ids.take(pa.array(a[near])),
            "other_id": ids.take(pa.array(b[near])),
            "similarity": similarity[near],
            "position": left[near],
            "other_position": right[near],
        }
    )
    name = f"tables/near_dups/{part(partition, links.n_partitions)}"
    entry = tables.store.write_parquet(name, table, schema=NEAR_DUPS)
    return Outcome((entry,), {"n_candidates": left.size, "n_pairs": table.num_rows})


def _unique_pairs(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    new = starts_run(left, right)
    return left[new], right[new]


def _shingles(documents: pa.Table, *, config: NearDups) -> tuple[np.ndarray, np.ndarray]:
    """Shingle hashes of the table's documents and where each document's end."""
    return shingles.shingle(*bytes_of(one_chunk(documents["content"])), n_words=config.shingle_words)


def _distinct(documents: pa.Table, *, config: NearDups) -> pa.LargeListArray:
    """Each document's shingles as a sorted list without repeats."""
    hashes, ends = _shingles(documents, config=config)
    sets = [np.unique(hashes[a:b]) for a, b in itertools.pairwise(ends)]
    offsets = np.concatenate(([0], np.cumsum([s.size for s in sets]))).astype(np.int64)
    values = np.concatenate(sets) if sets else np.zeros(0, np.uint64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values, pa.uint64()))


def _offsets(lists: pa.LargeListArray) -> np.ndarray:
    """Where each list begins and ends, counted from the first."""
    offsets: np.ndarray = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    return offsets
