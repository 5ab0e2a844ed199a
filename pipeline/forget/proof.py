"""That nothing is left: forgotten documents are looked for in all tables and sequences of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, columns, one_chunk
from pipeline.engine.forgotten import read_forgotten
from pipeline.engine.run_folder import RunFiles
from pipeline.forget.places import touched
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import BALANCE, DOCUMENTS, LEDGER, REDACTED, SELECT, TOKENS


@dataclass(frozen=True)
class Left:
    """What is left of forgotten documents: all is 0 where the promise is kept."""

    n_docs: int  # forgotten ones
    n_kept: int = 0  # rows of `select` and `ledger` that do not say that it is forgotten, or `balance` plans it
    n_texts: int = 0  # rows of `documents` and `redacted` with any byte of text
    n_ids: int = 0  # rows of `tokens` with any id, or room that held ids and does not hold zeros
    n_sequences: int = 0  # sequences with a piece of one
    n_listed: int = 0  # documents that the run's list names, and that are not forgotten

    @property
    def is_nothing(self) -> bool:
        return not (self.n_kept or self.n_texts or self.n_ids or self.n_sequences or self.n_listed)

    def __str__(self) -> str:
        if self.is_nothing:
            return f"{self.n_docs:,} documents are forgotten: no text, no token id and no piece of them is left"
        return (
            f"of {self.n_docs:,} forgotten documents {self.n_texts:,} have a text, {self.n_ids:,} token ids, "
            f"{self.n_kept:,} a row that keeps them, and {self.n_sequences:,} sequences hold a piece; "
            f"{self.n_listed:,} more are listed and not forgotten"
        )


def look_for(run: RunFiles) -> Left:
    """Look for all documents whose problem in `documents` is that they are forgotten."""
    gone, n_kept, n_texts, n_ids, n_listed = [], 0, 0, 0, 0
    listed = read_forgotten(run.store)
    ids = pa.array(sorted(listed.doc_ids), pa.string())
    hashes = pa.array([bytes.fromhex(h) for h in sorted(listed.content_hashes)], pa.binary(16))
    for shard in range(run.n_shards):
        documents = run.tables.read(DOCUMENTS, shard, columns=["doc_id", "problem", "content_hash", "n_bytes"])
        is_gone = np.asarray(pc.fill_null(pc.equal(documents["problem"], TAKEN_BACK), False))
        rows = np.flatnonzero(is_gone)
        equal = np.asarray(pc.is_in(documents["content_hash"], value_set=hashes)) & (
            documents["n_bytes"].to_numpy() > 0
        )
        n_listed += int(((np.asarray(pc.is_in(documents["doc_id"], value_set=ids)) | equal) & ~is_gone).sum())
        if not rows.size:
            continue
        gone.append(one_chunk(documents["doc_id"]).take(pa.array(rows)))
        n_kept += _n_kept(run, shard, rows)
        n_texts += _n_texts(run, shard, rows)
        n_ids += _n_with_ids(run, shard, rows)
    ids = pa.concat_arrays([pa.array([], pa.string()), *gone])
    return Left(len(ids), n_kept, n_texts, n_ids, len(touched(run, ids)) if len(ids) else 0, n_listed)


def _n_kept(run: RunFiles, shard: int, rows: np.ndarray) -> int:
    said = pa.array(rows)
    kept = np.zeros(rows.size, bool)
    for table in (SELECT, LEDGER):
        found = run.tables.read(table, shard, columns=["keep", "reasons"]).take(said)
        kept |= found["keep"].to_numpy()
        kept |= np.array([TAKEN_BACK not in reasons for reasons in found["reasons"].to_pylist()], bool)
    plan = run.tables.read(BALANCE, shard, columns=["n_tokens", "n_copies", "cut_tokens"]).take(said)
    for numbers in columns(plan, "n_tokens", "n_copies", "cut_tokens"):
        kept |= numbers != 0
    return int(kept.sum())


def _n_with_text(content: pa.LargeBinaryArray, rows: np.ndarray) -> int:
    """Rows with a byte that is not 0: where texts were overwritten, zeros stand."""
    if content.null_count == len(content):
        return 0
    data, ends = bytes_of(content)
    return sum(bool(data[ends[row] : ends[row + 1]].any()) for row in rows.tolist())


def _n_with_ids(run: RunFiles, shard: int, rows: np.ndarray) -> int:
    table = run.tables.read(TOKENS, shard)
    lists = one_chunk(table["token_ids"])
    values, ends = np.asarray(lists.values), np.asarray(lists.offsets, np.int64)
    counts, valid = table["n_tokens"].to_numpy(), np.asarray(lists.is_valid())
    return sum(bool(counts[row] or valid[row] or values[ends[row] : ends[row + 1]].any()) for row in rows.tolist())


def texts_left(run: RunFiles) -> tuple[int, int]:
    """How many documents are forgotten, and of how many any text is left."""
    n_docs = n_texts = 0
    for shard in range(run.n_shards):
        problems = run.tables.read(DOCUMENTS, shard, columns=["problem"])["problem"]
        rows = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(problems, TAKEN_BACK), False)))
        n_docs += rows.size
        n_texts += _n_texts(run, shard, rows) if rows.size else 0
    return n_docs, n_texts


def _n_texts(run: RunFiles, shard: int, rows: np.ndarray) -> int:
    columns_of = (run.tables.read(t, shard, columns=["content"])["content"] for t in (DOCUMENTS, REDACTED))
    return sum(_n_with_text(one_chunk(column), rows) for column in columns_of)
