"""The shards of `packed`: pieces of documents laid side by side in their sequences, as Arrow files."""

from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns, id_array, one_chunk
from pipeline.engine.exchange import Channel, row_of, shard_of
from pipeline.engine.markers import Outcome
from pipeline.engine.store import part
from pipeline.mix import arrowfile
from pipeline.mix.packing import copy_slices
from pipeline.mix.piece_ids import PieceIds
from pipeline.mix.settings import Packing
from pipeline.schema import packed_schema


def write_shard(ids: PieceIds, placed: Channel, config: Packing, shard: int, folder: str) -> Outcome:
    """Lay the pieces of this shard's sequences side by side and pad them to the sequence length.

    `folder` is the place of the shard inside the run.
    """
    rows = placed.gather(shard)
    rows = rows.take(pa.array(np.lexsort((rows["start"].to_numpy(), rows["number"].to_numpy()))))
    number, start, length = columns(rows, "number", "start", "length")
    distinct, first_piece = np.unique(number, return_index=True)
    row = np.searchsorted(distinct, number)
    grid = _grid(ids, rows, row, n_rows=distinct.size, shard=shard, config=config)
    n_real = np.bincount(row, weights=length, minlength=distinct.size).astype(np.int32)
    n_pieces, joins = np.bincount(row, minlength=distinct.size), rows["joins"].to_numpy()
    schema = packed_schema(config.seq_len, joined=config.joins)
    is_code = rows["is_code"].to_numpy()[first_piece] if distinct.size else np.zeros(0, bool)
    offsets = pa.array(np.concatenate(([0], np.cumsum(n_pieces))), pa.int32())

    def per_piece(name: str, values: pa.Array) -> pa.ListArray:
        return pa.ListArray.from_arrays(offsets, values, type=schema.field(name).type)

    batch = pa.record_batch(
        [
            pa.FixedSizeListArray.from_arrays(pa.array(grid), type=schema.field("token_ids").type),
            pa.array(n_real),
            _bounds(start[~joins], n_real, np.bincount(row[~joins], minlength=distinct.size)),
            *([_bounds(start, n_real, n_pieces)] if config.joins else []),
            per_piece("doc_ids", id_array(*columns(rows, "high", "low"))),
            per_piece("doc_offsets", one_chunk(rows["offset"])),
            pa.array(["text", "code"]).take(pa.array(is_code.astype(np.int64))),
            per_piece("groups", one_chunk(rows["group"])),
        ],
        schema=schema,
    )
    name = f"{folder}/{part(shard, config.n_shards, suffix='arrow')}"
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
    found = ids.of(shard)
    for number, (begin, end) in zip(sources.tolist(), pairwise([*first_of.tolist(), source.size]), strict=True):
        mine = by_source[begin:end]
        values, first = found.slices(number, row_of(position[mine]), offset[mine], length[mine])
        copy_slices(values, first, length[mine], grid, target[mine])
    return grid


def _bounds(start: np.ndarray, n_real: np.ndarray, n_pieces: np.ndarray) -> pa.ListArray:
    """Where each sequence's pieces, or spans of them, start, followed by its n_real."""
    ends = np.cumsum(n_pieces)
    values = np.insert(start, ends, n_real).astype(np.int32)
    offsets = np.concatenate(([0], ends + np.arange(1, ends.size + 1)))
    kind = packed_schema(1).field("cu_seqlens").type
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values), type=kind)
