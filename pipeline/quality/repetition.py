"""Gopher's repetition: how much of a text are its commonest n-grams, and n-grams, lines and paragraphs seen before.

Rae et al. 2021 (arXiv 2112.11446), table A1, as datatrove's GopherRepetitionFilter reads it; at equal words its counts
are these. All shares are of the document's characters unless the name says otherwise.

One pass numbers the words. Then n-grams grow by a word at a time, and only those whose first and last n - 1 words stood
in the document twice are looked up: any other is unique. Prose has few of them left at n = 4, so that the work beyond
the words is small; a text that says one thing again and again costs ten lookups a word, no more.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality import prose_scan
from pipeline.quality.prose_scan import CHARS, END, FIRST, FIRST_AT, LAST_AT, START, batches

TOP_SIZES, DUPLICATE_SIZES = (2, 3, 4), (5, 6, 7, 8, 9, 10)  # words of an n-gram, Gopher's
_MOST_WORDS = DUPLICATE_SIZES[-1]
_FNV_PRIME, _FNV_START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads neighbouring keys
_SMALL_TABLE = 1024  # places of a table at first: 4 kB
NAMES = (
    *(f"top_{n}_gram_frac" for n in TOP_SIZES),
    *(f"duplicate_{n}_gram_frac" for n in DUPLICATE_SIZES),
    "repeated_line_frac",  # of lines, several line ends in a row counting as one
    "repeated_line_char_frac",
    "repeated_paragraph_frac",  # of paragraphs
    "repeated_paragraph_char_frac",
)


def measure(data: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """The shares NAMES, float64, of each document data[offsets[k]:offsets[k + 1]] (uint8; int64)."""
    result = np.zeros((len(NAMES), offsets.size - 1))
    for part in batches(offsets):
        ends = offsets[part.start : part.stop + 1]
        words, lines = prose_scan.words(data, ends), prose_scan.lines(data, ends)
        result[:, part] = shares(data, ends, words, lines)
    return dict(zip(NAMES, result, strict=True))


def shares(
    data: np.ndarray, offsets: np.ndarray, words: prose_scan.TextWords, lines: prose_scan.TextLines
) -> np.ndarray:
    """The shares NAMES of documents that were taken apart already, float64 [names, documents]."""
    grams = _grams(words.hashes, words.chars, words.offsets)
    n_chars = _n_chars(lines.rows, lines.offsets, offsets)
    counts = _repeated(data, lines.rows, lines.hashes, lines.offsets, offsets)
    by_chars = [*grams.T, counts[:, 2], counts[:, 5]]
    n_grams = len(TOP_SIZES) + len(DUPLICATE_SIZES)
    parts = [_ratio(part, n_chars) for part in by_chars]
    line_frac, paragraph_frac = _ratio(counts[:, 1], counts[:, 0]), _ratio(counts[:, 4], counts[:, 3])
    return np.stack([*parts[:n_grams], line_frac, parts[n_grams], paragraph_frac, parts[n_grams + 1]])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


@compiled
def _n_chars(rows: np.ndarray, ends: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters of each document: those of its lines, and the line ends between them, whose bytes are characters."""
    result: np.ndarray = offsets[1:] - offsets[:-1]
    for k in range(result.size):
        for line in range(ends[k], ends[k + 1]):
            result[k] += rows[line, CHARS] - (rows[line, END] - rows[line, START])
    return result


# ---------------------------------------------------------------- n-grams


@compiled
def _grams(hashes: np.ndarray, chars: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters, int64 [documents, 9]: in the commonest 2-, 3- and 4-gram, in 5- to 10-grams seen before."""
    result = np.zeros((offsets.size - 1, 9), np.int64)
    for k in range(result.shape[0]):
        _grams_of(hashes[offsets[k] : offsets[k + 1]], chars[offsets[k] : offsets[k + 1]], result[k])
    return result


@compiled
def _grams_of(hashes: np.ndarray, chars: np.ndarray, row: np.ndarray) -> None:
    n_words = hashes.size
    ends = np.zeros(n_words + 1, np.int64)
    ends[1:] = np.cumsum(chars)
    size = _table_size(n_words)
    marks, slots = np.empty(size, np.uint8), np.empty(size, np.int32)
    keys, firsts, counts = np.empty(n_words, np.uint64), np.empty(n_words, np.int32), np.empty(n_words, np.int32)
    # Words where an n-gram begins that may repeat, its key and its number; in `gram` by word, -1 where it is unique.
    places, wanted, ids = np.arange(n_words), hashes.copy(), np.empty(n_words, np.int32)
    gram, word = np.full(n_words + 1, -1, np.int32), np.empty(0, np.int32)
    m = n_words
    for n in range(1, _MOST_WORDS + 1):
        if n > 1:
            m = _grow(places[:m], wanted, gram, word, n)
        m = _drop_unique(places, wanted[:m], marks)
        n_ids = _number(wanted[:m], places, slots, keys, firsts, counts, ids)
        if 2 <= n <= 4:
            row[n - 2] = _top_chars(counts[:n_ids], firsts, ends, n)
        m = _keep_repeated(places[:m], ids, counts, gram)
        if n == 1:
            word = gram.copy()
        if n > 4:
            row[n - 2] = _duplicate_chars(places[:m], ids, ends, counts, n)


@compiled
def _table_size(n: int) -> int:
    """A power of two, at least twice `n`: half of the places stay free, so that every search ends soon."""
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _number(
    wanted: np.ndarray,
    places: np.ndarray,
    slots: np.ndarray,
    keys: np.ndarray,
    firsts: np.ndarray,
    counts: np.ndarray,
    ids: np.ndarray,
) -> int:
    """Give equal keys one number, counted from 0 in order of first occurrence; how many there are.

    Fills for each number its key, first place and count, and for each of `wanted` its number. `slots` is room for a
    hash table: numbers plus one, 0 where free. The table grows with the numbers, because most words of a text are few
    words: a small table stays in the cache.
    """
    n, size = 0, min(_SMALL_TABLE, slots.size)
    slots[:size] = 0
    for k in range(wanted.size):
        key = wanted[k]
        slot = _slot(key, size)
        while slots[slot] != 0 and keys[slots[slot] - 1] != key:
            slot = (slot + 1) & (size - 1)
        number = slots[slot] - 1
        if number < 0:
            number = n
            keys[n], firsts[n], counts[n] = key, places[k], 0
            n += 1
            slots[slot] = n
            if 2 * n > size:
                size *= 2
                _refill(slots[:size], keys[:n])
        ids[k] = number
        counts[number] += 1
    return n


@compiled
def _slot(key: np.uint64, size: int) -> np.int64:
    return np.int64(((key ^ key >> np.uint64(32)) * _GOLDEN >> np.uint64(20)) & np.uint64(size - 1))


@compiled
def _refill(slots: np.ndarray, keys: np.ndarray) -> None:
    slots[:] = 0
    for number in range(keys.size):
        slot = _slot(keys[number], slots.size)
        while slots[slot] != 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = number + 1


@compiled
def _drop_unique(places: np.ndarray, wanted: np.ndarray, marks: np.ndarray) -> int:
    """Keep the places and keys that may stand there twice; how many. A few that do not are kept, never the reverse.

    Two looks at a byte for each key are cheap beside a place in a hash table, and most keys stand there once.
    """
    size = _table_size(wanted.size)
    marks[:size] = 0
    for k in range(wanted.size):
        slot = _slot(wanted[k], size)
        marks[slot] = min(marks[slot] + 1, 2)
    m = 0
    for k in range(wanted.size):
        if marks[_slot(wanted[k], size)] == 2:
            places[m], wanted[m] = places[k], wanted[k]
            m += 1
    return m


@compiled
def _grow(places: np.ndarray, wanted: np.ndarray, gram: np.ndarray, word: np.ndarray, n: int) -> int:
    """Keep the places where an n-gram begins that may repeat, with its key in `wanted`; how many.

    It can only repeat if its first and its last n - 1 words do. Its key is exact: the number of its first n - 1 words,
    and that of its last word. `gram` is left empty.
    """
    m = 0
    for k in range(places.size):
        place = places[k]
        first = gram[place]
        gram[place] = -1
        if gram[place + 1] >= 0 and place + n < gram.size:
            wanted[m] = np.uint64(first) << np.uint64(32) | np.uint64(word[place + n - 1])
            places[m] = place
            m += 1
    return m


@compiled
def _keep_repeated(places: np.ndarray, ids: np.ndarray, counts: np.ndarray, gram: np.ndarray) -> int:
    """Keep the places whose n-gram stands there twice, and enter its number in `gram`; how many."""
    m = 0
    for k in range(places.size):
        if counts[ids[k]] > 1:
            gram[places[k]], places[m], ids[m] = ids[k], places[k], ids[k]
            m += 1
    return m


@compiled
def _top_chars(counts: np.ndarray, firsts: np.ndarray, ends: np.ndarray, n: int) -> int:
    """Characters of the commonest n-gram with a space between its words, times its count; of several the first.

    Where none repeats the first n-gram of the document is the commonest, once.
    """
    if ends.size - 1 < n:
        return 0
    most, first = 1, 0
    for k in range(counts.size):
        if counts[k] > most:
            most, first = counts[k], firsts[k]
    return int((ends[first + n] - ends[first] + n - 1) * most)


@compiled
def _duplicate_chars(places: np.ndarray, ids: np.ndarray, ends: np.ndarray, counts: np.ndarray, n: int) -> int:
    """Characters in n-grams that stood before, which are then passed over as a whole, as Gopher counts them."""
    free = n_chars = 0
    for k in range(places.size):
        if places[k] < free:
            continue
        if counts[ids[k]] == 0:  # a count that was used up marks what was seen
            n_chars += ends[places[k] + n] - ends[places[k]]
            free = places[k] + n
        counts[ids[k]] = 0
    return int(n_chars)


# ---------------------------------------------------------------- lines and paragraphs


@compiled
def _repeated(
    data: np.ndarray, rows: np.ndarray, hashes: np.ndarray, offsets: np.ndarray, bytes_at: np.ndarray
) -> np.ndarray:
    """int64 [documents, 6]: lines, those seen before, characters in those; the same of paragraphs."""
    result = np.zeros((offsets.size - 1, 6), np.int64)
    for k in range(result.shape[0]):
        first, last = offsets[k], offsets[k + 1]
        seen = np.zeros(_table_size(last - first + 2), np.uint64)
        _repeated_lines(rows[first:last], hashes[first:last], seen, data, bytes_at[k + 1], result[k, :3])
        seen[:] = 0
        _repeated_paragraphs(rows[first:last], hashes[first:last], seen, data, result[k, 3:])
    return result


@compiled
def _repeated_lines(
    rows: np.ndarray, hashes: np.ndarray, seen: np.ndarray, data: np.ndarray, end: int, counts: np.ndarray
) -> None:
    r"""Lines are what stands between runs of line ends, so that one before the first line or behind the last makes an
    empty one there: that is how re.split("\n+", text) counts."""
    n = rows.shape[0]
    if n == 0:
        return
    n_empty = (rows[0, START] == rows[0, END]) + (rows[n - 1, END] < end and rows[n - 1, END] > rows[0, START])
    n_filled = 0
    for k in range(n):
        if rows[k, CHARS] > 0:
            n_filled += 1
            if _remember(seen, hashes[k]):
                counts[1] += 1
                counts[2] += rows[k, CHARS]
    if n_filled == 0:
        n_empty = 2  # line ends alone: nothing before them and nothing behind
    counts[0] = n_filled + n_empty
    counts[1] += max(n_empty - 1, 0)


@compiled
def _repeated_paragraphs(
    rows: np.ndarray, hashes: np.ndarray, seen: np.ndarray, data: np.ndarray, counts: np.ndarray
) -> None:
    """Paragraphs stand between empty lines; the white space around the whole text belongs to none of them."""
    low, high = 0, rows.shape[0] - 1
    while low <= high and rows[low, FIRST] < 0:
        low += 1
    while high >= low and rows[high, FIRST] < 0:
        high -= 1
    key, n_chars, is_open = _FNV_START, 0, False
    for k in range(low, high + 1):
        if rows[k, CHARS] > 0:
            line, chars = hashes[k], rows[k, CHARS]
            if k in (low, high):
                start = rows[k, FIRST_AT] if k == low else rows[k, START]
                end = _char_end(data, rows[k, LAST_AT], rows[k, END]) if k == high else rows[k, END]
                line, chars = _hash(data, start, end)
            key = (key ^ line) * _FNV_PRIME
            n_chars += chars + is_open
            is_open = True
        if is_open and (k == high or rows[k, CHARS] == 0):
            counts[0] += 1
            if _remember(seen, key):
                counts[1] += 1
                counts[2] += n_chars
            key, n_chars, is_open = _FNV_START, 0, False
    counts[0] = max(counts[0], 1)


@compiled
def _char_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the last byte of the character at i."""
    i += 1
    while i < end and data[i] & 0xC0 == 0x80:
        i += 1
    return i


@compiled
def _hash(data: np.ndarray, start: int, end: int) -> tuple[np.uint64, int]:
    """Hash, as lines have it, and characters of data[start:end]."""
    key, n_chars = _FNV_START, 0
    for k in range(start, end):
        key = (key ^ np.uint64(data[k])) * _FNV_PRIME
        n_chars += data[k] & 0xC0 != 0x80
    return key, n_chars


@compiled
def _remember(seen: np.ndarray, key: np.uint64) -> bool:
    """Whether `key` was remembered before; it is from now on. Open addressing, 0 marks a free place."""
    if key == 0:
        key = np.uint64(1)
    place = _slot(key, seen.size)
    while seen[place] != 0:
        if seen[place] == key:
            return True
        place = (place + 1) & (seen.size - 1)
    seen[place] = key
    return False
