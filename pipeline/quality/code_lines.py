"""Lines of programs without their comments, compiled: what they say, which repeat, what strings hold.

The counts follow OpenCoder's filter code (Huang et al. 2024, arXiv 2411.04905, "heuristic filtering"), down to what it
takes for a line (ended by LF, blank ones left out) and for a string (the text between two equal quotes; a backslash
escapes nothing). A character is a code point of valid UTF-8.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

# Columns of a row of counts.
(
    N_CHARS,
    N_LINES,  # with something visible
    N_REPEATED,  # lines that stand there more than once, every time counted
    N_HEX_CHARS,  # in words like 0x1F
    N_STRING_CHARS,
    N_LONG_WORD_CHARS,  # in strings: in words of more than 20 characters that are no URL
    N_LONG_STRINGS,  # lines of strings with more than 20 words
    N_ASSERT,  # lines with the word, here and below
    N_PRINT,
    N_IMPORT,
    N_PASS,
    N_PREPROCESSOR,
) = range(12)
N_COUNTS = 12

MAX_WORD_CHARS, MAX_STRING_WORDS = 20, 20  # OpenCoder's

_LF, _QUOTE, _APOSTROPHE = 10, 34, 39
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads a byte over all bits
_TURN, _TURNED = np.uint64(7), np.uint64(57)  # a line's hash turns with every character; see code_words.py

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
# What a byte is to the walk over lines, beside the texts that it may begin: most are nothing of it.
_SPACE, _REST, _MARK, _ZERO, _SIGN, _LETTER = 1, 2, 4, 8, 16, 32
_EVENTS = 62  # all but white space: not the first byte of a character, a quote, a 0, a #, a text


def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each kind (a place in LANGUAGES plus 1; 0: the rest): what a byte is, which texts are searched for, which
    bytes come second in them. And the texts: length, column, whether capitals count as small letters, bytes."""
    kinds = ("", *LANGUAGES)
    table = np.zeros((len(_SEARCHED) + len(_DIRECTIVES), 3 + max(len(t[0]) for t in _SEARCHED)), np.int64)
    bytes_of = np.zeros((len(kinds), 256), np.uint8)
    seconds = np.full((len(kinds), 256), 255 - _LETTER, np.uint8)  # a mask: a text needs its second byte too
    wanted = np.zeros((len(kinds), len(_SEARCHED)), np.bool_)
    for place, text in enumerate([t[0] for t in _SEARCHED] + list(_DIRECTIVES)):
        table[place, 0] = len(text)
        table[place, 3 : 3 + len(text)] = list(text.encode())
    for place, (text, column, folds, languages) in enumerate(_SEARCHED):
        table[place, 1:3] = column, folds
        wanted[:, place] = [languages is None or kind in languages for kind in kinds]
        for form in {text, text.upper()} if folds else {text}:
            bytes_of[wanted[:, place], ord(form[0])] |= _LETTER
            seconds[wanted[:, place], ord(form[1])] |= _LETTER
        if folds:
            seconds[wanted[:, place], ord(text[1].upper())] |= _LETTER
            seconds[wanted[:, place], ord(text[1])] |= _LETTER
    for byte in (*range(9, 14), *range(28, 33)):
        bytes_of[:, byte] |= _SPACE
    bytes_of[:, 0x80:0xC0] |= _REST
    bytes_of[:, [_QUOTE, _APOSTROPHE]] |= _MARK
    bytes_of[:, ord("0")] |= _ZERO
    bytes_of[[1 + LANGUAGES.index("C"), 1 + LANGUAGES.index("C++")], ord("#")] |= _SIGN
    return bytes_of, seconds, wanted, table


_BYTES, _SECONDS, _WANTED, _TEXTS = _table()
_N_SEARCHED = len(_SEARCHED)


@compiled
def count(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]] of a kind (int64)."""
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        start, end = offsets[k], offsets[k + 1]
        n_lines, n_quotes = 1, 0
        for i in range(start, end):
            n_lines += data[i] == _LF
            n_quotes += data[i] == _QUOTE or data[i] == _APOSTROPHE
        quotes, at_line = np.empty(n_quotes, np.int64), np.empty(n_quotes, np.int64)
        _count_lines(data, start, end, kinds[k], n_lines, quotes, at_line, counts[k])
        _count_strings(data, end, quotes, at_line, counts[k])
    return counts


@compiled
def _is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@compiled
def _is_word(byte: int) -> bool:
    return byte >= 128 or 48 <= byte <= 57 or 97 <= byte <= 122 or 65 <= byte <= 90 or byte == 95


@compiled
def _count_lines(
    data: np.ndarray,
    start: int,
    end: int,
    kind: int,
    n_lines: int,
    quotes: np.ndarray,
    at_line: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count lines; and note where quotes are, and in which lines."""
    size = _table_size(n_lines)
    keys, seen = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    bytes_of, seconds = _BYTES[kind], _SECONDS[kind]
    n_quotes = n_rest = line = n_hex = 0
    i = start
    while i < end:
        first, found, n_hidden = i, 0, 0
        key = _GOLDEN
        byte = data[i]
        while byte != _LF:
            after = data[i + 1] if i + 1 < end else _LF
            what = bytes_of[byte] & seconds[after]
            n_hidden += what & _SPACE
            added = key + np.uint64(byte + 1) * _GOLDEN
            key = key if what & _SPACE else added << _TURN | added >> _TURNED
            if what & _EVENTS:
                if what & (_LETTER | _SIGN):
                    found |= _search(data, i, end, kind)
                elif what & _REST:
                    n_rest += 1
                elif what & _MARK:
                    quotes[n_quotes], at_line[n_quotes] = i, line
                    n_quotes += 1
                else:
                    n_hex += _hex_word(data, start, i, end)
            i += 1
            byte = after
        n_visible = i - first - n_hidden
        i += i < end
        line += 1
        if n_visible > 0:
            row[N_LINES] += 1
            if found != 0:
                for column in range(N_ASSERT, N_PREPROCESSOR + 1):
                    row[column] += found >> column & 1
            row[N_REPEATED] += _repeats(keys, seen, key, n_visible <= 4 and _is_closing(data, first, i))
    row[N_HEX_CHARS] = n_hex
    row[N_CHARS] = end - start - n_rest


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
    if i + 2 >= end or data[i + 1] | 0x20 != 120 or (i > start and _is_word(data[i - 1])):
        return 0
    k = i + 2
    while k < end and (48 <= data[k] <= 57 or 97 <= data[k] | 0x20 <= 102):
        k += 1
    return 0 if k == i + 2 or (k < end and _is_word(data[k])) else k - i


@compiled
def _search(data: np.ndarray, i: int, end: int, kind: int) -> int:
    """The columns, as bits, of the searched texts that stand at i."""
    if data[i] == 35:
        i += 1
        while i < end and _is_space(data[i]):
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
        if not _is_space(data[k]):
            n_chars += data[k] & 0xC0 != 0x80
            before, last = last, data[k] & 0xFF
    return n_chars == 1 or (n_chars == 2 and before == 125 and last == 44)


@compiled
def _repeats(keys: np.ndarray, seen: np.ndarray, key: np.uint64, is_closing: bool) -> int:
    """How many more lines stand there several times, now that the line `key` was met once more."""
    if key == 0:
        key = np.uint64(1)
    mixed = (key ^ key >> np.uint64(32)) * _GOLDEN
    mask = np.uint64(keys.size - 1)
    place = mixed >> np.uint64(20) & mask
    while keys[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & mask
    keys[place] = key
    seen[place] += 1
    if is_closing or seen[place] == 1:
        return 0
    return 2 if seen[place] == 2 else 1


# ---------------------------------------------------------------- strings


@compiled
def _count_strings(data: np.ndarray, end: int, quotes: np.ndarray, at_line: np.ndarray, row: np.ndarray) -> None:
    """Strings as two patterns of OpenCoder find them: to one a string of single quotes stays in its line, which decides
    characters; to the other it goes on over lines, which decides lines with many words."""
    for stays in (True, False):
        open_triples, open_quotes = 3, 3  # bits of the quotes that may still be closed
        k = 0
        while k < quotes.size:
            i = quotes[k]
            byte = data[i]
            bit = 1 if byte == _QUOTE else 2
            if open_triples & bit and _is_triple(data, quotes, k):
                close = k + 3
                while close < quotes.size and not (data[quotes[close]] == byte and _is_triple(data, quotes, close)):
                    close += 1
                if close < quotes.size:
                    _count_string(data, i + 3, quotes[close], stays, row)
                    k = close + 3
                    continue
                open_triples &= ~bit
            if stays or open_quotes & bit:
                close = k + 1
                while close < quotes.size and data[quotes[close]] != byte:
                    if stays and at_line[close] != at_line[k]:
                        break
                    close += 1
                if close < quotes.size and data[quotes[close]] == byte and not (stays and at_line[close] != at_line[k]):
                    _count_string(data, i + 1, quotes[close], stays, row)
                    k = close
                elif not stays:
                    open_quotes &= ~bit
            k += 1


@compiled
def _is_triple(data: np.ndarray, quotes: np.ndarray, k: int) -> bool:
    """Whether three equal quotes stand side by side from the k-th on."""
    if k + 2 >= quotes.size or quotes[k + 2] != quotes[k] + 2:
        return False
    i = quotes[k]
    return bool(data[i + 1] == data[i] and data[i + 2] == data[i])


@compiled
def _count_string(data: np.ndarray, i: int, end: int, stays: bool, row: np.ndarray) -> None:
    if stays:
        _count_chars(data, i, end, row)
    elif end - i > MAX_STRING_WORDS:
        row[N_LONG_STRINGS] += _long_lines(data, i, end)


@compiled
def _count_chars(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    word, n_chars = i, 0
    for k in range(i, end + 1):
        if k == end or _is_space(data[k]):
            if n_chars > MAX_WORD_CHARS and not _has_url(data, word, k):
                row[N_LONG_WORD_CHARS] += n_chars
            row[N_STRING_CHARS] += n_chars + (k < end)
            word, n_chars = k + 1, 0
        else:
            n_chars += data[k] & 0xC0 != 0x80


@compiled
def _has_url(data: np.ndarray, i: int, end: int) -> bool:
    """Whether a word holds http:// or https:// and something behind it."""
    for k in range(i + 4, end - 3):
        if data[k] == 58 and data[k + 1] == 47 and data[k + 2] == 47:
            at = k - 1 if data[k - 1] == 115 else k
            is_http = at - 4 >= i and data[at - 4] == 104 and data[at - 3] == 116
            if is_http and data[at - 2] == 116 and data[at - 1] == 112:
                return True
    return False


@compiled
def _long_lines(data: np.ndarray, i: int, end: int) -> int:
    """Lines with more than MAX_STRING_WORDS words; a word is a run of letters and digits or of other signs."""
    n_lines = n_words = before = 0  # before: 0 after white space, 1 after a letter, 2 after another sign
    for k in range(i, end + 1):
        if k == end or data[k] == _LF:
            n_lines += n_words > MAX_STRING_WORDS
            n_words = before = 0
            continue
        now = 0 if _is_space(data[k]) else 1 if _is_word(data[k]) else 2
        n_words += now != 0 and now != before
        before = now
    return n_lines
