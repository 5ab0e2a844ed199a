"""Hashed token features of a document, and the sums that the classifier makes of them.

A document is cut into words, numbers and operators. Every token is seen in up to eight ways: by itself, without case,
with the one and the two tokens before it, with the *shape* of its neighbours (any lower-case word looks the same, so
that `fn name(` and `fn other(` share a feature), and at the start and the end of its line. A feature is a hash of
KEY_BITS bits. Integers everywhere: a document's sums are the same on every processor.

All kernels that a run uses stand in this one file, also the one that counts bytes for `kinds.py`, because a cached
kernel does not notice changes in another.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays.columns import read_only
from pipeline.arrays.compiled import compiled

# 2^18 rows in the table, as in the prototype that was measured (one of 2^16 that also read half as much was .006 less
# accurate); four slots for each, so that few keys are given up for sharing one; a key's other bits keep strangers out.
KEY_BITS, SLOT_BITS, PLACE_BITS = 24, 20, 18
MAX_FEATURES = 65_536  # of one document; what comes after them is not read
LOG_UNIT = 32  # a feature seen n times weighs round(LOG_UNIT * (1 + ln n))

_BLANK, _NEWLINE, _DIGIT, _LOWER, _UPPER, _LETTER, _OPERATOR, _SINGLE = range(8)
_PER_TOKEN = 9  # features that one token can add
_ANY_NUMBER = 0x30303030
_FNV_BASIS, _FNV_PRIME = 0x811C9DC5, 0x01000193
_BITS_32 = 0xFFFFFFFF
_KEY, _LOW, _PLACE = (1 << KEY_BITS) - 1, (1 << SLOT_BITS) - 1, (1 << PLACE_BITS) - 1
_USED = 1 << (KEY_BITS - SLOT_BITS)  # above the high bits of a key: an empty slot equals no key
# Salts keep apart the ways of looking: the same token first in a line is another feature.
_SALT_TOKEN, _SALT_FOLDED, _SALT_LAST, _SALT_FIRST, _SALT_INDENTED, _SALT_SECOND, _SALT_SHAPE, _SALT_GAP = (
    0x77, 0x1F1F1F, 0x5151, 0x2222, 0x4444, 0x6666, 0xABCD, 0x3333333,
)  # fmt: skip

Bytes = NDArray[np.uint8]


# The kind of every byte. Bytes above 127 are letters: they stand in words, comments and texts.
KINDS = np.full(256, _BLANK, np.uint8)
KINDS[[10, 13]] = _NEWLINE
KINDS[ord("0") : ord("9") + 1] = _DIGIT
KINDS[ord("a") : ord("z") + 1] = _LOWER
KINDS[ord("A") : ord("Z") + 1] = _UPPER
KINDS[128:] = _LETTER
KINDS[ord("_")] = _LETTER
KINDS[list(b"!#$%&*+-./:<=>?@\\^|~")] = _OPERATOR
KINDS[list(b"\"'(),;[]`{}")] = _SINGLE
_LANE, _LANE_MASK = np.uint64(12), np.uint64((1 << 12) - 1)  # bits of each of five counters
WEIGHTS = np.round(LOG_UNIT * (1 + np.log(np.arange(1, MAX_FEATURES + 1)))).astype(np.int32)  # of n - 1


@compiled
def _mix(h: int, value: int) -> int:
    """Fold a 32-bit value into a 32-bit hash."""
    h = ((h ^ value) * 0x2C1B3C6D) & _BITS_32
    h ^= h >> 15
    h = (h * 0x297A2D39) & _BITS_32
    return h ^ (h >> 14)


@compiled
def _word(data: Bytes, start: int, stop: int, kinds: Bytes) -> tuple[int, int, int, int]:
    """End, hash, hash without case and shape of the word that begins at `start`."""
    token, folded, n_upper, i = _FNV_BASIS, _FNV_BASIS, 0, start
    while i < stop and _DIGIT <= kinds[data[i]] <= _LETTER:
        c = int(data[i])
        if kinds[c] == _UPPER:
            n_upper += 1
            folded = ((folded ^ (c + 32)) * _FNV_PRIME) & _BITS_32
        else:
            folded = ((folded ^ c) * _FNV_PRIME) & _BITS_32
        token = ((token ^ c) * _FNV_PRIME) & _BITS_32
        i += 1
    if n_upper == 0:
        return i, token, folded, 1
    if n_upper == i - start and n_upper > 1:
        return i, token, folded, 2
    return i, token, folded, 3 if kinds[data[start]] == _UPPER else 4


@compiled
def _symbol(data: Bytes, start: int, stop: int, kinds: Bytes) -> tuple[int, int]:
    """End and hash of an operator of up to three characters, or of one bracket, quote or separator."""
    token, i = ((_FNV_BASIS ^ int(data[start])) * _FNV_PRIME) & _BITS_32, start + 1
    if kinds[data[start]] == _OPERATOR:
        while i < stop and i < start + 3 and kinds[data[i]] == _OPERATOR:
            token = ((token ^ int(data[i])) * _FNV_PRIME) & _BITS_32
            i += 1
    return i, token


@compiled
def extract(data: Bytes, start: int, stop: int, kinds: Bytes, out: NDArray[np.uint32]) -> int:
    """Write the features of `data[start:stop]` to `out`, 32 bits each, and return how many there are."""
    n, i, line_start = 0, start, start
    place = first = 0  # tokens so far in this line, and its first
    t1 = t2 = s1 = s2 = s3 = 1  # the tokens before this one, and their shapes
    while i < stop and n < out.size - _PER_TOKEN:
        kind = kinds[data[i]]
        if kind == _BLANK:
            i += 1
            continue
        if kind == _NEWLINE:
            if place > 0:
                out[n] = _mix(t1, _SALT_LAST)
                n += 1
            i += 1
            place, line_start = 0, i
            continue
        begin, folded = i, 0
        if kind == _DIGIT:
            token, shape = _ANY_NUMBER, 7
            while i < stop and (_DIGIT <= kinds[data[i]] <= _LETTER or data[i] == 46):
                i += 1
        elif kind <= _LETTER:
            i, token, folded, shape = _word(data, i, stop, kinds)
        else:
            i, token = _symbol(data, i, stop, kinds)
            shape = token
        token = _mix(token, _SALT_TOKEN)
        out[n] = token
        out[n + 1] = _mix(t1, token)
        out[n + 2] = _mix(_mix(t2, t1 + 0x1234567), token)
        out[n + 3] = _mix(_mix(_mix(s3, s2 + 0x9E37), s1), shape + _SALT_SHAPE)
        out[n + 4] = _mix(_mix(t2, s1 + _SALT_GAP), token)
        n += 5
        if folded != 0:
            out[n] = _mix(folded, _SALT_FOLDED)
            n += 1
        if place == 0:
            first = token
            out[n] = _mix(token, _SALT_FIRST if begin == line_start else _SALT_INDENTED)
            n += 1
        elif place == 1:
            out[n] = _mix(_mix(first, _SALT_SECOND), token)
            n += 1
        place += 1
        t2, t1 = t1, token
        s3, s2, s1 = s2, s1, shape
    return n


def slots_of(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    """The place of every key, found with one look: at a key's low SLOT_BITS, its high bits and its place in `keys`.

    No two keys may share their low bits (training keeps the better one), so that nothing is searched.
    """
    slots = np.zeros(1 << SLOT_BITS, np.int32)
    at, high = keys & np.uint32(_LOW), (keys >> np.uint32(SLOT_BITS)).astype(np.int32)
    slots[at] = (_USED | high) << PLACE_BITS | np.arange(keys.size, dtype=np.int32)
    return slots


@compiled
def sum_rows(
    data: Bytes,
    ends: NDArray[np.int64],
    kinds: Bytes,
    weights: NDArray[np.int32],
    slots: NDArray[np.int32],
    table: NDArray[np.int8],
    sums: NDArray[np.int32],
    norms: NDArray[np.int64],
) -> None:
    """For each document of `data` (`ends` are their ends) the sum of its features' rows in `table`, each times its
    weight, into `sums` (documents, classes), and the sum of squared weights into `norms`.

    The weights of one document add up to less than 2^22 even when all of MAX_FEATURES differ: no sum overflows. Half
    of all features have no row, in no order that a processor could guess, so the loops step on by a comparison's value
    instead of branching on it: that doubled the speed.
    """
    found = np.empty(MAX_FEATURES, np.uint32)
    places = np.empty(MAX_FEATURES + 1, np.int32)
    rows = np.empty(MAX_FEATURES + 1, np.int32)
    counts = np.zeros(table.shape[0], np.int32)
    start = 0
    for d in range(ends.size):
        n_places = n_rows = 0
        for i in range(extract(data, start, ends[d], kinds, found)):
            key = found[i] & np.uint32(_KEY)
            entry = slots[key & np.uint32(_LOW)]
            places[n_places] = entry & _PLACE
            n_places += (entry >> PLACE_BITS) == np.int32((key >> np.uint32(SLOT_BITS)) | np.uint32(_USED))
        for i in range(n_places):
            row = places[i]
            rows[n_rows] = row
            n_rows += counts[row] == 0
            counts[row] += 1
        total = sums[d]
        for i in range(n_rows):
            row = rows[i]
            weight = weights[counts[row] - 1]
            counts[row] = 0
            norms[d] += np.int64(weight) * weight
            values = table[row]
            for c in range(values.size):
                total[c] += weight * np.int32(values[c])
        start = ends[d]


def count_bytes(data: Bytes, pieces: NDArray[np.int64], classes: Bytes) -> NDArray[np.int64]:
    """Shape (contents, classes): how many bytes of each class the two pieces of each content have. `pieces`, shape
    (contents, 4), are the starts and ends of both in `data`; `classes` has at most six, of which 0 is all others."""
    counts = np.zeros((len(pieces), int(classes.max()) + 1), np.int64)
    lanes = np.where(classes > 0, np.uint64(1) << (np.maximum(classes, 1) - 1).astype(np.uint64) * _LANE, 0)
    _count(read_only(data), pieces, lanes.astype(np.uint64), counts)
    counts[:, 0] = (pieces[:, 1] - pieces[:, 0]) + (pieces[:, 3] - pieces[:, 2]) - counts.sum(axis=1)
    return counts


@compiled
def _count(data: Bytes, pieces: NDArray[np.int64], lanes: NDArray[np.uint64], counts: NDArray[np.int64]) -> None:
    """Five counters in one number, so that a byte costs a look and an addition, and waits for no other's store."""
    for d in range(len(pieces)):
        for k in (0, 2):
            start, stop = pieces[d, k], pieces[d, k + 1]
            while start < stop:
                end = min(stop, start + np.int64(_LANE_MASK))  # so no counter runs over into the next
                total = np.uint64(0)
                for i in range(start, end):
                    total += lanes[data[i]]
                for c in range(1, counts.shape[1]):
                    counts[d, c] += np.int64((total >> (np.uint64(c - 1) * _LANE)) & _LANE_MASK)
                start = end
