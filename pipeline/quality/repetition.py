"""Gopher's repetition: how much of a text are its commonest n-grams, and n-grams, lines and paragraphs seen before.

Rae et al. 2021 (arXiv 2112.11446), table A1, as datatrove's GopherRepetitionFilter reads it; at equal words its counts
are these. All shares are of the document's characters unless the name says otherwise.

n-grams grow by a word at a time, and only those whose first and last n - 1 words may stand in the document twice are
looked at: any other is unique. Prose has few of them left at n = 4, so that the work beyond pairs of words is small; a
text that says one thing again and again costs ten lookups a word, no more.
"""

import numpy as np

from pipeline.arrays.compiled import compiled, inlined
from pipeline.quality import prose_scan, prose_words
from pipeline.quality.prose_bytes import hash_of
from pipeline.quality.prose_scan import CHARS, END, FIRST, FIRST_AT, LAST_AT, START, batches

TOP_SIZES, DUPLICATE_SIZES = (2, 3, 4), (5, 6, 7, 8, 9, 10)  # words of an n-gram, Gopher's
_FNV_PRIME, _FNV_START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads neighbouring keys
_SMALL_TABLE = 1024  # places of a table at first: 4 kB
_MOST_SEEN = 255  # what a byte counts to
# Slots of a hash table; of each number its key, first place and count; of each key its number.
_Room = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
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
        words, lines = prose_words.words(data, ends), prose_scan.lines(data, ends)
        result[:, part] = shares(data, ends, words, lines)
    return dict(zip(NAMES, result, strict=True))


def shares(
    data: np.ndarray, offsets: np.ndarray, words: prose_words.TextWords, lines: prose_scan.TextLines
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
    most = 1
    for k in range(result.shape[0]):
        most = max(most, offsets[k + 1] - offsets[k])
    size = _table_size(most)
    places, keys = np.empty(most, np.int32), np.empty(most, np.uint64)
    some_places, some_keys = np.empty(most, np.int32), np.empty(most, np.uint64)
    seen, slots = np.empty(size, np.uint8), np.empty(size, np.int32)
    known, firsts, counts = np.empty(most, np.uint64), np.empty(most, np.int32), np.empty(most, np.int32)
    room = (slots, known, firsts, counts, np.empty(most, np.int32))
    for k in range(result.shape[0]):
        words, sizes = hashes[offsets[k] : offsets[k + 1]], chars[offsets[k] : offsets[k + 1]]
        m = words.size
        for n in TOP_SIZES:
            m = _grow(words, n, m, places, keys)
            highest = _count_slots(keys[:m], seen)
            most_often, first = _top(m, highest, places, keys, seen, some_places, some_keys, room)
            if words.size >= n:
                result[k, n - 2] = (sizes[first : first + n].sum() + n - 1) * most_often
            m = _keep(m, 2, places, keys, seen, places, keys)
        m = _grow(words, DUPLICATE_SIZES[0], m, places, keys)
        _count_slots(keys[:m], seen)
        m = _keep(m, 2, places, keys, seen, places, keys)
        for n in DUPLICATE_SIZES:
            if n > DUPLICATE_SIZES[0]:
                m = _grow(words, n, m, places, keys)
            m, result[k, n - 2] = _duplicate_chars(m, n, places, keys, sizes, room)
    return result


@compiled
def _table_size(n: int) -> int:
    """A power of two, at least twice `n`: half of the places stay free, so that every search ends soon."""
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _slot(key: np.uint64, size: int) -> np.int64:
    return np.int64(((key ^ key >> np.uint64(32)) * _GOLDEN >> np.uint64(20)) & np.uint64(size - 1))


@compiled
def _grow(words: np.ndarray, n: int, m: int, places: np.ndarray, keys: np.ndarray) -> int:
    """Keep of the first `m` places those where an n-gram begins that may repeat, with its key; how many.

    It can only repeat if its first and its last n - 1 words do. Its key is a hash of its words' hashes: equal keys are
    taken for equal n-grams, as equal hashes are for words.
    """
    if n == 2:
        for k in range(words.size - 1):
            places[k], keys[k] = k, _longer(words[k], words[k + 1])
        return max(words.size - 1, 0)
    kept = 0
    for k in range(m - 1):
        place = places[k]
        if places[k + 1] == place + 1:  # so the last word is there too
            places[kept], keys[kept] = place, _longer(keys[k], words[place + n - 1])
            kept += 1
    return kept


@inlined
def _longer(key: np.uint64, word: np.uint64) -> np.uint64:
    return (key ^ key >> np.uint64(32)) * _GOLDEN + word


@compiled
def _count_slots(keys: np.ndarray, seen: np.ndarray) -> int:
    """Count the keys by slot, up to _MOST_SEEN; the highest count. Several keys may share a slot, so that no key stands
    there more often than its slot says. A look at a byte is cheap beside one in a hash table of keys."""
    size = _table_size(keys.size) >> 1
    seen[:size] = 0
    highest = 0
    for k in range(keys.size):
        slot = _slot(keys[k], size)
        count = min(seen[slot] + 1, _MOST_SEEN)
        seen[slot] = count
        highest = max(highest, count)
    return highest


@compiled
def _keep(
    m: int,
    least: int,
    places: np.ndarray,
    keys: np.ndarray,
    seen: np.ndarray,
    to_places: np.ndarray,
    to_keys: np.ndarray,
) -> int:
    """Copy of the first `m` places and keys those whose slot was counted `least` times or more; how many."""
    kept, size = 0, _table_size(m) >> 1
    for k in range(m):
        place, key = places[k], keys[k]
        to_places[kept], to_keys[kept] = place, key  # without a branch that nobody can guess
        kept += seen[_slot(key, size)] >= least
    return kept


@compiled
def _top(
    m: int,
    highest: int,
    places: np.ndarray,
    keys: np.ndarray,
    seen: np.ndarray,
    some_places: np.ndarray,
    some_keys: np.ndarray,
    room: _Room,
) -> tuple[int, int]:
    """How often the commonest n-gram stands there, and where first; of several the first one.

    Where none repeats the first n-gram of the document is the commonest, once. Only those in the fullest slots are
    counted one by one. A commoner one would stand in a slot as full as it is common.
    """
    least, most, first = max(2, highest // 2), 1, 0
    while highest >= 2:
        n = _keep(m, least, places, keys, seen, some_places, some_keys)
        n_keys = _number(some_keys[:n], some_places, room)
        _, _, firsts, counts, _ = room
        for k in range(n_keys):
            if counts[k] > most:
                most, first = counts[k], firsts[k]
        if most >= least or least == 2:
            break
        least = max(2, most)
        most, first = 1, 0
    return most, first


@compiled
def _number(keys: np.ndarray, places: np.ndarray, room: _Room) -> int:
    """Give equal keys one number, counted from 0 in order of first occurrence; how many there are.

    Fills of the room for each number its key, first place and count, and for each of `keys` its number. The first part
    is for a hash table: numbers plus one, 0 where free. It grows with the numbers, so that few stay in the cache.
    """
    slots, known, firsts, counts, ids = room
    n, size = 0, min(_SMALL_TABLE, slots.size)
    slots[:size] = 0
    for k in range(keys.size):
        key = keys[k]
        slot = _slot(key, size)
        while slots[slot] != 0 and known[slots[slot] - 1] != key:
            slot = (slot + 1) & (size - 1)
        number = slots[slot] - 1
        if number < 0:
            number = n
            known[n], firsts[n], counts[n] = key, places[k], 0
            n += 1
            slots[slot] = n
            if 2 * n > size:
                size *= 2
                _refill(slots[:size], known[:n])
        ids[k] = number
        counts[number] += 1
    return n


@compiled
def _refill(slots: np.ndarray, keys: np.ndarray) -> None:
    slots[:] = 0
    for number in range(keys.size):
        slot = _slot(keys[number], slots.size)
        while slots[slot] != 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = number + 1


@compiled
def _duplicate_chars(
    m: int, n: int, places: np.ndarray, keys: np.ndarray, sizes: np.ndarray, room: _Room
) -> tuple[int, int]:
    """Keep of the first `m` n-grams those that repeat: how many, and the characters in those that stood before, which
    are then passed over as a whole, as Gopher counts them."""
    _number(keys[:m], places, room)
    _, _, _, counts, ids = room
    kept = free = n_chars = 0
    for k in range(m):
        place, count = places[k], counts[ids[k]]
        if count == 1:
            continue
        places[kept], keys[kept] = place, keys[k]
        kept += 1
        if place >= free:
            if count < 0:  # the mark of what was seen
                n_chars += sizes[place : place + n].sum()
                free = place + n
            counts[ids[k]] = -1
    return kept, n_chars


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
                line, chars = hash_of(data, start, end)[0], _chars_of(data, start, end)
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
def _chars_of(data: np.ndarray, start: int, end: int) -> int:
    n_chars = 0
    for k in range(start, end):
        n_chars += data[k] & 0xC0 != 0x80
    return n_chars


@compiled
def _char_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the last byte of the character at i."""
    i += 1
    while i < end and data[i] & 0xC0 == 0x80:
        i += 1
    return i


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
