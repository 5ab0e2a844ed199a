"""What the kernels of prose do with bytes: a character read from UTF-8, and a hash of a word or line."""

import numpy as np

from pipeline.arrays.bits import below_eight, eight
from pipeline.arrays.compiled import inlined
from pipeline.arrays.utf8 import decode as decode_long

# Equal hashes are taken for equal words and lines: words of up to eight bytes and one length never share one, others by
# chance once in some 10^9 words of a document. The factors are odd and their bits mixed: 2^64 over the golden ratio,
# and a prime of xxHash.
_FACTOR, _PER_BYTE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_ALL = np.uint64(2**64 - 1)


@inlined
def decode(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The code point of the byte i and its length in bytes; U+FFFD where there is none, as Python replaces it."""
    byte = data[i] & 0xFF  # the mask makes it int64: numba would shift a uint8
    if byte < 0x80:
        code, size = byte, 1
    elif 0xC2 <= byte < 0xE0 and i + 1 < end and data[i + 1] & 0xC0 == 0x80:
        code, size = (byte & 0x1F) << 6 | data[i + 1] & 0x3F, 2
    else:
        code, size = decode_long(data, i, end)
    return code, size


@inlined
def hash_of(data: np.ndarray, start: int, end: int) -> tuple[np.uint64, np.uint64]:
    """The hash of data[start:end], and its last one to eight bytes as a number."""
    n = end - start
    key = np.uint64(n) * _PER_BYTE
    while n > 8:
        key = (key ^ eight(data, start)) * _FACTOR
        key ^= key >> _HALF
        start += 8
        n -= 8
    if start + 8 <= data.size and n > 0:
        last = eight(data, start) & _ALL >> np.uint64(64 - 8 * n)
    else:
        last = below_eight(data, start, start + n)
    key = (key ^ last) * _FACTOR
    return key ^ key >> _HALF, last
