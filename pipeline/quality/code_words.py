"""Words of programs and how they repeat, compiled, as OpenCoder counts them (arXiv 2411.04905, its filter code).

Its words are what is left in small letters when the signs of ASCII and their wide forms count as white space: runs
of letters and digits, and runs of other signs. Gopher's shares (Rae et al. 2021, arXiv 2112.11446, table A1) are then
taken of the characters of these words, line ends forgotten.

A document's words are numbered once. N-grams grow by a word at a time, and one is looked up only if the two shorter
ones in it stood there twice: any other is unique. So the work falls with n, and is at most ten lookups a word.
"""

import string
import unicodedata
from functools import lru_cache

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.scan import LAST_LETTER

# Columns of a row of counts; characters are those of words.
N_WORDS, N_WORD_CHARS, N_UNIQUE, TOP_2, TOP_3, TOP_4, DUPLICATE_5 = range(7)  # then duplicate 6- to 10-grams
N_COUNTS = 12
_MOST_WORDS = 10

_SPACE, _WORD, _SIGN, _NOTHING = 0, 1, 2, 3
_CLASS_BITS = 2  # of an entry of the table; the character in small letters stands above them
# A hash turns by some bits with every character, whose number is spread over all bits first: cheaper than FNV, since
# the multiplications do not wait for each other.
_TURN, _TURNED = np.uint64(7), np.uint64(57)
_ONE, _GOLDEN = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)

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
    return _count(data, offsets, character_table())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, table: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    longest = 0
    for k in range(offsets.size - 1):
        longest = max(longest, offsets[k + 1] - offsets[k])
    size = longest // 2 + 2  # two words are never side by side, but a sign's may be: that has two bytes or more
    hashes, ends = np.empty(size, np.uint64), np.empty(size + 1, np.int64)
    ids = np.empty((4, size + 1), np.int32)
    keys, seen = np.empty(_table_size(size), np.uint64), np.empty(_table_size(size), np.int32)
    for k in range(offsets.size - 1):
        n = _words(data, offsets[k], offsets[k + 1], table, hashes, ends)
        counts[k, N_WORDS], counts[k, N_WORD_CHARS] = n, ends[n]
        _grams(n, hashes, ids, ends, keys, seen, counts[k])
    return counts


@compiled
def _words(data: np.ndarray, i: int, end: int, table: np.ndarray, hashes: np.ndarray, ends: np.ndarray) -> int:
    """Hash of each word; in ends[w + 1] the characters of all words to the end of w. Returns the number of words."""
    n_words, n_chars, before = 0, 0, _SPACE
    key = _ONE
    ends[0] = 0
    while i < end:
        code, size = data[i] & 0xFF, 1
        if code >= 0x80:
            code, size = _decode(data, i, end)
        i += size
        entry = table[code]
        kind = entry & 3
        if kind == before and kind != _SPACE:  # most characters
            key = (key << _TURN | key >> _TURNED) + np.uint64(entry) * _GOLDEN
            n_chars += 1
            continue
        if kind in (before, _NOTHING):
            continue
        if before != _SPACE:
            hashes[n_words] = key
            n_words += 1
            ends[n_words] = n_chars
        before = kind
        if kind != _SPACE:
            key = np.uint64(entry) * _GOLDEN
            n_chars += 1
    if before != _SPACE:
        hashes[n_words] = key
        n_words += 1
        ends[n_words] = n_chars
    return n_words


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
def _grams(
    n: int, hashes: np.ndarray, ids: np.ndarray, ends: np.ndarray, keys: np.ndarray, seen: np.ndarray, row: np.ndarray
) -> None:
    """Count the shares of n words with these hashes, which are written over. `ids`, `keys`, `seen` are scratch."""
    word, gram, place, found = ids[0], ids[1], ids[2], ids[3]
    row[N_UNIQUE] = _number(hashes, n, keys, seen, word)
    n_places = 0  # grams that stand there more than once: where they begin
    for i in range(n):
        twice = seen[word[i]] > 1
        gram[i] = word[i] if twice else -1
        place[n_places] = i
        n_places += twice
    gram[n] = -1
    for length in range(2, _MOST_WORDS + 1):
        n_wanted = 0
        for k in range(n_places):  # no branches here and below: half of them would go either way
            i = place[k]
            grows = gram[i + 1] >= 0  # so there are as many words as it takes
            hashes[n_wanted] = np.uint64(gram[i]) << np.uint64(32) | np.uint64(word[min(n - 1, i + length - 1)])
            place[n_wanted] = i
            n_wanted += grows
            gram[i] = gram[i] if grows else -1
        _number(hashes, n_wanted, keys, seen, found)
        if length <= 4:
            row[TOP_2 + length - 2] = _top_chars(found, n_wanted, seen, place, ends, length)
        n_places, covered, n_chars = 0, 0, 0
        for k in range(n_wanted):
            i = place[k]
            twice = seen[found[k]] > 1
            gram[i] = found[k] if twice else -1
            place[n_places] = i
            n_places += twice
            n_chars += (ends[i + length] - ends[max(i, covered)]) * twice
            covered = i + length if twice else covered
        if n_places == 0:
            break
        if length >= 5:
            row[DUPLICATE_5 + length - 5] = n_chars


@compiled
def _number(hashes: np.ndarray, n: int, keys: np.ndarray, seen: np.ndarray, ids: np.ndarray) -> int:
    """The place of each hash in a table, in ids[k]; how often it is there, in seen[place]. Returns how many differ."""
    size = _table_size(n)
    keys[:size] = 0
    seen[:size] = 0
    mask = np.uint64(size - 1)
    n_places = 0
    for k in range(n):
        key = hashes[k] + _ONE  # 0 marks a free place; the hash of a word is the largest number about never
        mixed = (key ^ key >> np.uint64(29)) * _GOLDEN
        at = mixed >> np.uint64(40) & mask
        while keys[at] != key and keys[at] != 0:
            at = (at + _ONE) & mask
        n_places += keys[at] == 0
        keys[at] = key
        seen[at] += 1
        ids[k] = at
    return n_places


@compiled
def _top_chars(ids: np.ndarray, n: int, seen: np.ndarray, place: np.ndarray, ends: np.ndarray, length: int) -> int:
    """Characters of the gram that stands there most often, of the first among equals; 0 if none stands there twice."""
    best, most = -1, 1
    for k in range(n):
        if seen[ids[k]] > most:
            best, most = k, seen[ids[k]]
    return 0 if best < 0 else most * (ends[place[best] + length] - ends[place[best]])
