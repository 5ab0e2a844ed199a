r"""Functions of C, C++, C#, Go and Java, compiled, found as OpenCoder's regular expressions find them.

Its rules on functions (arXiv 2411.04905, filter code) count matches of patterns, which are no grammar: `return f(x)` is
a function to one of them. Here the same matches are found in a walk for brackets or for the starts of lines. A byte
above 127 is a letter. What else it counts stands in `statements.py`.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.program_bytes import find, hash_at, hashes_of, is_at, is_space, is_word, over_space, over_word

LANGUAGES = ("C", "C++", "C#", "Go", "Java")  # of the kinds 1 to 5 of `count`; other kinds have no such rules
N_FUNCTIONS, N_MAINS = range(2)  # columns of a row of counts
N_COUNTS = 2
_C, _CPP, _CSHARP, _GO, _JAVA = 1, 2, 3, 4, 5

_ACCESS = hashes_of("public protected private internal")
_KIND = hashes_of("static virtual override abstract async")
_JAVA_MODIFIERS = hashes_of("public protected private static")
_MAIN, _FUNC = hashes_of("main func")
_MOST_WORDS = 12  # before the bracket of a declaration; none has as many modifiers
_FALSE_TYPES = ("public", "private", "protected", "if", "else")  # what a type must not begin with
_FALSE = np.zeros((len(_FALSE_TYPES), 10), np.uint8)  # their lengths and bytes
for _k, _text in enumerate(_FALSE_TYPES):
    _FALSE[_k, : 1 + len(_text)] = [len(_text), *_text.encode()]


@compiled
def count(data: np.ndarray, offsets: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]], comments taken out."""
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        kind = kinds[k]
        if kind in (_C, _CPP):
            _c_functions(data, offsets[k], offsets[k + 1], counts[k])
        elif _CSHARP <= kind <= _JAVA:
            _functions(data, offsets[k], offsets[k + 1], kind, counts[k])
    return counts


@compiled
def _c_functions(data: np.ndarray, start: int, end: int, row: np.ndarray) -> None:
    """Names before a bracket with another name before them, and programs' entries."""
    resume = main_resume = start
    for i in range(start, end):
        if data[i] != 40:
            continue
        if i >= resume and _has_two_names(data, resume, i):
            close = find(data, i, end, 41)
            if close == end:
                resume = end
            else:
                row[N_FUNCTIONS] += 1
                resume = close + 1
        if i >= main_resume and _is_main(data, main_resume, i):
            close = find(data, i, end, 41)
            body = over_space(data, close + 1, end) if close < end else end
            if close == end:
                main_resume = end
            elif is_at(data, body, end, 123):
                row[N_MAINS] += 1
                main_resume = body + 1


@compiled
def _has_two_names(data: np.ndarray, start: int, i: int) -> bool:
    """Whether a name ends at i and before it, behind white space and stars as C allows them, another."""
    at = i
    while at > start and is_word(data[at - 1]):
        at -= 1
    if at == i or 48 <= data[at] <= 57:
        return False
    between = at
    while between > start and (is_space(data[between - 1]) or data[between - 1] == 42):
        between -= 1
    first = between
    while first > start and is_word(data[first - 1]):
        first -= 1
    return first < between and not 48 <= data[first] <= 57 and _separates(data, between, at)


@compiled
def _separates(data: np.ndarray, i: int, end: int) -> bool:
    """Whether white space and stars may stand between two names: stars with white space behind them, then one more star
    with white space before it; either may be missing, all white space not."""
    n_runs, length, n_spaces = 0, 0, 0
    first_followed = last_preceded = False
    for k in range(i, end):
        if data[k] == 42:
            if k == i or data[k - 1] != 42:
                n_runs += 1
                length = 0
                last_preceded = k > i
            length += 1
        else:
            n_spaces += 1
            first_followed = first_followed or n_runs == 1
    if n_runs == 0:
        return n_spaces > 0
    if n_runs == 1:
        return first_followed or (length == 1 and last_preceded)
    return n_runs == 2 and length == 1


@compiled
def _is_main(data: np.ndarray, start: int, i: int) -> bool:
    while i > start and is_space(data[i - 1]):
        i -= 1
    if i - start < 4 or hash_at(data, i - 4, i) != _MAIN:
        return False
    return i - 4 == start or not is_word(data[i - 5])


@compiled
def _functions(data: np.ndarray, start: int, end: int, kind: int, row: np.ndarray) -> None:
    """Functions that begin a line, white space aside; the next one is looked for behind its brackets."""
    resume = line = start
    while line < end:
        i = over_space(data, line, end)  # over blank lines
        if kind == _GO:
            resume = _go_function(data, line, i, end, resume, row)
        elif line >= resume:
            resume = max(resume, _function(data, i, end, kind, row))
        line = find(data, i, end, 10) + 1


@compiled
def _function(data: np.ndarray, i: int, end: int, kind: int, row: np.ndarray) -> int:
    """Count the declaration at i and return its end; i if there is none."""
    first = i
    n_words, n_good = 0, 0  # good: modifiers so far
    state = 0  # of C#: 1 after an access modifier, 2 after another one
    type_at = name_at = -1
    modifiers_before_type = True
    pending = False  # whether the word before the last is a modifier
    while n_words < _MOST_WORDS:
        if n_words == n_good and is_at(data, i, end, 60):  # <T> before a type
            to = over_word(data, i + 1, end)
            if to == i + 1 or not is_at(data, to, end, 62):
                return first
            i = over_space(data, to + 1, end)
            return _named(data, i, end, first, row)
        to = over_word(data, i, end)
        if to == i:
            return first
        key = hash_at(data, i, to)
        type_at, name_at = name_at, i
        modifiers_before_type = n_good >= n_words - 1
        pending, state = _is_modifier(key, kind, state)
        if n_good == n_words and pending:
            n_good += 1
        n_words += 1
        i = over_space(data, to, end)
        if is_at(data, i, end, 40):
            break
        if i == to:
            return first
    if n_words < 2 or not modifiers_before_type or _has_false_start(data, type_at, end):
        return first
    close = find(data, i, end, 41)
    if close == end:
        return first
    row[N_FUNCTIONS] += 1
    return close + 1


@compiled
def _is_modifier(key: np.uint64, kind: int, state: int) -> tuple[bool, int]:
    """Whether a word may stand before a type, and what was seen of C#'s two kinds, each of which comes once at most."""
    if kind == _JAVA:
        return _in(key, _JAVA_MODIFIERS), 0
    if state == 0 and _in(key, _ACCESS):
        return True, 1
    if state <= 1 and _in(key, _KIND):
        return True, 2
    return False, 2


@compiled
def _in(key: np.uint64, words: np.ndarray) -> bool:
    found = False
    for word in words:
        found |= key == word
    return found


@compiled
def _named(data: np.ndarray, i: int, end: int, first: int, row: np.ndarray) -> int:
    """The rest of a declaration behind <T>: a type, a name, a bracket."""
    to = over_word(data, i, end)
    name = over_space(data, to, end)
    name_end = over_word(data, name, end)
    opened = over_space(data, name_end, end)
    if to == i or name == to or name_end == name or not is_at(data, opened, end, 40):
        return first
    close = find(data, opened, end, 41)
    if close == end:
        return first
    row[N_FUNCTIONS] += 1
    return close + 1


@compiled
def _has_false_start(data: np.ndarray, i: int, end: int) -> bool:
    for k in range(_FALSE.shape[0]):
        length = _FALSE[k, 0]
        same = end - i >= length
        at = 0
        while same and at < length:
            same = data[i + at] == _FALSE[k, 1 + at]
            at += 1
        if same:
            return True
    return False


@compiled
def _go_function(data: np.ndarray, line: int, i: int, end: int, resume: int, row: np.ndarray) -> int:
    """Count the function at i, which must begin its line; returns its end, or `resume`."""
    if i < resume or (i > line and data[i - 1] != 10):
        return resume
    to = over_word(data, i, end)
    k = over_space(data, to, end)
    if hash_at(data, i, to) != _FUNC or k == to:
        return resume
    if is_at(data, k, end, 40):
        name = over_space(data, k + 1, end)
        name_end = over_word(data, name, end)
        type_at = over_space(data, name_end, end)
        k = type_at + is_at(data, type_at, end, 42)
        type_end = over_word(data, k, end)
        closed = over_space(data, type_end, end)
        if name_end == name or type_at == name_end or type_end == k or not is_at(data, closed, end, 41):
            return resume
        k = over_space(data, closed + 1, end)
    name_end = over_word(data, k, end)
    opened = over_space(data, name_end, end)
    close = find(data, opened, end, 41)
    if name_end == k or not is_at(data, opened, end, 40) or close == end:
        return resume
    row[N_FUNCTIONS] += 1
    return close + 1
