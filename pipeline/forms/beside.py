"""Keys by which the files of a repository lie together, in their order, wherever documents stand in order of keys."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.keys import keyed_hash

PLACE_BITS = 24  # the last bits of a key: the place of a file; the first ones are those of its part of the repository
_PLACES = np.uint64((1 << PLACE_BITS) - 1)


def beside(keys: np.ndarray, key: np.uint64, part: np.ndarray, place: np.ndarray, *more: np.ndarray) -> np.ndarray:
    """`keys` [n], but for files of repositories (`place` >= 0) one by which those of a part lie together, in order.

    `part` names the part of its repository that a file is in, uint64 [n]; `more` tells apart what shall not meet.
    """
    together = keyed_hash(key, part, *more) & ~_PLACES
    return np.where(place >= 0, together | (np.maximum(place, 0).astype(np.uint64) & _PLACES), keys)


def parts_and_places(forms: Mapping[str, pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Of documents the part of their repository, uint64 [n], and their place in it, int64 [n], -1: in none."""
    part = np.asarray(pc.fill_null(forms["repo_part"], 0)).astype(np.uint64)
    place = np.asarray(pc.fill_null(forms["repo_place"], -1)).astype(np.int64)
    return part, place
