"""Passages of what is gone, as hashes: none may be found in what stays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import one_chunk
from pipeline.arrays.compiled import compiled
from pipeline.engine.run_folder import RunFiles
from pipeline.forget.places import blocks
from pipeline.schema import TOKENS
from pipeline.sequences import rows_of

# Tokens of a passage: a shorter one may stand in any other document, and a document that is shorter holds none. Such a
# passage is told by where its document stood alone.
N_TOKENS = 32
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BITS = 20  # of the sieve before the search: 128 kB, which stay in the cache


def prints_of(run: RunFiles, gone: dict[int, np.ndarray]) -> np.ndarray:
    """Hashes of passages, one after another in each document that goes, that no document which stays holds; uint64."""
    found = [np.zeros(0, np.uint64)]
    for shard, rows in gone.items():
        values, offsets = _ids(run, shard)
        found += [_passages(values[offsets[row] : offsets[row + 1]]) for row in rows.tolist()]
    prints = np.unique(np.concatenate(found))
    elsewhere = np.zeros(prints.size, bool)
    sieve = _sieve(prints)
    for shard in range(run.n_shards):
        values, offsets = _ids(run, shard)
        stays = np.ones(offsets.size - 1, bool)
        stays[gone.get(shard, np.zeros(0, np.int64))] = False
        _search(values, offsets[:-1][stays], offsets[1:][stays], prints, sieve, elsewhere)
    return prints[~elsewhere]


def n_found(run: RunFiles, prints: np.ndarray) -> tuple[int, int]:
    """How many of the passages stand in table `tokens`, and in packed sequences, whatever is said to be there."""
    in_tokens, in_packed = np.zeros(prints.size, bool), np.zeros(prints.size, bool)
    sieve = _sieve(prints)
    for shard in range(run.n_shards):
        values, _ = _ids(run, shard)
        _search(values, *_whole(values.size), prints, sieve, in_tokens)
    for values in _packed(run):
        _search(values, *_whole(values.size), prints, sieve, in_packed)
    return int(in_tokens.sum()), int(in_packed.sum())


def _ids(run: RunFiles, shard: int) -> tuple[np.ndarray, np.ndarray]:
    """All ids that a shard of `tokens` holds, those below a null too, and where each row's begin."""
    lists = one_chunk(run.tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
    if not len(lists):
        return np.zeros(0, np.uint32), np.zeros(1, np.int64)
    return np.asarray(lists.values), np.asarray(lists.offsets, np.int64)


def _packed(run: RunFiles) -> Iterator[np.ndarray]:
    for path, block in blocks(run):
        yield _flat(block, run.store.full(path))


def _flat(block: pa.RecordBatch, where: str) -> np.ndarray:
    return np.ascontiguousarray(rows_of(block, where=where).token_ids.reshape(-1))


def _whole(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(1, np.int64), np.full(1, size, np.int64)


def _sieve(prints: np.ndarray) -> np.ndarray:
    sieve = np.zeros(1 << _BITS, np.uint8)
    sieve[(prints >> np.uint64(64 - _BITS)).astype(np.int64)] = 1
    return sieve


@compiled
def _passages(ids: np.ndarray) -> np.ndarray:
    out = np.empty(ids.size // N_TOKENS, np.uint64)
    for k in range(out.size):
        h = np.uint64(0)
        for i in range(k * N_TOKENS, (k + 1) * N_TOKENS):
            h = h * _BASE + np.uint64(ids[i]) + np.uint64(1)
        out[k] = h
    return out


@compiled
def _search(
    ids: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    prints: np.ndarray,
    sieve: np.ndarray,
    found: np.ndarray,
) -> None:
    """Mark in `found` which of the sorted `prints` are hashes of some passage of ids[starts[i]:ends[i]]."""
    first = np.uint64(1)
    for _ in range(N_TOKENS):
        first *= _BASE
    for r in range(starts.size):
        h = np.uint64(0)
        for i in range(starts[r], ends[r]):
            h = h * _BASE + np.uint64(ids[i]) + np.uint64(1)
            n = i - starts[r] + 1
            if n > N_TOKENS:
                h -= first * (np.uint64(ids[i - N_TOKENS]) + np.uint64(1))
            if n >= N_TOKENS and sieve[h >> np.uint64(64 - _BITS)]:
                at = np.searchsorted(prints, h)
                if at < prints.size and prints[at] == h:
                    found[at] = True
