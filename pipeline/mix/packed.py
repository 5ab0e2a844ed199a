"""Pack: cut and fit the planned tokens into sequences, put both pools in one balanced stream, write its shards.

Only lengths and positions travel; each token moves once, from the mapped shard of `tokens` that holds it into its
place in a packed shard. Each pool is divided by a keyed hash into `n_partitions` independent packing problems; their
sequences follow each other in keyed order, and the two pools are merged so that every prefix is balanced.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, doc_words, id_array, one_chunk
from pipeline.arrays.keys import keyed_hash
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Marker, Outcome, total_counts
from pipeline.engine.stage import Job
from pipeline.engine.store import part
from pipeline.engine.tables import Tables
from pipeline.errors import StageError
from pipeline.mix import arrowfile
from pipeline.mix.packing import best_fit, copy_slices, interleave, split
from pipeline.mix.piece_ids import MappedIds, PieceIds, RoutedIds, route
from pipeline.mix.settings import Packing
from pipeline.schema import BALANCE, LANGUAGES, POOLS, packed_schema


def pack(job: Job, *, config: Packing) -> list[Marker]:
    """Write the shards of `packed`. Raises StageError if the balance promise could not be kept."""
    tables, n_shards, n = job.tables, job.tables.n_shards, len(POOLS) * config.n_partitions
    key = job.key("pack")
    runs = job.channel("lengths", n_sources=n_shards, n_partitions=n)
    fitted = job.channel("fit", n_sources=n, n_partitions=1)
    sizes = job.channel("fit", "sizes", n_sources=n, n_partitions=1)
    order = job.channel("interleave", n_sources=1, n_partitions=n)
    placed = job.channel("place", n_sources=n, n_partitions=config.n_shards)
    asked = job.channel("place", "asked", n_sources=n, n_partitions=n_shards)
    job.step("lengths", partial(_lengths, tables, runs, config, key), items=n_shards)
    job.step("fit", partial(_fit, runs, fitted, sizes, config, key), items=n)
    ordered = job.step("interleave", partial(_order, sizes, order, config), items=1)
    per_shard = max(1, -(-total_counts(ordered)["n_sequences"] // config.n_shards))
    is_mapped = tables.store.is_local
    place = partial(_place, fitted, order, placed, None if is_mapped else asked, config.n_partitions, per_shard)
    job.step("place", place, items=n)
    ids: PieceIds = MappedIds(tables)
    if not is_mapped:  # a server answers slowly to a million small questions: there the ids travel in large pieces
        routed = job.channel("tokens", n_sources=n_shards, n_partitions=config.n_shards)
        job.step("tokens", partial(route, tables, asked, routed, per_shard), items=n_shards)
        ids = RoutedIds(routed)
    return job.step("", partial(_write, ids, placed, config), items=config.n_shards)


def _lengths(tables: Tables, out: Channel, config: Packing, key: np.uint64, shard: int, _: None) -> Outcome:
    """One row for each copy of a document, whole or cut: its keyed hash, position, number, length, id, group."""
    plan = tables.read(BALANCE, shard, columns=["doc_id", "n_tokens", "n_copies", "cut_tokens"])
    languages = tables.read(LANGUAGES, shard, columns=["pool", "group"])
    n_tokens, n_copies, cut = columns(plan, "n_tokens", "n_copies", "cut_tokens")
    if tables.store.is_local:
        MappedIds(tables).check(shard, n_tokens)
    total = n_copies + (cut > 0)
    row = np.repeat(np.arange(plan.num_rows), total)
    copy = np.arange(row.size) - np.repeat(np.cumsum(total) - total, total)
    length = np.where(copy < n_copies[row], n_tokens[row], cut[row])
    high, low = (words[row] for words in doc_words(plan))
    keys = keyed_hash(key, high, low, copy.astype(np.uint64))
    is_text = np.asarray(pc.equal(languages["pool"], "text"))[row]
    partition = is_text.astype(np.int64) * config.n_partitions + spread(keys, config.n_partitions)
    table = pa.table(
        {
            "key": keys,
            "position": positions(shard, row),
            "copy": copy,
            "length": length,
            "high": high,
            "low": low,
            "group": one_chunk(languages["group"]).take(pa.array(row)),
        }
    )
    return Outcome((out.scatter(shard, table, partition=partition),), {"n_tokens": int(length.sum())})


def _fit(
    runs: Channel, out: Channel, sizes: Channel, config: Packing, key: np.uint64, partition: int, _: None
) -> Outcome:
    """Fit one partition's runs into sequences; sequences stand in the keyed order of a hash of their number."""
    rows = runs.gather(partition)
    # By key, which is random; position and copy only break ties, so that the order of arrival never shows.
    order = np.lexsort(tuple(columns(rows, "copy", "position", "key")))
    run, offset, n = split(rows["length"].to_numpy()[order], seq_len=config.seq_len)
    sequence, start, n_sequences = best_fit(n, seq_len=config.seq_len)
    # longest first would put all long documents at the beginning of the stream: shuffle the sequences
    shuffled = np.argsort(keyed_hash(key, np.arange(n_sequences, dtype=np.uint64), np.full(n_sequences, partition)))
    place = np.empty(n_sequences, np.int64)
    place[shuffled] = np.arange(n_sequences)
    own = rows.select(["position", "high", "low", "group"]).take(pa.array(order[run]))
    for name, values in (("sequence", place[sequence]), ("start", start), ("offset", offset), ("length", n)):
        own = own.append_column(name, pa.array(values))
    n_real = np.bincount(place[sequence], weights=n, minlength=n_sequences).astype(np.int64)
    pieces = out.scatter(partition, own, partition=np.zeros(run.size, np.int64))
    real = sizes.scatter(partition, pa.table({"n_real": n_real}), partition=np.zeros(n_sequences, np.int64))
    return Outcome((pieces, real), {"n_sequences": n_sequences, "n_pieces": run.size})


def _order(sizes: Channel, out: Channel, config: Packing, _: int, __: None) -> Outcome:
    """Number the sequences of both pools in one stream that is balanced in every prefix."""
    n_real = [t["n_real"].to_numpy() for t in sizes.gather_each(0)]
    code, text = np.concatenate(n_real[: config.n_partitions]), np.concatenate(n_real[config.n_partitions :])
    parts = config.code_parts, config.text_parts
    is_code, worst = interleave(code, text, code_parts=parts[0], text_parts=parts[1])
    # The promise, recounted before a token moves: `balance` has met the totals, `interleave` bounds the prefixes.
    if code.sum() * parts[1] != text.sum() * parts[0] or worst > config.seq_len * max(parts):
        raise StageError(f"pack: code {code.sum()} and text {text.sum()} tokens, worst prefix {worst}: not {parts}")
    number = np.concatenate((np.flatnonzero(is_code), np.flatnonzero(~is_code)))
    partition = np.repeat(np.arange(len(n_real)), [a.size for a in n_real])
    entry = out.scatter(0, pa.table({"number": number}), partition=partition)
    return Outcome((entry,), {"n_sequences": number.size, "worst_prefix_tokens": worst})


def _place(
    fitted: Channel,
    order: Channel,
    out: Channel,
    asked: Channel | None,
    n_partitions: int,
    per_shard: int,
    partition: int,
    _: None,
) -> Outcome:
    """Send each piece of one partition to the packed shard that holds its sequence, and, where ids travel, a request
    for them to its shard of `tokens`."""
    pieces = fitted.gather_source(partition)[0]
    number = order.gather(partition)["number"].to_numpy()[pieces["sequence"].to_numpy()]
    pieces = pieces.drop_columns(["sequence"]).append_column("number", pa.array(number))
    is_code = np.full(number.size, partition < n_partitions)
    files = [out.scatter(partition, pieces.append_column("is_code", pa.array(is_code)), partition=number // per_shard)]
    if asked is not None:
        places = pieces.select(["number", "start", "position", "offset", "length"])
        files.append(asked.scatter(partition, places, partition=shard_of(pieces["position"].to_numpy())))
    return Outcome(tuple(files), {})


def _write(ids: PieceIds, placed: Channel, config: Packing, shard: int, _: None) -> Outcome:
    """Lay the pieces of this shard's sequences side by side and pad them to the sequence length."""
    rows = placed.gather(shard)
    rows = rows.take(pa.array(np.lexsort((rows["start"].to_numpy(), rows["number"].to_numpy()))))
    number, start, length = columns(rows, "number", "start", "length")
    distinct, first_piece = np.unique(number, return_index=True)
    row = np.searchsorted(distinct, number)
    grid = _grid(ids, rows, row, n_rows=distinct.size, shard=shard, config=config)
    n_real = np.bincount(row, weights=length, minlength=distinct.size).astype(np.int32)
    n_pieces = np.bincount(row, minlength=distinct.size)
    schema = packed_schema(config.seq_len)
    is_code = rows["is_code"].to_numpy()[first_piece] if distinct.size else np.zeros(0, bool)
    offsets = pa.array(np.concatenate(([0], np.cumsum(n_pieces))), pa.int32())

    def per_piece(name: str, values: pa.Array) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, values, type=schema.field(name).type)

    batch = pa.record_batch(
        [
            pa.FixedSizeListArray.from_arrays(pa.array(grid), type=schema.field("token_ids").type),
            pa.array(n_real),
            _cu_seqlens(start, n_real, n_pieces),
            per_piece("doc_ids", id_array(*columns(rows, "high", "low"))),
            per_piece("doc_offsets", one_chunk(rows["offset"])),
            pa.array(["text", "code"]).take(pa.array(is_code.astype(np.int64))),
            per_piece("groups", one_chunk(rows["group"])),
        ],
        schema=schema,
    )
    name = f"packed/{part(shard, config.n_shards, suffix='arrow')}"
    entry = placed.store.write_stream(name, partial(arrowfile.write, batches=[batch], schema=schema))
    counts = {
        "n_sequences": distinct.size,
        "n_pieces": number.size,
        "n_tokens": int(n_real.sum()),
        "n_code_tokens": int(n_real[is_code].sum()),
        "n_text_tokens": int(n_real[~is_code].sum()),
        "n_padding": int(distinct.size * config.seq_len - n_real.sum()),
    }
    return Outcome((entry,), counts)


def _grid(ids: PieceIds, rows: pa.Table, row: np.ndarray, *, n_rows: int, shard: int, config: Packing) -> np.ndarray:
    """The sequences' tokens one after another, uint32 [n_rows * seq_len]; piece i of `rows` is in sequence row[i]."""
    grid = np.full(n_rows * config.seq_len, config.pad_id, np.uint32)
    start, position, offset, length = columns(rows, "start", "position", "offset", "length")
    source, target = shard_of(position), row * config.seq_len + start
    by_source = np.argsort(source, kind="stable")  # each shard of `tokens` is opened once
    sources, first_of = np.unique(source[by_source], return_index=True)
    for number, (begin, end) in zip(sources.tolist(), pairwise([*first_of.tolist(), source.size]), strict=True):
        mine = by_source[begin:end]
        values, first = ids.slices(shard, number, row_of(position[mine]), offset[mine], length[mine])
        copy_slices(values, first, length[mine], grid, target[mine])
    return grid


def _cu_seqlens(start: np.ndarray, n_real: np.ndarray, n_pieces: np.ndarray) -> pa.ListArray:
    """Each sequence's piece starts followed by its n_real."""
    ends = np.cumsum(n_pieces)
    values = np.insert(start, ends, n_real).astype(np.int32)
    offsets = np.concatenate(([0], ends + np.arange(1, ends.size + 1)))
    kind = packed_schema(1).field("cu_seqlens").type
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values), type=kind)
