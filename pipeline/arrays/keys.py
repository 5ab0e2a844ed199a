"""Keyed randomness: every random choice is a hash of (seed, stage, document), so order of work cannot change it."""

import numpy as np
import xxhash

U64 = np.uint64
_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


def id_words(hex_ids: bytes | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The high and low 64 bits of concatenated 32-digit hex ids, shapes [n] and [n]; ValueError for other text."""
    digits = _NIBBLE[np.frombuffer(hex_ids, np.uint8)]
    if digits.size % 32 or (digits == 255).any():
        raise ValueError("ids must be 32 lower-case hex digits each")
    pairs = digits.reshape(-1, 16, 2)
    octets = (pairs[:, :, 0] << 4 | pairs[:, :, 1]).astype(np.uint8)
    words = np.ascontiguousarray(octets).view(">u8").astype(U64)
    return words[:, 0].copy(), words[:, 1].copy()


def hex_ids(high: np.ndarray, low: np.ndarray) -> bytes:
    """The inverse of `id_words`: concatenated 32-digit hex ids."""
    return np.stack((high, low), axis=1).astype(">u8").tobytes().hex().encode()


def mix(values: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit words whose output bits all depend on all input bits (the SplitMix64 finaliser)."""
    z = values.astype(U64, copy=True)
    z ^= z >> U64(30)
    z *= U64(0xBF58476D1CE4E5B9)
    z ^= z >> U64(27)
    z *= U64(0x94D049BB133111EB)
    z ^= z >> U64(31)
    return z


def stage_key(seed: int, stage: str) -> np.uint64:
    """The 64-bit key of one stage's choices."""
    return U64(xxhash.xxh3_64_intdigest(stage.encode(), seed=seed & (2**64 - 1)))


def keyed_hash(key: np.uint64, *words: np.ndarray) -> np.ndarray:
    """One 64-bit hash for each row of the given columns of 64-bit words, all of shape [n]."""
    state = np.full(words[0].shape, key, U64)
    for word in words:
        state = mix(state ^ mix(word + U64(0x9E3779B97F4A7C15)))
    return state
