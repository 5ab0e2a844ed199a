"""What kernels that read programs ask of bytes: characters by kind, the end of a word, words by a hash."""

import numpy as np

from pipeline.arrays.compiled import compiled

_FNV_PRIME, _FNV_START = 0x100000001B3, 0xCBF29CE484222325
_START64, _PRIME64 = np.uint64(_FNV_START), np.uint64(_FNV_PRIME)


def hashes_of(words: str) -> np.ndarray:
    """What `hash_at` gives for each of the words, uint64."""
    return np.array([_hash_of(word) for word in words.split()], np.uint64)


def _hash_of(word: str) -> int:
    key = _FNV_START
    for byte in word.encode():
        key = (key ^ byte) * _FNV_PRIME & (1 << 64) - 1
    return key


@compiled
def hash_at(data: np.ndarray, i: int, to: int) -> np.uint64:
    key = _START64
    for k in range(i, to):
        key = (key ^ np.uint64(data[k])) * _PRIME64
    return key


@compiled
def is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@compiled
def is_word(byte: int) -> bool:
    return byte >= 128 or 48 <= byte <= 57 or 97 <= byte <= 122 or 65 <= byte <= 90 or byte == 95


@compiled
def over_space(data: np.ndarray, i: int, end: int) -> int:
    while i < end and is_space(data[i]):
        i += 1
    return i


@compiled
def over_word(data: np.ndarray, i: int, end: int) -> int:
    while i < end and is_word(data[i]):
        i += 1
    return i


@compiled
def find(data: np.ndarray, i: int, end: int, byte: int) -> int:
    """Where the byte stands first from i on; `end` if nowhere."""
    while i < end and data[i] != byte:
        i += 1
    return i


@compiled
def is_at(data: np.ndarray, i: int, end: int, byte: int) -> bool:
    return i < end and data[i] == byte
