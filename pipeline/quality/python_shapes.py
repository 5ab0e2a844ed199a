"""What Python programs are made of, compiled: functions, classes, class variables, by logical lines instead of a parse.

OpenCoder (arXiv 2411.04905, filter code) walks the syntax tree for these. A logical line ends where no bracket and no
string is open; its first word and its indentation say what it is. This finds the same on nearly all programs that parse
(`tests/bench/bench_opencoder.py` compares) and something sensible on those that do not.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.program_bytes import is_word

# Columns of a row of counts.
N_FUNCTIONS, N_CLASSES, N_CLASS_VARIABLES, N_SIMPLE_FUNCTIONS, N_VARIABLES = range(5)
N_COUNTS = 5

_LF, _BACKSLASH, _TAB_COLUMNS = 10, 92, 8
_NEVER = 1 << 30  # a column that no line has


def _code(word: str) -> int:
    return int.from_bytes(b"\x01" + word.encode(), "big")


_DEF, _CLASS, _FOR, _RETURN, _IN = map(_code, ("def", "class", "for", "return", "in"))
# Words before a colon that begin no annotation.
_BLOCKS = tuple(map(_code, ("else", "try", "finally", "except", "lambda")))


@compiled
def count(data: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each program data[offsets[k]:offsets[k + 1]], comments included;
    zeros where not `wanted` (bool)."""
    counts = np.zeros((offsets.size - 1, N_COUNTS), np.int64)
    for k in range(offsets.size - 1):
        if wanted[k]:
            _count_statements(data, offsets[k], offsets[k + 1], counts[k])
    return counts


@compiled
def count_returns(data: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Lines that say `return` and perhaps what, int64 [n], of programs without their comments; 0 where not `wanted`."""
    counts = np.zeros(offsets.size - 1, np.int64)
    for k in range(offsets.size - 1):
        i, end = offsets[k], offsets[k + 1] if wanted[k] else offsets[k]
        while i < end:
            i = _blanks(data, i, end)
            word, to = _word(data, i, end)
            counts[k] += word == _RETURN and (to == end or data[to] <= 32)
            while i < end and data[i] != _LF:
                i += 1
            i += 1
    return counts


@compiled
def _blanks(data: np.ndarray, i: int, end: int) -> int:
    while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 12 or data[i] == 13):
        i += 1
    return i


@compiled
def _word(data: np.ndarray, i: int, end: int) -> tuple[int, int]:
    """The word at i as a number (0 if it is long or none) and its end."""
    key, start = 1, i
    while i < end and is_word(data[i]):
        if i - start < 7:
            key = key << 8 | data[i]
        i += 1
    return (key if 0 < i - start <= 7 else 0), i


@compiled
def _count_statements(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    class_column = body_column = -1  # of the class that is open, and of what stands in it; -1: none
    function_column, n_body = _NEVER, 0  # of the function whose only statement may be a return
    while i < end:
        first = _blanks(data, i, end)
        column = _columns(data, i, first)
        if first == end:
            break
        if data[first] == _LF or data[first] == 35:
            i = _line_end(data, first, end)
            continue
        to, equals, colon = _statement(data, first, end)
        word, word_end = _word(data, first, end)
        if function_column != _NEVER:  # a statement behind a function's head
            inside = column > function_column
            if inside and n_body == 0 and word == _RETURN:
                n_body = 1
            else:
                row[N_SIMPLE_FUNCTIONS] += n_body == 1 and not inside
                function_column = _NEVER
        if class_column >= 0 and column <= class_column:
            class_column = -1
        if class_column >= 0:
            body_column = column if body_column < 0 else body_column
            if column == body_column:
                row[N_CLASS_VARIABLES] += _is_variable(data, first, word, word_end, to, colon)
        if word == _DEF:
            row[N_FUNCTIONS] += 1
            row[N_VARIABLES] += _has_arguments(data, word_end, to)
            body = _blanks(data, colon + 1, to) if colon >= 0 else to
            function_column, n_body = column, 0
            if body < to and data[body] != 35 and data[body] != _LF:
                row[N_SIMPLE_FUNCTIONS] += _word(data, body, to)[0] == _RETURN
                function_column = _NEVER
        elif word == _CLASS:
            row[N_CLASSES] += 1
            if class_column < 0:
                class_column, body_column = column, -1
        elif word == _FOR:
            row[N_VARIABLES] += _is_single_target(data, word_end, to)
        elif equals >= 0 and _blanks(data, word_end, to) == equals and word_end > first:
            row[N_VARIABLES] += 1
        i = to
    row[N_SIMPLE_FUNCTIONS] += function_column != _NEVER and n_body == 1


@compiled
def _columns(data: np.ndarray, i: int, to: int) -> int:
    column = 0
    for k in range(i, to):
        column = (column // _TAB_COLUMNS + 1) * _TAB_COLUMNS if data[k] == 9 else column + 1
    return column


@compiled
def _line_end(data: np.ndarray, i: int, end: int) -> int:
    """Behind the line that i is in."""
    while i < end and data[i] != _LF:
        i += 1
    return min(end, i + 1)


@compiled
def _statement(data: np.ndarray, i: int, end: int) -> tuple[int, int, int]:
    """Behind the logical line at i, and where its first = and its first : outside brackets stand (-1: nowhere)."""
    depth, equals, colon = 0, -1, -1
    while i < end:
        byte = data[i]
        if byte == _LF and depth == 0:
            return i + 1, equals, colon
        if byte == 35:
            i = _line_end(data, i, end) - 1
            if data[i] != _LF:
                return end, equals, colon
            continue
        if byte == 34 or byte == 39:
            i = _string_end(data, i, end)
            continue
        if byte == _BACKSLASH:
            i += 2
            continue
        if byte == 40 or byte == 91 or byte == 123:
            depth += 1
        elif byte == 41 or byte == 93 or byte == 125:
            depth = max(0, depth - 1)
        elif depth == 0 and byte == 61 and equals < 0 and not _is_operator(data, i, end):
            equals = i
        elif depth == 0 and byte == 58 and colon < 0:
            colon = i
        i += 1
    return end, equals, colon


@compiled
def _is_operator(data: np.ndarray, i: int, end: int) -> bool:
    """Whether the = at i is part of a longer sign: == != <= += and their like."""
    if i + 1 < end and data[i + 1] == 61:
        return True
    before = data[i - 1]
    return before in (33, 37, 38, 42, 43, 45, 47, 58, 60, 61, 62, 64, 94, 124)


@compiled
def _string_end(data: np.ndarray, i: int, end: int) -> int:
    quote = data[i]
    if i + 2 < end and data[i + 1] == quote and data[i + 2] == quote:
        i += 3
        while i < end:
            if data[i] == quote and i + 2 < end and data[i + 1] == quote and data[i + 2] == quote:
                return i + 3
            i += 2 if data[i] == _BACKSLASH else 1
        return end
    i += 1
    while i < end and data[i] != _LF:
        if data[i] == quote:
            return i + 1
        i += 2 if data[i] == _BACKSLASH else 1
    return min(i, end)


@compiled
def _is_variable(data: np.ndarray, first: int, word: int, word_end: int, to: int, colon: int) -> bool:
    """Whether a statement gives one name a value or a type."""
    if word_end == first or word in _BLOCKS:
        return False
    k = _blanks(data, word_end, to)
    if k >= to:
        return False
    return bool(k == colon or (data[k] == 61 and not (k + 1 < to and data[k + 1] == 61)))


@compiled
def _has_arguments(data: np.ndarray, i: int, to: int) -> bool:
    """Whether a function takes an argument by its name."""
    while i < to and data[i] != 40:
        i += 1
    i += 1
    while i < to and data[i] <= 32:
        i += 1
    return bool(i < to and is_word(data[i]))


@compiled
def _is_single_target(data: np.ndarray, i: int, to: int) -> bool:
    """Whether a loop runs over values of one name."""
    i = _blanks(data, i, to)
    _, i = _word(data, i, to)
    word, _ = _word(data, _blanks(data, i, to), to)
    return bool(word == _IN)
