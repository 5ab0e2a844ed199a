"""The compiled pass behind `features.py`: bytes of many documents in, one row of integer counts per document out.

Text is UTF-8. Bytes that are not are read as `bytes.decode("utf-8", "replace")` reads them, one U+FFFD for each
maximal bad piece, so a damaged document still has well-defined counts. Every document is walked three times (characters
and words, lines, encoded runs) while it lies in the cache; each walk is linear in its bytes whatever they are.
"""

from functools import lru_cache

import numpy as np

from pipeline.arrays.compiled import compiled, inlined

# Bits of a character's class. LETTER is 1, so that `flags & LETTER` counts; the others are shifted down.
LETTER, DIGIT, SPACE, UNSPACED = 1, 2, 4, 8
SIGN = 16  # hash sign, dot and ellipsis, which are looked at more closely

# Columns of a row of counts. All are characters unless the name says otherwise.
(
    N_CHARS,
    N_LETTERS,
    N_DIGITS,
    N_SPACES,
    N_UNSPACED,  # letters of scripts that put no space between words
    N_HASHTAGS,
    N_ELLIPSES,  # runs of three dots or more, and the one-character form
    N_PIECES,  # see `_scan_characters`
    N_WORDS,
    N_ALPHA_WORDS,
    N_WORD_CHARS,
    N_STOP_WORDS,
    N_LINES,
    N_LINE_CHARS,  # without line ends
    MAX_LINE_CHARS,
    N_LONG_LINE_CHARS,  # in lines of more than LONG_LINE_CHARS
    N_FILLED_CHARS,  # in lines that are not blank
    N_DUPLICATE_CHARS,  # in lines that stood in the document before, blank ones aside
    N_BULLET_LINES,
    N_ELLIPSIS_LINES,
    HEAD_BYTES,  # bytes of the first HEAD_LINES lines
    N_ENCODED_CHARS,
    MAX_ENCODED_RUN_CHARS,
) = range(23)
N_COUNTS = 23

LONG_LINE_CHARS = 1_000  # StarCoder2's limit for a line of code
HEAD_LINES = 5  # StarCoder2 looks for a generator's marker in the first five lines
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # of Gopher, section A.1.1
MIN_ENCODED_CHARS = 64  # StarCoder2's, for a base64-like run; a shorter one may be a name or a path
# Shorter lines do not continue a base64-like run. A plain choice: half the 64 of PEM (RFC 7468), less than half the 76
# of MIME.
MIN_ENCODED_LINE = 32
MIN_ESCAPES = 8  # StarCoder2's, for both kinds of escape

# Scripts whose words are not set off by spaces: Han with its radicals and iteration marks, kana, bopomofo, Thai, Lao,
# Tibetan, Myanmar, Khmer. Hangul has spaces. First and last code point of Unicode blocks, neighbours joined.
UNSPACED_BLOCKS = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3040, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x3FFFF),
)

_LF, _CR, _HASH, _DOT, _BACKSLASH, _ELLIPSIS = 10, 13, 35, 46, 92, 0x2026
_QUOTES_AND_COMMA = (34, 39, 44)
_BULLETS = (45, 42, 0x2022)  # - * •
# FNV-1a of 64 bits, over code points instead of bytes: one multiplication a character. A line that is taken for another
# by chance would need some 10^9 lines in one document.
_FNV_PRIME, _FNV_START = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
# A stop word as one number: its bytes after a leading 1, which keeps a word that begins with a zero byte apart.
_STOP_KEYS = np.array([int.from_bytes(b"\x01" + w.encode(), "big") for w in STOP_WORDS], np.int64)


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """LETTER, DIGIT, SPACE and UNSPACED bits of every code point, by the running Python's Unicode tables.

    A letter is `str.isalpha`, a digit `str.isdecimal`, a space `str.isspace`. Letters that a later Unicode version adds
    change class with the Python version; all of 14.0 (Python 3.11) are stable.
    """
    characters = np.arange(0x110000, dtype=np.uint32).view("U1")
    letters = np.char.isalpha(characters)
    classes = letters * LETTER + np.char.isdecimal(characters) * DIGIT + np.char.isspace(characters) * SPACE
    for first, last in UNSPACED_BLOCKS:
        classes[first : last + 1] += letters[first : last + 1] * UNSPACED
    classes[[_HASH, _DOT, _ELLIPSIS]] += SIGN
    return np.asarray(classes, np.uint8)


def byte_set(members: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(members, np.uint8)] = True
    return table


DIGITS, LETTERS = b"0123456789", b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE64 = byte_set(LETTERS + DIGITS + b"+/=")
_HEX = byte_set(DIGITS + b"abcdefABCDEF")


@compiled
def scan(data: np.ndarray, offsets: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each document data[offsets[k]:offsets[k + 1]]."""
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        _scan_characters(data, offsets[k], offsets[k + 1], classes, counts[k])
        _scan_lines(data, offsets[k], offsets[k + 1], classes, counts[k])
        _scan_encoded(data, offsets[k], offsets[k + 1], counts[k])
    return counts


@compiled
def _decode(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The code point of the byte i, which is at or above 0x80, and its length in bytes; U+FFFD where there is none."""
    byte = data[i]
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
def _scan_characters(data: np.ndarray, i: int, end: int, classes: np.ndarray, row: np.ndarray) -> None:
    """Count characters, words and signs.

    A piece is a run without spaces, cut at letters of unspaced scripts, each of which is a piece of its own. A piece
    with a letter or digit is a word. Punctuation that touches an unspaced letter is part of it, as it is in "word,".
    """
    n_chars = n_letters = n_digits = n_spaces = n_unspaced = 0
    piece, length, bits = i, 0, 0  # the open piece: first byte, characters, classes seen
    dots_end = i  # dots before it belong to an ellipsis that was counted
    touches = False  # the open piece follows an unspaced letter
    while i < end:
        at = i
        code, size = data[i] & 0xFF, 1  # the mask makes it int64: numba would shift a uint8
        if code >= 0x80:
            code, size = _decode(data, i, end)
        i += size
        flags = classes[code]
        n_chars += 1
        n_letters += flags & LETTER
        n_digits += (flags & DIGIT) >> 1
        n_spaces += (flags & SPACE) >> 2
        if flags & (SPACE | UNSPACED):
            alone = flags & UNSPACED != 0
            if length > 0:
                _end_piece(data, piece, length, at, bits, touches or alone, row)
            n_unspaced += alone
            touches = alone
            piece, length, bits = i, 0, 0
            continue
        if flags & SIGN:
            if code == _HASH:  # "#topic", not the signs of a heading, "(#anchor)" or "C#"
                row[N_HASHTAGS] += length == 0 and i < end and data[i] > 32 and data[i] != _HASH
            elif code == _ELLIPSIS:
                row[N_ELLIPSES] += 1
            elif at >= dots_end and at + 2 < end and data[at + 1] == _DOT and data[at + 2] == _DOT:
                row[N_ELLIPSES] += 1
                dots_end = at + 3
                while dots_end < end and data[dots_end] == _DOT:  # dots that lead to a page number are one ellipsis
                    dots_end += 1
        length += 1
        bits |= flags
    if length > 0:
        _end_piece(data, piece, length, end, bits, touches, row)
    row[N_CHARS], row[N_LETTERS], row[N_DIGITS], row[N_SPACES] = n_chars, n_letters, n_digits, n_spaces
    row[N_UNSPACED] = n_unspaced
    for column in (N_PIECES, N_WORDS, N_ALPHA_WORDS, N_WORD_CHARS):
        row[column] += n_unspaced


@inlined
def _end_piece(data: np.ndarray, start: int, length: int, end: int, bits: int, touches: bool, row: np.ndarray) -> None:
    """Count the piece of data[start:end], `length` characters of the classes `bits`."""
    has_alnum = bits & (LETTER | DIGIT) != 0
    row[N_PIECES] += has_alnum or not touches
    if not has_alnum:
        return
    row[N_WORDS] += 1
    row[N_WORD_CHARS] += length
    row[N_ALPHA_WORDS] += bits & LETTER
    if end - start <= 4:  # the longest stop word has four letters
        key = 1
        for k in range(start, end):
            key = key << 8 | (data[k] | 0x20 if 0x41 <= data[k] <= 0x5A else data[k])
        for stop_key in _STOP_KEYS:
            row[N_STOP_WORDS] += key == stop_key


@compiled
def _scan_lines(data: np.ndarray, start: int, end: int, classes: np.ndarray, row: np.ndarray) -> None:
    """Count lines, which end with LF, CR LF, CR or the document. Two lines are equal if their 64-bit hashes are."""
    seen = np.zeros(_table_size(data, start, end), np.uint64)
    row[HEAD_BYTES] = end - start
    i = start
    while i < end:
        n_chars, first, filled_end = 0, -1, i
        key = _FNV_START
        while i < end and data[i] != _LF and data[i] != _CR:
            code, size = data[i] & 0xFF, 1
            if code >= 0x80:
                code, size = _decode(data, i, end)
            i += size
            n_chars += 1
            key = (key ^ np.uint64(code)) * _FNV_PRIME
            if not classes[code] & SPACE:
                filled_end = i
                if first < 0:
                    first = code
        if i < end:
            i += 2 if data[i] == _CR and i + 1 < end and data[i + 1] == _LF else 1
        row[N_LINES] += 1
        row[N_LINE_CHARS] += n_chars
        row[MAX_LINE_CHARS] = max(row[MAX_LINE_CHARS], n_chars)
        row[N_LONG_LINE_CHARS] += n_chars * (n_chars > LONG_LINE_CHARS)
        if row[N_LINES] == HEAD_LINES:
            row[HEAD_BYTES] = i - start
        if first >= 0:
            row[N_FILLED_CHARS] += n_chars
            row[N_DUPLICATE_CHARS] += n_chars * _remember(seen, key)
            row[N_BULLET_LINES] += first in _BULLETS
            row[N_ELLIPSIS_LINES] += _ends_in_ellipsis(data, start, filled_end)


@compiled
def _table_size(data: np.ndarray, start: int, end: int) -> int:
    """A power of two, at least twice the number of lines that are not empty."""
    # At most half full, so that a free place is always near and the search in `_remember` ends.
    n = 1
    for i in range(start, end - 1):
        n += (data[i] == _LF or data[i] == _CR) and data[i + 1] != _LF and data[i + 1] != _CR
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _remember(seen: np.ndarray, key: np.uint64) -> bool:
    """Whether `key` was remembered before; it is from now on. Open addressing, 0 marks a free place."""
    if key == 0:
        key = np.uint64(1)
    # FNV's low bits depend on the low bits of the characters alone. Folding and multiplying by 2^64 over the golden
    # ratio spreads them; the bits from 20 on are well mixed and reach any table below 2^44 places.
    mixed = (key ^ key >> np.uint64(32)) * np.uint64(0x9E3779B97F4A7C15)
    mask = np.uint64(seen.size - 1)
    place = mixed >> np.uint64(20) & mask
    while seen[place] != 0:
        if seen[place] == key:
            return True
        place = (place + np.uint64(1)) & mask
    seen[place] = key
    return False


@compiled
def _ends_in_ellipsis(data: np.ndarray, start: int, end: int) -> bool:
    """Whether the bytes before `end` are three dots or the ellipsis character."""
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    return bool((a == _DOT and b == _DOT and c == _DOT) or (a == 0xE2 and b == 0x80 and c == 0xA6))


@compiled
def _scan_encoded(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    """Count the characters in encoded runs, after the three patterns of StarCoder2, section 2.1.

    All of their characters are ASCII, so bytes are characters. A base64-like run goes on over line ends and indentation
    as long as its lines are long.
    """
    run_start = run_end = i  # of the open base64-like run; equal: none
    while i < end:
        if data[i] == _BACKSLASH or data[i] == 48:
            escapes = _escape_run_bytes(data, i, end)
            if escapes > 0:
                _count_run(escapes, row)
                i += escapes
                continue
        if _BASE64[data[i]]:
            start = i
            while i < end and _BASE64[data[i]]:
                i += 1
            if i - start >= MIN_ENCODED_LINE:
                if run_end == run_start or not _is_line_break(data, run_end, start):
                    _end_base64(data, run_start, run_end, row)
                    run_start = start
                run_end = i
        else:
            i += 1
    _end_base64(data, run_start, run_end, row)


@compiled
def _count_run(n_chars: int, row: np.ndarray) -> None:
    row[N_ENCODED_CHARS] += n_chars
    row[MAX_ENCODED_RUN_CHARS] = max(row[MAX_ENCODED_RUN_CHARS], n_chars)


@compiled
def _is_line_break(data: np.ndarray, i: int, end: int) -> bool:
    """Whether data[i:end] is white space with a line end in it."""
    breaks = False
    while i < end:
        if data[i] == _LF or data[i] == _CR:
            breaks = True
        elif data[i] != 32 and data[i] != 9:
            return False
        i += 1
    return breaks


@compiled
def _end_base64(data: np.ndarray, start: int, end: int, row: np.ndarray) -> None:
    """Count a base64-like run if it is long and mixed.

    The letters that StarCoder2's pattern takes also make up banners ("=====", "/////"), paths and long names; so
    a run needs letters and digits, and at most one sign in eight characters.
    """
    if end - start < MIN_ENCODED_CHARS:
        return
    n_letters = n_digits = n_signs = 0
    for i in range(start, end):
        byte = data[i]
        if 48 <= byte <= 57:
            n_digits += 1
        elif byte >= 65:
            n_letters += 1
        elif byte > 32:
            n_signs += 1
    # Two of base64's 64 characters are signs, one in 32 on average; four times that is far from chance, and a path with
    # names of seven letters has as many.
    if n_letters > 0 and n_digits > 0 and 8 * n_signs <= end - start:
        _count_run(end - start, row)


@compiled
def _escape_bytes(data: np.ndarray, i: int, end: int) -> int:
    r"""Bytes of the escape at i: 4 for \xHH and for 0xHH that no digit follows, 6 for \uHHHH, else 0."""
    if i + 4 > end or (data[i] != _BACKSLASH and data[i] != 48):
        return 0
    is_wide = data[i] == _BACKSLASH and data[i + 1] == 117
    if not is_wide and data[i + 1] != 120:
        return 0
    size = 6 if is_wide else 4
    if i + size > end:
        return 0
    for k in range(i + 2, i + size):
        if not _HEX[data[k]]:
            return 0
    if data[i] == 48 and i + size < end and _BASE64[data[i + size]]:
        return 0  # 0x1234 is a number, not two bytes
    return size


@compiled
def _escape_run_bytes(data: np.ndarray, i: int, end: int) -> int:
    """Bytes of the run of MIN_ESCAPES or more escapes of one length at i, or 0. White space, commas and quotes may
    stand between byte escapes, nothing between the longer ones."""
    size = _escape_bytes(data, i, end)
    if size == 0:
        return 0
    start, stop, n = i, i, 0
    while _escape_bytes(data, i, end) == size:
        i += size
        n += 1
        stop = i
        while size == 4 and i < end and (data[i] in (9, 10, 13, 32) or data[i] in _QUOTES_AND_COMMA):
            i += 1
    return stop - start if n >= MIN_ESCAPES else 0
