"""Where the runs of tokens that are packed begin and end: documents, and the pieces that must not be cut elsewhere.

A plain document is one run, which `packing.split` cuts at the length of a sequence. One that is filled in is as many
runs as it has pieces, each of which fits a sequence; and where a mixture asks for cuts at line ends, a long document
becomes runs that end with a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.engine.tables import Tables
from pipeline.forms.headers import headed_slices
from pipeline.mix.encoder import expected_encoder
from pipeline.mix.settings import Packing
from pipeline.schema import FORMS, TOKENS


@dataclass(frozen=True)
class TokenRuns:
    """Of one shard: the row of their document, which of its copies, first token, number of tokens; int64 [n] each."""

    row: np.ndarray
    copy: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def take(self, chosen: np.ndarray) -> TokenRuns:
        return TokenRuns(*(values[chosen] for values in (self.row, self.copy, self.offset, self.length)))

    def __add__(self, other: TokenRuns) -> TokenRuns:
        mine, theirs = ((r.row, r.copy, r.offset, r.length) for r in (self, other))
        return TokenRuns(*(np.concatenate(pair) for pair in zip(mine, theirs, strict=True)))


def planned_runs(plan: pa.Table) -> TokenRuns:
    """One run for each copy of a document, whole or cut, as `balance` planned it."""
    n_tokens, n_copies, cut = columns(plan, "n_tokens", "n_copies", "cut_tokens")
    total = n_copies + (cut > 0)
    row = np.repeat(np.arange(plan.num_rows), total)
    copy = np.arange(row.size) - np.repeat(np.cumsum(total) - total, total)
    return TokenRuns(row, copy, np.zeros(row.size, np.int64), np.where(copy < n_copies[row], n_tokens[row], cut[row]))


def bounded(runs: TokenRuns, tables: Tables, shard: int, *, config: Packing) -> TokenRuns:
    """The same tokens in runs that may be cut nowhere but where `packing.split` must."""
    filled, long = np.zeros(runs.row.size, bool), np.zeros(runs.row.size, bool)
    if config.sentinels is not None:
        forms = tables.read(FORMS, shard, columns=["form"])["form"]
        filled = pc.not_equal(forms, "plain").to_numpy(zero_copy_only=False)[runs.row]
    if config.encoding is not None:
        long = ~filled & (runs.length > config.seq_len)
    if not (filled | long).any():
        return runs
    ids = one_chunk(tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
    values, ends = np.asarray(ids.values), np.asarray(ids.offsets, np.int64)
    ends_line = _line_ends(config) if long.any() else np.zeros(0, bool)
    found: list[tuple[int, int, int, int]] = []
    for run in np.flatnonzero(filled | long).tolist():
        row, copy, length = int(runs.row[run]), int(runs.copy[run]), int(runs.length[run])
        own = values[ends[row] : ends[row + 1]]
        if filled[run]:
            assert config.sentinels is not None
            slices = headed_slices(own, length, config.sentinels)
        else:
            slices = at_lines(ends_line[own[:length]], seq_len=config.seq_len)
        found += [(row, copy, start, stop - start) for start, stop in slices]
    more = np.array(found, np.int64).reshape(-1, 4).T
    return runs.take(np.flatnonzero(~(filled | long))) + TokenRuns(*more)


def _line_ends(config: Packing) -> np.ndarray:
    """Behind which tokens a line may be cut, bool [vocabulary]: those that end it, be it with the next one's indent."""
    assert config.encoding is not None
    encoder = expected_encoder(config.encoding.path, config.encoding.file_hash)
    return np.array([token.rstrip(b" \t").endswith(b"\n") for token in encoder.vocabulary])


def at_lines(ends_line: np.ndarray, *, seq_len: int) -> Iterator[tuple[int, int]]:
    """Slices of a run of tokens, of which `ends_line` says whether each ends a line: cut behind the last that does in
    the last quarter of a sequence, and behind a whole sequence where none does."""
    start, size = 0, ends_line.size
    while size - start > seq_len:
        first = start + seq_len - seq_len // 4
        behind = np.flatnonzero(ends_line[first : start + seq_len])
        stop = first + int(behind[-1]) + 1 if behind.size else start + seq_len
        yield start, stop
        start = stop
    yield start, size
