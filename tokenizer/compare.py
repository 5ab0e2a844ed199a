"""A vocabulary against others on the same documents: tokens by group, and which of its entries the documents used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tokenizer.entries import Uses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokenizer.encode import Encoder
    from tokenizer.peers import Count

OURS = "file"  # the vocabulary that the comparison is about


class LabelledText(NamedTuple):
    """A UTF-8 text, the group that it is counted in (say, a language), and where it is from (say, a repository)."""

    group: str
    origin: str
    text: bytes


@dataclass(slots=True)
class GroupTokens:
    """One group under all vocabularies; end-of-document tokens are left out."""

    group: str
    n_tokens: dict[str, int]  # by vocabulary, the one in question under OURS
    n_docs: int = 0
    n_bytes: int = 0

    def bytes_per_token(self, vocabulary: str) -> float:
        """Higher is better; 0 for a group without tokens."""
        n = self.n_tokens[vocabulary]
        return self.n_bytes / n if n else 0.0


@dataclass(frozen=True, slots=True)
class VocabularyComparison:
    """`groups` by falling number of bytes, then name."""

    vocabularies: tuple[str, ...]  # OURS first
    groups: tuple[GroupTokens, ...]
    uses: Uses
    n_origins: int

    def mean(self, vocabulary: str, *, min_bytes: int) -> float:
        """Bytes per token, each group of at least `min_bytes` counting once; 0 where there is none."""
        rates = [group.bytes_per_token(vocabulary) for group in self.groups if group.n_bytes >= min_bytes]
        return sum(rates) / len(rates) if rates else 0.0


def compare(documents: Iterable[LabelledText], *, encoder: Encoder, peers: Mapping[str, Count]) -> VocabularyComparison:
    """Encode each document with all of them. Memory does not grow with the number of documents."""
    uses = Uses.none(encoder.vocab_size)
    groups: dict[str, GroupTokens] = {}
    origins: dict[str, int] = {}
    for document in documents:
        ids = encoder.encode_batch([document.text])[1][:-1]
        uses.add(ids, origin=origins.setdefault(document.origin, len(origins)))
        found = groups.setdefault(document.group, GroupTokens(document.group, dict.fromkeys((OURS, *peers), 0)))
        found.n_docs += 1
        found.n_bytes += len(document.text)
        found.n_tokens[OURS] += ids.size
        text = document.text.decode() if peers else ""
        for name, count in peers.items():
            found.n_tokens[name] += count(text)
    ranked = sorted(groups.values(), key=lambda group: (-group.n_bytes, group.group))
    return VocabularyComparison((OURS, *peers), tuple(ranked), uses, len(origins))
