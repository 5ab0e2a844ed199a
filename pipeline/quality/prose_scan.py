"""Running text taken apart: every word as a hash and a length, every line as a row of numbers.

What is measured of prose (`repetition.py`, `prose_lines.py`, `web_text.py`) works on these arrays and looks at bytes no
more, save for the phrases of `phrases.py`. A word is what `scan.py` calls a piece: a run without spaces, cut at letters
of scripts that put no space between words, each of which is a word of its own; signs that touch such a letter are none.
A line ends with LF, CR LF, CR or the document.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.arrays.compiled import compiled, inlined
from pipeline.quality.scan import DIGIT, LETTER, SPACE, STOP_WORDS, UNSPACED, character_classes

# Documents are taken apart in groups of so many bytes, which bounds the arrays: a word of two bytes costs twelve.
BATCH_BYTES = 1 << 20
# A byte of a character beyond ASCII; a sign that is looked at; a word that holds an address.
_HIGH, _SIGN, ADDRESS = 128, 16, 32
_LF, _CR, _HASH, _DOT, _ELLIPSIS = 10, 13, 35, 46, 0x2026
_COLON, _SLASH, _CLOSE, _PAREN = 58, 47, 93, 40
# FNV-1a of 64 bits over bytes. Equal hashes are taken for equal words: by chance once in some 10^9 words of a document.
_FNV_PRIME, _FNV_START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_STOP_KEYS = np.array([int.from_bytes(b"\x01" + word.encode(), "big") for word in STOP_WORDS], np.int64)
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
# Columns of a line.
(
    START,  # of its first byte
    END,  # behind its last byte, without the line end
    CHARS,
    RUNS,  # pieces between spaces, as `str.split` has them
    FIRST,  # code point of the first visible character; -1 in a blank line
    FIRST_AT,  # byte of that character
    LAST_AT,  # byte of the last visible character, START in a blank line
    LAST_VISIBLE,  # code point there, -1 in a blank line
    LAST,  # code point of the last character, -1 in an empty line
    ALNUM,  # letters and digits
) = range(10)
N_LINE_COLUMNS = 10


def _byte_classes() -> np.ndarray:
    classes = np.full(256, _HIGH, np.uint8)
    classes[:128] = character_classes()[:128] & (LETTER | DIGIT | SPACE)
    classes[[_HASH, _DOT, _COLON, _CLOSE]] |= _SIGN
    return classes


_BYTES = _byte_classes()


@dataclass(frozen=True)
class TextWords:
    """The words of documents in one array; those of document k are [offsets[k], offsets[k + 1])."""

    hashes: np.ndarray  # uint64
    chars: np.ndarray  # int32
    offsets: np.ndarray  # int64 [documents + 1]
    counts: np.ndarray  # int64 [documents, 7]: columns N_HASH_SIGNS to PLAIN_CHARS


@dataclass(frozen=True)
class TextLines:
    """The lines of documents; those of document k are [offsets[k], offsets[k + 1])."""

    rows: np.ndarray  # int64 [lines, N_LINE_COLUMNS]
    hashes: np.ndarray  # uint64, of all bytes of a line
    offsets: np.ndarray  # int64 [documents + 1]


def batches(offsets: np.ndarray) -> Iterator[slice]:
    """Neighbouring documents of BATCH_BYTES or less together; a larger one stands alone."""
    first, n = 0, offsets.size - 1
    while first < n:
        last = int(np.searchsorted(offsets, offsets[first] + BATCH_BYTES, side="right")) - 1
        last = min(max(last, first + 1), n)
        yield slice(first, last)
        first = last


def words(data: np.ndarray, offsets: np.ndarray) -> TextWords:
    hashes, chars, ends, counts = _words(data, offsets, character_classes())
    return TextWords(hashes[: ends[-1]], chars[: ends[-1]], ends, counts)


def lines(data: np.ndarray, offsets: np.ndarray) -> TextLines:
    return TextLines(*_lines(data, offsets, character_classes()))


@compiled
def _decode(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The code point of the byte i and its length in bytes; U+FFFD where there is none, as Python replaces it."""
    byte = data[i] & 0xFF  # the mask makes it int64: numba would shift a uint8
    if byte < 0x80:
        return byte, 1
    if byte < 0xC2 or byte > 0xF4:
        return 0xFFFD, 1
    need = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
    low = 0xA0 if byte == 0xE0 else 0x90 if byte == 0xF0 else 0x80  # no overlong forms
    high = 0x9F if byte == 0xED else 0x8F if byte == 0xF4 else 0xBF  # no surrogates, nothing above U+10FFFF
    code = byte & (0x3F >> need)
    for k in range(1, need + 1):
        if i + k >= end or data[i + k] < low or data[i + k] > high:
            return 0xFFFD, k
        code = code << 6 | data[i + k] & 0x3F
        low, high = 0x80, 0xBF
    return code, need + 1


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


@compiled
def _words_of(
    data: np.ndarray,
    i: int,
    end: int,
    classes: np.ndarray,
    hashes: np.ndarray,
    chars: np.ndarray,
    n: int,
    counts: np.ndarray,
) -> int:
    """Append the words of data[i:end] at place n; the place behind them."""
    touches = False  # the open word follows a letter that is a word of its own
    dots_end = i  # dots before it belong to an ellipsis that was counted
    while i < end:
        start, key, length, bits = i, _FNV_START, 0, 0
        size, code, flags = 1, 0, 0
        while i < end:
            flags, size = _BYTES[data[i]], 1
            if flags & _HIGH:
                code, size = _decode(data, i, end)
                flags = classes[code] & (LETTER | DIGIT | SPACE | UNSPACED)
                counts[N_ELLIPSES] += code == _ELLIPSIS
            if flags & (SPACE | UNSPACED):
                break
            if flags & _SIGN:
                dots_end, address = _count_sign(data, i, end, dots_end, counts)
                bits |= address
            for k in range(i, i + size):
                key = (key ^ np.uint64(data[k])) * _FNV_PRIME
            length += 1
            bits |= flags & (LETTER | DIGIT)
            i += size
        alone = i < end and flags & UNSPACED != 0
        if length > 0 and (bits & (LETTER | DIGIT) != 0 or not (touches or alone)):
            hashes[n], chars[n] = key, length
            n += 1
            _count_word(data, start, i, length, bits, counts)
        if alone:
            hashes[n], chars[n] = (_FNV_START ^ np.uint64(code)) * _FNV_PRIME, 1
            n += 1
            counts[N_NAMED : PLAIN_CHARS + 1] += 1
        touches = alone
        i += size
    return n


@inlined
def _count_sign(data: np.ndarray, i: int, end: int, dots_end: int, counts: np.ndarray) -> tuple[int, int]:
    """Count the sign at i; where the last counted ellipsis ends, and ADDRESS if one is here: "://", or the "](" of a
    link."""
    byte, address = data[i], 0
    if byte == _HASH:
        counts[N_HASH_SIGNS] += 1
    elif byte == _COLON:
        address = ADDRESS * (i + 2 < end and data[i + 1] == _SLASH and data[i + 2] == _SLASH)
    elif byte == _CLOSE:
        address = ADDRESS * (i + 1 < end and data[i + 1] == _PAREN)
    elif i >= dots_end and i + 2 < end and data[i + 1] == _DOT and data[i + 2] == _DOT:
        counts[N_ELLIPSES] += 1
        dots_end = i + 3
    return dots_end, address


@inlined
def _count_word(data: np.ndarray, start: int, end: int, length: int, bits: int, counts: np.ndarray) -> None:
    if bits & (LETTER | DIGIT):
        counts[N_NAMED] += 1
        counts[N_LETTERED] += bits & LETTER
        if bits & ADDRESS == 0:
            counts[N_PLAIN] += 1
            counts[PLAIN_CHARS] += length
    if end - start <= 4:  # the longest stop word has four letters
        counts[STOP_WORD_KINDS] |= _stop_word_bit(data, start, end)


@compiled
def _stop_word_bit(data: np.ndarray, start: int, end: int) -> int:
    """A bit for the stop word data[start:end], in small letters as Gopher has them; 0 where it is none."""
    key = 1
    for k in range(start, end):
        key = key << 8 | data[k]
    for k in range(_STOP_KEYS.size):
        if key == _STOP_KEYS[k]:
            return 1 << k
    return 0


@compiled
def _n_lines(data: np.ndarray, i: int, end: int) -> int:
    n = 0
    for k in range(i, end):
        n += data[k] == _LF or (data[k] == _CR and not (k + 1 < end and data[k + 1] == _LF))
    return n + (end > i and data[end - 1] != _LF and data[end - 1] != _CR)


@compiled
def _lines(data: np.ndarray, offsets: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ends = np.zeros(offsets.size, np.int64)
    for k in range(offsets.size - 1):
        ends[k + 1] = ends[k] + _n_lines(data, offsets[k], offsets[k + 1])
    rows, hashes = np.empty((ends[-1], N_LINE_COLUMNS), np.int64), np.empty(ends[-1], np.uint64)
    for k in range(offsets.size - 1):
        i = offsets[k]
        for line in range(ends[k], ends[k + 1]):
            i, hashes[line] = _line_of(data, i, offsets[k + 1], classes, rows[line])
    return rows, hashes, ends


@compiled
def _line_of(data: np.ndarray, i: int, end: int, classes: np.ndarray, row: np.ndarray) -> tuple[int, np.uint64]:
    """Fill the row of the line that begins at i; where the next one begins, and the line's hash."""
    start, key = i, _FNV_START
    n_chars = n_runs = n_alnum = 0
    first = last_visible = last = -1
    first_at = last_at = start
    in_run = False
    while i < end and data[i] != _LF and data[i] != _CR:
        code, size, flags = data[i] & 0xFF, 1, _BYTES[data[i]] & 0xFF
        if flags & _HIGH:
            code, size = _decode(data, i, end)
            flags = classes[code]
        n_alnum += flags & (LETTER | DIGIT) != 0
        if flags & SPACE:
            in_run = False
        else:
            n_runs += not in_run
            in_run = True
            if first < 0:
                first, first_at = code, i
            last_visible, last_at = code, i
        for k in range(i, i + size):
            key = (key ^ np.uint64(data[k])) * _FNV_PRIME
        last = code
        n_chars += 1
        i += size
    row[START], row[END], row[CHARS], row[RUNS] = start, i, n_chars, n_runs
    row[ALNUM] = n_alnum
    row[FIRST], row[FIRST_AT], row[LAST_AT], row[LAST_VISIBLE], row[LAST] = first, first_at, last_at, last_visible, last
    if i < end:
        i += 2 if data[i] == _CR and i + 1 < end and data[i + 1] == _LF else 1
    return i, key
