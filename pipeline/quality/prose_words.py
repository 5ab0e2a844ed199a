"""The words of running text, each as a hash and a length.

A word is what `scan.py` calls a piece: a run without spaces, cut at letters of scripts that put no space between words,
each of which is a word of its own; signs that touch such a letter are none. A kernel goes from space to space by bits
of blocks, and from character to character only where something beyond ASCII, an ellipsis or an address may stand.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays.bits import BLOCK, bits_within, count_ones, lowest
from pipeline.arrays.compiled import compiled, inlined
from pipeline.quality.prose_bytes import decode, hash_of
from pipeline.quality.scan import DIGIT, LETTER, SPACE, STOP_WORDS, UNSPACED, character_classes

# A byte of a character beyond ASCII; a sign that is looked at; a word that holds an address.
_HIGH, _SIGN, ADDRESS = 128, 16, 32
_HASH, _DOT, _ELLIPSIS = 35, 46, 0x2026
_COLON, _SLASH, _CLOSE, _PAREN = 58, 47, 93, 40
_NONE, _ONE, _ALL, _TOP = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1), np.uint64(1 << 63)


# The smallest odd factor whose product with a stop word, as a number, has another place in its highest four of 32 bits
# for each of them. To search for it takes longer than to read a megabyte.
_STOP_FACTOR = np.uint64(112_981)


def _stop_table() -> np.ndarray:
    """The stop words as numbers, each at the place that its product with the factor says."""
    table = np.zeros((16, 2), np.int64)
    for number, word in enumerate(STOP_WORDS):
        key = int.from_bytes(word.encode(), "little")
        table[key * int(_STOP_FACTOR) % (1 << 32) >> 28] = key, 1 << number
    return table


_STOPS = _stop_table()
_MAX_STOP_BYTES = max(map(len, STOP_WORDS))
# Columns of the counts of a document.
(
    N_HASH_SIGNS,
    N_ELLIPSES,  # "..." without overlap, and the one-character form
    STOP_WORD_KINDS,  # one bit for each of STOP_WORDS that stands there
    N_NAMED,  # words with a letter or digit
    N_LETTERED,  # words with a letter
    N_PLAIN,  # words with a letter or digit that hold no address
    PLAIN_CHARS,  # characters of those
) = range(7)
_N_COUNTS = 7


def _byte_classes() -> np.ndarray:
    classes = np.full(256, _HIGH, np.uint8)
    classes[:128] = character_classes()[:128] & (LETTER | DIGIT | SPACE)
    classes[[_DOT, _COLON, _CLOSE]] |= _SIGN
    return classes


_BYTES = _byte_classes()


@dataclass(frozen=True)
class TextWords:
    """The words of documents in one array; those of document k are [offsets[k], offsets[k + 1])."""

    hashes: np.ndarray  # uint64
    chars: np.ndarray  # int32
    offsets: np.ndarray  # int64 [documents + 1]
    counts: np.ndarray  # int64 [documents, 7]: columns N_HASH_SIGNS to PLAIN_CHARS


def words(data: np.ndarray, offsets: np.ndarray) -> TextWords:
    hashes, chars, ends, counts = _words(data, offsets, character_classes())
    return TextWords(hashes[: ends[-1]], chars[: ends[-1]], ends, counts)


@compiled
def _words(
    data: np.ndarray, offsets: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    n_documents = offsets.size - 1
    # A word and the space behind it have two bytes, and a letter that is a word of its own has three.
    most = (offsets[-1] - offsets[0]) // 2 + n_documents
    hashes, chars = np.empty(most, np.uint64), np.empty(most, np.int32)
    ends, counts = np.zeros(n_documents + 1, np.int64), np.zeros((n_documents, _N_COUNTS), np.int64)
    for k in range(n_documents):
        ends[k + 1] = _words_of(data, offsets[k], offsets[k + 1], classes, hashes, chars, ends[k], counts[k])
    return hashes, chars, ends, counts


@inlined
def _classes_of(data: np.ndarray, i: int, n: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, int]:
    """Of the first `n` bytes of the block at i a bit each: spaces, letters, digits, and what is looked at closely; and
    how many are hash signs. Bytes from n on are spaces.

    Looked at are characters beyond ASCII and where two dots, a colon and a slash or "](" stand, or may do so behind the
    block.
    """
    spaces = bits_within(data, i, 9, 13) | bits_within(data, i, 28, 32)
    letters = bits_within(data, i, 65, 90) | bits_within(data, i, 97, 122)
    digits, dots = bits_within(data, i, 48, 57), bits_within(data, i, _DOT, _DOT)
    looks = bits_within(data, i, 128, 255) | dots & (dots >> _ONE | _TOP)
    looks |= bits_within(data, i, _COLON, _COLON) & (bits_within(data, i, _SLASH, _SLASH) >> _ONE | _TOP)
    looks |= bits_within(data, i, _CLOSE, _CLOSE) & (bits_within(data, i, _PAREN, _PAREN) >> _ONE | _TOP)
    mine = _ALL if n >= BLOCK else (_ONE << np.uint64(n)) - _ONE
    return (
        spaces | ~mine,
        letters & mine,
        digits & mine,
        looks & mine,
        count_ones(bits_within(data, i, _HASH, _HASH) & mine),
    )


@compiled
def _classes_at(data: np.ndarray, i: int, n: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, int]:
    """The same near the end of all bytes too."""
    if i + BLOCK <= data.size:
        return _classes_of(data, i, n)
    return _classes_of(np.concatenate((data[i:], np.zeros(BLOCK, np.uint8))), 0, n)


@compiled
def _words_of(
    data: np.ndarray,
    first: int,
    end: int,
    classes: np.ndarray,
    hashes: np.ndarray,
    chars: np.ndarray,
    n: int,
    counts: np.ndarray,
) -> int:
    """Append the words of data[first:end] at place n; the place behind them.

    From space to space by bits of blocks; a run in which nothing is looked at is a word.
    """
    start, seen = -1, (_NONE, _NONE, _NONE)  # of the open run; whether it has letters, digits, what is looked at
    for i in range(first, end + 1, BLOCK):  # at the end there may be an empty block, which closes the last run
        spaces, letters, digits, looks, n_hash_signs = _classes_at(data, i, end - i)
        counts[N_HASH_SIGNS] += n_hash_signs
        shifted = ~spaces << _ONE | np.uint64(start >= 0)
        starts, ends, rest = ~spaces & ~shifted, spaces & shifted, _ALL
        while ends:
            stop = lowest(ends)
            ends &= ends - _ONE
            if start < 0:
                start = i + lowest(starts)
                starts &= starts - _ONE
            mine = rest & ((_ONE << np.uint64(stop)) - _ONE)
            rest ^= mine
            if seen[2] | looks & mine:
                n = _words_of_run(data, start, i + stop, classes, hashes, chars, n, counts)
            else:
                bits = LETTER * (seen[0] | letters & mine != 0) | DIGIT * (seen[1] | digits & mine != 0)
                hashes[n], last = hash_of(data, start, i + stop)
                chars[n] = i + stop - start
                _count_word(last, i + stop - start, i + stop - start, bits, counts)
                n += 1
            start, seen = -1, (_NONE, _NONE, _NONE)
        if starts:
            start = i + lowest(starts)
        seen = (seen[0] | letters & rest, seen[1] | digits & rest, seen[2] | looks & rest)
    return n


@inlined
def _count_word(last: np.uint64, n_bytes: int, n_chars: int, bits: int, counts: np.ndarray) -> None:
    """Count the word whose classes are `bits`; `last` are its last bytes as a number."""
    named = bits & (LETTER | DIGIT) != 0
    plain = named and bits & ADDRESS == 0
    counts[N_NAMED] += named
    counts[N_LETTERED] += bits & LETTER
    counts[N_PLAIN] += plain
    counts[PLAIN_CHARS] += n_chars * plain
    place = np.int64(last * _STOP_FACTOR >> np.uint64(28) & np.uint64(15))
    counts[STOP_WORD_KINDS] |= _STOPS[place, 1] * (n_bytes <= _MAX_STOP_BYTES and _STOPS[place, 0] == np.int64(last))


@compiled
def _words_of_run(
    data: np.ndarray,
    i: int,
    end: int,
    classes: np.ndarray,
    hashes: np.ndarray,
    chars: np.ndarray,
    n: int,
    counts: np.ndarray,
) -> int:
    """The same for any characters, one by one."""
    touches = False  # the open word follows a letter that is a word of its own
    dots_end = i  # dots before it belong to an ellipsis that was counted
    while i < end:
        start, length, bits = i, 0, 0
        size, flags = 1, 0
        while i < end:
            flags, size = _BYTES[data[i]] & 0xFF, 1
            if flags & _HIGH:
                code, size = decode(data, i, end)
                flags = classes[code] & (LETTER | DIGIT | SPACE | UNSPACED)
                counts[N_ELLIPSES] += code == _ELLIPSIS
            if flags & (SPACE | UNSPACED):
                break
            if flags & _SIGN:
                dots_end, address = _count_sign(data, i, end, dots_end, counts)
                bits |= address
            bits |= flags & (LETTER | DIGIT)
            length += 1
            i += size
        alone = i < end and flags & UNSPACED != 0
        if length > 0 and (bits & (LETTER | DIGIT) != 0 or not (touches or alone)):
            hashes[n], last = hash_of(data, start, i)
            chars[n] = length
            n += 1
            _count_word(last, i - start, length, bits, counts)
        if alone:
            hashes[n], last = hash_of(data, i, i + size)
            chars[n] = 1
            n += 1
            _count_word(last, size, 1, LETTER, counts)
        touches = alone
        i += size
    return n


@inlined
def _count_sign(data: np.ndarray, i: int, end: int, dots_end: int, counts: np.ndarray) -> tuple[int, int]:
    """Count the sign at i; where the last counted ellipsis ends, and ADDRESS if one is here: "://", or the "](" of a
    link."""
    byte, address = data[i], 0
    if byte == _COLON:
        address = ADDRESS * (i + 2 < end and data[i + 1] == _SLASH and data[i + 2] == _SLASH)
    elif byte == _CLOSE:
        address = ADDRESS * (i + 1 < end and data[i + 1] == _PAREN)
    elif i >= dots_end and i + 2 < end and data[i + 1] == _DOT and data[i + 2] == _DOT:
        counts[N_ELLIPSES] += 1
        dots_end = i + 3
    return dots_end, address
