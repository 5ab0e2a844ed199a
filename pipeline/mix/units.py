"""Files of a repository side by side: units of whole files that are packed as one piece and attend to each other.

Runs of tokens stand in the order of their keys, in which files of a part of a repository lie together (`beside.py`).
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.forms.beside import PLACE_BITS


def unit_of(keys: np.ndarray, lengths: np.ndarray, joinable: np.ndarray, *, seq_len: int) -> np.ndarray:
    """The unit 0, 1, ... of each piece, int64 [n]: pieces of a part follow each other in one as far as a sequence goes.

    `keys` rise, and those of one part differ in their last bits alone. A piece that is not `joinable` is a unit of its
    own, and no end of the unit around it.
    """
    unit = np.zeros(keys.size, np.int64)
    _join(keys >> np.uint64(PLACE_BITS), lengths.astype(np.int64), joinable, seq_len, unit)
    return unit


@compiled
def _join(parts: np.ndarray, lengths: np.ndarray, joinable: np.ndarray, seq_len: int, unit: np.ndarray) -> None:
    n_units, current, filled, last = 0, -1, 0, -1
    for i in range(parts.size):
        if not joinable[i]:
            unit[i] = n_units
            n_units += 1
        elif current >= 0 and parts[last] == parts[i] and filled + lengths[i] <= seq_len:
            unit[i] = current
            filled += lengths[i]
            last = i
        else:
            unit[i] = current = n_units
            n_units += 1
            filled, last = lengths[i], i


def laid(unit: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where in its unit each piece begins, and whether it joins one before it, int64 [n] and bool [n].

    The pieces of a unit stand in their order, though others may stand between them.
    """
    order = np.argsort(unit, kind="stable")
    of, n = unit[order], lengths[order].astype(np.int64)
    joins = np.zeros(unit.size, bool)
    joins[1:] = of[1:] == of[:-1]
    before = np.cumsum(n) - n
    first = np.maximum.accumulate(np.where(joins, 0, before))
    start, joined = np.empty(unit.size, np.int64), np.empty(unit.size, bool)
    start[order], joined[order] = before - first, joins
    return start, joined


def earlier(unit: np.ndarray, place: np.ndarray, owner: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Which imports find their target earlier in the same unit, bool [imports].

    Piece i stands at `place[i]` of its repository (below 2 ** 31, rising within a unit; negative: nowhere); import j is
    of piece `owner[j]` and asks for the file at `target[j]`.
    """
    there = place >= 0
    stands = np.sort((unit[there] << 32) | place[there])
    wanted = (unit[owner] << 32) | target
    at = np.minimum(np.searchsorted(stands, wanted), max(0, stands.size - 1))
    found = stands[at] == wanted if stands.size else np.zeros(wanted.size, bool)
    return np.asarray(found & (target < place[owner]))
