"""The places of all pieces in the stream of both pools, made segment by segment.

One task adds up what segments hold and tells each where it begins, with a row for each segment; the others number one
segment each, beside the few of the other pool that stand at the same time. So no task holds the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import columns
from pipeline.engine.exchange import Channel, shard_of
from pipeline.engine.markers import Outcome
from pipeline.engine.store import FileEntry
from pipeline.errors import StageError
from pipeline.mix.numbering import Beginnings, beginnings, numbered, overlapping
from pipeline.mix.settings import Packing


def add_up(sums: Channel, source: int, segment: np.ndarray, n_real: np.ndarray) -> FileEntry:
    """Write for each segment its sequences and their tokens, given the segment and tokens of each."""
    found, of = np.unique(segment, return_inverse=True)
    n_tokens = np.bincount(of, weights=n_real, minlength=found.size).astype(np.int64)
    table = pa.table({"segment": found, "n_sequences": np.bincount(of, minlength=found.size), "n_tokens": n_tokens})
    return sums.scatter(source, table, partition=np.zeros(found.size, np.int64))


def begin(sums: Channel, filled_sums: Channel, out: Channel, config: Packing, _: int, __: None) -> Outcome:
    """Tell each segment where it begins in the stream, and which of the other pool's segments stand beside it.

    This is the one task of `packed` that sees all of the stream: a row for each segment.
    """
    rows = pa.concat_tables([sums.gather(0), filled_sums.gather(0)])
    n, of = np.zeros((2, sum(config.segments)), np.int64), rows["segment"].to_numpy()
    for total, held in zip(n, columns(rows, "n_sequences", "n_tokens"), strict=True):
        np.add.at(total, of, held)
    n_code = config.segments[0]
    (code, text), parts = (n[1, :n_code].sum(), n[1, n_code:].sum()), (config.code_parts, config.text_parts)
    if code * parts[1] != text * parts[0]:  # the promise, recounted before a token moves
        raise StageError(f"pack: code {code} and text {text} tokens: not {parts}")
    of_code = beginnings(0, *n[:, :n_code], parts=parts[1])
    of_text = beginnings(n_code, *n[:, n_code:], parts=parts[0])
    tables, partitions = [], []
    for own, others in ((of_code, of_text), (of_text, of_code)):
        for i, (first, last) in enumerate(overlapping(own, others, total=int(code * parts[1]))):
            for one, rows_of in ((own, slice(i, i + 1)), (others, slice(first, last))):
                values = [column[rows_of] for column in (one.segment, one.n_before, one.key)]
                tables.append(np.array(values))
                partitions.append(np.full(values[0].size, own.segment[i]))
    told = dict(zip(("segment", "n_before", "key"), np.concatenate(tables, axis=1), strict=True))
    entry = out.scatter(0, pa.table(told), partition=np.concatenate(partitions))
    return Outcome((entry,), {"n_sequences": int(n[0].sum())})


@dataclass(frozen=True)
class SegmentedStream:
    """What tells where the pieces of a segment stand: its own and those behind it, and of all the sizes.

    A segment is of one pool, so what stands behind it comes from that pool's file alone.
    """

    fitted: Channel
    filled: Channel
    sizes: Channel
    filled_sizes: Channel
    beginnings: Channel
    config: Packing

    def pieces(self, segment: int) -> tuple[pa.Table, np.ndarray]:
        """The pieces of a segment and the place of each one's sequence in the stream. StageError if a prefix is off by
        more than a sequence."""
        own, filled = self.fitted.gather_from(segment, 0), self.filled.gather(segment)
        rows = [column.to_numpy() for column in self.beginnings.gather(segment).columns]
        here, others = Beginnings(*(c[:1] for c in rows)), Beginnings(*(c[1:] for c in rows))
        parts = (self.config.text_parts, self.config.code_parts)
        is_code = self._pool(segment) == 0
        found = numbered(here, others, self._sizes, is_code=is_code, parts=parts if is_code else parts[::-1])
        if found.worst > self.config.seq_len * max(parts):
            raise StageError(f"pack: a prefix is off by {found.worst} tokens: not {parts[::-1]}")
        n_own = found.number.size - self.filled_sizes.gather(segment).num_rows
        sequence = np.concatenate([own["sequence"].to_numpy(), filled["sequence"].to_numpy() + n_own])
        return pa.concat_tables([own, filled]).drop_columns(["sequence"]), found.number[sequence]

    def _pool(self, segment: int) -> int:
        return int(segment >= self.config.segments[0])

    def _sizes(self, segment: int) -> np.ndarray:
        own, filled = self.sizes.gather_from(segment, 0), self.filled_sizes.gather(segment)
        return np.concatenate([own["n_real"].to_numpy(), filled["n_real"].to_numpy()])


def number_pieces(
    stream: SegmentedStream, out: Channel, asked: Channel | None, per_shard: int, segment: int, _: None
) -> Outcome:
    """Send each piece of one segment to the packed shard that holds its sequence, and, where ids travel, a request for
    them to its shard of `tokens`."""
    pieces, number = stream.pieces(segment)
    pieces = pieces.append_column("number", pa.array(number))
    is_code = np.full(number.size, segment < stream.config.segments[0])
    files = [out.scatter(segment, pieces.append_column("is_code", pa.array(is_code)), partition=number // per_shard)]
    if asked is not None:
        places = pieces.select(["number", "start", "position", "offset", "length"])
        files.append(asked.scatter(segment, places, partition=shard_of(pieces["position"].to_numpy())))
    return Outcome(tuple(files), {})
