"""Overlaps: which documents share words with the benchmarks in `against`, so that no test set is trained on.

Two measures, both on words of any script in small letters, so that layout and spelling of code do not matter: of the
runs of `ngram_words` words that stand in an item too (as GPT-3 and its followers count), how many different words
there are that tell the item from other texts; and the share of the item's 5-word shingles, which finds an item edited
throughout. Both within one place of the document, three times as long as the item. What tells and what is common,
`telling.py` and `benchmark_index.py` say. It only measures; `select` judges.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of
from pipeline.arrays.trained import trained
from pipeline.dedup.benchmark_index import Runs, index_runs, search
from pipeline.dedup.benchmark_items import Benchmarks, read_items
from pipeline.dedup.shingles import shingle
from pipeline.dedup.telling import telling_words
from pipeline.schema import OVERLAPS

_SHINGLE_WORDS = 5  # as in near dedup, so that "contained" means the same there and here
_CHUNK_BYTES = 4_000_000  # of text shingled at once: hashes take up to four times as much memory
# What is contained must say something, however short the item is: so many telling words, or so many telling shingles.
_MIN_CONTAINED_WORDS = 3
_MIN_CONTAINED_SHINGLES = 10


@dataclass(frozen=True)
class Match:
    """What a document shares with one item, and the place where it stands in both, in words from 0 (`last` excluded).

    n_ngrams and n_telling_words are those of the runs of equal words in that place; contained_frac is of the item's
    telling 5-word shingles, 0 below what is stored.
    """

    benchmark: str
    item: int
    n_ngrams: int
    n_telling_words: int
    contained_frac: float
    first_word: int
    last_word: int
    first_item_word: int
    last_item_word: int


@dataclass(frozen=True)
class Index:
    """The items of all benchmarks, numbered through: item i is item numbers[i] of benchmark groups[i]."""

    names: list[str]
    groups: np.ndarray
    numbers: np.ndarray
    floors: np.ndarray
    telling: list[np.ndarray]
    ngrams: dict[int, Runs]  # by their length
    shingles: Runs


def find_overlaps(documents: pa.Table, redacted: pa.Table, *, config: Benchmarks) -> pa.Table:
    """Table `overlaps` of one shard: for each document and benchmark the item of which it says most, and the item of
    which it contains most, if these are two."""
    rows: list[list[dict[str, object]]] = [[] for _ in range(documents.num_rows)]
    data, offsets = bytes_of(trained(documents, redacted))
    for part in _parts(offsets) if config.sets else ():
        index = _index(config)
        pairs = _pairs(index, data, offsets[part], offsets[part + 1])
        for pair in _best(index, pairs):
            rows[part[pair[0]]].append(asdict(pairs[pair]))
    matches = pa.array(rows, OVERLAPS.schema.field("matches").type)
    return pa.table({"doc_id": documents["doc_id"], "matches": matches}, schema=OVERLAPS.schema)


def _parts(offsets: np.ndarray) -> list[np.ndarray]:
    rows = np.arange(offsets.size - 1)
    return np.split(rows, np.flatnonzero(np.diff(offsets[1:] // _CHUNK_BYTES)) + 1)


def _pairs(index: Index, data: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> dict[tuple[int, int], Match]:
    """By document and item, what they share. Where both measures find something, the n-grams say the place."""
    contained: dict[tuple[int, int], Match] = {}
    for n_units, pair, match in _matches(index, index.shingles, data, starts, stops, floors=index.floors):
        telling = index.telling[pair[1]][match.first_item_word : match.last_item_word]
        n_telling = np.unique(telling[telling >= 0]).size
        if n_telling >= _MIN_CONTAINED_WORDS or n_units >= _MIN_CONTAINED_SHINGLES:
            share = n_units / int(index.shingles.n_units[pair[1]])
            contained[pair] = replace(match, n_ngrams=0, contained_frac=share)
    pairs = dict(contained)
    for runs in index.ngrams.values():
        for n_units, pair, match in _matches(index, runs, data, starts, stops, floors=np.zeros(1)):
            share = contained[pair].contained_frac if pair in contained else 0.0
            pairs[pair] = replace(match, n_telling_words=n_units, contained_frac=share)
    return pairs


def _matches(
    index: Index, runs: Runs, data: np.ndarray, starts: np.ndarray, stops: np.ndarray, *, floors: np.ndarray
) -> Iterator[tuple[int, tuple[int, int], Match]]:
    hashes, ends = shingle(data, starts, stops, n_words=runs.n_words, kind="unicode", fold_case=True)
    found = search(runs, hashes, ends, min_unit_frac=floors)
    places = np.stack((found.first_word, found.last_word, found.first_item_word, found.last_item_word), axis=1)
    for k, (row, item) in enumerate(zip(found.documents.tolist(), found.items.tolist(), strict=True)):
        name, number = index.names[index.groups[item]], int(index.numbers[item])
        n_ngrams = int(found.n_runs[k])
        yield int(found.n_units[k]), (row, item), Match(name, number, n_ngrams, 0, 0.0, *places[k].tolist())


def _best(index: Index, pairs: dict[tuple[int, int], Match]) -> list[tuple[int, int]]:
    """For each document and benchmark the item of the most telling words and that of the largest share, in order.

    Any threshold of either measure is crossed by one of the two, if it is crossed by any. The first of equals.
    """
    best: dict[tuple[int, int, int], tuple[float, float, int]] = {}
    for (row, item), match in pairs.items():
        measures = (float(match.n_telling_words), match.contained_frac)
        for k, (one, other) in enumerate((measures, measures[::-1])):
            place = (row, int(index.groups[item]), k)
            if one:
                best[place] = max(best.get(place, (0.0, 0.0, 0)), (one, other, -item))
    return sorted({(place[0], -item) for place, (_, _, item) in best.items()})


@lru_cache(maxsize=4)
def _index(config: Benchmarks) -> Index:
    """An item shorter than an n-gram has shingles only."""
    contents = [read_items(benchmark) for benchmark in config.sets]
    groups = np.repeat(np.arange(len(contents)), [len(texts) for texts in contents])
    numbers = np.concatenate([np.arange(len(texts)) for texts in contents])
    data, offsets = bytes_of(pa.concat_arrays(contents))
    telling = telling_words(data, offsets)
    lengths = np.array([benchmark.entry.ngram_words for benchmark in config.sets])
    return Index(
        names=[benchmark.entry.name for benchmark in config.sets],
        groups=groups,
        numbers=numbers,
        floors=np.array([benchmark.entry.min_contained_frac for benchmark in config.sets])[groups],
        telling=telling,
        ngrams={
            int(n): index_runs(data, offsets, telling, groups, n_words=int(n), of=lengths[groups] == n, counts="words")
            for n in np.unique(lengths)
        },
        shingles=index_runs(data, offsets, telling, groups, n_words=_SHINGLE_WORDS, counts="runs"),
    )
