"""The pieces of packed sequences that go, and the sequences as they stand when others have taken their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.manifest import files_of
from pipeline.engine.run_folder import RunFiles
from pipeline.forget.plan import ChangedSequence, StandingPiece
from pipeline.forget.refill import Fill, FreePlace, Spare
from pipeline.schema import PACKED
from pipeline.sequences import rows_of


@dataclass(frozen=True)
class TouchedRow:
    """A sequence that holds a piece that goes."""

    path: str  # of its shard
    row: int  # in it
    pool: str
    bounds: list[int]  # of its pieces, one more than there are
    doc_ids: list[str]
    offsets: list[int]
    groups: list[str]
    goes: list[bool]


def touched(run: RunFiles, gone: pa.Array) -> dict[int, TouchedRow]:
    """Sequences with pieces of documents whose ids are in `gone`, by their number in the stream."""
    found: dict[int, TouchedRow] = {}
    first = 0
    for path, block in blocks(run):
        rows = rows_of(block, where=run.store.full(path), first=first)
        ids = block.column("doc_ids").flatten()
        goes = np.asarray(pc.is_in(ids, value_set=gone), bool)
        ends = np.cumsum(rows.n_pieces)
        for row in np.unique(np.searchsorted(ends, np.flatnonzero(goes), side="right")).tolist():
            begin, end = int(ends[row] - rows.n_pieces[row]), int(ends[row])
            found[first + row] = TouchedRow(
                path,
                row,
                rows.pools[row],
                [*rows.starts[begin:end].tolist(), int(rows.n_real[row])],
                ids[begin:end].to_pylist(),
                block.column("doc_offsets")[row].as_py(),
                block.column("groups")[row].as_py(),
                goes[begin:end].tolist(),
            )
        first += block.num_rows
    return found


def blocks(run: RunFiles) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Each packed shard of the run, in stream order: its path and its rows in one batch."""
    for file in files_of(run.store, run.manifest["stages"][PACKED]):
        table = run.store.read_ipc_whole(file.path, schema=run.packed_schemas[file.path.rpartition("/")[0]])
        for block in table.combine_chunks().to_batches():
            yield file.path, block


def places_of(rows: dict[int, TouchedRow]) -> list[FreePlace]:
    """The places that become free, in stream order."""
    return [
        FreePlace(number, row.bounds[j], row.bounds[j + 1] - row.bounds[j], (row.pool, row.groups[j]))
        for number, row in sorted(rows.items())
        for j in range(len(row.goes))
        if row.goes[j]
    ]


def changed(
    rows: dict[int, TouchedRow], fills: Sequence[Fill], spares: Sequence[Spare]
) -> dict[str, list[ChangedSequence]]:
    """The sequences as they stand afterwards, by path of their shard."""
    new: dict[int, list[StandingPiece]] = {}
    for fill in sorted(fills, key=lambda f: (f.sequence, f.start)):
        spare = spares[fill.spare]
        at = spare.position >> 32, spare.position & 0xFFFFFFFF, fill.length
        piece = StandingPiece(fill.start, spare.doc_id, fill.offset, spare.group[1], at)
        new.setdefault(fill.sequence, []).append(piece)
    found: dict[str, list[ChangedSequence]] = {}
    for number, row in sorted(rows.items()):
        stay = [
            StandingPiece(row.bounds[j], row.doc_ids[j], row.offsets[j], row.groups[j])
            for j in range(len(row.goes))
            if not row.goes[j]
        ]
        pieces = tuple(sorted([*stay, *new[number]], key=lambda p: p.start))
        same = [(p.start, p.group) for p in pieces] == list(zip(row.bounds[:-1], row.groups, strict=True))
        found.setdefault(row.path, []).append(ChangedSequence(row.row, same, pieces))
    return found
