"""Similar documents: MinHash-LSH finds candidates, exact Jaccard of their shingle sets verifies each of them.

An exchange of hashes and positions. Documents whose words are all equal are one class, and its first stands for it.
Band keys of these meet in partitions, pairs are made unique, and the shingles of candidates alone travel to be
compared. Table `similar` holds every verified pair down to `min_stored_similarity`; `near_dups` takes those that reach
the threshold from there, so another threshold costs no hashing. No false candidate can drop a document.

A bucket of more than `max_bucket_docs` distinct documents is a crowd. Its pairs would be quadratic and are not listed:
its members' shingles go to files of their own, and `select` compares each member with those that are kept.
"""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, columns, one_chunk
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.dedup import jaccard, minhash
from pipeline.dedup.corpora import Corpora
from pipeline.dedup.settings import Linking, Signing
from pipeline.dedup.shingling import shingle_chunks
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.store import FileEntry, Store
from pipeline.engine.tables import Tables
from pipeline.schema import CROWDS, SIMILAR

_DIGEST = ("digest_high", "digest_low", "n_shingles")


def find_similar(job: Job, *, config: Linking) -> StepDone:
    """Write table `similar`: each verified pair once, and the members of crowds."""
    corpora = Corpora(job.tables, tuple(Tables(Store(run.root), run.n_shards) for run in config.earlier))
    n_shards, n = corpora.n_shards, config.n_partitions
    digests = job.channel("digest", n_sources=n_shards, n_partitions=n)
    firsts = job.channel("equal", n_sources=n, n_partitions=n_shards)
    equals = job.channel("equal", "pair", n_sources=n, n_partitions=n)
    bands = job.channel("band", n_sources=n_shards, n_partitions=n)
    links = job.channel("link", n_sources=n, n_partitions=n)
    crowds = job.channel("link", "crowd", n_sources=n, n_partitions=n)
    wanted = job.channel("pair", n_sources=n, n_partitions=n_shards)
    sets = job.channel("shingle", n_sources=n_shards, n_partitions=n)
    job.step("digest", partial(_digest, corpora, digests), items=n_shards)
    job.step("equal", partial(_equal, digests, firsts, equals, corpora.first_earlier), items=n)
    job.step("band", partial(_band, corpora, firsts, bands, config), items=n_shards)
    linked = job.step("link", partial(_link, bands, links, crowds, config, corpora.first_earlier), items=n)
    job.step("pair", partial(_pair, links, equals, crowds, wanted), items=n)
    job.step("shingle", partial(_shingle, corpora, wanted, sets, config.signing), items=n_shards)
    verify = partial(_verify, job.tables, links, equals, crowds, sets, config)
    return job.step("", verify, items=n).count_too(linked)


# --- equal words -----------------------------------------------------------------------------------------------------


def _digest(corpora: Corpora, out: Channel, shard: int, _: None) -> Outcome:
    """Scatter (digest of all words, position) of every signed document."""
    high, low, n = columns(corpora.signatures(shard, *_DIGEST), *_DIGEST)
    rows = np.flatnonzero(n)
    table = pa.table({"high": high[rows], "low": low[rows], "position": positions(shard, rows)})
    entry = out.scatter(shard, table, partition=spread(mix(high[rows]), out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _equal(
    digests: Channel, firsts: Channel, equals: Channel, first_earlier: np.uint64, partition: int, _: None
) -> Outcome:
    """Documents of equal words are a class; tell each but the first that it is represented, and pair it with the first.

    Two that are both from earlier runs make no pair.
    """
    high, low, position = columns(digests.gather(partition), "high", "low", "position")
    order = np.lexsort((position, low, high))
    position = position[order]
    starts = np.flatnonzero(starts_run(high[order], low[order]))
    first = np.repeat(position[starts], np.diff(np.append(starts, position.size)))
    other = position != first
    first, position = first[other], position[other]
    represented = firsts.scatter(partition, pa.table({"position": position}), partition=shard_of(position))
    own = first < first_earlier
    pairs = pa.table({"left": first[own], "right": position[own]})
    paired = equals.scatter(partition, pairs, partition=spread(mix(first[own]), equals.n_partitions))
    return Outcome((represented, paired), {"n_links": int(own.sum())})


# --- candidates ------------------------------------------------------------------------------------------------------


def _band(corpora: Corpora, firsts: Channel, out: Channel, config: Linking, shard: int, _: None) -> Outcome:
    """Scatter (band key, position) of every signed document that stands for its class."""
    signed = corpora.signatures(shard, "n_shingles", "signature")
    stands = signed["n_shingles"].to_numpy() > 0
    rows = np.flatnonzero(stands)
    stands[row_of(firsts.gather(shard)["position"].to_numpy())] = False
    n_hashes = config.signing.n_hashes
    signatures = one_chunk(signed["signature"]).flatten().to_numpy().reshape(-1, n_hashes)[stands[rows]]
    rows = np.flatnonzero(stands)
    keys = minhash.band_keys(signatures, n_bands=config.n_bands, rows_per_band=config.rows_per_band).ravel()
    table = pa.table({"key": keys, "position": np.repeat(positions(shard, rows), config.n_bands)})
    entry = out.scatter(shard, table, partition=spread(keys, out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _link(
    bands: Channel, out: Channel, crowds: Channel, config: Linking, first_earlier: np.uint64, partition: int, _: None
) -> Outcome:
    """Documents that share a band key are candidates; a pair goes where its first position sends it."""
    keys, position = columns(bands.gather(partition), "key", "position")
    found = minhash.link(keys, position, max_bucket=config.max_bucket_docs)
    left, right = _unique_pairs(found.left, found.right)
    own = left < first_earlier
    left, right = left[own], right[own]
    pairs = out.scatter(
        partition, pa.table({"left": left, "right": right}), partition=spread(mix(left), out.n_partitions)
    )
    crowd = pa.table({"key": found.crowd_key, "position": found.crowd_position})
    members = crowds.scatter(partition, crowd, partition=spread(mix(found.crowd_position), crowds.n_partitions))
    n_buckets = np.unique(found.crowd_key).size
    return Outcome((pairs, members), {"n_links": left.size, "n_crowded_buckets": n_buckets})


def _pair(links: Channel, equals: Channel, crowds: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Ask each shard for the shingles of the candidates that this partition will compare, and for other ids."""
    left, right = _unique_pairs(*columns(links.gather(partition), "left", "right"))
    compared = np.unique(np.concatenate((left, right, crowds.gather(partition)["position"].to_numpy())))
    named = np.unique(np.concatenate(columns(equals.gather(partition), "left", "right")))
    # Documents of equal words are equal by their digests; only their ids are asked for, not their shingles again.
    named = np.setdiff1d(named, compared, assume_unique=True)
    position = np.concatenate((compared, named))
    asker = np.full(position.size, partition, np.uint32)
    table = pa.table({"position": position, "compared": np.arange(position.size) < compared.size, "asker": asker})
    entry = out.scatter(partition, table, partition=shard_of(position))
    return Outcome((entry,), {"n_candidates": left.size})


def _shingle(corpora: Corpora, wanted: Channel, out: Channel, config: Signing, shard: int, _: None) -> Outcome:
    """Send id and distinct shingles of each wanted document to the partitions that compare it."""
    asked = wanted.gather(shard)
    row, compared = row_of(asked["position"].to_numpy()), asked["compared"].to_numpy()
    rows = np.unique(row[compared])
    values, ends = _distinct(corpora, shard, rows, config)
    ids = corpora.doc_ids(shard).take(pa.array(row))
    sizes = np.append(np.diff(ends), 0)  # the last stands for documents of which only the id is wanted
    place = np.where(compared, np.searchsorted(rows, row), rows.size)
    lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(values)) if rows.size else _EMPTY_LIST
    index = pa.array(np.where(compared, place, 0), mask=~compared)
    table = pa.table({"position": positions(shard, row), "doc_id": ids, "shingles": lists.take(index)})
    entry = out.scatter(shard, table, partition=asked["asker"].to_numpy())
    return Outcome((entry,), {"n_docs": rows.size, "n_shingles": int(sizes.sum())})


_EMPTY_LIST = pa.array([[]], pa.large_list(pa.uint64()))


def _distinct(corpora: Corpora, shard: int, rows: np.ndarray, config: Signing) -> tuple[np.ndarray, np.ndarray]:
    """The distinct shingles of the given documents in their order, and where each document's end."""
    if not rows.size:
        return np.zeros(0, np.uint64), np.zeros(1, np.int64)
    content, is_code = corpora.contents(shard, rows)
    data, offsets = bytes_of(content)
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    every = np.arange(rows.size)
    for mine, hashes, ends in shingle_chunks(data, offsets, rows=every, is_code=is_code, config=config):
        pieces.append((mine, *jaccard.distinct(hashes, ends)))
    sizes = np.zeros(rows.size, np.int64)
    for mine, _, ends in pieces:
        sizes[mine] = np.diff(ends)
    stops = np.concatenate(([0], np.cumsum(sizes)))
    values = np.empty(stops[-1], np.uint64)
    for mine, hashes, ends in pieces:
        jaccard.place_runs(hashes, ends, stops[mine], values)
    return values, stops


# --- verification ----------------------------------------------------------------------------------------------------


def _verify(
    tables: Tables,
    links: Channel,
    equals: Channel,
    crowds: Channel,
    sets: Channel,
    config: Linking,
    partition: int,
    _: None,
) -> Outcome:
    """Compare every candidate pair; those whose Jaccard reaches the floor become rows. Crowds are written beside."""
    left, right = _unique_pairs(*columns(links.gather(partition), "left", "right"))
    found = sets.gather(partition)
    order = np.argsort(found["position"].to_numpy())
    sorted_position = found["position"].to_numpy()[order]
    values, starts, sizes = _flat(found["shingles"])
    a, b = order[np.searchsorted(sorted_position, left)], order[np.searchsorted(sorted_position, right)]
    similarity, containment = jaccard.compare_pairs(values, starts, sizes, a, b, floor=config.min_stored_similarity)
    stored = similarity >= config.min_stored_similarity
    same_left, same_right = columns(equals.gather(partition), "left", "right")
    left, right = np.concatenate((left[stored], same_left)), np.concatenate((right[stored], same_right))
    similarity = np.concatenate((similarity[stored], np.ones(same_left.size)))
    containment = np.concatenate((containment[stored], np.ones(same_left.size, np.float32)))
    by_pair = np.lexsort((right, left))
    left, right, ids = left[by_pair], right[by_pair], one_chunk(found["doc_id"])
    table = pa.table(
        {
            "doc_id": ids.take(pa.array(order[np.searchsorted(sorted_position, left)])),
            "other_id": ids.take(pa.array(order[np.searchsorted(sorted_position, right)])),
            "similarity": similarity[by_pair],
            "containment": containment[by_pair],
            "position": left,
            "other_position": right,
        }
    )
    entry = tables.write(SIMILAR, partition, data=table, of=links.n_partitions)
    crowd, n_crowd = _write_crowd(tables, crowds, found, order[: sorted_position.size], partition)
    counts = {"n_candidates": int(stored.size), "n_similar": table.num_rows, "n_crowd_docs": n_crowd}
    return Outcome((entry, crowd), counts)


def _write_crowd(
    tables: Tables, crowds: Channel, found: pa.Table, order: np.ndarray, partition: int
) -> tuple[FileEntry, int]:
    """Each crowd member of this partition once: the keys of its crowded buckets and its shingles."""
    key, position = columns(crowds.gather(partition), "key", "position")
    by_member = np.lexsort((key, position))
    key, position = key[by_member], position[by_member]
    starts = np.flatnonzero(starts_run(position))
    members = position[starts]
    place = order[np.searchsorted(found["position"].to_numpy()[order], members)]
    rows = found.take(pa.array(place))
    offsets = np.append(starts, position.size).astype(np.int64)
    keys = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(key))
    table = pa.table({"position": members, "doc_id": rows["doc_id"], "keys": keys, "shingles": rows["shingles"]})
    table = table.cast(CROWDS).combine_chunks()
    name = tables.path(SIMILAR, partition, of=crowds.n_partitions, suffix="arrow")
    return tables.store.write_ipc(name, table.to_batches(), schema=CROWDS), members.size


def _unique_pairs(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    new = starts_run(left, right)
    return left[new], right[new]


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All values of a list column, where each list begins and how long it is; a null is an empty list."""
    lists = one_chunk(column)
    offsets = lists.offsets.to_numpy()
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return lists.values.to_numpy(), offsets[:-1].copy(), sizes
