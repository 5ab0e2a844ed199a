"""How much of an HTML page can be read, compiled: characters outside tags, comments, scripts, styles and templates.

A walk over the tags and no tree: of a page of half a megabyte of open tags a tree takes minutes to build. White space
counts, as in the visible text of SantaCoder and OpenCoder, but between two tags for one character at most, as their
parser has it; a character reference (&eacute;) is one.
"""

import numpy as np

from pipeline.arrays.compiled import compiled

_LT, _GT, _AMP, _SEMICOLON, _SLASH, _BANG, _QUESTION, _DASH = 60, 62, 38, 59, 47, 33, 63, 45
_HIDDEN = tuple(np.frombuffer(name, np.uint8) for name in (b"script", b"style", b"template"))
_SCRIPT, _STYLE, _TEMPLATE = _HIDDEN
MAX_REFERENCE_BYTES = 32  # the longest name of a character is CounterClockwiseContourIntegral


@compiled
def visible_chars(data: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Visible characters, int64 [n], of the pages data[offsets[k]:offsets[k + 1]] where `wanted` (bool); else 0."""
    result = np.zeros(offsets.size - 1, np.int64)
    for k in range(offsets.size - 1):
        if wanted[k]:
            result[k] = _visible(data, offsets[k], offsets[k + 1])
    return result


@compiled
def _visible(data: np.ndarray, i: int, end: int) -> int:
    total = n_chars = 0  # of the page; of the text since the last tag
    shows = False  # whether that text is more than white space
    while i < end:
        byte = data[i]
        if byte == _LT:
            to = _markup_end(data, i, end)
            if to > i:
                total += n_chars if shows else min(n_chars, 1)
                n_chars, shows = 0, False
                i = to
                continue
        n_chars += byte & 0xC0 != 0x80
        shows = shows or byte > 32
        i = _reference_end(data, i, end) if byte == _AMP else i + 1
    return total + (n_chars if shows else min(n_chars, 1))


@compiled
def _is_letter(byte: int) -> bool:
    return 97 <= byte | 0x20 <= 122


@compiled
def _reference_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the character reference at i, or behind its & if it is none."""
    k = i + 1
    limit = min(end, k + MAX_REFERENCE_BYTES)
    while k < limit and (_is_letter(data[k]) or 48 <= data[k] <= 57 or data[k] == 35):
        k += 1
    return k + 1 if i + 1 < k < limit and data[k] == _SEMICOLON else i + 1


@compiled
def _markup_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the tag, comment, declaration or hidden element at i; i if there is none."""
    if i + 1 >= end:
        return i
    after = data[i + 1]
    if after == _BANG and i + 3 < end and data[i + 2] == _DASH and data[i + 3] == _DASH:
        k = i + 4
        while k + 2 < end:
            if data[k] == _DASH and data[k + 1] == _DASH and data[k + 2] == _GT:
                return k + 3
            k += 1
        return end  # a browser shows nothing of a comment that is never closed
    if not (_is_letter(after) or after in (_SLASH, _BANG, _QUESTION)):
        return i
    k = _tag_end(data, i + 1, end)
    if _is_letter(after) and data[k - 2] != _SLASH:
        for name in (_SCRIPT, _STYLE, _TEMPLATE):
            if _is_named(data, i + 1, end, name):
                return _element_end(data, k, end, name)
    return k


@compiled
def _tag_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the > of a tag; one in a quoted value is none."""
    quote, before = 0, 0
    while i < end:
        byte = data[i] & 0xFF
        if quote != 0:
            quote = 0 if byte == quote else quote
        elif (byte == 34 or byte == 39) and before == 61:
            quote = byte
        elif byte == _GT:
            return i + 1
        if byte > 32:
            before = byte
        i += 1
    return end


@compiled
def _is_named(data: np.ndarray, i: int, end: int, name: np.ndarray) -> bool:
    if end - i < name.size:
        return False
    for k in range(name.size):
        if data[i + k] | 0x20 != name[k]:
            return False
    return i + name.size == end or not (_is_letter(data[i + name.size]) or data[i + name.size] == _DASH)


@compiled
def _element_end(data: np.ndarray, i: int, end: int, name: np.ndarray) -> int:
    """Behind the closing tag of a hidden element whose content begins at i."""
    while i + 1 < end:
        if data[i] == _LT and data[i + 1] == _SLASH and _is_named(data, i + 2, end, name):
            return _tag_end(data, i, end)
        i += 1
    return end
