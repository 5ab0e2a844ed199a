"""From bytes to shingle hashes in one pass, without making a string.

A word is a run of ASCII letters, digits and underscore, or of bytes above 127 (accented letters); ASCII case is folded.
Scripts written without spaces (code points from U+3000 on: Chinese, Japanese, Korean) count each character as a word,
otherwise a page of Chinese would be five words long. A shingle is `n_words` successive words; a document shorter than
that has one shingle of all its words. Shingle hashes are 64 bits: with a million shingles in two documents the chance
of one false match is below 1e-7.
"""

from __future__ import annotations

import numpy as np

from pipeline.text.compiled import compiled

_SEPARATOR, _WORD, _ALONE = 0, 1, 2


def _byte_classes() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[128:] = 1
    for byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_":
        table[byte] = 1
    return table


_CLASSES = _byte_classes()
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHINGLE_FACTOR = np.uint64(0xD6E8FEB86659FD93)


@compiled
def _finish(h: np.uint64) -> np.uint64:
    h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(32)
    h *= np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(32))


@compiled
def _word_hashes(data: np.ndarray, start: int, stop: int, classes: np.ndarray, out: np.ndarray) -> int:
    """Hash the words of data[start:stop] into `out`; return how many. `out` needs stop - start places."""
    n = 0
    h = np.uint64(0)
    open_word = False
    i = start
    while i < stop:
        byte = data[i]
        if byte >= 0xE3 and byte != 0xEF and i + 2 < stop:  # a code point from U+3000 on stands alone
            if open_word:
                out[n] = _finish(h)
                n += 1
                h, open_word = np.uint64(0), False
            length = 4 if byte >= 0xF0 else 3
            if not (byte == 0xE3 and data[i + 1] == 0x80):  # U+3000 to U+303F is punctuation
                for k in range(i, min(i + length, stop)):
                    h = (h ^ np.uint64(data[k])) * _WORD_FACTOR
                out[n] = _finish(h)
                n += 1
                h = np.uint64(0)
            i += length
            continue
        if classes[byte]:
            folded = byte | 0x20 if 65 <= byte <= 90 else byte
            h = (h ^ np.uint64(folded)) * _WORD_FACTOR
            open_word = True
        elif open_word:
            out[n] = _finish(h)
            n += 1
            h, open_word = np.uint64(0), False
        i += 1
    if open_word:
        out[n] = _finish(h)
        n += 1
    return n


@compiled
def _shingle_document(words: np.ndarray, n: int, n_words: int, out: np.ndarray) -> int:
    """Rolling polynomial hash over `n_words` successive words; returns the number of shingles written to `out`."""
    if n == 0:
        return 0
    top = np.uint64(1)
    for _ in range(n_words):
        top *= _SHINGLE_FACTOR
    rolling = np.uint64(0)
    for i in range(min(n, n_words)):
        rolling = rolling * _SHINGLE_FACTOR + words[i]
    out[0] = _finish(rolling)
    count = 1
    for i in range(n_words, n):
        rolling = rolling * _SHINGLE_FACTOR + words[i] - words[i - n_words] * top
        out[count] = _finish(rolling)
        count += 1
    return count


@compiled
def _shingle_all(
    data: np.ndarray, offsets: np.ndarray, classes: np.ndarray, n_words: int, out: np.ndarray, ends: np.ndarray
) -> None:
    longest = 0
    for d in range(offsets.size - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    words = np.empty(longest, np.uint64)
    place = 0
    for d in range(offsets.size - 1):
        n = _word_hashes(data, offsets[d], offsets[d + 1], classes, words)
        place += _shingle_document(words, n, n_words, out[place:])
        ends[d + 1] = place


def shingle(data: np.ndarray, offsets: np.ndarray, *, n_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Shingle hashes of documents data[offsets[d]:offsets[d + 1]].

    `data` is uint8, `offsets` int64 [n + 1]. Returns (hashes uint64 [total], ends int64 [n + 1]): document d owns
    hashes[ends[d]:ends[d + 1]], in document order, repeats included.
    """
    out = np.empty(int(offsets[-1] - offsets[0]) + offsets.size, np.uint64)
    ends = np.zeros(offsets.size, np.int64)
    _shingle_all(data, offsets, _CLASSES, n_words, out, ends)
    return out[: ends[-1]], ends


@compiled
def overlap(a: np.ndarray, b: np.ndarray) -> int:
    """Size of the intersection of two sorted arrays of distinct hashes."""
    i, j, shared = 0, 0, 0
    while i < a.size and j < b.size:
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return shared


@compiled
def jaccard_pairs(hashes: np.ndarray, ends: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Exact Jaccard of each pair of documents (left[p], right[p]); their hashes are sorted and distinct. [n_pairs]"""
    out = np.empty(left.size, np.float64)
    for p in range(left.size):
        a = hashes[ends[left[p]] : ends[left[p] + 1]]
        b = hashes[ends[right[p]] : ends[right[p] + 1]]
        shared = overlap(a, b)
        union = a.size + b.size - shared
        out[p] = shared / union if union else 0.0
    return out
