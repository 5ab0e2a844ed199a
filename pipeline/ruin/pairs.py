"""How well the order of a document's tokens agrees with order in healthy text: a table of token pairs.

For tokens a and b the table has log P(ab) / (P(a) P(b)) in a good mixture, in steps of `UNIT` nats. Its mean over a
document's neighbours says whether they belong together, its mean less that of the same pairs turned round says whether
they stand in this direction. Both are near zero where tokens were shuffled; the second falls below zero where their
order was reversed. Texts are encoded anew with the reference's own tokenizer, so that any run can be compared.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from tokenizer import Encoder, load_bytes

PAIRS_FILE = "pairs.zst"
TOKENIZER_FILE = "tokenizer.json.zst"
UNIT = 0.5  # nats of a step of the table
MAX_TOKENS = 512  # of a document that are looked at: a mean over these is exact enough
MIN_TOKENS = 64  # fewer say too little


class Order(NamedTuple):
    """Means over the neighbours of a document in nats; NaN where it has fewer than MIN_TOKENS tokens."""

    n_tokens: int
    together: float
    forward: float

    @property
    def score(self) -> float:
        """What tells order best: of healthy and shuffled documents it has the least overlap (docs/validation.md)."""
        return self.together + self.forward / 2


@dataclass(frozen=True)
class PairTable:
    """The table, shape (V, V), and the tokenizer of its ids."""

    steps: npt.NDArray[np.int8]
    encoder: Encoder

    def order(self, texts: list[bytes]) -> list[Order]:
        """The order of each text, which must be valid UTF-8."""
        offsets, ids = self.encoder.encode_batch(texts)
        found = []
        for start, stop in pairwise(offsets.tolist()):
            of_text = ids[start : min(stop - 1, start + MAX_TOKENS)].astype(np.int64)
            if len(of_text) < MIN_TOKENS:
                found.append(Order(len(of_text), np.nan, np.nan))
                continue
            ahead = self.steps[of_text[:-1], of_text[1:]].mean() * UNIT
            back = self.steps[of_text[1:], of_text[:-1]].mean() * UNIT
            found.append(Order(len(of_text), float(ahead), float(ahead - back)))
        return found


def build_steps(counts: npt.NDArray[np.int64], *, prior: float) -> npt.NDArray[np.int8]:
    """The table from counts of pairs; `prior` is added to each count and to what chance expects, so that a pair that
    is rare either way says nothing."""
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    steps = np.rint(np.log((counts + prior) / (expected + prior)) / UNIT)
    bounded: npt.NDArray[np.int8] = np.clip(steps, -127, 127).astype(np.int8)
    return bounded


@lru_cache(maxsize=1)
def packaged() -> PairTable:
    """The table that ships, read once a process."""
    return read_table(files("pipeline.ruin") / "data")


def read_table(folder: Traversable) -> PairTable:
    """The table and its tokenizer in a folder that `jobs/train_reference.py` wrote."""
    read = zstandard.ZstdDecompressor().decompress
    steps = np.frombuffer(read((folder / PAIRS_FILE).read_bytes()), np.int8)
    size = int(len(steps) ** 0.5)
    encoder = load_bytes(read((folder / TOKENIZER_FILE).read_bytes()), where=TOKENIZER_FILE)
    return PairTable(steps.reshape(size, size), encoder)
