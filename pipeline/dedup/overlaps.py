"""Overlaps: which documents share words with the benchmarks in `against`, so that no test set is trained on.

Two signs, both on words of any script in small letters, so that layout and spelling of code do not matter: a run of
`ngram_words` successive words that stands in a benchmark item (as GPT-3 and its followers do), and at least
`min_contained_frac` of an item's 5-word shingles anywhere in the document, which finds an item edited throughout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, one_chunk
from pipeline.config import Against, source_of
from pipeline.dedup import jaccard
from pipeline.dedup.shingles import shingle
from pipeline.errors import ConfigError
from pipeline.fields import Frozen
from pipeline.schema import OVERLAPS
from pipeline.sources import Slice, read_slice

_SHINGLE_WORDS = 5  # as in near dedup, so that "contained" means the same there and here
_CHUNK_BYTES = 4_000_000  # of text shingled at once: hashes take up to four times as much memory
_MAX_ITEM_BYTES = 8_000_000  # the default of `ingest.max_document_bytes`; no benchmark item comes near it


class Benchmark(Frozen):
    """An entry of `against` and the files that it consists of, with their sizes and versions."""

    entry: Against
    slices: tuple[Slice, ...]


class Benchmarks(Frozen):
    """The part of `against` that is compared by words."""

    sets: tuple[Benchmark, ...]


@dataclass(frozen=True)
class Index:
    """Shingles of all items of one benchmark: sorted hashes with the item that each stands in, and the items' sizes."""

    hashes: np.ndarray
    items: np.ndarray
    sizes: np.ndarray

    def hits(self, hashes: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(document, item, shared shingles) of every pair that shares any; a document's hashes are distinct."""
        first = np.searchsorted(self.hashes, hashes)
        n = np.searchsorted(self.hashes, hashes, side="right") - first
        document = np.repeat(np.arange(ends.size - 1), np.diff(ends))
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        item = self.items[np.repeat(first, n) + within]
        pairs, shared = np.unique(np.repeat(document, n) * self.sizes.size + item, return_counts=True)
        return pairs // self.sizes.size, pairs % self.sizes.size, shared


def find_overlaps(documents: pa.Table, *, config: Benchmarks) -> pa.Table:
    """Table `overlaps` of one shard: the benchmark item that each document shares most of, if it shares enough."""
    n = documents.num_rows
    data, offsets = bytes_of(one_chunk(documents["content"]))
    best = np.zeros(n)
    shared_ngrams, item = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    name = np.full(n, None, object)
    for benchmark in config.sets:
        ngrams, shingles = _indices(benchmark)
        entry = benchmark.entry
        for rows in _parts(offsets):
            starts, stops = offsets[rows], offsets[rows + 1]
            found = ngrams.hits(*_distinct(data, starts, stops, n_words=entry.ngram_words))
            np.add.at(shared_ngrams, rows[found[0]], found[2])
            marks = np.where(ngrams.sizes[found[1]] > 0, found[2] / np.maximum(1, ngrams.sizes[found[1]]), 0)
            _take_best(best, item, name, rows[found[0]], found[1], marks, entry.name)
            found = shingles.hits(*_distinct(data, starts, stops, n_words=_SHINGLE_WORDS))
            marks = found[2] / np.maximum(1, shingles.sizes[found[1]])
            enough = marks >= entry.min_contained_frac
            _take_best(best, item, name, rows[found[0][enough]], found[1][enough], marks[enough], entry.name)
    return pa.table(
        {
            "doc_id": documents["doc_id"],
            "n_shared_ngrams": shared_ngrams,
            "benchmark": pa.array(name, pa.string()),
            "item": pa.array(item, mask=item < 0),
            "contained_frac": best,
        },
        schema=OVERLAPS.schema,
    )


def _take_best(
    best: np.ndarray,
    item: np.ndarray,
    name: np.ndarray,
    rows: np.ndarray,
    items: np.ndarray,
    marks: np.ndarray,
    benchmark: str,
) -> None:
    """Remember for each row the item of which it holds the largest share; the first of equals."""
    for row, one, mark in zip(rows.tolist(), items.tolist(), marks.tolist(), strict=True):
        if item[row] < 0 or mark > best[row]:
            best[row], item[row], name[row] = mark, one, benchmark


def _parts(offsets: np.ndarray) -> list[np.ndarray]:
    rows = np.arange(offsets.size - 1)
    return np.split(rows, np.flatnonzero(np.diff(offsets[1:] // _CHUNK_BYTES)) + 1)


def _distinct(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, *, n_words: int
) -> tuple[np.ndarray, np.ndarray]:
    return jaccard.distinct(*shingle(data, starts, stops, n_words=n_words, kind="unicode", fold_case=True))


@contextmanager
def named_as_asked(entry: Against) -> Iterator[None]:
    """A benchmark is read as a source is; errors name what the mixture says, its entry of `against`."""
    source, asked = f"sources.{entry.name}", f"against.{entry.name}"
    try:
        yield
    except ConfigError as error:
        said = str(error).replace(f"{source}.columns.content", f"{asked}.content", 1).replace(source, asked, 1)
        raise ConfigError(said) from error


def _items(benchmark: Benchmark) -> pa.Table:
    """The items as documents. ConfigError for one that cannot be read: nobody would look for it in the documents."""
    entry, source = benchmark.entry, source_of(benchmark.entry)
    with named_as_asked(entry):
        tables = [read_slice(source, piece, max_document_bytes=_MAX_ITEM_BYTES) for piece in benchmark.slices]
    items = pa.concat_tables(tables)
    has_none = pc.equal(pc.binary_length(items["content"]), 0)
    unread = items.filter(pc.and_(has_none, pc.not_equal(items["problem"], "empty")))
    if unread.num_rows:
        first = unread.select(["input_file", "input_row", "problem"]).slice(0, 1).to_pylist()[0]
        raise ConfigError(
            f"against.{entry.name}: {unread.num_rows} of {items.num_rows} items cannot be read, the first in "
            f"{first['input_file']}#{first['input_row']}: {first['problem']}; repair them or take them out"
        )
    return items


@lru_cache(maxsize=4)
def _indices(benchmark: Benchmark) -> tuple[Index, Index]:
    """The n-grams and the 5-word shingles of a benchmark. An item shorter than an n-gram has shingles only."""
    entry = benchmark.entry
    content = one_chunk(_items(benchmark)["content"])
    data, offsets = bytes_of(content)
    _, word_ends = shingle(data, offsets[:-1], offsets[1:], n_words=1, kind="unicode", fold_case=True)
    n_words = np.diff(word_ends)
    indices = []
    for n in (entry.ngram_words, _SHINGLE_WORDS):
        hashes, ends = _distinct(data, offsets[:-1], offsets[1:], n_words=n)
        sizes = np.diff(ends)
        items = np.repeat(np.arange(sizes.size), sizes)
        long = (n_words >= n)[items]
        order = np.lexsort((items[long], hashes[long]))
        indices.append(Index(hashes[long][order], items[long][order], sizes))
    return indices[0], indices[1]
