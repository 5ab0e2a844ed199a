"""The promise of the epochs, recounted from the packed stream: copies of a document stand far from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased

# Pieces that are held at once, 32 bytes each; where more repeat, the stream is read again for each such part of them.
_MOST_PIECES = 20_000_000
# A document that is larger than this part of an epoch may fill what stands between two copies: no order could help it.
_LARGE_FRAC = 1 / 16


@dataclass
class _Apart:
    """What was seen of pieces that stand more than once."""

    twice: int = 0  # in one sequence
    in_batch: int = 0  # in one global batch
    near: int = 0  # less than half an epoch apart
    nearest: float = np.inf  # in epochs


def epochs_hold(run: RunFiles) -> tuple[bool, str]:
    """No two copies in one sequence or global batch, and half an epoch apart: a document of n copies has an n-th of
    the stream as its epoch. Phases are streams of their own."""
    found = [_phase_holds(run, phase) for phase in run.phases]
    broken = [said for kept, said in found if not kept]
    return not broken, " | ".join(broken or [said for _, said in found])


def _phase_holds(run: RunFiles, phase: Phased) -> tuple[bool, str]:
    n_most, n_docs, n_pieces, largest = _planned(run, phase)
    if n_docs == 0:
        return True, f"{phase.said}no document stands in the stream twice"
    batch = phase.global_batch
    n_sequences = sum(table.num_rows for table in run.packed(phase))
    found, n_parts = _Apart(), -(-n_pieces // _MOST_PIECES)
    for part in range(n_parts):
        _measure(found, _pieces(run, phase, part, n_parts), n_sequences=n_sequences, batch=batch)
    said = f"{n_docs:,} documents stand up to {n_most} times; copies are at least {found.nearest:.2f} of an epoch apart"
    said = f"{phase.said}{said}"
    if found.twice:
        return False, f"{found.twice:,} times two copies stand in one sequence; {said}"
    if found.in_batch:
        return False, f"{found.in_batch:,} times two copies stand in one global batch of {batch:,} sequences; {said}"
    if found.near and largest * n_most <= _LARGE_FRAC * n_sequences * phase.seq_len:
        return False, f"{found.near:,} times two copies are less than half an epoch apart; {said}"
    if found.near:
        return True, f"{said}, as a document of {largest:,} tokens is a large part of one"
    return True, said


def _planned(run: RunFiles, phase: Phased) -> tuple[int, int, int, int]:
    """The most copies of a document, how many have more than one, their pieces at most, tokens of the largest."""
    n_most, n_docs, n_pieces, largest = 1, 0, 0, 0
    for plan in run.plan(phase):
        n_tokens, n_copies, cut = (plan[name].to_numpy() for name in ("n_tokens", "n_copies", "cut_tokens"))
        copies = n_copies + (cut > 0)
        again = copies > 1
        n_most, n_docs = max(n_most, int(copies.max(initial=1))), n_docs + int(again.sum())
        n_pieces += int((copies * -(-n_tokens // phase.seq_len))[again].sum())
        largest = max(largest, int(n_tokens[again].max(initial=0)))
    return n_most, n_docs, n_pieces, largest


def _pieces(run: RunFiles, phase: Phased, part: int, n_parts: int) -> Iterator[np.ndarray]:
    """Of each packed shard the pieces of one part of the documents: id in two words, offset, sequence, [4, n]."""
    before = 0
    for table in run.packed(phase):
        ids = table["doc_ids"].combine_chunks()
        high, low = doc_words(pa.table({"doc_id": ids.flatten()}))
        offset = np.asarray(table["doc_offsets"].combine_chunks().flatten(), np.uint64)
        sequence = before + np.repeat(np.arange(table.num_rows), pc.list_value_length(ids).to_numpy())
        mine = high % np.uint64(n_parts) == part
        yield np.stack([high[mine], low[mine], offset[mine], sequence[mine].astype(np.uint64)])
        before += table.num_rows


def _measure(found: _Apart, pieces: Iterator[np.ndarray], *, n_sequences: int, batch: int | None) -> None:
    high, low, offset, sequence = np.concatenate(list(pieces), axis=1)
    order = np.lexsort((sequence, offset, low, high))
    high, low, offset, sequence = (words[order] for words in (high, low, offset, sequence))
    same = (high[1:] == high[:-1]) & (low[1:] == low[:-1]) & (offset[1:] == offset[:-1])
    if not same.any():
        return
    piece = np.concatenate(([0], np.cumsum(~same)))
    n_times = np.bincount(piece)[piece[1:]][same]
    place = sequence.astype(np.int64)
    apart = (place[1:] - place[:-1])[same]
    epochs = apart * n_times / n_sequences
    found.twice += int((apart == 0).sum())
    # A sequence more or less is none of the order's doing, where an epoch is a handful of them.
    found.near += int((apart + 1 < n_sequences / (2 * n_times)).sum())
    found.nearest = min(found.nearest, float(epochs.min()))
    if batch is not None:
        found.in_batch += int((place[1:] // batch == place[:-1] // batch)[same].sum())
