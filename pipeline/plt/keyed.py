"""Random numbers that depend on a key and a number only: not on order, not on what was drawn before, not on a library.

numpy promises no equal stream from its generators over its versions; a hash of our own stays what it is.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from pipeline.sequences import Ints

# Constants of the splitmix64 generator: its increment and the two factors of its finaliser.
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def draw(key: str, numbers: Ints) -> npt.NDArray[np.uint64]:
    """64 random bits for each of `numbers` under `key`."""
    start = np.frombuffer(hashlib.sha256(key.encode()).digest()[:8], dtype="<u8").astype(np.uint64)
    bits: npt.NDArray[np.uint64] = (
        start + (numbers.astype(np.uint64) + np.uint64(1)) * _INCREMENT
    )  # wraps, as it should
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits ^= bits >> np.uint64(31)
    return bits


def shuffled(key: str, numbers: Ints) -> Ints:
    """`numbers` in the order of their draws."""
    return numbers[np.argsort(draw(key, numbers), kind="stable")]
