"""What of each document decides whether it enters a tokenizer's sample: a few numbers and names, no text."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, hash_words, strings
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.config import Mixture
from pipeline.language.languages import classify
from pipeline.quality.quality import measure
from pipeline.quality.settings import MeasuringWith
from pipeline.rules.judged import judge_documents
from pipeline.rules.settings import Judging


@dataclass(frozen=True)
class SampleCandidates:
    """Documents that pass the rules, each array of shape [n]."""

    keys: np.ndarray  # uint64: the place in the sample's order
    hashes: np.ndarray  # uint64: of the content
    n_bytes: np.ndarray  # int64: as many as may enter
    pools: np.ndarray  # str: code, text
    groups: np.ndarray  # str: a language of code, a source of text
    repos: np.ndarray  # str: its repository; its source where it has none


def keys_of(documents: pa.Table, *, seed: int) -> np.ndarray:
    """uint64 [n]: where each document stands in the order of the sample."""
    return keyed_hash(stage_key(seed, "sample"), *doc_words(documents))


def candidates_of(
    documents: pa.Table, *, mixture: Mixture, measuring: MeasuringWith, judging: Judging
) -> SampleCandidates:
    """The documents of one shard that pass the rules."""
    languages = classify(documents, config=mixture.classify)
    quality = measure(documents, languages, config=measuring)
    judged = judge_documents(documents, languages, quality, config=judging)
    passes = (pc.list_value_length(judged["fired"]).to_numpy() == 0) & documents["problem"].is_null().to_numpy()
    high, low = hash_words(documents["content_hash"])
    pools, sample = strings(languages["pool"]), mixture.tokenizer.sample
    limits = np.where(pools == "code", sample.code.max_document_bytes, sample.text.max_document_bytes)
    repos, sources = strings(documents["repo"]), strings(documents["source"])
    return SampleCandidates(
        keys=keys_of(documents, seed=mixture.seed)[passes],
        hashes=(high ^ low)[passes],
        n_bytes=np.minimum(documents["n_bytes"].to_numpy(), limits).astype(np.int64)[passes],
        pools=pools[passes],
        groups=strings(languages["group"])[passes],
        repos=np.where(repos == "", sources, repos)[passes],
    )


def joined(parts: list[SampleCandidates]) -> SampleCandidates:
    """All of them in the order of their keys, equal contents once: the first of the order."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in SampleCandidates.__dataclass_fields__
    }
    order = np.lexsort((whole["hashes"], whole["keys"]))
    _, first = np.unique(whole["hashes"][order], return_index=True)
    kept = order[np.sort(first)]
    return SampleCandidates(**{name: column[kept] for name, column in whole.items()})
