"""Words of programs and how they repeat, compiled, as OpenCoder counts them (arXiv 2411.04905, its filter code).

Its words are what is left in small letters when the signs of ASCII and their wide forms count as white space: runs
of letters and digits, and runs of other signs. Gopher's shares (Rae et al. 2021, arXiv 2112.11446, table A1) are then
taken of the characters of these words, line ends forgotten.

Words of ASCII are runs of bits in blocks of 64 bytes, and only where something else stands are characters read one by
one. Then n-grams grow by a word at a time, those that stand there twice: any other is unique. A gram is known by the
place where it stands first. One that goes on like that first one needs no lookup, and where two are equal and go on
differently neither repeats; so the work falls with n, and is at most ten lookups a word.
"""

import string
import unicodedata
from functools import lru_cache

import numpy as np

from pipeline.arrays.bits import ALL, BLOCK, NONE, ONE, below_eight, between, block, eight, lowest, tail_room
from pipeline.arrays.compiled import compiled, inlined
from pipeline.quality.scan import LAST_LETTER

# Columns of a row of counts; characters are those of words.
N_WORDS, N_WORD_CHARS, N_UNIQUE, TOP_2, TOP_3, TOP_4, DUPLICATE_5 = range(7)  # then duplicate 6- to 10-grams
N_COUNTS = 12
_MOST_WORDS = 10

_SPACE, _WORD, _SIGN, _NOTHING = 0, 1, 2, 3
_CLASS_BITS = 2  # of an entry of the table; the character in small letters stands above them
_NO_FOLD, _FOLD = np.uint64(0), np.uint64(0x2020202020202020)  # makes small letters of capitals, leaves digits alone
# Odd numbers whose bits are mixed: 2^64 over the golden ratio, and a prime of xxHash. Words of up to eight bytes and
# one length never share a hash.
_GOLDEN, _PER_BYTE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)

# Wide and typographic forms that OpenCoder replaces by signs of ASCII, beside U+FF01 to U+FF5E.
_SIGNS = string.punctuation + "".join(map(chr, range(0xFF01, 0xFF5F))).translate(
    {c: None for c in range(0xFF01, 0xFF5F) if chr(c - 0xFEE0).isalnum()}
)
_TYPOGRAPHIC = "。、《》【】「」“”\u2018\u2019"
_REMOVED = (*range(0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x202C)
_BLANKED = (0x2009, 0x200B)
_LAST_DECOMPOSED = 0x30000  # no character above has a decomposition or a small letter


@lru_cache(maxsize=1)
def character_table() -> np.ndarray:
    """uint32 for every code point: what becomes of it, and its form in small letters (NFKC if it is one character)."""
    characters = np.arange(0x110000, dtype=np.uint32).view("U1")
    folded = characters.copy()
    plain_letters = list(map(chr, range(_LAST_DECOMPOSED)))
    small = map(str.lower, plain_letters)
    changed = {
        code: other[0]  # as far as an array of single characters holds it: "i" of "İ"
        for code, (letter, other) in enumerate(zip(plain_letters, small, strict=True))
        if letter != other
    }
    folded[list(changed)] = list(changed.values())
    forms = enumerate(map(unicodedata.decomposition, plain_letters))
    for code in {*changed, *(code for code, form in forms if form)}:  # few; normal forms of all would take a second
        plain = unicodedata.normalize("NFKC", str(folded[code]))
        folded[code] = plain if len(plain) == 1 else folded[code]
    is_word = np.zeros(folded.size, bool)
    is_word[:LAST_LETTER] = np.char.isalnum(folded[:LAST_LETTER]) | (folded[:LAST_LETTER] == "_")
    kinds = np.where(is_word, _WORD, _SIGN)
    table = folded.view(np.uint32) << np.uint32(_CLASS_BITS) | kinds.astype(np.uint32)
    first = slice(LAST_LETTER)
    table[first][np.char.isspace(characters[first]) | np.char.isspace(folded[first])] = _SPACE
    table[[*_BLANKED, *map(ord, _SIGNS + _TYPOGRAPHIC)]] = _SPACE
    table[list(_REMOVED)] = _NOTHING
    return np.asarray(table)


def count(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each document data[offsets[k]:offsets[k + 1]]."""
    return _count(data, offsets, character_table(), tail_room())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, table: np.ndarray, room: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    longest = 0
    for k in range(offsets.size - 1):
        longest = max(longest, offsets[k + 1] - offsets[k])
    size = longest + 2  # a sign of one byte may stand between letters
    small = np.empty(3 * longest + 8, np.uint8)  # three bytes for one that is none of UTF-8, eight to be read at once
    hashes, ends = np.empty(size, np.uint64), np.empty(size + 1, np.int64)
    ids, slots = np.empty((6, size), np.int32), np.empty(_table_size(size), np.int32)
    for k in range(offsets.size - 1):
        n = _words(data, offsets[k], offsets[k + 1], table, room, small, hashes, ends)
        counts[k, N_WORDS], counts[k, N_WORD_CHARS] = n, ends[n]
        _grams(n, hashes, ids, ends, slots, counts[k])
    return counts


@compiled
def _words(
    data: np.ndarray,
    first: int,
    end: int,
    table: np.ndarray,
    room: np.ndarray,
    small: np.ndarray,
    hashes: np.ndarray,
    ends: np.ndarray,
) -> int:
    """Hash of each word; in ends[w + 1] the characters of all words to the end of w. Returns the number of words.

    From sign to sign by bits of blocks; `small` is scratch.
    """
    n_words = 0
    ends[0] = 0
    start, has_odd = -1, False  # of the open run; whether something but letters and digits of ASCII stands in it
    for i in range(first, end + 1, BLOCK):  # at the end there may be an empty block, which closes the last run
        at = block(data, i, room)
        live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
        odd = (between(at, 0, 8) | between(at, 14, 31) | between(at, 127, 255)) & live
        runs = (between(at, 48, 57) | between(at, 65, 90) | between(at, 97, 122)) & live | odd
        edges = runs ^ (runs << ONE | np.uint64(start >= 0))  # where a run begins or has ended
        while edges != NONE:
            k = lowest(edges)
            edges &= edges - ONE
            if start < 0:
                start, has_odd = i + k, False
                continue
            below = (ONE << np.uint64(k)) - ONE
            behind = ALL if start <= i else ALL << np.uint64(start - i)
            if has_odd or odd & below & behind != NONE:
                n_words = _words_of_run(data, start, i + k, table, small, hashes, ends, n_words)
            else:
                hashes[n_words] = _hash(data, start, i + k, _FOLD)
                ends[n_words + 1] = ends[n_words] + i + k - start
                n_words += 1
            start = -1
        if start >= 0:
            has_odd |= odd & (ALL if start <= i else ALL << np.uint64(start - i)) != NONE
    return n_words


@inlined
def _hash(data: np.ndarray, start: int, end: int, fold: np.uint64) -> np.uint64:
    """Of the bytes data[start:end], each with the bits of `fold`; one byte at least."""
    n = end - start
    key = np.uint64(n) * _PER_BYTE
    while n > 8:
        key = (key ^ (eight(data, start) | fold)) * _GOLDEN
        key ^= key >> _HALF
        start += 8
        n -= 8
    last = (eight(data, start) if start + 8 <= data.size else below_eight(data, start, end)) | fold
    key = (key ^ last & ALL >> np.uint64(64 - 8 * n)) * _GOLDEN
    return key ^ key >> _HALF


@compiled
def _words_of_run(
    data: np.ndarray,
    i: int,
    end: int,
    table: np.ndarray,
    small: np.ndarray,
    hashes: np.ndarray,
    ends: np.ndarray,
    n_words: int,
) -> int:
    """The same of a run of any characters, one by one: in small letters to `small`, whose bytes are hashed."""
    before, n_bytes, n_chars = _SPACE, 0, ends[n_words]
    while i < end:
        code, size = data[i] & 0xFF, 1
        if code >= 0x80:
            code, size = _decode(data, i, end)
        i += size
        kind, folded = table[code] & 3, table[code] >> np.uint32(_CLASS_BITS)
        if kind == _NOTHING:
            continue
        if kind != before and before != _SPACE:
            hashes[n_words], ends[n_words + 1] = _hash(small, 0, n_bytes, _NO_FOLD), n_chars
            n_words += 1
            n_bytes = 0
        before = kind
        if kind != _SPACE:
            n_bytes = _append(small, n_bytes, np.int64(folded))
            n_chars += 1
    if before != _SPACE:
        hashes[n_words], ends[n_words + 1] = _hash(small, 0, n_bytes, _NO_FOLD), n_chars
        n_words += 1
    return n_words


@compiled
def _append(small: np.ndarray, n: int, code: np.int64) -> int:
    """Write a character as UTF-8 behind n bytes; how many there are then."""
    if code < 0x80:
        small[n] = code
        return n + 1
    n_more = 1 if code < 0x800 else 2 if code < 0x10000 else 3
    small[n] = (0x1F00 >> n_more & 0xFF | code >> 6 * n_more) & 0xFF
    for k in range(1, n_more + 1):
        small[n + k] = 0x80 | code >> 6 * (n_more - k) & 0x3F
    return n + 1 + n_more


@compiled
def _decode(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The code point of the byte i, which is at or above 0x80, and its length; U+FFFD where there is none."""
    byte = data[i] & 0xFF
    size = 1 if byte < 0xC2 or byte > 0xF4 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    if size == 1 or i + size > end:
        return 0xFFFD, 1
    code = byte & (0x7F >> size)
    for k in range(i + 1, i + size):
        if data[k] & 0xC0 != 0x80:
            return 0xFFFD, 1
        code = code << 6 | data[k] & 0x3F
    return (code, size) if code < 0x110000 else (0xFFFD, 1)


@compiled
def _table_size(n: int) -> int:
    """A power of two, at least twice `n`: half of the places stay free, so that every search ends soon."""
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _grams(n: int, hashes: np.ndarray, ids: np.ndarray, ends: np.ndarray, slots: np.ndarray, row: np.ndarray) -> None:
    """Count the shares of n words with these hashes, which are written over. `ids` and `slots` are scratch."""
    word, gram, place, count, longer, waiting = ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]
    for i in range(n):
        place[i] = i
    row[N_UNIQUE] = _number(hashes, n, place, slots, word, count)
    n_places = 0  # grams that stand there more than once: where they begin
    for i in range(n):
        gram[i] = word[i]
        place[n_places] = i
        n_places += count[word[i]] > 1
    for length in range(2, _MOST_WORDS + 1):
        n_places = _grow(length, n_places, place, word, gram, (count, longer, waiting), hashes, slots)
        count, longer = longer, count
        if length <= 4:
            row[TOP_2 + length - 2] = _top_chars(n_places, place, gram, count, ends, length)
        n_twice, covered, n_chars = 0, 0, 0
        for k in range(n_places):
            i = place[k]
            twice = count[gram[i]] > 1
            place[n_twice] = i
            n_twice += twice
            n_chars += (ends[i + length] - ends[max(i, covered)]) * twice
            covered = i + length if twice else covered
        n_places = n_twice
        if n_places == 0:
            break
        if length >= 5:
            row[DUPLICATE_5 + length - 5] = n_chars


@compiled
def _grow(
    length: int,
    n_places: int,
    place: np.ndarray,
    word: np.ndarray,
    gram: np.ndarray,
    room: tuple[np.ndarray, np.ndarray, np.ndarray],
    hashes: np.ndarray,
    slots: np.ndarray,
) -> int:
    """Make grams of `length` words from the shorter ones that stand there twice, at the first of `place`.

    Keeps the places where one may stand twice and returns how many; where each stands first goes to `gram`, how often
    to the second array of `room`, whose first are the counts of the shorter ones.
    """
    count, longer, waiting = room
    n_kept = n_waiting = 0
    for k in range(n_places - 1):  # no branches here and below: half of them would go either way
        i, grows = place[k], place[k + 1] == place[k] + 1  # else what follows stands there once
        first, last = gram[i], word[i + length - 1]
        same = word[first + length - 1] == last  # as the first one goes on, of which there is none before
        waits = grows & (not same) & (count[first] > 2)  # one of two that differ stands there once
        hashes[n_waiting], waiting[n_waiting] = np.uint64(first) << _HALF | np.uint64(last), i
        n_waiting += waits
        place[n_kept] = i
        n_kept += grows & same | waits
        longer[i] = 0
        longer[first] += grows & same
    _number(hashes, n_waiting, waiting, slots, gram, longer)
    return n_kept


@compiled
def _number(
    keys: np.ndarray, n: int, places: np.ndarray, slots: np.ndarray, firsts: np.ndarray, counts: np.ndarray
) -> int:
    """Of each place i in the first `n` of `places`, in order, each with its key: the first place of an equal key, in
    firsts[i]; how often a key is there, in counts[first place]. Returns how many keys differ."""
    size = _table_size(n)
    slots[:size] = -1
    mask = np.uint64(size - 1)
    n_keys = 0
    for k in range(n):
        key = keys[k]
        at = (key ^ key >> np.uint64(29)) * _GOLDEN >> np.uint64(40) & mask
        known = slots[at]
        while known >= 0 and keys[known] != key:
            at = (at + ONE) & mask
            known = slots[at]
        is_new = known < 0
        known = k if is_new else known
        slots[at] = known
        n_keys += is_new
        i, first = places[k], places[known]
        counts[i] = 0
        counts[first] += 1
        firsts[i] = first
    return n_keys


@compiled
def _top_chars(n: int, place: np.ndarray, gram: np.ndarray, count: np.ndarray, ends: np.ndarray, length: int) -> int:
    """Characters of the gram that stands there most often, of the first among equals; 0 if none stands there twice."""
    best, most = -1, 1
    for k in range(n):
        if count[gram[place[k]]] > most:
            best, most = place[k], count[gram[place[k]]]
    return 0 if best < 0 else most * (ends[best + length] - ends[best])
