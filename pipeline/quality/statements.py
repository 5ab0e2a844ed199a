r"""Imports, classes, plain variables and plain returns of C, C++, C#, Go and Java, compiled.

With functions (`declarations.py`) they are what OpenCoder takes for lines without logic. It finds them by regular
expressions (arXiv 2411.04905, filter code), most of which begin with a line; here the same matches are found by the
first words of each line. A byte above 127 is a letter.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.program_bytes import find, hash_at, hashes_of, is_at, is_space, is_word, over_space, over_word

# Columns of a row of counts. Variables are counted in Java alone, where a rule asks for them.
N_IMPORTS, N_PLAIN_VARIABLES, N_PLAIN_RETURNS, N_CLASSES, N_VARIABLES = range(5)
N_COUNTS = 5
_C, _CPP, _CSHARP, _GO, _JAVA = 1, 2, 3, 4, 5  # kinds: places in `declarations.LANGUAGES`, from 1

_FIELD_MODIFIERS = hashes_of("public protected private final static")
_C_TYPES = hashes_of("int float double char bool auto")
_CSHARP_TYPES = hashes_of("int float double char string bool byte sbyte short ushort uint long ulong decimal")
_JAVA_TYPES = hashes_of("int float boolean char double String")
_CLASS_ACCESS, _CLASS_KIND = hashes_of("public protected private"), hashes_of("final abstract")
(_CLASS, _RETURN, _INCLUDE, _IMPORT, _USING, _TYPE, _STRUCT, _INTERFACE, _VAR, _UNSIGNED, _STD, _STRING) = hashes_of(
    "class return include import using type struct interface var unsigned std string"
)


@compiled
def count(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]], comments taken out."""
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        kind = kinds[k]
        if kind == _CSHARP:
            _csharp_words(data, offsets[k], offsets[k + 1], counts[k])
        if _C <= kind <= _JAVA:
            _lines(data, offsets[k], offsets[k + 1], kind, counts[k])
    return counts


@compiled
def _csharp_words(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    """Plain variables and classes of C#, which may stand anywhere in a line."""
    while i < end:
        if not is_word(data[i]):
            i += 1
            continue
        to = over_word(data, i, end)
        key = hash_at(data, i, to) if to - i <= 8 else np.uint64(0)
        is_class = key == _CLASS
        i = to
        if is_class or _in(key, _CSHARP_TYPES):
            name = over_space(data, to, end)
            name_end = over_word(data, name, end)
            if name > to and name_end > name:
                if is_class:
                    row[N_CLASSES] += 1
                    i = name_end
                elif is_at(data, over_space(data, name_end, end), end, 59):
                    row[N_PLAIN_VARIABLES] += 1
                    i = name_end


@compiled
def _lines(data: np.ndarray, start: int, end: int, kind: int, row: np.ndarray) -> None:
    line = start
    while line < end:
        i = over_space(data, line, end)  # over blank lines, to the first visible character of a line
        if i == end:
            return
        if kind == _GO:
            _go_line(data, i, end, row)
        elif kind == _JAVA:
            _java_line(data, i, end, row)
        elif kind == _CSHARP:
            _csharp_line(data, i, end, row)
        else:
            _c_line(data, i, end, row)
        line = find(data, i, end, 10) + 1


@compiled
def _statement_ends(data: np.ndarray, i: int, end: int) -> bool:
    """Whether a semicolon stands at i and nothing visible behind it in its line."""
    if not is_at(data, i, end, 59):
        return False
    i += 1
    while i < end and data[i] != 10 and is_space(data[i]):
        i += 1
    return i == end or data[i] == 10


@compiled
def _literal(data: np.ndarray, i: int, end: int) -> int:
    """Behind the string or character constant at i, i if there is none."""
    quote, k = data[i], i + 1
    while k < end and data[k] != quote:
        k += 2 if data[k] == 92 else 1
    return min(end, k + 1) if k < end else i


@compiled
def _plain_return(data: np.ndarray, i: int, end: int, needs_space: bool) -> bool:
    """A return of nothing, of a word or of a constant, alone in its line."""
    k = over_space(data, i, end)
    if k == end:
        return False
    if needs_space and k == i:
        return _statement_ends(data, i, end)
    if data[k] == 34 or (data[k] == 39 and not needs_space):
        k = _literal(data, k, end)
    else:
        k = over_word(data, k, end)
    return _statement_ends(data, over_space(data, k, end), end)


@compiled
def _name_then(data: np.ndarray, i: int, end: int, byte: int) -> bool:
    """White space, a word, and `byte`, with or without white space before it."""
    name = over_space(data, i, end)
    to = over_word(data, name, end)
    return name > i and to > name and is_at(data, over_space(data, to, end), end, byte)


@compiled
def _c_line(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    if data[i] == 35:
        at = over_space(data, i + 1, end)
        to = over_word(data, at, end)
        opened = over_space(data, to, end)
        if (
            hash_at(data, at, to) == _INCLUDE
            and opened > to
            and opened < end
            and (data[opened] == 34 or data[opened] == 60)
        ):
            k = opened + 1
            while k < end and data[k] != 34 and data[k] != 62:
                k += 1
            row[N_IMPORTS] += opened + 1 < k < end
        return
    to = over_word(data, i, end)
    key = hash_at(data, i, to)
    if key == _CLASS:
        name = over_space(data, to, end)
        name_end = over_word(data, name, end)
        k = over_space(data, name_end, end)
        if is_at(data, k, end, 58):
            k = find(data, k, end, 123)
        row[N_CLASSES] += name > to and name_end > name and is_at(data, k, end, 123)
    elif to - i >= 6 and hash_at(data, i, i + 6) == _RETURN:
        row[N_PLAIN_RETURNS] += _plain_return(data, i + 6, end, False)
    else:
        if key == _UNSIGNED:
            i = over_space(data, to, end)
            to = over_word(data, i, end)
            key = hash_at(data, i, to)
        if key == _STD and is_at(data, to, end, 58) and is_at(data, to + 1, end, 58):
            i = to + 2
            to = over_word(data, i, end)
            row[N_PLAIN_VARIABLES] += hash_at(data, i, to) == _STRING and _name_then(data, to, end, 59)
        else:
            row[N_PLAIN_VARIABLES] += _in(key, _C_TYPES) and _name_then(data, to, end, 59)


@compiled
def _csharp_line(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    to = over_word(data, i, end)
    key = hash_at(data, i, to)
    if key == _USING:
        name = over_space(data, to, end)
        k = name
        while k < end and data[k] < 128 and (is_word(data[k]) or data[k] == 46):
            k += 1
        row[N_IMPORTS] += name > to and k > name and is_at(data, over_space(data, k, end), end, 59)
    elif key == _RETURN:
        k = to
        if k < end and is_space(data[k]):
            while k < end and is_space(data[k]):
                k += 1
            while k < end and data[k] != 59 and data[k] != 10:
                k += 1
        row[N_PLAIN_RETURNS] += is_at(data, over_space(data, k, end), end, 59)


@compiled
def _java_line(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    to = over_word(data, i, end)
    key = hash_at(data, i, to)
    if key == _IMPORT:
        name = over_space(data, to, end)
        k = name
        while k < end and (is_word(data[k]) or data[k] == 46 or data[k] == 42):
            k += 1
        row[N_IMPORTS] += name > to and k > name and _statement_ends(data, over_space(data, k, end), end)
        return
    if key == _RETURN:
        row[N_PLAIN_RETURNS] += _plain_return(data, to, end, True)
        return
    at, at_end, at_key = i, to, key
    for words in (_CLASS_ACCESS, _CLASS_KIND):
        if _in(at_key, words):
            at = over_space(data, at_end, end)
            at_end = over_word(data, at, end)
            at_key = hash_at(data, at, at_end)
    if at_key == _CLASS:
        name = over_space(data, at_end, end)
        row[N_CLASSES] += name > at_end and name < end and (is_word(data[name]) or data[name] == 60 or data[name] == 62)
    _java_field(data, i, end, row)


@compiled
def _java_field(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    to = over_word(data, i, end)
    while to < end and _in(hash_at(data, i, to), _FIELD_MODIFIERS):
        i = over_space(data, to, end)
        to = over_word(data, i, end)
    if to == i:
        return
    if not _in(hash_at(data, i, to), _JAVA_TYPES):
        if not 65 <= data[i] <= 90:
            return
        while to < end and (is_word(data[to]) or data[to] == 60 or data[to] == 62):
            to += 1
    name = over_space(data, to, end)
    name_end = over_word(data, name, end)
    if name == to or name_end == name:
        return
    k = over_space(data, name_end, end)
    if is_at(data, k, end, 59):
        row[N_PLAIN_VARIABLES] += 1
        row[N_VARIABLES] += 1
    elif is_at(data, k, end, 61):
        row[N_VARIABLES] += find(data, k + 2, end, 59) < end


@compiled
def _go_line(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    to = over_word(data, i, end)
    key = hash_at(data, i, to)
    k = over_space(data, to, end)
    if key == _RETURN:
        row[N_PLAIN_RETURNS] += k > to or k == end or data[k] == 59
    elif key == _IMPORT and k < end and data[k] == 34 and k > to:
        close = find(data, k + 1, end, 34)
        row[N_IMPORTS] += k + 1 < close < end
    elif key == _IMPORT and k == to + 1 and is_at(data, k, end, 40):
        row[N_IMPORTS] += over_space(data, k + 1, end) >= min(end, find(data, k, end, 10))
    elif key == _TYPE and k > to:
        name_end = over_word(data, k, end)
        kind = over_space(data, name_end, end)
        kind_end = over_word(data, kind, end)
        opened = over_space(data, kind_end, end)
        kind_key = hash_at(data, kind, kind_end)
        if kind_key in (_STRUCT, _INTERFACE) and is_at(data, opened, end, 123):
            row[N_CLASSES] += find(data, opened, end, 125) < end
    elif key == _VAR and k > to:
        name_end = over_word(data, k, end)
        type_at = over_space(data, name_end, end)
        type_end = over_word(data, type_at, end)
        if name_end > k and type_at > name_end and type_end > type_at:
            while type_end < end and data[type_end] != 10 and (is_space(data[type_end]) or data[type_end] == 59):
                type_end += 1
            row[N_PLAIN_VARIABLES] += type_end == end or data[type_end] == 10


@compiled
def _in(key: np.uint64, words: np.ndarray) -> bool:
    found = False
    for word in words:
        found |= key == word
    return found
