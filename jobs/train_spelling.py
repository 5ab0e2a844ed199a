"""Learn `pipeline/sources/data/spelling.npz`: the costs of letters in the languages of `spelling.LANGUAGES`.

    python -m jobs.train_spelling FOLDER --out pipeline/sources/data/spelling.npz

FOLDER holds LANGUAGE.txt for each, one phrase a line, as `jobs/spelling_phrases.py` takes them out of translations.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.sources.spelling import (
    BACK_TO_BIGRAM,
    BACK_TO_UNIGRAM,
    BIGRAM,
    COST_STEPS,
    EAST_ASIAN,
    LANGUAGES,
    LATIN,
    TRIGRAM,
    UNIGRAM,
    key_of,
    signs,
)

_MAX_CHARS = 1_200_000  # of a language: more does not change what is common
_MIN_COUNT = {TRIGRAM: 2, BIGRAM: 1}
_UNSEEN_LETTERS = 1.0  # added to each letter of a language; the tail of rare ones is long in East Asia


def words_of(text: str) -> Counter[tuple[int, ...]]:
    """Words as `spelling` cuts them, in lower case."""
    tables = signs()
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    codes = np.where(codes < 0x10000, codes, 0xE000)
    scripts = np.where((tables.script[codes] >= LATIN) & (tables.script[codes] <= EAST_ASIAN), tables.script[codes], 0)
    cuts = np.flatnonzero(np.diff(scripts)) + 1
    counts: Counter[tuple[int, ...]] = Counter()
    for word, script in zip(np.split(tables.lower[codes], cuts), np.split(scripts, cuts), strict=True):
        if len(script) and script[0]:
            counts[tuple(word.tolist())] += 1
    return counts


def entries_of(words: Counter[tuple[int, ...]]) -> dict[tuple[int, int, int, int], float]:
    """(kind, a, b, c) -> cost in nats."""
    uni: Counter[int] = Counter()
    bi: Counter[tuple[int, int]] = Counter()
    tri: Counter[tuple[int, int, int]] = Counter()
    for word, n in words.items():
        padded = (0, 0, *word, 0)
        for a, b, c in zip(padded, padded[1:], padded[2:], strict=False):
            uni[c] += n
            bi[b, c] += n
            tri[a, b, c] += n
    out: dict[tuple[int, int, int, int], float] = {}
    total = sum(uni.values()) + _UNSEEN_LETTERS * len(uni)
    p1 = {c: (n + _UNSEEN_LETTERS) / total for c, n in uni.items()}
    for c, p in p1.items():
        out[UNIGRAM, 0, 0, c] = -np.log(p)
    n1, t1 = Counter[int](), Counter[int]()
    for (b, _), n in bi.items():
        n1[b] += n
        t1[b] += 1
    p2 = {}
    for (b, c), n in bi.items():
        p2[b, c] = (n + t1[b] * p1[c]) / (n1[b] + t1[b])
        out[BIGRAM, 0, b, c] = -np.log(p2[b, c])
    for b in n1:
        out[BACK_TO_UNIGRAM, 0, 0, b] = -np.log(t1[b] / (n1[b] + t1[b]))
    n2, t2 = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for (a, b, _), n in tri.items():
        n2[a, b] += n
        t2[a, b] += 1
    for (a, b, c), n in tri.items():
        if n >= _MIN_COUNT[TRIGRAM]:
            out[TRIGRAM, a, b, c] = -np.log((n + t2[a, b] * p2[b, c]) / (n2[a, b] + t2[a, b]))
    for a, b in n2:
        if n2[a, b] >= _MIN_COUNT[TRIGRAM]:
            out[BACK_TO_BIGRAM, 0, a, b] = -np.log(t2[a, b] / (n2[a, b] + t2[a, b]))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found: dict[int, int] = {}
    for index, language in enumerate(LANGUAGES):
        text = (arguments.folder / f"{language}.txt").read_text(encoding="utf-8")[:_MAX_CHARS]
        entries = entries_of(words_of(text))
        for (kind, a, b, c), cost in sorted(entries.items()):
            found.setdefault(int(key_of(index, kind, a, b, c)), min(255, round(cost * COST_STEPS)))
        print(language, len(text), len(entries))
    keys = np.array(sorted(found), dtype=np.uint32)
    costs = np.array([found[int(k)] for k in keys], dtype=np.uint8)
    np.savez_compressed(arguments.out, gaps=np.diff(keys, prepend=np.uint32(0)), costs=costs)
    print(len(keys), arguments.out.stat().st_size)


if __name__ == "__main__":
    main()
