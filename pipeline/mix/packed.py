"""Pack: cut and fit the planned tokens into sequences, put both pools in one balanced stream, write its shards.

Only lengths and positions travel to be fitted; each token moves twice, from its `tokens` shard to the exchange and
into its packed shard. Each pool is divided by a keyed hash into `n_partitions` independent packing problems; their
sequences follow each other in keyed order, and the two pools are merged so that every prefix is balanced.
"""

from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, doc_words
from pipeline.arrays.keys import keyed_hash
from pipeline.config import Pack
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Marker, Outcome
from pipeline.engine.stage import Job
from pipeline.engine.store import part
from pipeline.engine.tables import Tables
from pipeline.errors import StageError
from pipeline.mix import arrowfile
from pipeline.mix.packing import best_fit, copy_slices, interleave, split
from pipeline.schema import BALANCE, LANGUAGES, POOLS, TOKENS, packed_schema


class Packing(Pack):
    """All that decides `packed`: sizes, the ratio that every prefix keeps, and what fills a sequence up.

    Partition p of pool k is number k * n_partitions + p.
    """

    code_parts: int
    text_parts: int
    pad_id: int


def pack(job: Job, *, config: Packing) -> list[Marker]:
    """Write the shards of `packed`. Raises StageError if the balance promise could not be kept."""
    tables, n_shards, n = job.tables, job.tables.n_shards, len(POOLS) * config.n_partitions
    key = job.key("pack")
    runs = job.channel("lengths", n_sources=n_shards, n_partitions=n)
    pieces = job.channel("fit", n_sources=n, n_partitions=n_shards)
    sizes = job.channel("fit", "sizes", n_sources=n, n_partitions=1)
    order = job.channel("interleave", n_sources=1, n_partitions=n)
    tokens = job.channel("tokens", n_sources=n_shards, n_partitions=config.n_shards)
    job.step("lengths", partial(_lengths, tables, runs, config, key), items=n_shards)
    job.step("fit", partial(_fit, runs, pieces, sizes, config, key), items=n)
    job.step("interleave", partial(_order, sizes, order, config), items=1)
    job.step("tokens", partial(_route, tables, pieces, order, tokens, config), items=n_shards)
    return job.step("", partial(_write, tokens, config), items=config.n_shards)


def _lengths(tables: Tables, out: Channel, config: Packing, key: np.uint64, shard: int, _: None) -> Outcome:
    """One row for each copy of a document, whole or cut: its keyed hash, position, copy number and length."""
    plan = tables.read(BALANCE, shard, columns=["doc_id", "n_tokens", "n_copies", "cut_tokens"])
    is_text = np.array(tables.read(LANGUAGES, shard, columns=["pool"])["pool"].to_pylist()) == "text"
    n_tokens, n_copies, cut = columns(plan, "n_tokens", "n_copies", "cut_tokens")
    total = n_copies + (cut > 0)
    row = np.repeat(np.arange(plan.num_rows), total)
    copy = np.arange(row.size) - np.repeat(np.cumsum(total) - total, total)
    length = np.where(copy < n_copies[row], n_tokens[row], cut[row])
    high, low = doc_words(plan)
    keys = keyed_hash(key, high[row], low[row], copy.astype(np.uint64))
    partition = is_text.astype(np.int64)[row] * config.n_partitions + spread(keys, config.n_partitions)
    table = pa.table({"key": keys, "position": positions(shard, row), "copy": copy, "length": length})
    return Outcome((out.scatter(shard, table, partition=partition),), {"n_tokens": int(length.sum())})


def _fit(
    runs: Channel, out: Channel, sizes: Channel, config: Packing, key: np.uint64, partition: int, _: None
) -> Outcome:
    """Fit one partition's runs into sequences; sequences stand in the keyed order of a hash of their number."""
    rows = runs.gather(partition)
    # By key, which is random; position and copy only break ties, so that the order of arrival never shows.
    order = np.lexsort(tuple(columns(rows, "copy", "position", "key")))
    position, length = (c[order] for c in columns(rows, "position", "length"))
    run, offset, n = split(length, seq_len=config.seq_len)
    sequence, start, n_sequences = best_fit(n, seq_len=config.seq_len)
    # longest first would put all long documents at the beginning of the stream: shuffle the sequences
    shuffled = np.argsort(keyed_hash(key, np.arange(n_sequences, dtype=np.uint64), np.full(n_sequences, partition)))
    place = np.empty(n_sequences, np.int64)
    place[shuffled] = np.arange(n_sequences)
    table = pa.table(
        {
            "partition": np.full(run.size, partition),
            "sequence": place[sequence],
            "start": start,
            "position": position[run],
            "offset": offset,
            "length": n,
        }
    )
    n_real = np.bincount(place[sequence], weights=n, minlength=n_sequences).astype(np.int64)
    pieces = out.scatter(partition, table, partition=shard_of(position[run]))
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


def _route(
    tables: Tables, pieces: Channel, order: Channel, out: Channel, config: Packing, shard: int, _: None
) -> Outcome:
    """Send each piece's tokens to the packed shard that holds its sequence."""
    rows = pieces.gather(shard)
    numbers = [t["number"].to_numpy() for t in order.gather_source(0)]
    base = np.concatenate(([0], np.cumsum([a.size for a in numbers])))
    every = np.concatenate(numbers)
    per_shard = _per_shard(every.size, config.n_shards)
    number = every[base[rows["partition"].to_numpy()] + rows["sequence"].to_numpy()]
    by_shard = np.argsort(number // per_shard, kind="stable")
    partition, start, position, offset, length = (
        c[by_shard] for c in columns(rows, "partition", "start", "position", "offset", "length")
    )
    number, row = number[by_shard], row_of(position)
    ids = tables.read(TOKENS, shard, columns=["doc_id", "token_ids"])
    lists = ids["token_ids"].combine_chunks()
    values, first = np.asarray(lists.values), np.asarray(lists.offsets, np.int64)[row] + offset
    ends = np.concatenate(([0], np.cumsum(length)))
    mine = np.empty(ends[-1], np.uint32)
    copy_slices(values, first, length, mine, ends[:-1])
    tokens = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(mine))
    take = pa.array(row)
    table = pa.table(
        {
            "number": number,
            "start": start,
            "doc_id": ids["doc_id"].take(take),
            "offset": offset,
            "group": tables.read(LANGUAGES, shard, columns=["group"])["group"].take(take),
            "is_code": partition < config.n_partitions,
            "tokens": tokens,
        }
    )
    return Outcome((out.scatter(shard, table, partition=number // per_shard),), {"n_tokens": int(length.sum())})


def _per_shard(n_sequences: int, n_shards: int) -> int:
    return max(1, -(-n_sequences // n_shards))


def _write(tokens: Channel, config: Packing, shard: int, _: None) -> Outcome:
    """Lay the pieces of this shard's sequences side by side and pad them to the sequence length."""
    gathered = tokens.gather(shard)
    lists = gathered["tokens"].combine_chunks()
    order = np.lexsort((gathered["start"].to_numpy(), gathered["number"].to_numpy()))
    rows = gathered.drop_columns(["tokens"]).take(pa.array(order)).combine_chunks()
    number, start = columns(rows, "number", "start")
    first, length = np.asarray(lists.offsets, np.int64)[order], np.asarray(lists.value_lengths(), np.int64)[order]
    distinct, first_piece = np.unique(number, return_index=True)
    row = np.searchsorted(distinct, number)
    grid = np.full((distinct.size, config.seq_len), config.pad_id, np.uint32)
    copy_slices(np.asarray(lists.values), first, length, grid.reshape(-1), row * config.seq_len + start)
    n_real = np.bincount(row, weights=length, minlength=distinct.size).astype(np.int32)
    n_pieces = np.bincount(row, minlength=distinct.size)
    schema = packed_schema(config.seq_len)
    is_code = rows["is_code"].to_numpy()[first_piece] if distinct.size else np.zeros(0, bool)
    offsets = pa.array(np.concatenate(([0], np.cumsum(n_pieces))), pa.int32())

    def per_piece(name: str, column: str) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, rows[column].combine_chunks(), type=schema.field(name).type)

    batch = pa.record_batch(
        [
            pa.FixedSizeListArray.from_arrays(pa.array(grid.ravel()), type=schema.field("token_ids").type),
            pa.array(n_real),
            _cu_seqlens(start, n_real, n_pieces),
            per_piece("doc_ids", "doc_id"),
            per_piece("doc_offsets", "offset"),
            pa.array(np.where(is_code, "code", "text").tolist(), pa.string()),
            per_piece("groups", "group"),
        ],
        schema=schema,
    )
    name = f"packed/{part(shard, config.n_shards, suffix='arrow')}"
    entry = tokens.store.write_bytes(name, arrowfile.to_bytes([batch], schema=schema))
    counts = {
        "n_sequences": distinct.size,
        "n_pieces": number.size,
        "n_tokens": int(n_real.sum()),
        "n_code_tokens": int(n_real[is_code].sum()),
        "n_text_tokens": int(n_real[~is_code].sum()),
        "n_padding": int(distinct.size * config.seq_len - n_real.sum()),
    }
    return Outcome((entry,), counts)


def _cu_seqlens(start: np.ndarray, n_real: np.ndarray, n_pieces: np.ndarray) -> pa.ListArray:
    """Each sequence's piece starts followed by its n_real."""
    ends = np.cumsum(n_pieces)
    values = np.insert(start, ends, n_real).astype(np.int32)
    offsets = np.concatenate(([0], ends + np.arange(1, ends.size + 1)))
    kind = packed_schema(1).field("cu_seqlens").type
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values), type=kind)
