"""Shingles of documents as the mixture defines them: which words count in which pool, some megabytes at a time."""

from collections.abc import Iterator

import numpy as np

from pipeline.config import Words
from pipeline.dedup.headers import find_headers
from pipeline.dedup.settings import Signing
from pipeline.dedup.shingles import most_shingles, shingle

CHUNK_BYTES = 4_000_000  # shingles take up to four times as much
# "Few": in a document of fewer words than three shingles hold, what stands between the words says as much as they do.
_MIN_SHINGLES = 3


def shingle_chunks(
    data: np.ndarray, offsets: np.ndarray, *, rows: np.ndarray, is_code: np.ndarray, config: Signing
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (rows, hashes, ends): the documents `rows[i]` of each chunk own hashes[ends[i]:ends[i + 1]], with repeats.

    Document d is data[offsets[d]:offsets[d + 1]]; `is_code` says its pool. Every row comes once, code before text. The
    hashes stand until the next chunk is asked for.
    """
    # Fresh memory for every chunk would cost half as much as the hashing: the system clears each page of it.
    out = np.empty(0, np.uint64)
    for words, part in _parts(offsets, rows, is_code, config):
        starts, stops = offsets[part], offsets[part + 1]
        if out.size < (most := most_shingles(starts, stops)):
            out = np.empty(most + most // 8, np.uint64)
        gaps = find_headers(data, starts, stops) if words.skip_header else None
        hashes, ends = shingle(
            data,
            starts,
            stops,
            n_words=config.shingle_words,
            kind=words.kind,
            fold_case=words.fold_case,
            gaps=gaps,
            min_words=_MIN_SHINGLES * config.shingle_words,
            out=out,
        )
        yield part, hashes, ends


def header_chunks(
    data: np.ndarray,
    offsets: np.ndarray,
    *,
    rows: np.ndarray,
    is_code: np.ndarray,
    is_signed: np.ndarray,
    config: Signing,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What rights comments would add if they counted; documents without one do not come.

    Of a document whose other words speak for it, the comment's shingles; of another all of its shingles, if they would.
    """
    for words, part in _parts(offsets, rows, is_code, config):
        if not words.skip_header:
            continue
        begin, end = find_headers(data, offsets[part], offsets[part + 1]).T
        n_words, kind, fold_case = config.shingle_words, words.kind, words.fold_case
        few = _MIN_SHINGLES * n_words
        for has, min_words in ((is_signed[part], 0), (~is_signed[part], few)):
            mine = has & (end > begin)
            starts, stops = (offsets[part], offsets[part + 1]) if min_words else (begin, end)
            yield (
                part[mine],
                *shingle(
                    data,
                    starts[mine],
                    stops[mine],
                    n_words=n_words,
                    kind=kind,
                    fold_case=fold_case,
                    min_words=min_words,
                ),
            )


def _parts(
    offsets: np.ndarray, rows: np.ndarray, is_code: np.ndarray, config: Signing
) -> Iterator[tuple[Words, np.ndarray]]:
    """The rows of each pool, some megabytes at a time."""
    pools = ((config.code_words, rows[is_code[rows]]), (config.text_words, rows[~is_code[rows]]))
    if config.code_words == config.text_words:
        pools = ((config.code_words, rows), (config.code_words, rows[:0]))
    for words, mine in pools:
        size = offsets[mine + 1] - offsets[mine]
        cuts = np.flatnonzero(np.diff(np.cumsum(size) // CHUNK_BYTES)) + 1
        yield from ((words, part) for part in np.split(mine, cuts) if part.size)
