"""Entries of a vocabulary that nothing needs: such as text can never give, steps to another one, and the very rare."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tokenizer.tokens import token_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tokenizer.encode import Encoder

_NOWHERE: Final = -1


def unreachable(encoder: Encoder) -> list[int]:
    """Ids that encoding their own bytes never gives: merges lead elsewhere, or the split cuts them.

    Bytes that are no text by themselves (half a character) meet the merges alone, because no text holds just them.
    """
    merge = _merging(encoder)
    lost = []
    for spelling, index in _text_entries(encoder):
        data = token_bytes(spelling)
        try:
            data.decode()
        except UnicodeDecodeError:
            ids = merge(spelling)
        else:
            ids = encoder.encode_batch([data])[1][:-1].tolist()
        if ids != [index]:
            lost.append(index)
    return sorted(lost)


def steps(encoder: Encoder) -> NDArray[np.bool_]:
    """By id, whether an entry is part of exactly one longer entry: what may exist only to make that one."""
    config = json.loads(encoder.data)
    vocabulary: dict[str, int] = config["model"]["vocab"]
    parts: Counter[int] = Counter()
    for merge in config["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge  # older files hold "left right"
        parts.update({vocabulary[left], vocabulary[right]})
    found = np.zeros(encoder.vocab_size, dtype=np.bool_)
    found[[index for index, n in parts.items() if n == 1]] = True
    return found


@dataclass(slots=True)
class Uses:
    """How often a sample used each entry, and whether more than one of its origins (say, repositories) did."""

    counts: NDArray[np.int64]
    first_origin: NDArray[np.int64]  # number of the origin that used it first; -1 for none
    is_shared: NDArray[np.bool_]  # used by another origin too

    @classmethod
    def none(cls, vocab_size: int) -> Uses:
        return cls(
            np.zeros(vocab_size, dtype=np.int64),
            np.full(vocab_size, _NOWHERE, dtype=np.int64),
            np.zeros(vocab_size, dtype=np.bool_),
        )

    def add(self, ids: NDArray[np.uint32], *, origin: int) -> None:
        """Count the ids of one document."""
        found, n = np.unique(ids, return_counts=True)
        self.counts[found] += n
        first = self.first_origin[found]
        self.is_shared[found] |= (first != _NOWHERE) & (first != origin)
        self.first_origin[found[first == _NOWHERE]] = origin


def _text_entries(encoder: Encoder) -> Iterator[tuple[str, int]]:
    """Spelling and id of what stands for text."""
    vocabulary: dict[str, int] = json.loads(encoder.data)["model"]["vocab"]
    return ((spelling, index) for spelling, index in vocabulary.items() if index not in encoder.special_ids)


def _merging(encoder: Encoder) -> Any:
    """From spelled bytes to ids by the merges alone: no split, no special tokens."""
    from tokenizers import Tokenizer

    config = json.loads(encoder.data)
    bare = {"pre_tokenizer": None, "normalizer": None, "post_processor": None, "truncation": None, "padding": None}
    made = Tokenizer.from_str(json.dumps({**config, **bare, "added_tokens": []}))
    return lambda spelling: made.encode(spelling, add_special_tokens=False).ids
