"""The promise of the trace: every piece of a packed sequence stands in its document, which is packed as planned.

Pieces find their documents by id, partition for partition, and are then held against the tokens shard for shard.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.arrays.columns import doc_words, joined, one_chunk
from pipeline.arrays.compiled import compiled
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError
from pipeline.reading.matched import found_in
from pipeline.reading.spread import Spread
from pipeline.reading.stream_files import PIECES, StreamFiles, pieces_of, stream_files
from pipeline.reading.work import Span, Work, n_docs_of, n_pieces_of
from pipeline.reading.written import written
from pipeline.schema import DOCUMENTS, LEDGER, TOKENIZER_FILE, TOKENS


@dataclass(frozen=True)
class _Found:
    """Counts of the pieces of some shards of documents."""

    pieces: int
    wrong: int  # pieces that are no slice of their document
    unplanned: int  # documents that are not packed as often as the ledger says


def trace_holds(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Every piece must equal the slice of its document's tokens, and documents must be packed as often as planned; no
    token may be one that the run's tokenizer has not."""
    n_ids = _n_ids(run)
    files = stream_files(run)
    of_docs, of_pieces = work.shards(run), files.spans(work, run)
    n_parts = work.n_parts(n_docs_of(run) + n_pieces_of(run))
    docs = work.spread("docs", width=3, n_sources=len(of_docs), n_parts=n_parts)
    pieces = work.spread("pieces", width=5, n_sources=len(of_pieces), n_parts=n_parts)
    by_shard = work.spread("placed", width=4, n_sources=n_parts, n_parts=max(1, len(of_docs)))
    firsts = np.array([span.first for span in of_docs], np.int64)
    list(work.each(partial(_ids, run.tables, docs), of_docs, name="verify.docs"))
    list(work.each(partial(_pieces, files, pieces, n_ids), of_pieces, name="verify.pieces"))
    if sum(work.each(partial(_place, docs, pieces, by_shard, firsts), work.parts(docs), name="verify.placed")):
        raise LoopmixError("packed: a sequence names a document that is not in `documents`")
    docs.drop()
    pieces.drop()
    found = list(work.each(partial(_compare, run.tables, by_shard), of_docs, name="verify.trace"))
    by_shard.drop()
    n_pieces, n_wrong, n_unplanned = (sum(getattr(f, name) for f in found) for name in ("pieces", "wrong", "unplanned"))
    if n_wrong or n_unplanned:
        return False, f"{n_wrong} pieces differ from their document, {n_unplanned} documents are not packed as planned"
    return True, f"{n_pieces:,} pieces equal the tokens of their documents, each packed as the ledger says"


def _n_ids(run: RunFiles) -> int:
    """How many ids the tokenizer of a run has; where it cannot be read, as other promises say, all there can be."""
    try:
        return written(run).encoder.vocab_size
    except LoopmixError:
        return 1 << 32


def _ids(tables: Tables, out: Spread, span: Span) -> None:
    """Pass on the id and the position of each document of some shards."""
    words = []
    for shard in span.items:
        high, low = doc_words(tables.read(DOCUMENTS, shard, columns=["doc_id"]))
        words.append((high, low, positions(shard, np.arange(high.size))))
    high, low, position = joined(words, n=3)
    out.write(span.number, high, low, position, part=out.part_of(high))


def _pieces(files: StreamFiles, out: Spread, n_ids: int, span: Span) -> None:
    """Pass on document, offset, length and token hash of every piece of some packed shards."""
    words = []
    for number in span.items:
        table = files.read_sound(number, "token_ids", *PIECES)
        found = pieces_of(table, files.bounds)
        tokens = np.asarray(one_chunk(table["token_ids"]).flatten())
        if tokens.size and (largest := int(tokens.max())) >= n_ids:
            raise LoopmixError(f"packed shard {number}: token id {largest}, but {TOKENIZER_FILE} has {n_ids} entries")
        digest = slice_hashes(tokens, found.row * table["token_ids"].type.list_size + found.start, found.length)
        words.append((found.high, found.low, found.offset.view(np.uint64), found.length.view(np.uint64), digest))
    columns = joined(words, n=5)
    out.write(span.number, *columns, part=out.part_of(columns[0]))


def _place(docs: Spread, pieces: Spread, out: Spread, firsts: np.ndarray, span: Span) -> int:
    """Pass the pieces of one partition on to the tasks that hold their documents' shards, of which `firsts` are the
    first ones; how many have no document."""
    *ids, position = docs.read(span.number)
    high, low, offset, length, digest = pieces.read(span.number)
    row = found_in((ids[0], ids[1]), high, low)
    known = row >= 0
    place = position[row[known]]
    part = np.searchsorted(firsts, shard_of(place), side="right") - 1
    out.write(span.number, place, offset[known], length[known], digest[known], part=part)
    return int((~known).sum())


def _compare(tables: Tables, placed: Spread, span: Span) -> _Found:
    """Hold pieces against the tokens of some shards."""
    position, offset, length, digest = placed.read(span.number)
    offset, length = offset.view(np.int64), length.view(np.int64)
    n_wrong = n_unplanned = 0
    for shard in span.items:
        mine = shard_of(position) == shard
        tokens = one_chunk(tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
        values, starts = np.asarray(tokens.values), np.asarray(tokens.offsets, np.int64)
        row = row_of(position[mine])
        inside = (offset[mine] >= 0) & (offset[mine] + length[mine] <= np.diff(starts)[row])
        again = slice_hashes(values, np.where(inside, starts[row] + offset[mine], 0), np.where(inside, length[mine], 0))
        n_wrong += int((~inside | (again != digest[mine])).sum())
        packed = np.bincount(row, weights=length[mine], minlength=len(tokens)).astype(np.int64)
        planned = tables.read(LEDGER, shard, columns=["n_packed_tokens"])["n_packed_tokens"].to_numpy()
        n_unplanned += int((packed != planned).sum())
    return _Found(position.size, n_wrong, n_unplanned)


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
