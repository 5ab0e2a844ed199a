"""The pieces of one segment: its runs of tokens, cut to the length of a sequence, and the units that they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.mix.packing import split
from pipeline.mix.units import earlier, laid, unit_of

IMPORT_COUNTS = ("n_imports", "n_imports_earlier")


@dataclass(frozen=True)
class UnitedPieces:
    """Pieces in the keyed order of their runs, [n] each.

    A unit is what is packed as one: a piece, or several that are laid side by side, each `within` tokens from its
    start, and attend to each other; `joins`: a piece is not the first of its unit.
    """

    run: np.ndarray  # the row of the segment's runs
    offset: np.ndarray
    length: np.ndarray
    unit: np.ndarray
    within: np.ndarray
    joins: np.ndarray

    @property
    def of_units(self) -> np.ndarray:
        """The tokens of each unit."""
        return np.bincount(self.unit, weights=self.length).astype(np.int64)


def pieces_of(rows: pa.Table, *, seq_len: int, joins: bool) -> UnitedPieces:
    """The pieces of a segment's runs; `joins`: whole files of a repository make units."""
    # By key, which is random; position and copy only break ties, so that the order of arrival never shows.
    order = np.lexsort(tuple(columns(rows, "offset", "copy", "position", "key")))
    run, cut, length = split(rows["length"].to_numpy()[order], seq_len=seq_len)
    run = order[run]
    offset = rows["offset"].to_numpy()[run] + cut
    if not joins:
        return UnitedPieces(
            run, offset, length, np.arange(run.size), np.zeros(run.size, np.int64), np.zeros(run.size, bool)
        )
    key, place, of_run, whole = (c[run] for c in columns(rows, "key", "place", "length", "is_whole"))
    # Whole files that fit a sequence: what is cut could not be told from what the cut left out.
    unit = unit_of(key, length, (place >= 0) & whole & (length == of_run), seq_len=seq_len)
    return UnitedPieces(run, offset, length, unit, *laid(unit, length))


def count_imports(rows: pa.Table, pieces: UnitedPieces) -> dict[str, int]:
    """How many imports the files of a segment have, and how many find their target earlier in the same unit."""
    begins = np.flatnonzero(pieces.offset == 0)
    imports = one_chunk(rows["imports"]).take(pa.array(pieces.run[begins]))
    owner = begins[np.asarray(pc.list_parent_indices(imports), np.int64)]
    target = np.asarray(imports.flatten(), np.int64)
    place = rows["place"].to_numpy()[pieces.run]
    found = earlier(pieces.unit, place, owner, target)
    return dict(zip(IMPORT_COUNTS, (target.size, int(found.sum())), strict=True))


def united(segment: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Numbers 0, 1, ... of the units of several segments, in the order of segments and units, int64 [n]."""
    found = np.unique((segment.astype(np.int64) << 32) | unit, return_inverse=True)[1]
    return found.astype(np.int64)
