"""How well a vocabulary fits a sample: bytes per token by group, and entries that nothing used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenizer.encode import Encoder


@dataclass(frozen=True, slots=True)
class GroupFit:
    """One group of the sample, for example a language."""

    group: str
    n_docs: int
    n_bytes: int
    n_tokens: int  # the end-of-document tokens left out, or short documents would look badly encoded

    @property
    def bytes_per_token(self) -> float:
        """Higher is better; 0 for a group without tokens."""
        return self.n_bytes / self.n_tokens if self.n_tokens else 0.0


@dataclass(frozen=True, slots=True)
class VocabularyFit:
    """The whole sample; `groups` by falling number of bytes, then name."""

    groups: tuple[GroupFit, ...]
    n_text_tokens: int  # vocabulary entries that text can use
    n_unused: int  # of these, how many the sample never used

    @property
    def unused_frac(self) -> float:
        """Depends on the size of the sample: a few hundred kB cannot touch a large vocabulary."""
        return self.n_unused / self.n_text_tokens


def measure(texts: Iterable[tuple[str, bytes]], *, encoder: Encoder) -> VocabularyFit:
    """Encode (group, document) pairs and count. Memory does not grow with the sample."""
    used = np.zeros(encoder.vocab_size, dtype=np.bool_)
    counts: dict[str, tuple[int, int, int]] = {}
    for group, text in texts:
        ids = encoder.encode_batch([text])[1][:-1]
        used[ids] = True
        n_docs, n_bytes, n_tokens = counts.get(group, (0, 0, 0))
        counts[group] = (n_docs + 1, n_bytes + len(text), n_tokens + ids.size)
    groups = [GroupFit(group, *numbers) for group, numbers in counts.items()]
    n_text_tokens = encoder.vocab_size - len(encoder.special_ids)
    return VocabularyFit(
        groups=tuple(sorted(groups, key=lambda fit: (-fit.n_bytes, fit.group))),
        n_text_tokens=n_text_tokens,
        n_unused=n_text_tokens - int(used.sum()),
    )
