"""A keyed 1:1 sample of a mixture's raw documents, from which a tokenizer is trained."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.config import Mixture
from pipeline.errors import ConfigError
from pipeline.language.languages import classify
from pipeline.quality.quality import measure
from pipeline.quality.settings import MeasuringWith, measuring_with
from pipeline.rules.judged import judge_documents
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import Judging
from pipeline.sources import plan_slices, read_parts

MAX_DOCUMENT_BYTES = 50_000  # no single file may shape the vocabulary


@dataclass
class _Lot:
    """The documents of smallest key whose bytes fit a budget: a uniform sample that no order of reading changes."""

    budget: int
    n_bytes: int = 0
    heap: list[tuple[int, bytes, str]] = field(default_factory=list)  # (-key, hash, text): largest key on top
    seen: set[bytes] = field(default_factory=set)

    def offer(self, key: int, digest: bytes, text: str) -> None:
        if digest in self.seen or (self.n_bytes >= self.budget and key >= -self.heap[0][0]):
            return
        heapq.heappush(self.heap, (-key, digest, text))
        self.seen.add(digest)
        self.n_bytes += len(text)
        self.shrink(self.budget)

    def shrink(self, budget: int) -> None:
        """Give up documents of the largest keys while the rest still fills the budget."""
        while self.heap and self.n_bytes - len(self.heap[0][2]) >= budget:
            _, out, gone = heapq.heappop(self.heap)
            self.seen.discard(out)
            self.n_bytes -= len(gone)

    def texts(self) -> list[str]:
        return [text for _, _, text in sorted(self.heap, reverse=True)]


def _offer(
    lots: dict[str, _Lot], documents: pa.Table, *, mixture: Mixture, measuring: MeasuringWith, judging: Judging
) -> None:
    """Offer the documents of one shard that pass the rules to the lots of their pools."""
    languages = classify(documents, config=mixture.classify)
    quality = measure(documents, languages, config=measuring)
    judged = judge_documents(documents, languages, quality, config=judging)
    keys = keyed_hash(stage_key(mixture.seed, "sample"), *doc_words(documents))
    passes = (pc.list_value_length(judged["fired"]).to_numpy() == 0) & documents["problem"].is_null().to_numpy()
    pools = languages["pool"].to_pylist()
    for row in np.flatnonzero(passes).tolist():
        content = documents["content"][row].as_py()
        text = content.decode("utf-8", errors="replace")[:MAX_DOCUMENT_BYTES]
        lots[pools[row]].offer(int(keys[row]), documents["content_hash"][row].as_py(), text)


def sample(mixture: Mixture, *, n_bytes: int, on_slice: Callable[[int, int], None]) -> list[str]:
    """Texts of about n_bytes in total, half code and half text, that pass the mixture's rules, in keyed order.

    Equal documents count once; a document enters with at most 50,000 characters. Calls on_slice(done, total).
    Raises ConfigError if a pool has nothing to give.
    """
    lots = {"code": _Lot(n_bytes // 2), "text": _Lot(n_bytes // 2)}
    limits = mixture.ingest
    measuring = measuring_with(mixture.quality.measuring()).model_copy(update={"parse": "off"})
    judging = Judging(rules=rules_of(mixture.quality))
    read = partial(
        read_parts,
        shard_bytes=limits.shard_bytes,
        max_document_bytes=limits.max_document_bytes,
        notebooks=limits.notebooks,
    )
    slices = [(s, p) for s in mixture.sources for p in plan_slices(s, shard_bytes=limits.shard_bytes)]
    for number, (source, piece) in enumerate(slices):
        for _, documents in read(source, piece):
            _offer(lots, documents, mixture=mixture, measuring=measuring, judging=judging)
        on_slice(number + 1, len(slices))
    for pool, lot in lots.items():
        if not lot.heap:
            raise ConfigError(f"sample: no {pool} document passes the rules; add a {pool} source to the mixture")
    smaller = min(lot.n_bytes for lot in lots.values())
    for lot in lots.values():
        lot.shrink(smaller)
    return [text for lot in lots.values() for text in lot.texts()]
