"""UTF-8 in compiled passes: one character at a time, wrong bytes as `bytes.decode("utf-8", "replace")` reads them."""

import numpy as np

from pipeline.arrays.compiled import compiled

# FNV-1a of 64 bits, over code points instead of bytes: one multiplication a character.
_FNV_PRIME, _FNV_START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)


@compiled
def decode(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The code point of the byte i, which is at or above 0x80, and its length in bytes; U+FFFD where there is none."""
    byte = data[i]
    if byte < 0xC2 or byte > 0xF4:
        return 0xFFFD, 1
    need = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
    low = 0xA0 if byte == 0xE0 else 0x90 if byte == 0xF0 else 0x80  # no overlong forms
    high = 0x9F if byte == 0xED else 0x8F if byte == 0xF4 else 0xBF  # no surrogates, nothing above U+10FFFF
    code = byte & (0x3F >> need)
    for k in range(1, need + 1):
        if i + k >= end or data[i + k] < low or data[i + k] > high:
            return 0xFFFD, k
        code = code << 6 | data[i + k] & 0x3F
        low, high = 0x80, 0xBF
    return code, need + 1


@compiled
def hash_of_codes(data: np.ndarray, i: int, end: int) -> np.uint64:
    """FNV-1a over code points: different bytes may be read as U+FFFD, and are equal then."""
    key = _FNV_START
    while i < end:
        code, size = data[i] & 0xFF, 1
        if code >= 0x80:
            code, size = decode(data, i, end)
        i += size
        key = (key ^ np.uint64(code)) * _FNV_PRIME
    return key
