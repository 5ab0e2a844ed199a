"""From bytes to shingle hashes, without making a string.

A word is a run of letters, digits, marks and `_` of any script (`words.py` says the rest). Two kinds:

- `identifiers`, for code: case kept, and operators count. The run of operator characters before a word, without what
  stands between them, goes into the word's hash; the last ones go into the last word's. So `a + b` and `a / b` differ,
  while spaces, brackets, commas, semicolons and quotes change nothing, and no word is added.
- `unicode`, for prose: operators separate like everything else.

A shingle is `n_words` successive words; a document shorter than that has one shingle of all its words. Hashes are 64
bits: with a million shingles in two documents the chance of one false match is below 1e-7. A word of ASCII without an
operator before it hashes alike under both kinds.

Compiled passes over each document: where words begin and end and which operators stand before each, 64 bytes at a time;
a hash of each word from eight bytes at a time; a rolling polynomial over `n_words` word hashes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from pipeline.arrays.bits import count_ones, lowest
from pipeline.arrays.compiled import compiled
from pipeline.dedup.words import plain_of

WordKind = Literal["identifiers", "unicode"]
Parts = tuple[int, int, int, int]  # a document is data[at[0]:at[1]] and data[at[2]:at[3]]

# Odd 64-bit multipliers of well-known mixers. Changing one changes every shingle: signatures of earlier runs would no
# longer compare, so the version of stage `signatures` would have to be raised.
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHINGLE_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_OPERATOR_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
_FOLD = np.uint64(0x2020202020202020)  # on [A-Za-z0-9_] this bit tells capitals from small letters and nothing else
_MASKS = np.array([(1 << (8 * k)) - 1 for k in range(9)], np.uint64)
_OPERATORS = b"+-*/%=<>&|^~!?:"
# Ranges of bytes, in the text that `words.py` writes: letters beyond ASCII are UTF-8, symbols are eight bytes of which
# the first is visible.
_LETTER_BYTES = ((48, 57), (65, 90), (97, 122), (0xC0, 0xF7))
_WORD_BYTES = ((48, 57), (65, 90), (95, 95), (97, 122), (0x80, 0xF7))
_SEEN_BYTES = ((33, 127), (0xC0, 0xF7))
_OPERATOR_BYTES = (*((byte, byte) for byte in _OPERATORS), (0xF8, 0xFF))


# --- 64 bytes at a time ----------------------------------------------------------------------------------------------


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


_BLOCK = ir.VectorType(ir.IntType(8), 64)


def _bits_of(ranges: Sequence[tuple[int, int]]) -> Any:
    """An intrinsic (data uint8, place) -> uint64: bit k says whether byte place + k lies in one of the ranges.

    The caller keeps 64 bytes inside the array.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), _BLOCK.as_pointer())
        block = builder.load(pointer)
        block.align = 1
        bits = ir.Constant(ir.VectorType(ir.IntType(1), 64), [0] * 64)
        for first, last in ranges:
            moved = builder.sub(block, ir.Constant(_BLOCK, [first] * 64))
            bits = builder.or_(bits, builder.icmp_unsigned("<=", moved, ir.Constant(_BLOCK, [last - first] * 64)))
        return builder.bitcast(bits, ir.IntType(64))

    def typed(typing_context: Any, data: Any, place: Any) -> Any:
        return types.uint64(data, types.int64), generate

    return intrinsic(typed)


_word_bits, _operator_bits = _bits_of(_WORD_BYTES), _bits_of(_OPERATOR_BYTES)
_letter_bits, _seen_bits = _bits_of(_LETTER_BYTES), _bits_of(_SEEN_BYTES)


def _table_of(*ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    """For each byte the number, from 1, of the last list of ranges that it lies in; 0: in none."""
    table = np.zeros(256, np.uint8)
    for number, several in enumerate(ranges):
        for first, last in several:
            table[first : last + 1] = number + 1
    return table


# the same for the last bytes of an array, where no 64 can be loaded
_CLASSES = _table_of(_WORD_BYTES, _OPERATOR_BYTES)
_SEEN = _table_of(_SEEN_BYTES, _LETTER_BYTES)


# --- words -----------------------------------------------------------------------------------------------------------


@compiled
def _find_words(data: np.ndarray, at: Parts, is_code: bool, bounds: np.ndarray, marks: np.ndarray) -> int:
    """Write begin and end of each word of both parts to `bounds`; return how many words there are.

    marks[w], 0 before, becomes the hash of the operators between word w - 1 and word w. `bounds` has eight places more
    than it needs.
    """
    one, n = np.uint64(1), 0
    for part in range(2):
        start, stop = at[2 * part], at[2 * part + 1]
        carry = np.uint64(0)  # whether the byte before the block belongs to a word
        for base in range(start, stop, 64):
            word, operator = np.uint64(0), np.uint64(0)
            if base + 64 <= data.size:
                inside = ~np.uint64(0) >> np.uint64(max(0, base + 64 - stop))
                word, operator = _word_bits(data, base) & inside, _operator_bits(data, base) & inside
            else:
                for k in range(stop - base):
                    kind = _CLASSES[data[base + k]]
                    word |= np.uint64(kind == 1) << np.uint64(k)
                    operator |= np.uint64(kind == 2) << np.uint64(k)
            edges = word ^ (word << one | carry)
            carry = word >> np.uint64(63)
            begins, begun = edges & word, (n + 1) // 2
            while is_code and operator:
                low = operator & (~operator + one)
                w = begun + count_ones(begins & (low - one))
                marks[w] = (marks[w] ^ np.uint64(data[base + lowest(operator)])) * _OPERATOR_FACTOR
                operator ^= low
            # eight at a time without a question; what is written behind the last edge is written over
            n_edges = count_ones(edges)
            for k in range(0, n_edges, 8):
                for m in range(8):
                    bounds[n + k + m] = base + lowest(edges)
                    edges &= edges - one
            n += n_edges
        if carry:
            bounds[n] = stop
            n += 1
    return n // 2


@compiled
def _carry_meaning(data: np.ndarray, at: Parts) -> bool:
    """Whether letters and digits are a third of the visible characters of both parts, or more."""
    n_letters, n_seen = 0, 0
    for part in range(2):
        start, stop = at[2 * part], at[2 * part + 1]
        for base in range(start, stop, 64):
            if base + 64 <= data.size:
                inside = ~np.uint64(0) >> np.uint64(max(0, base + 64 - stop))
                n_letters += count_ones(_letter_bits(data, base) & inside)
                n_seen += count_ones(_seen_bits(data, base) & inside)
                continue
            for byte in data[base:stop]:
                kind = _SEEN[byte]
                n_letters += int(kind == 2)
                n_seen += int(kind > 0)
    return 3 * n_letters >= n_seen


# --- hashes ----------------------------------------------------------------------------------------------------------


@compiled
def _hash_shingles(
    data: np.ndarray,
    n: int,
    options: tuple[bool, np.uint64, int, int],
    room: tuple[np.ndarray, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> int:
    """Hash every `n_words` successive words of the first n; return the number of shingles written to `out`.

    Word w is data[bounds[2 * w]:bounds[2 * w + 1]], read eight bytes at a time. Leaves `marks` empty.
    """
    _, fold, _, n_words = options
    bounds, marks, words = room
    if n:
        marks[n - 1] += marks[n] * _SHINGLE_FACTOR  # not as those before a word: `x -` is not `- x`
    marks[n] = 0
    top = np.uint64(1)
    for _ in range(n_words):
        top *= _SHINGLE_FACTOR
    last, rolling, count = data.size - 8, np.uint64(0), 0
    for w in range(n):
        place, end = bounds[2 * w], bounds[2 * w + 1]
        h = np.uint64(end - place) * _SHINGLE_FACTOR
        while end - place > 8:
            x = _load8(data, place)
            h = (h ^ (x | (~x >> np.uint64(2) & fold))) * _WORD_FACTOR
            h ^= h >> np.uint64(29)
            place += 8
        if place <= last:
            x = _load8(data, place)
        else:
            x = np.uint64(0)
            for k in range(place, end):
                x |= np.uint64(data[k]) << np.uint64(8 * (k - place))
        h = (h ^ ((x | (~x >> np.uint64(2) & fold)) & _MASKS[end - place])) * _WORD_FACTOR
        h = (h ^ (h >> np.uint64(32))) + marks[w]
        words[w], marks[w] = h, 0
        rolling = rolling * _SHINGLE_FACTOR + h
        if w >= n_words:
            rolling -= words[w - n_words] * top
        if w + 1 >= n_words or w + 1 == n:
            mixed = (rolling ^ (rolling >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
            out[count] = mixed ^ (mixed >> np.uint64(29))
            count += 1
    return count


@compiled
def _shingle_document(
    data: np.ndarray,
    at: np.ndarray,
    options: tuple[bool, np.uint64, int, int],
    room: tuple[np.ndarray, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> int:
    """Write the shingles of data[at[0]:at[1]] and data[at[2]:at[3]] to `out`; return how many.

    Where no word stands outside the gap, the gap is all that the document says, and counts.
    """
    is_code, _, min_words, _ = options
    parts, n = (at[0], at[1], at[2], at[3]), 0
    for _ in range(2):
        n = _find_words(data, parts, is_code, room[0], room[1])
        if n:
            break
        room[1][0] = 0
        parts = (at[0], at[3], at[3], at[3])
    count = _hash_shingles(data, n, options, room, out)
    if min_words and (n < min_words or not _carry_meaning(data, parts)):
        return 0
    return count


@compiled
def _shingle_all(
    buffers: tuple[np.ndarray, np.ndarray],
    is_text: np.ndarray,
    at: np.ndarray,
    options: tuple[bool, np.uint64, int, int],
    out: np.ndarray,
    ends: np.ndarray,
) -> None:
    longest = 0
    for d in range(at.shape[0]):
        longest = max(longest, at[d, 3] - at[d, 0])
    # bounds, marks, words: at most one word at every second byte; bounds have eight more places, see `_find_words`
    n = longest // 2 + 2
    room = (np.empty(2 * n + 8, np.int64), np.zeros(n, np.uint64), np.empty(n, np.uint64))
    place = 0
    for d in range(at.shape[0]):
        if is_text[d]:
            place += _shingle_document(buffers[1], at[d], options, room, out[place:])
        else:
            place += _shingle_document(buffers[0], at[d], options, room, out[place:])
        ends[d + 1] = place


def most_shingles(starts: np.ndarray, stops: np.ndarray) -> int:
    """More than documents of these bounds can have: a word and what separates it take two bytes."""
    return int(((stops - starts + 1) // 2 + 1).sum())


def shingle(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    *,
    n_words: int,
    kind: WordKind = "identifiers",
    fold_case: bool = False,
    gaps: np.ndarray | None = None,
    min_words: int = 0,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Shingle hashes of documents data[starts[d]:stops[d]]; `data` is uint8, starts and stops are int64 [n].

    Returns (hashes uint64 [total], ends int64 [n + 1]): document d owns hashes[ends[d]:ends[d + 1]], in document
    order, repeats included. What lies in data[gaps[d, 0]:gaps[d, 1]], inside the document, is left out unless no word
    stands elsewhere. With `min_words`, a document of fewer words has no shingle, and neither has one whose letters and
    digits are less than a third of what is seen in it. The hashes lie in `out` if that has room for `most_shingles`,
    else in new memory: up to eight bytes for each byte of the documents, so hand it some megabytes at a time.
    """
    if gaps is None:
        gaps = np.stack((starts, starts), axis=1)
    at = np.column_stack((starts, gaps, stops)).astype(np.int64)
    plain = plain_of(data, at, fold_case=fold_case)
    size = most_shingles(plain.bounds[:, 0], plain.bounds[:, 3])
    if out is None or out.size < size:
        out = np.empty(size, np.uint64)
    ends = np.zeros(starts.size + 1, np.int64)
    options = (kind == "identifiers", _FOLD if fold_case else np.uint64(0), min_words, n_words)
    _shingle_all((plain.data, plain.text), plain.is_text, plain.bounds, options, out, ends)
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
