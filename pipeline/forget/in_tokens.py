"""Shards of `tokens`, changed where they stand: zeros for ids, a null for the row.

Where a row's ids lie stays, so nothing behind them moves. Arrow allows ids below a null, and every reader of a list
whose row is null finds none. The hash of each column that changes, and the count of nulls, stand in the head of the
file; both keep their lengths.
"""

from __future__ import annotations

import struct

import numpy as np

from pipeline.engine.mapped import content_hash, write_mapped
from pipeline.engine.patching import Patch, Placed, patch, place
from pipeline.engine.store import Store
from pipeline.errors import StoreError
from pipeline.forget.tables import with_rows
from pipeline.schema import TOKENS

_COLUMNS = ("token_ids", "n_tokens")  # that change


def forget_tokens(store: Store, path: str, rows: list[int]) -> int:
    """Take the ids of `rows` out of a shard of `tokens`; returns the bytes written."""
    found = place(store, path)
    lists = found.batch.column("token_ids")
    gone = np.array(rows, np.int64)
    if lists.buffers()[0] is None:  # no row is null so far, so there is no bitmap to say it in
        return _written_anew(store, path, rows)
    # What stands already, after a stop, is not written again.
    body = [(at, data) for at, data in _body(found, gone) if bytes(found.whole[at : at + len(data)]) != data]
    return (patch(store, path, body) if body else 0) + _heal_head(store, path)


def _body(found: Placed, gone: np.ndarray) -> list[Patch]:
    lists = found.batch.column("token_ids")
    valid, offsets = lists.buffers()[:2]
    ends = np.frombuffer(offsets, np.int64)
    ids = found.start(lists.values.buffers()[1])
    counts = found.start(found.batch.column("n_tokens").buffers()[1])
    bits = np.frombuffer(valid, np.uint8).copy()
    patches: list[Patch] = []
    for row in gone.tolist():
        first, last = int(ends[row]), int(ends[row + 1])
        patches.append((ids + 4 * first, bytes(4 * (last - first))))
        patches.append((counts + 8 * row, bytes(8)))
        bits[row >> 3] &= 0xFF ^ (1 << (row & 7))
    patches += [(found.start(valid) + at, bits[at : at + 1].tobytes()) for at in np.unique(gone >> 3).tolist()]
    return patches


def _heal_head(store: Store, path: str) -> int:
    """Make the head of the file say what its body holds: the nulls, then the hashes, which count them."""
    found = place(store, path)
    lists = found.batch.column("token_ids")
    n, valid = len(lists), lists.buffers()[0]
    n_nulls = n - int(np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[:n].sum()) if valid else 0
    n_written = 0
    if lists.null_count != n_nulls:
        # Lengths and nulls of the columns stand one after another: doc_id, token_ids, its elements, n_tokens.
        said = struct.pack("<8q", n, 0, n, lists.null_count, len(lists.values), 0, n, 0)
        n_written += patch(store, path, [(_only(found, said, store, path) + 24, struct.pack("<q", n_nulls))])
        found = place(store, path)
    patches: list[Patch] = []
    for name in _COLUMNS:
        old, new = found.metadata[f"xxh3:{name}".encode()], content_hash(found.batch.column(name)).encode()
        if old != new:
            said = struct.pack("<I", len(old)) + old + b"\0"
            patches.append((_only(found, said, store, path) + 4, new))
    return n_written + (patch(store, path, patches) if patches else 0)


def _only(found: Placed, wanted: bytes, store: Store, path: str) -> int:
    """Where the head of the file, all in front of its columns, holds these bytes."""
    buffers = [b for column in found.batch.columns for b in column.buffers() if b is not None and b.size]
    head = bytes(found.whole[: min(found.start(b) for b in buffers)])
    at = head.find(wanted)
    if at < 0 or head.find(wanted, at + 1) >= 0:
        raise StoreError(f"{store.full(path)}: its head is not what this version writes; curate the run anew")
    return at


def _written_anew(store: Store, path: str, rows: list[int]) -> int:
    table = store.read_mapped(path, schema=TOKENS.schema)
    nothing = dict.fromkeys(rows)
    table = with_rows(table, {"token_ids": nothing, "n_tokens": dict.fromkeys(rows, 0)})
    return store.write_stream(path, lambda file: write_mapped(file, table)).n_bytes
