"""A packed run of its own for each training: pieces of the large run, in the wanted shares to the token.

Pieces of a group enter in a keyed order until its tokens are used up; the last one is cut. They are packed as `pack`
packs (best fit per pool, sequences in keyed order, both pools in balance), so that a trainer reads nothing unusual.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.mix import arrowfile
from pipeline.mix.numbering import places_of
from pipeline.mix.packing import best_fit
from pipeline.plt.data import PackedRun
from pipeline.propose.groups import Groups
from pipeline.propose.pieces import Floats, Ints, PieceTable
from pipeline.propose.shares import whole_tokens
from pipeline.schema import POOLS, packed_schema


@dataclass(frozen=True)
class RowLayout:
    """Pieces in sequences, in stream order; columns are [n_pieces]."""

    piece: Ints  # its place among the pieces of the run
    length: Ints  # tokens from its beginning
    row: Ints
    start: Ints  # place in its row
    n_rows: int

    def first(self, n_rows: int) -> RowLayout:
        """The first rows only."""
        keep = self.row < n_rows
        return RowLayout(
            self.piece[keep], self.length[keep], self.row[keep], self.start[keep], min(n_rows, self.n_rows)
        )

    def then(self, other: RowLayout) -> RowLayout:
        """The rows of another layout behind these."""
        columns = ("piece", "length", "start")
        piece, length, start = (np.concatenate((getattr(self, c), getattr(other, c))) for c in columns)
        row = np.concatenate((self.row, other.row + self.n_rows))
        return RowLayout(piece, length, row, start, self.n_rows + other.n_rows)


def compose(
    pieces: PieceTable, groups: Groups, *, free: Ints, shares: Floats, n_tokens: int, seed: int
) -> tuple[Ints, Ints]:
    """(piece, length) of `n_tokens` tokens in these shares, from the `free` pieces; too small a group repeats."""
    key = stage_key(seed, "propose/compose")
    per_pool = whole_tokens(_pool_fracs(groups), n_tokens)
    chosen: list[Ints] = []
    lengths: list[Ints] = []
    for pool in range(len(POOLS)):
        mine = np.flatnonzero(groups.pool == pool)
        if not len(mine):
            continue
        budgets = whole_tokens(shares[mine], int(per_pool[pool]))
        for group, budget in zip(mine.tolist(), budgets.tolist(), strict=True):
            places = free[groups.of_piece[free] == group]
            found = _take(places, pieces=pieces, budget=budget, key=key)
            chosen.append(found[0])
            lengths.append(found[1])
    return np.concatenate(chosen), np.concatenate(lengths)


def _pool_fracs(groups: Groups) -> Floats:
    return np.array([groups.pool_frac[groups.pool == pool].max(initial=0.0) for pool in range(len(POOLS))])


def _take(places: Ints, *, pieces: PieceTable, budget: int, key: np.uint64) -> tuple[Ints, Ints]:
    """Pieces in keyed order, again from the first when all are used, up to `budget` tokens; the last one is cut."""
    if not budget:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    high, low = (words[pieces.document[places]] for words in pieces.words)
    places = places[np.argsort(keyed_hash(key, high, low, pieces.offset[places].astype(np.uint64)), kind="stable")]
    length = pieces.length[places]
    n_passes = -(-budget // int(length.sum()))
    places, length = np.tile(places, n_passes), np.tile(length, n_passes)
    before = np.cumsum(length) - length
    inside = before < budget
    return places[inside], np.minimum(length, budget - before)[inside]


def lay_out(pieces: PieceTable, groups: Groups, piece: Ints, length: Ints, *, seq_len: int, seed: int) -> RowLayout:
    """Fit pieces into sequences of their pool and put both pools in one stream."""
    key = stage_key(seed, "propose/lay_out")
    of_pool = groups.pool[groups.of_piece[piece]]
    mine = [np.flatnonzero(of_pool == pool) for pool in range(len(POOLS))]
    fitted = [best_fit(length[members], seq_len=seq_len) for members in mine]
    places, n_real = [], []
    for pool, (sequence, _, n) in enumerate(fitted):
        # longest first would put all long documents at the beginning of the stream: shuffle the sequences
        order = np.argsort(keyed_hash(key, np.arange(n, dtype=np.uint64), np.full(n, pool, np.uint64)), kind="stable")
        place = np.argsort(order)[sequence]
        places.append(place)
        n_real.append(np.bincount(place, weights=length[mine[pool]], minlength=n).astype(np.int64))
    in_stream = places_of(*n_real, parts=_parts(groups))
    rows = np.empty(len(piece), np.int64)
    start = np.empty(len(piece), np.int64)
    for pool, (members, (_, starts, _)) in enumerate(zip(mine, fitted, strict=True)):
        rows[members] = in_stream[pool][places[pool]]
        start[members] = starts
    by_place = np.lexsort((start, rows))
    return RowLayout(piece[by_place], length[by_place], rows[by_place], start[by_place], sum(map(len, in_stream)))


def _parts(groups: Groups) -> tuple[int, int]:
    """The ratio code:text of the run as small whole numbers; one that is not is rounded to thousandths."""
    code, text = _pool_fracs(groups).tolist()
    if not code or not text:
        return 1, 1
    ratio = Fraction(code / text).limit_denominator(1000)
    return max(1, ratio.numerator), ratio.denominator


def write(folder: Path, layout: RowLayout, *, run: PackedRun, pieces: PieceTable, groups: Groups) -> None:
    """Write `folder`/packed as one shard; groups stand under their names in the search."""
    schema = packed_schema(run.seq_len)
    bounds = np.searchsorted(layout.row, np.arange(layout.n_rows + 1))  # first piece of each row
    n_real = np.add.reduceat(layout.length, bounds[:-1])
    group = groups.of_piece[layout.piece]
    columns = {
        "token_ids": pa.FixedSizeListArray.from_arrays(
            pa.array(_tokens(layout, run=run, pieces=pieces).ravel()), type=schema.field("token_ids").type
        ),
        "n_real": pa.array(n_real, pa.int32()),
        "cu_seqlens": _lists(
            pa.array(np.insert(layout.start, bounds[1:], n_real), pa.int32()),
            bounds + np.arange(layout.n_rows + 1),  # one more entry than pieces in each row
        ),
        "doc_ids": _lists(pieces.doc_ids.take(pa.array(pieces.document[layout.piece])), bounds),
        "doc_offsets": _lists(pa.array(pieces.offset[layout.piece]), bounds),
        "pool": pa.array([POOLS[i] for i in groups.pool[group[bounds[:-1]]].tolist()]),
        "groups": _lists(pa.array([groups.each[i].name for i in group.tolist()]), bounds),
    }
    batch = pa.RecordBatch.from_arrays([columns[f.name].cast(f.type) for f in schema], schema=schema)
    packed = folder / "packed"
    packed.mkdir(parents=True, exist_ok=True)
    with (packed / "part-00000-of-00001.arrow").open("wb") as file:
        arrowfile.write(file, [batch], schema=schema)


def _tokens(layout: RowLayout, *, run: PackedRun, pieces: PieceTable) -> npt.NDArray[np.uint32]:
    """The rows' token ids, [n_rows, seq_len]; what no piece fills is 0, which nobody reads."""
    grid = np.zeros((layout.n_rows, run.seq_len), np.uint32)
    tokens = [block.column("token_ids").flatten().to_numpy().reshape(-1, run.seq_len) for block in run.blocks]
    sequence = pieces.sequence[layout.piece]
    block = np.searchsorted(run.block_starts, sequence, side="right") - 1
    here, there = (layout.row, layout.start, layout.length), (block, sequence - run.block_starts[block])
    columns = [column.tolist() for column in (*here, *there, pieces.start[layout.piece])]
    for row, at, n, number, source, first in zip(*columns, strict=True):
        grid[row, at : at + n] = tokens[number][source, first : first + n]
    return grid


def _lists(values: pa.Array, bounds: Ints) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values)
