"""Shingles of documents as the mixture defines them: which words count in which pool, some megabytes at a time."""

from collections.abc import Iterator

import numpy as np

from pipeline.config import Frozen, NearDups, Words
from pipeline.dedup.headers import skip_headers
from pipeline.dedup.shingles import shingle

CHUNK_BYTES = 4_000_000  # shingles take up to four times as much


class Signing(Frozen):
    """All of `near_dups` that decides a signature."""

    shingle_words: int
    code_words: Words
    text_words: Words
    n_hashes: int


def signing_of(config: NearDups) -> Signing:
    """What the signatures depend on; bands, thresholds and partitions are not among it."""
    return Signing(**{name: getattr(config, name) for name in Signing.model_fields})


def shingle_chunks(
    data: np.ndarray, offsets: np.ndarray, *, rows: np.ndarray, is_code: np.ndarray, config: Signing
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (rows, hashes, ends): the documents `rows[i]` of each chunk own hashes[ends[i]:ends[i + 1]], with repeats.

    Document d is data[offsets[d]:offsets[d + 1]]; `is_code` says its pool. Every row comes once, code before text.
    """
    pools = ((config.code_words, rows[is_code[rows]]), (config.text_words, rows[~is_code[rows]]))
    if config.code_words == config.text_words:
        pools = ((config.code_words, rows), (config.code_words, rows[:0]))
    for words, mine in pools:
        size = offsets[mine + 1] - offsets[mine]
        cuts = np.flatnonzero(np.diff(np.cumsum(size) // CHUNK_BYTES)) + 1
        for part in np.split(mine, cuts):
            if not part.size:
                continue
            starts, stops = offsets[part], offsets[part + 1]
            if words.skip_header:
                starts = skip_headers(data, starts, stops)
            yield (
                part,
                *shingle(data, starts, stops, n_words=config.shingle_words, kind=words.kind, fold_case=words.fold_case),
            )
