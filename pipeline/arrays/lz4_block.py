"""LZ4 blocks, changed where they stand: other bytes come out, and the block keeps its length.

A block is a row of sequences: literals, then a match that copies what came out up to 64 kB before. Bytes that are
blanked may be the source of matches behind them. So from the first sequence that would say something else to the last
one, all is compressed again, better than a fast writer does it, and what that saves is spent: on literals in place of
matches, and within the blanked bytes, which take any length. Format: `lz4_Block_format.md` of the LZ4 project.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays.compiled import compiled

_WINDOW = 65_535
_END_LITERALS = 5  # a block ends with as many
_LAST_MATCH = 12  # no match begins nearer to the end
_HASH_BITS = 16
_MAX_TRIES = 64  # places that are compared for a match; a plain choice, as of high compression
_MIN_MATCH = 4
# Rows: literal length, offset, match length, start in the block, start in what comes out. The last has no match.
LITERALS, OFFSET, MATCH, AT, OUT = range(5)


@compiled
def sequences(block: np.ndarray, n_out: int) -> np.ndarray:
    """The sequences of a block (uint8) of `n_out` bytes, int64 [n, 5]; empty for what is no such block."""
    found = np.empty((block.size // 3 + 2, 5), np.int64)
    none = np.empty((0, 5), np.int64)
    n, at, out = 0, 0, 0
    while at < block.size:
        begin, token = at, block[at]
        at += 1
        literals = int(token >> 4)
        if literals == 15:
            while at < block.size:
                more = block[at]
                at += 1
                literals += int(more)
                if more != 255:
                    break
        at += literals
        if at > block.size or out + literals > n_out:
            return none
        offset, match = 0, 0
        if at < block.size:
            if at + 2 > block.size:
                return none
            offset = int(block[at]) + 256 * int(block[at + 1])
            at += 2
            match = int(token & 15) + _MIN_MATCH
            if match == 19:
                while at < block.size:
                    more = block[at]
                    at += 1
                    match += int(more)
                    if more != 255:
                        break
            if offset == 0 or offset > out + literals or out + literals + match > n_out:
                return none
        found[n, LITERALS], found[n, OFFSET], found[n, MATCH] = literals, offset, match
        found[n, AT], found[n, OUT] = begin, out
        n += 1
        out += literals + match
    return found[:n] if out == n_out and n and found[n - 1, MATCH] == 0 else none


@compiled
def wrong(rows: np.ndarray, block: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Which sequences do not make what `plain` says, given that all before it stands there; bool [n]."""
    out = np.zeros(rows.shape[0], np.bool_)
    for r in range(rows.shape[0]):
        literals, offset, match, at, first = rows[r]
        source = at + 1 + (0 if literals < 15 else 1 + (literals - 15) // 255)
        for i in range(literals):
            if block[source + i] != plain[first + i]:
                out[r] = True
                break
        for i in range(first + literals, first + literals + match):
            if plain[i] != plain[i - offset]:
                out[r] = True
                break
    return out


@compiled
def other_sources(rows: np.ndarray, bad: np.ndarray, plain: np.ndarray, block: np.ndarray) -> None:
    """Give matches in `bad` another offset where the same bytes stand elsewhere in reach: in `rows`, in the block,
    which grows by no byte, and in `bad`, which they are no more. Their literals must be right."""
    for r in range(rows.shape[0]):
        literals, _, match, at, first = rows[r]
        if not bad[r] or not match:
            continue
        source = at + 1 + (0 if literals < 15 else 1 + (literals - 15) // 255)
        is_right = True
        for i in range(literals):
            is_right = is_right and block[source + i] == plain[first + i]
        p = first + literals
        for q in range(p - 1, max(-1, p - _WINDOW - 1), -1) if is_right else range(0):
            if plain[q] != plain[p]:
                continue
            length = 1
            while length < match and plain[q + length] == plain[p + length]:
                length += 1
            if length == match:
                rows[r, OFFSET], bad[r] = p - q, False
                block[source + literals], block[source + literals + 1] = (p - q) & 255, (p - q) >> 8
                break


@compiled
def n_bytes(literals: int, match: int) -> int:
    """The length of a sequence; match 0: it has none."""
    n = 1 + literals
    if literals >= 15:
        n += 1 + (literals - 15) // 255
    if match:
        n += 2
        if match >= 19:
            n += 1 + (match - 19) // 255
    return n


@compiled
def _hash(plain: np.ndarray, at: int) -> int:
    word = (
        np.uint32(plain[at])
        | (np.uint32(plain[at + 1]) << np.uint32(8))
        | (np.uint32(plain[at + 2]) << np.uint32(16))
        | (np.uint32(plain[at + 3]) << np.uint32(24))
    )
    return int((np.uint64(word) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)) >> np.uint64(32 - _HASH_BITS))


@compiled
def compress(plain: np.ndarray, first: int, last: int, out: np.ndarray) -> int:
    """Sequences that make plain[first:last], greedy, into `out` as rows of literal length, offset and match length, the
    last one without a match; returns how many. Matches may begin up to 64 kB before `first`."""
    heads = np.full(1 << _HASH_BITS, -1, np.int64)
    base = max(0, first - _WINDOW)
    chain = np.full(max(0, last - base), -1, np.int64)
    end = min(last, plain.size - _END_LITERALS)
    stop = min(last - _MIN_MATCH, plain.size - _LAST_MATCH)
    for p in range(base, min(first, plain.size - 3)):
        h = _hash(plain, p)
        chain[p - base], heads[h] = heads[h], p
    n, p, pending = 0, first, 0
    while p <= stop:
        h = _hash(plain, p)
        best, offset, tries, at = 0, 0, 0, heads[h]
        while at >= 0 and p - at <= _WINDOW and tries < _MAX_TRIES:
            length = 0
            while p + length < end and plain[at + length] == plain[p + length]:
                length += 1
            if length > best:
                best, offset = length, p - at
            at = chain[at - base]
            tries += 1
        if best < _MIN_MATCH:
            chain[p - base], heads[h] = heads[h], p
            p, pending = p + 1, pending + 1
            continue
        out[n, 0], out[n, 1], out[n, 2] = pending, offset, best
        n, pending = n + 1, 0
        for q in range(p, min(p + best, plain.size - 3, last)):
            hq = _hash(plain, q)
            chain[q - base], heads[hq] = heads[hq], q
        p += best
    out[n, 0], out[n, 1], out[n, 2] = pending + last - p, 0, 0
    return n + 1


@compiled
def spend(rows: np.ndarray, spare: int) -> int:
    """Turn matches, from the last one on, into literals where that costs no more than `spare` bytes; returns what is
    left. A row that is turned joins the next: its own literal length becomes -1."""
    for r in range(rows.shape[0] - 2, -1, -1):
        after = r + 1  # rows behind it are not joined yet, or have swallowed what was between
        while rows[after, 0] < 0:
            after += 1
        literals = rows[r, 0] + rows[r, 2] + rows[after, 0]
        cost = (
            n_bytes(literals, rows[after, 2])
            - n_bytes(rows[r, 0], rows[r, 2])
            - n_bytes(rows[after, 0], rows[after, 2])
        )
        if 0 <= cost <= spare:
            rows[after, 0], rows[r, 0] = literals, -1
            spare -= cost
    return spare


@compiled
def emit(rows: np.ndarray, plain: np.ndarray, first: int, out: np.ndarray) -> int:
    """The bytes of sequences that make plain[first:]; returns how many. The last one may have no match."""
    at, p = 0, first
    for r in range(rows.shape[0]):
        literals, offset, match = rows[r, 0], rows[r, 1], rows[r, 2]
        if literals < 0:
            continue
        token = at
        at += 1
        out[token] = (min(literals, 15) << 4) | (min(match - _MIN_MATCH, 15) if match else 0)
        at = _rest(literals - 15, out, at)
        out[at : at + literals] = plain[p : p + literals]
        at += literals
        p += literals + match
        if match:
            out[at], out[at + 1] = offset & 255, offset >> 8
            at = _rest(match - 19, out, at + 2)
    return at


@compiled
def _rest(n: int, out: np.ndarray, at: int) -> int:
    """What of a length does not fit the token."""
    if n < 0:
        return at
    while n >= 255:
        out[at] = 255
        at, n = at + 1, n - 255
    out[at] = n
    return at + 1
