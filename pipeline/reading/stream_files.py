"""The packed shards of a run as tasks read them: by number, and only the columns that are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store
from pipeline.errors import SchemaError
from pipeline.phased import Phased
from pipeline.reading.work import Span, Work, n_pieces_of
from pipeline.schema import PACKED, bounds_of_pieces, packed_schema


@dataclass(frozen=True)
class StreamFiles:
    """Packed shards in stream order. Cheap to pickle."""

    store: Store
    paths: tuple[str, ...]
    lengths: dict[str, int]  # of a sequence, by folder
    joined: bool

    def read(self, number: int, *columns: str) -> pa.Table:
        """Columns of one shard. StoreError where it is damaged, SchemaError where it is none."""
        schema = packed_schema(self.seq_len(number), joined=self.joined)
        return self.store.read_ipc(self.paths[number], schema=schema, columns=columns or schema.names)

    def seq_len(self, number: int) -> int:
        """Tokens of the sequences of one shard."""
        return self.lengths[self.paths[number].rpartition("/")[0]]

    def read_sound(self, number: int, *columns: str) -> pa.Table:
        """As `read`, with bounds of pieces, n_real, groups and documents; SchemaError too where they do not fit."""
        lists = ("groups", "doc_ids", *({"doc_offsets"} & set(columns)))
        table = self.read(number, *dict.fromkeys((*columns, "n_real", *lists, self.bounds)))
        bounds = one_chunk(table[self.bounds])
        fits = rises(bounds, table["n_real"].to_numpy(), seq_len=self.seq_len(number))
        n_pieces = np.diff(np.asarray(bounds.offsets, np.int64)) - 1
        fits = fits and not any((pc.list_value_length(table[name]).to_numpy() != n_pieces).any() for name in lists)
        if not fits:
            raise SchemaError(
                f"{self.store.full(self.paths[number])}: {self.bounds} of a sequence do not rise from 0 to n_real, or "
                "do not fit its groups and documents; curate the run again, which makes anew what is damaged"
            )
        return table

    def spans(self, work: Work, run: RunFiles) -> list[Span]:
        """Ranges of these shards."""
        return work.spans(len(self.paths), n_rows=n_pieces_of(run))

    @property
    def bounds(self) -> str:
        """The column that bounds pieces."""
        return bounds_of_pieces(packed_schema(1, joined=self.joined).names)


def rises(bounds: pa.ListArray, n_real: np.ndarray, *, seq_len: int) -> bool:
    """Whether the bounds of every sequence go from 0 to its n_real, no more than it has places, in steps of at least
    1."""
    values, offsets = np.asarray(bounds.flatten(), np.int64), np.asarray(bounds.offsets, np.int64)
    if n_real.size and n_real.max() > seq_len:
        return False
    if (np.diff(offsets) < 1).any():  # a sequence without bounds has neither a first nor a last one
        return False
    first, last = values[offsets[:-1]], values[offsets[1:] - 1]
    steps = np.delete(np.diff(values), offsets[1:-1] - 1) if values.size else values
    return not ((first != 0).any() or (last != n_real).any() or (steps < 1).any())


def stream_files(run: RunFiles, phase: Phased | None = None) -> StreamFiles:
    """Every packed shard, or those of one phase."""
    lengths = {of.folder: of.seq_len for of in run.phases if phase is None or of.folder == phase.folder}
    paths = [file.path for file in run.files(PACKED)]
    if phase is None:
        return StreamFiles(run.store, tuple(paths), lengths, run.joined)
    mine = tuple(path for path in paths if path.rpartition("/")[0] == phase.folder)
    return StreamFiles(run.store, mine, lengths, run.joined)


@dataclass(frozen=True)
class ShardPieces:
    """Of all pieces of a packed shard, int64 [n_pieces] each: the row of its sequence, and where it stands in it; and
    its document, as two words, with the offset in that."""

    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    high: np.ndarray
    low: np.ndarray


_MOST_TOKENS = 1 << 40  # of a document: far from where numbers end, so that a length can be added
PIECES = ("doc_ids", "doc_offsets")  # what is read for them, beside the column that bounds pieces


def pieces_of(table: pa.Table, bounds: str) -> ShardPieces:
    """The pieces of a packed shard."""
    cu = one_chunk(table[bounds])
    values, offsets = np.asarray(cu.flatten(), np.int64), np.asarray(cu.offsets, np.int64)
    offsets = offsets - offsets[0]
    is_start = np.ones(values.size, bool)
    is_start[offsets[1:] - 1] = False
    row = np.repeat(np.arange(len(cu)), np.diff(offsets))[is_start]
    start = values[is_start]
    length = values[np.flatnonzero(is_start) + 1] - start
    high, low = doc_words(pa.table({"doc_id": one_chunk(table["doc_ids"]).flatten()}))
    offset = np.asarray(one_chunk(table["doc_offsets"]).flatten(), np.int64)
    if not row.size == high.size == offset.size:
        raise ValueError(f"{row.size} pieces, {high.size} documents and {offset.size} offsets in one packed shard")
    if offset.size and (offset.min() < 0 or offset.max() > _MOST_TOKENS):
        raise SchemaError(f"packed: a piece begins at token {offset.min()} or {offset.max()} of its document")
    return ShardPieces(row, start, length, offset, high, low)
