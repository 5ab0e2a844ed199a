"""Lines of programs without their comments, compiled: what they say and which repeat.

The counts follow OpenCoder's filter code (Huang et al. 2024, arXiv 2411.04905, "heuristic filtering"), down to what it
takes for a line (ended by LF, blank ones left out). A character is a code point of valid UTF-8.

Lines are walked 64 bytes at a time as bits (`arrays/bits.py`).
"""

import numpy as np

from pipeline.arrays.bits import (
    ALL,
    BLOCK,
    GOLDEN,
    NONE,
    ONE,
    below_eight,
    between,
    block,
    count_ones,
    eight,
    equal,
    folded_product,
    lowest,
    tail_room,
)
from pipeline.arrays.compiled import compiled
from pipeline.quality.program_bytes import is_space, is_word

# Columns of a row of counts.
(
    N_CHARS,
    N_LINES,  # with something visible
    N_REPEATED,  # lines that stand there more than once, every time counted
    N_HEX_CHARS,  # in words like 0x1F
    N_ASSERT,  # lines with the word, here and below
    N_PRINT,
    N_IMPORT,
    N_PASS,
    N_PREPROCESSOR,
) = range(9)
N_COUNTS = 9

_LF = 10
_PER_BYTE = np.uint64(0xC2B2AE3D27D4EB4F)  # odd, its bits mixed: sets lines of different length apart
_TOP = np.uint64(1 << 63)

# What a line is searched for: the text in small letters, the column that counts the line, whether capitals are equal to
# small letters, OpenCoder's names of the languages for which it counts (None: all).
_SEARCHED: tuple[tuple[str, int, bool, tuple[str, ...] | None], ...] = (
    ("assert", N_ASSERT, True, None),
    ("print", N_PRINT, False, ("Python",)),
    ("printf", N_PRINT, False, ("C", "C++")),
    ("cout", N_PRINT, False, ("C++",)),
    ("Console.WriteLine", N_PRINT, False, ("C#",)),
    ("fmt.Print", N_PRINT, False, ("Go",)),
    ("System.out.print", N_PRINT, False, ("Java",)),
    ("console.log", N_PRINT, False, ("JavaScript",)),
    ("import", N_IMPORT, True, ("Python",)),
    ("pass", N_PASS, True, ("Python",)),
    ("struct", N_PREPROCESSOR, False, ("C", "C++")),
    ("using", N_PREPROCESSOR, False, ("C", "C++")),
)
# What follows a # and white space in a line of the preprocessor; "if" stands for ifdef and ifndef too.
_DIRECTIVES = ("include", "define", "if", "else", "elif", "endif", "error", "pragma", "warning", "undef", "line")

LANGUAGES = ("C", "C++", "C#", "Go", "Java", "JavaScript", "Python")  # that are searched for more than the rest
_SIGNED = tuple(1 + LANGUAGES.index(name) for name in ("C", "C++"))  # kinds whose lines may be of a preprocessor


def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each kind (a place in LANGUAGES plus 1; 0: the rest) which texts are searched for, and with which bytes they
    begin: two forms of the first and two of the second byte. How many of those there are. And the texts: length,
    column, whether capitals count as small letters, bytes."""
    kinds = ("", *LANGUAGES)
    table = np.zeros((len(_SEARCHED) + len(_DIRECTIVES), 3 + max(len(t[0]) for t in _SEARCHED)), np.int64)
    wanted = np.zeros((len(kinds), len(_SEARCHED)), np.bool_)
    for place, text in enumerate([t[0] for t in _SEARCHED] + list(_DIRECTIVES)):
        table[place, 0] = len(text)
        table[place, 3 : 3 + len(text)] = list(text.encode())
    pairs: list[set[bytes]] = [set() for _ in kinds]
    for place, (text, column, folds, languages) in enumerate(_SEARCHED):
        table[place, 1:3] = column, folds
        wanted[:, place] = [languages is None or kind in languages for kind in kinds]
        forms = [form for letter in text[:2] for form in (letter, letter.upper() if folds else letter)]
        for kind in np.flatnonzero(wanted[:, place]).tolist():
            pairs[kind].add("".join(forms).encode())
    begins = np.zeros((len(kinds), max(map(len, pairs)), 4), np.uint8)
    for kind, some in enumerate(pairs):
        begins[kind, : len(some)] = [list(pair) for pair in sorted(some)]
    return wanted, begins, np.array([len(some) for some in pairs]), table


_WANTED, _BEGINS, _N_BEGINS, _TEXTS = _table()
_N_SEARCHED = len(_SEARCHED)


def count(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]] of a kind (int64)."""
    return _count(data, offsets, kinds, tail_room())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray, room: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        start, end = offsets[k], offsets[k + 1]
        n_lines = 1
        for i in range(start, end, BLOCK):
            at = block(data, i, room)
            live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
            n_lines += count_ones(between(at, _LF, _LF) & live)
        _count_lines(data, start, end, kinds[k], n_lines, room, counts[k])
    return counts


@compiled
def _count_lines(
    data: np.ndarray, start: int, end: int, kind: int, n_lines: int, room: np.ndarray, row: np.ndarray
) -> None:
    size = _table_size(n_lines)
    keys, seen = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    first, visible_state, found = start, (NONE, NONE, 0), 0  # of the open line; see `_hash_visible`
    row[N_CHARS] = end - start
    for i in range(start, end, BLOCK):
        at = block(data, i, room)
        live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
        feeds, visible = between(at, _LF, _LF) & live, live & ~(between(at, 9, 13) | between(at, 28, 32))
        looks = _begin_something(at, kind) & live
        row[N_CHARS] -= count_ones(between(at, 0x80, 0xBF) & live)
        rest = ALL
        while True:
            feed = feeds & (~feeds + ONE)
            mine = rest & (feed - ONE)  # up to the line end; all that is left if there is none
            some = looks & mine
            while some != NONE:
                found |= _look(data, start, i + lowest(some), end, kind, row)
                some &= some - ONE
            visible_state = _hash_visible(data, i, visible & mine, visible_state)
            if feed == NONE:
                break
            _end_line(data, first, i + lowest(feed), visible_state, found, keys, seen, row)
            first, visible_state, found = i + lowest(feed) + 1, (NONE, NONE, 0), 0
            rest &= ~(mine | feed)
            feeds &= feeds - ONE
    _end_line(data, first, end, visible_state, found, keys, seen, row)


@compiled
def _begin_something(at: np.uint64, kind: int) -> np.uint64:
    """Which bytes of the block at an address may begin a text that is searched for, a directive or a hexadecimal
    number: also the last one, if what comes second stands behind the block."""
    found: np.uint64 = between(at, 48, 48) & ((between(at, 120, 120) | between(at, 88, 88)) >> ONE | _TOP)
    for k in range(_N_BEGINS[kind]):
        one = equal(at, _BEGINS[kind, k, 0]) | equal(at, _BEGINS[kind, k, 1])
        found |= one & ((equal(at, _BEGINS[kind, k, 2]) | equal(at, _BEGINS[kind, k, 3])) >> ONE | _TOP)
    if kind in _SIGNED:
        found |= between(at, 35, 35)
    return found


@compiled
def _look(data: np.ndarray, start: int, i: int, end: int, kind: int, row: np.ndarray) -> int:
    """Count the hexadecimal number at i, or give the columns, as bits, of the texts that stand there."""
    if data[i] == 48:
        row[N_HEX_CHARS] += _hex_word(data, start, i, end)
        return 0
    return _search(data, i, end, kind)


@compiled
def _hash_visible(
    data: np.ndarray, i: int, visible: np.uint64, state: tuple[np.uint64, np.uint64, int]
) -> tuple[np.uint64, np.uint64, int]:
    """Take the visible bytes of the block at i into the hash of a line, eight by eight whatever stands between them.

    The state: the hash of all whole eights, the bytes behind them, the number of all.
    """
    key, rest, n = state
    while visible != NONE:
        first = lowest(visible)
        length = min(8, lowest(~(visible >> np.uint64(first))))
        visible &= ~(((ONE << np.uint64(length)) - ONE) << np.uint64(first))
        part = eight(data, i + first) if i + first + 8 <= data.size else below_eight(data, i + first, data.size)
        part &= ALL >> np.uint64(64 - 8 * length)
        n_rest = n & 7
        rest |= part << np.uint64(8 * n_rest)
        if n_rest + length >= 8:
            key = folded_product(key ^ rest, GOLDEN)
            rest = part >> np.uint64(56 - 8 * n_rest) >> np.uint64(8)  # in two steps: 64 bits at once are none
        n += length
    return key, rest, n


@compiled
def _end_line(
    data: np.ndarray,
    first: int,
    end: int,
    visible_state: tuple[np.uint64, np.uint64, int],
    found: int,
    keys: np.ndarray,
    seen: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count the line data[first:end], in which stand the texts of the columns that are bits of `found`."""
    key, rest, n_visible = visible_state
    if n_visible == 0:
        return
    row[N_LINES] += 1
    if found != 0:
        for column in range(N_ASSERT, N_PREPROCESSOR + 1):
            row[column] += found >> column & 1
    key = folded_product(key ^ rest ^ np.uint64(n_visible) * _PER_BYTE, GOLDEN)
    row[N_REPEATED] += _repeats(keys, seen, key, n_visible <= 4 and _is_closing(data, first, end))


@compiled
def _table_size(n: int) -> int:
    """A power of two, at least twice `n`, so that every search for a free place ends soon."""
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _hex_word(data: np.ndarray, start: int, i: int, end: int) -> int:
    """Characters of the hexadecimal number at i that is a word of its own, or 0."""
    if i + 2 >= end or data[i + 1] | 0x20 != 120 or (i > start and is_word(data[i - 1])):
        return 0
    k = i + 2
    while k < end and (48 <= data[k] <= 57 or 97 <= data[k] | 0x20 <= 102):
        k += 1
    return 0 if k == i + 2 or (k < end and is_word(data[k])) else k - i


@compiled
def _search(data: np.ndarray, i: int, end: int, kind: int) -> int:
    """The columns, as bits, of the searched texts that stand at i."""
    if data[i] == 35:
        i += 1
        while i < end and is_space(data[i]):
            i += 1
        for place in range(_N_SEARCHED, _TEXTS.shape[0]):
            if _stands(data, i, end, place):
                return 1 << N_PREPROCESSOR
        return 0
    found = 0
    for place in range(_N_SEARCHED):
        if _WANTED[kind, place] and _stands(data, i, end, place):
            found |= 1 << _TEXTS[place, 1]
    return found


@compiled
def _stands(data: np.ndarray, i: int, end: int, place: int) -> bool:
    length = _TEXTS[place, 0]
    if end - i < length:
        return False
    for k in range(length):
        byte = data[i + k] & 0xFF
        if _TEXTS[place, 2] and 65 <= byte <= 90:
            byte += 32
        if byte != _TEXTS[place, 3 + k]:
            return False
    return True


@compiled
def _is_closing(data: np.ndarray, i: int, end: int) -> bool:
    """Whether a line is one character or "},", which says nothing when it repeats."""
    n_chars, before, last = 0, 0, 0
    for k in range(i, end):
        if not is_space(data[k]):
            n_chars += data[k] & 0xC0 != 0x80
            before, last = last, data[k] & 0xFF
    return n_chars == 1 or (n_chars == 2 and before == 125 and last == 44)


@compiled
def _repeats(keys: np.ndarray, seen: np.ndarray, key: np.uint64, is_closing: bool) -> int:
    """How many more lines stand there several times, now that the line `key` was met once more."""
    if key == 0:
        key = np.uint64(1)
    mixed = (key ^ key >> np.uint64(32)) * GOLDEN
    mask = np.uint64(keys.size - 1)
    place = mixed >> np.uint64(20) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    keys[place] = key
    seen[place] += 1
    if is_closing or seen[place] == 1:
        return 0
    return 2 if seen[place] == 2 else 1
