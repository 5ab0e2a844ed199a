"""One number for each document that equal documents share, and that near duplicates share as often as they are alike.

It is the least hash of all runs of 32 bytes, white space left out (a MinHash of one function: Broder 1997), so two
documents have the same one with a probability of the Jaccard similarity of their sets of runs.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

# A run is about as long as the five words of a shingle, so that near duplicates of `near_dups` share the key about as
# often as their similarity says. Of 16 bytes, many unrelated files share a run (`import java.util.ArrayList;`).
RUN_BYTES = 32
_BASE = 0x100000001B3  # of the rolling hash: the FNV prime, odd, so that no byte of a run drops out
# How lines begin that are comments or markup in most languages. A licence in front of thousands of files would make
# them one unit: with this, documents vary three times as much as if each were alone, without it seventeen times.
_STARTS = b"#/*;-<%\"({'"


@compiled
def _body(data: np.ndarray, first: int, last: int, starts: np.ndarray) -> int:
    """Where the first line begins that is no comment; `first` where all are."""
    place = first
    while place < last:
        while place < last and data[place] <= 32:
            place += 1
        if place == last:
            return first
        is_comment = False
        for sign in starts:
            is_comment = is_comment or data[place] == sign
        if not is_comment:
            return place
        while place < last and data[place] != 10:
            place += 1
    return first


@compiled
def _least_runs(data: np.ndarray, ends: np.ndarray, starts: np.ndarray, base: int, n_run: int, out: np.ndarray) -> None:
    """out[d] = the key of bytes ends[d] .. ends[d + 1]."""
    factor = np.uint64(base)
    oldest = np.uint64(1)  # what the byte that leaves a run was multiplied by
    for _ in range(n_run):
        oldest *= factor
    seen = np.zeros(64, np.uint64)  # a power of two above n_run
    for d in range(ends.size - 1):
        least, rolled, n = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0), 0
        for place in range(_body(data, ends[d], ends[d + 1], starts), ends[d + 1]):
            if data[place] <= 32:
                continue
            value = np.uint64(data[place]) + np.uint64(1)
            rolled = rolled * factor + value
            if n >= n_run:
                rolled -= seen[(n - n_run) & 63] * oldest
            seen[n & 63] = value
            n += 1
            if n >= n_run:
                mixed = (rolled ^ (rolled >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
                least = min(least, mixed ^ (mixed >> np.uint64(32)))
        if n < n_run:  # too short for one: all of it
            mixed = (rolled ^ (rolled >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            least = mixed ^ (mixed >> np.uint64(32))
        out[d] = least


def content_keys(data: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """uint64 [n] of documents data[ends[d]:ends[d + 1]]; `data` is read-only uint8."""
    out = np.empty(ends.size - 1, np.uint64)
    _least_runs(data, ends, np.frombuffer(_STARTS, np.uint8), _BASE, RUN_BYTES, out)
    return out
