"""The promise of the trace: every piece of a packed sequence stands in its document, which is packed as planned."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.compiled import compiled
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.schema import DOCUMENTS, LEDGER, TOKENS, bounds_of_pieces


def trace_holds(run: RunFiles) -> tuple[bool, str]:
    """Every piece must equal the slice of its document's tokens, and documents must be packed as often as planned."""
    ids = [t["doc_id"].combine_chunks() for t in run.shards(DOCUMENTS, columns=["doc_id"])]
    every = pa.concat_arrays(ids)
    where = np.concatenate([positions(shard, np.arange(len(i))) for shard, i in enumerate(ids)])
    found = [_pieces(t, every, where=where) for t in run.packed()]
    position, offset, length, digest = (np.concatenate(c) for c in zip(*found, strict=True))
    n_wrong = n_unplanned = 0
    for shard in range(run.n_shards):
        mine = shard_of(position) == shard
        tokens = run.tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"].combine_chunks()
        values, starts = np.asarray(tokens.values), np.asarray(tokens.offsets, np.int64)
        row = row_of(position[mine])
        inside = offset[mine] + length[mine] <= np.diff(starts)[row]
        again = slice_hashes(values, np.where(inside, starts[row] + offset[mine], 0), np.where(inside, length[mine], 0))
        n_wrong += int((~inside | (again != digest[mine])).sum())
        packed = np.bincount(row, weights=length[mine], minlength=len(tokens)).astype(np.int64)
        planned = run.tables.read(LEDGER, shard, columns=["n_packed_tokens"])["n_packed_tokens"].to_numpy()
        n_unplanned += int((packed != planned).sum())
    if n_wrong or n_unplanned:
        return False, f"{n_wrong} pieces differ from their document, {n_unplanned} documents are not packed as planned"
    return True, f"{position.size:,} pieces equal the tokens of their documents, each packed as the ledger says"


def _pieces(table: pa.Table, every: pa.Array, *, where: np.ndarray) -> tuple[np.ndarray, ...]:
    """Position, offset, length and token hash of every piece of a packed shard; every[i] stands at where[i]."""
    cu = table[bounds_of_pieces(table.column_names)].combine_chunks()
    values, offsets = np.asarray(cu.flatten(), np.int64), np.asarray(cu.offsets, np.int64)
    is_start = np.ones(values.size, bool)
    is_start[offsets[1:] - 1] = False
    row = np.repeat(np.arange(len(cu)), np.diff(offsets))[is_start]
    start = values[is_start]
    length = values[np.flatnonzero(is_start) + 1] - start
    index = pc.index_in(table["doc_ids"].combine_chunks().flatten(), value_set=every)
    if index.null_count:
        raise LoopmixError("packed: a sequence names a document that is not in `documents`")
    offset = np.asarray(table["doc_offsets"].combine_chunks().flatten(), np.int64)
    tokens = np.asarray(table["token_ids"].combine_chunks().flatten())
    digests = slice_hashes(tokens, row * table["token_ids"].type.list_size + start, length)
    return where[np.asarray(index)], offset, length, digests


@compiled
def slice_hashes(tokens: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A 64-bit hash of tokens[starts[i]:starts[i] + lengths[i]] for each i."""
    out = np.empty(starts.size, np.uint64)
    for i in range(starts.size):
        h = np.uint64(lengths[i]) + np.uint64(0x9E3779B97F4A7C15)
        for k in range(starts[i], starts[i] + lengths[i]):
            h = (h ^ np.uint64(tokens[k])) * np.uint64(0xBF58476D1CE4E5B9)
            h ^= h >> np.uint64(29)
        out[i] = h
    return out
