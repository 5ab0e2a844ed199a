"""From bytes to shingle hashes, without making a string.

Two definitions of a word:

- `identifiers`: a run of [A-Za-z0-9_], as BigCode does for code. Every other byte separates.
- `unicode`: a run of letters, marks and digits of any script. Runs of a script that is written without spaces are cut
  where a hash of two neighbouring characters says so: after every second character on average in Han and kana, after
  every fourth in Thai, Lao, Khmer, Burmese and Tibetan, which is about the length of their words. The cuts need no
  dictionary and depend on two characters only, so an edit moves none but those beside it.

A shingle is `n_words` successive words; a document shorter than that has one shingle of all its words. Hashes are 64
bits: with a million shingles in two documents the chance of one false match is below 1e-7. An ASCII word hashes alike
under both definitions, so documents of both kinds can be compared.

Three compiled passes over each document, none of which branches on a single byte: where words begin and end, a hash of
each word from eight bytes at a time, a rolling polynomial over `n_words` word hashes.
"""

import unicodedata
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from pipeline.arrays.compiled import compiled

WordKind = Literal["identifiers", "unicode"]

# Odd 64-bit multipliers of well-known mixers. Changing one changes every shingle: signatures of earlier runs would no
# longer compare, so the version of stage `signatures` would have to be raised.
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHINGLE_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_FOLD = np.uint64(0x2020202020202020)  # on [A-Za-z0-9_] this bit tells capitals from small letters and nothing else
_MASKS = np.array([(1 << (8 * k)) - 1 for k in range(9)], np.uint64)
_SEPARATOR, _WORD, _HAN, _THAI = 0, 1, 2, 3
_CUTS = np.array([0, 0, 1, 3], np.int64)  # a word of that class ends where these bits of a hash are 0
_BMP = 0x10000  # tables cover the basic plane; above it only ideographs are words here, and nothing has a case
# first and last code point of scripts without spaces between words; words of a few characters, and of about four
_UNSPACED = {
    _HAN: (
        (0x2E80, 0x2FDF), (0x3040, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
        (0xA000, 0xA4CF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    ),
    _THAI: (
        (0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xA9E0, 0xA9FF),
        (0xAA60, 0xAA7F),
    ),
}  # fmt: skip


@intrinsic
def _load8(typing_context: Any, data: Any, place: Any) -> Any:
    """Eight bytes of a uint8 array from any place, as one little-endian word. The caller keeps inside the array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return word

    return types.uint64(data, types.int64), generate


# --- where words are -------------------------------------------------------------------------------------------------


def _byte_classes() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", np.uint8)] = 1
    return table


_CLASSES = _byte_classes()


@lru_cache(maxsize=1)
def _unicode_tables() -> tuple[np.ndarray, np.ndarray]:
    """For every code point below 0x10000: its class, and its small letter where that is a single code point."""
    classes, small = np.zeros(_BMP, np.uint8), np.arange(_BMP, dtype=np.uint32)
    for code in range(_BMP):
        character = chr(code)
        if unicodedata.category(character)[0] in "LMN" or character == "_":
            classes[code] = _WORD
        lowered = character.lower()
        if len(lowered) == 1 and ord(lowered) < _BMP:
            small[code] = ord(lowered)
    for kind, ranges in _UNSPACED.items():
        for first, last in ranges:
            part = classes[first : last + 1]
            part[part == _WORD] = kind
    return classes, small


@compiled
def _word_bounds(data: np.ndarray, start: int, stop: int, classes: np.ndarray, bounds: np.ndarray) -> int:
    """Write begin and end of each run of word bytes; return how many numbers. Every byte is written, few are kept."""
    n, before = 0, np.uint8(0)
    for i in range(start, stop):
        here = classes[data[i]]
        bounds[n] = i
        n += int(here ^ before)
        before = here
    if before:
        bounds[n] = stop
        n += 1
    return n


@compiled
def _decode(data: np.ndarray, i: int, stop: int) -> tuple[int, int]:
    """Code point and length of the UTF-8 sequence at i; what is no sequence counts as one separating byte."""
    byte = int(data[i])
    length = 1 if byte < 0xC2 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    if length == 1 or byte > 0xF4 or i + length > stop:
        return 0, 1
    code = byte & (0xFF >> (length + 1))
    for k in range(i + 1, i + length):
        if data[k] & 0xC0 != 0x80:
            return 0, 1
        code = code << 6 | int(data[k] & 0x3F)
    return code, length


@compiled
def _pair_hash(before: int, letter: int) -> int:
    """Some bits of two neighbouring characters."""
    h = (before * 0x9E3779B1 + letter * 0x85EBCA77) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (h ^ (h >> 12)) >> 8


@compiled
def _unicode_bounds(
    data: np.ndarray,
    start: int,
    stop: int,
    classes: np.ndarray,
    small: np.ndarray,
    cuts: np.ndarray,
    text: np.ndarray,
    bounds: np.ndarray,
) -> int:
    """Write the words one after another to `text`, other characters left out, and their bounds as `_word_bounds`.

    A character beyond ASCII takes three bytes there, so `text` needs twice the document's bytes.
    """
    n, place, i = 0, 0, start
    is_open, before, last = False, 0, 0  # before: the letter before in this run of one class, last: that class
    while i < stop:
        code, length = int(data[i]), 1
        if code >= 0x80:
            code, length = _decode(data, i, stop)
        kind = int(classes[code]) if code < 0x10000 else (2 if 0x20000 <= code < 0x40000 else 0)
        if kind != last:
            if is_open:
                bounds[n] = place
                n += 1
            is_open, before, last = False, 0, kind
        if kind:
            if not is_open:
                bounds[n] = place
                n += 1
                is_open = True
            letter = int(small[code]) if code < 0x10000 else code
            text[place] = letter & 0xFF
            place += 1
            if code >= 0x80:
                text[place] = letter >> 8 & 0xFF
                text[place + 1] = letter >> 16 | 0x80
                place += 2
            if kind > 1:
                if not _pair_hash(before, letter) & cuts[kind]:
                    bounds[n] = place
                    n += 1
                    is_open = False
                before = letter
        i += length
    if is_open:
        bounds[n] = place
        n += 1
    return n


# --- hashes ----------------------------------------------------------------------------------------------------------


@compiled
def _hash_words(
    data: np.ndarray, bounds: np.ndarray, n: int, fold: np.uint64, masks: np.ndarray, words: np.ndarray
) -> None:
    """words[w] is the hash of data[bounds[2 * w]:bounds[2 * w + 1]], eight bytes at a time."""
    last = data.size - 8
    for w in range(n // 2):
        place, end = bounds[2 * w], bounds[2 * w + 1]
        h = np.uint64(end - place) * _SHINGLE_FACTOR
        while end - place > 8:
            h = (h ^ (_load8(data, place) | fold)) * _WORD_FACTOR
            h ^= h >> np.uint64(29)
            place += 8
        if place <= last:
            x = _load8(data, place)
        else:
            x = np.uint64(0)
            for k in range(place, end):
                x |= np.uint64(data[k]) << np.uint64(8 * (k - place))
        h = (h ^ ((x | fold) & masks[end - place])) * _WORD_FACTOR
        words[w] = h ^ (h >> np.uint64(32))


@compiled
def _shingle_words(words: np.ndarray, n: int, n_words: int, out: np.ndarray) -> int:
    """Hash every `n_words` successive words of the first n; return the number of shingles written to `out`."""
    if n == 0:
        return 0
    top = np.uint64(1)
    for _ in range(n_words):
        top *= _SHINGLE_FACTOR
    rolling = np.uint64(0)
    for i in range(min(n, n_words)):
        rolling = rolling * _SHINGLE_FACTOR + words[i]
    out[0] = rolling
    count = 1
    for i in range(n_words, n):
        rolling = rolling * _SHINGLE_FACTOR + words[i] - words[i - n_words] * top
        out[count] = rolling
        count += 1
    for i in range(count):
        h = out[i]
        h = (h ^ (h >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
        out[i] = h ^ (h >> np.uint64(29))
    return count


@compiled
def _shingle_all(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    is_unicode: bool,
    fold: np.uint64,
    n_words: int,
    out: np.ndarray,
    ends: np.ndarray,
) -> None:
    longest = 0
    for d in range(starts.size):
        longest = max(longest, stops[d] - starts[d])
    bounds = np.empty(longest + 2, np.int64)
    words = np.empty(longest // 2 + 2, np.uint64)
    text = np.empty(2 * longest + 16 if is_unicode else 0, np.uint8)
    place = 0
    for d in range(starts.size):
        if is_unicode:
            n = _unicode_bounds(data, starts[d], stops[d], tables[0], tables[1], _CUTS, text, bounds)
            _hash_words(text, bounds, n, np.uint64(0), _MASKS, words)
        else:
            n = _word_bounds(data, starts[d], stops[d], tables[0], bounds)
            _hash_words(data, bounds, n, fold, _MASKS, words)
        place += _shingle_words(words, n // 2, n_words, out[place:])
        ends[d + 1] = place


def shingle(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    *,
    n_words: int,
    kind: WordKind = "identifiers",
    fold_case: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Shingle hashes of documents data[starts[d]:stops[d]]; `data` is uint8, starts and stops are int64 [n].

    Returns (hashes uint64 [total], ends int64 [n + 1]): document d owns hashes[ends[d]:ends[d + 1]], in document
    order, repeats included. Takes up to four bytes of memory for each byte of `data`: hand it some megabytes at a time.
    """
    if kind == "unicode":
        classes, small = _unicode_tables()
        if not fold_case:
            small = np.arange(_BMP, dtype=np.uint32)
    else:
        classes, small = _CLASSES, np.zeros(0, np.uint32)
    out = np.empty(int(((stops - starts + 1) // 2 + 1).sum()), np.uint64)
    ends = np.zeros(starts.size + 1, np.int64)
    fold = _FOLD if fold_case else np.uint64(0)
    _shingle_all(data, starts, stops, (classes, small), kind == "unicode", fold, n_words, out, ends)
    return out[: ends[-1]], ends


@compiled
def _digest_all(hashes: np.ndarray, ends: np.ndarray, out: np.ndarray) -> None:
    for d in range(ends.size - 1):
        n = np.uint64(ends[d + 1] - ends[d])
        one, two = n + _WORD_FACTOR, n ^ _SHINGLE_FACTOR
        for i in range(ends[d], ends[d + 1]):
            one = (one ^ hashes[i]) * _WORD_FACTOR
            one ^= one >> np.uint64(31)
            two = (two + hashes[i]) * _SHINGLE_FACTOR
            two ^= two >> np.uint64(33)
        out[d, 0], out[d, 1] = one, two


def digests(hashes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """128 bits of each document's sequence of shingles, uint64 [n, 2]: equal where all words are equal."""
    out = np.empty((ends.size - 1, 2), np.uint64)
    _digest_all(hashes, ends, out)
    return out
