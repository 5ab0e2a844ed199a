"""Packed shards, changed where they stand: a piece takes the place of one, and all else keeps its bytes.

Where a place takes several pieces, or one of another group, the lists behind it move, and are written again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from pipeline.engine.patching import Patch, Placed, differences, patch, place
from pipeline.engine.store import Store
from pipeline.errors import StoreError
from pipeline.forget.plan import ChangedSequence, StandingPiece
from pipeline.mix import arrowfile

Ids = Callable[[StandingPiece], np.ndarray]  # the tokens of a new piece, uint32


def refill_packed(store: Store, path: str, sequences: Sequence[ChangedSequence], ids: Ids) -> int:
    """Let the sequences of a packed shard stand as planned; returns the bytes written."""
    if all(s.is_same_shape for s in sequences):
        found = place(store, path)
        return patch(store, path, [p for s in sequences for p in _patches(found, s, ids)])
    sink = io.BytesIO()
    _write_anew(store, path, sequences, ids, sink)
    return store.write_bytes(path, sink.getbuffer()).n_bytes


def reshaped(store: Store, path: str, sequences: Sequence[ChangedSequence], ids: Ids) -> tuple[list[Patch], int]:
    """What to write where in a packed shard whose sequences take another number of pieces, and its size afterwards.

    The tokens, nearly all of a shard, lie in front of the lists, so they stay where they are.
    """
    sink = io.BytesIO()
    _write_anew(store, path, sequences, ids, sink)
    with pa.memory_map(store.local_file(path)) as file:
        old, new = np.frombuffer(file.read_buffer(file.size()), np.uint8), np.frombuffer(sink.getbuffer(), np.uint8)
        return differences(old, new), new.size


def _patches(found: Placed, sequence: ChangedSequence, ids: Ids) -> list[Patch]:
    """New pieces in places of old ones: their ids, the documents, where in these they begin."""
    batch, row = found.batch, sequence.row
    grid = batch.column("token_ids")
    tokens = found.start(grid.values.buffers()[1]) + 4 * grid.type.list_size * row
    docs, offsets = batch.column("doc_ids"), batch.column("doc_offsets")
    first = int(docs.offsets[row].as_py())
    if int(docs.offsets[row + 1].as_py()) - first != len(sequence.pieces):
        raise StoreError(f"packed: sequence {row} of its shard has other pieces than were planned")
    text = found.start(docs.values.buffers()[2])
    texts = np.frombuffer(docs.values.buffers()[1], np.int32)
    places = found.start(offsets.values.buffers()[1]) + 8 * int(offsets.offsets[row].as_py())
    patches: list[Patch] = []
    for j, piece in enumerate(sequence.pieces):
        if piece.fill is None:
            continue
        name = piece.doc_id.encode()
        if int(texts[first + j + 1] - texts[first + j]) != len(name):
            raise StoreError("packed: a doc_id is not of 32 characters")
        patches.append((tokens + 4 * piece.start, ids(piece).astype("<u4").tobytes()))
        patches.append((text + int(texts[first + j]), name))
        patches.append((places + 8 * j, int(piece.offset).to_bytes(8, "little")))
    return patches


def _write_anew(store: Store, path: str, sequences: Sequence[ChangedSequence], ids: Ids, sink: io.BytesIO) -> None:
    batch = store.read_ipc_whole(path).combine_chunks().to_batches()[0]
    new = {s.row: _row(batch, s, ids) for s in sequences}
    pieces: list[pa.RecordBatch] = []
    first = 0
    for row in sorted(new):
        pieces += [batch.slice(first, row - first), new[row]]
        first = row + 1
    table = pa.Table.from_batches([*pieces, batch.slice(first)], schema=batch.schema).combine_chunks()
    arrowfile.write(sink, table.to_batches(), schema=batch.schema)


def _row(batch: pa.RecordBatch, sequence: ChangedSequence, ids: Ids) -> pa.RecordBatch:
    row, schema = sequence.row, batch.schema
    tokens = np.array(batch.column("token_ids")[row].values)
    for piece in sequence.pieces:
        if piece.fill is not None:
            tokens[piece.start : piece.start + piece.fill[2]] = ids(piece)
    n_real = batch.column("n_real")[row].as_py()
    values = {
        "token_ids": [tokens],
        "n_real": [n_real],
        "cu_seqlens": [[*(p.start for p in sequence.pieces), n_real]],
        "doc_ids": [[p.doc_id for p in sequence.pieces]],
        "doc_offsets": [[p.offset for p in sequence.pieces]],
        "pool": [batch.column("pool")[row].as_py()],
        "groups": [[p.group for p in sequence.pieces]],
    }
    return pa.record_batch([pa.array(values[f.name], f.type) for f in schema], schema=schema)
