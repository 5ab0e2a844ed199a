"""Which lines of a text are prose, and the prose that a text begins with.

A manual holds programs, tables and banners. They repeat where the prose around them does not, and names of variables
look like languages of their own.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.prose_scan import END, FIRST, FIRST_AT, HAS_ALNUM, START, TextLines

# A program in Markdown is fenced by three of these, or set in by four spaces or a tab.
_MIN_FENCE, _CODE_INDENT = 3, 4
_FENCES = (96, 126)  # ` ~
_TABLE = (124, 43)  # | and the + of a drawn table's corner
_TAB, _LF, _SPACE, _BACKTICK, _LESS, _GREATER, _COLON, _SLASH = 9, 10, 32, 96, 60, 62, 58, 47
# A longer piece between such signs is text that lacks the second sign.
_MAX_INLINE_BYTES = 200


def prose(data: np.ndarray, lines: TextLines) -> np.ndarray:
    """Which lines are prose: not blank, no program between fences or set in, no row of a table, and with a letter or
    digit. bool [lines]."""
    return np.asarray(_prose(data, lines.rows, lines.offsets))


def heads(data: np.ndarray, lines: TextLines, is_prose: np.ndarray, *, max_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `max_bytes` of each document's prose, without code within a line, tags and addresses:
    uint8, and int64 offsets [documents + 1]. The last character may be cut."""
    return _heads(data, lines.rows, lines.offsets, is_prose, max_bytes)


@compiled
def _prose(data: np.ndarray, rows: np.ndarray, ends: np.ndarray) -> np.ndarray:
    result = np.zeros(rows.shape[0], np.bool_)
    for k in range(ends.size - 1):
        _prose_of(data, rows[ends[k] : ends[k + 1]], result[ends[k] : ends[k + 1]])
    return result


@compiled
def _prose_of(data: np.ndarray, rows: np.ndarray, result: np.ndarray) -> None:
    fence, closes = 0, True  # the sign of the open fence; whether one that opens is closed further down
    is_code = after_blank = True
    for k in range(rows.shape[0]):
        if rows[k, FIRST] < 0:
            after_blank = True
            continue
        if _fence(data, rows[k]) and (fence == 0 or fence == rows[k, FIRST]):
            if fence == 0:
                closes = closes and _closes(data, rows, k)
                fence = rows[k, FIRST] if closes else 0
            else:
                fence = 0
            continue
        is_code = _is_set_in(data, rows[k]) and (is_code or after_blank)
        after_blank = False
        result[k] = fence == 0 and not is_code and rows[k, HAS_ALNUM] > 0 and rows[k, FIRST] not in _TABLE


@compiled
def _fence(data: np.ndarray, line: np.ndarray) -> bool:
    """Whether the line begins with three or more signs of a fence."""
    i, n = line[FIRST_AT], 0
    if line[FIRST] not in _FENCES:
        return False
    while i < line[END] and data[i] == line[FIRST]:
        i += 1
        n += 1
    return n >= _MIN_FENCE


@compiled
def _closes(data: np.ndarray, rows: np.ndarray, k: int) -> bool:
    """Whether the fence that opens in line k is closed; one that is not fences nothing."""
    for other in range(k + 1, rows.shape[0]):
        if rows[other, FIRST] == rows[k, FIRST] and _fence(data, rows[other]):
            return True
    return False


@compiled
def _is_set_in(data: np.ndarray, line: np.ndarray) -> bool:
    start = line[START]
    return bool(line[FIRST_AT] - start >= _CODE_INDENT or (line[FIRST_AT] > start and data[start] == _TAB))


@compiled
def _heads(
    data: np.ndarray, rows: np.ndarray, ends: np.ndarray, is_prose: np.ndarray, max_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    n_documents = ends.size - 1
    result, at = np.empty(n_documents * max_bytes, np.uint8), np.zeros(n_documents + 1, np.int64)
    for k in range(n_documents):
        n, most = at[k], at[k] + max_bytes
        for line in range(ends[k], ends[k + 1]):
            if n >= most:
                break
            if is_prose[line]:
                n = _copy(data, rows[line, FIRST_AT], rows[line, END], result, n, most)
        at[k + 1] = n
    return result[: at[n_documents]], at


@compiled
def _copy(data: np.ndarray, i: int, end: int, result: np.ndarray, n: int, most: int) -> int:
    """Append data[i:end] and a line end at place n, before place `most`; the place behind it."""
    while i < end and n < most:
        byte, after = data[i], i
        if byte == _BACKTICK:
            after = _closing(data, i, end, _BACKTICK)
        elif byte == _LESS:
            after = _closing(data, i, end, _GREATER)
        elif byte == _COLON and i + 2 < end and data[i + 1] == _SLASH and data[i + 2] == _SLASH:
            while after < end and data[after] > _SPACE:
                after += 1
        if after > i:
            result[n] = _SPACE
            i = after
        else:
            result[n] = byte if byte >= _SPACE and byte != 127 else _SPACE
            i += 1
        n += 1
    if n < most:
        result[n] = _LF
        n += 1
    return n


@compiled
def _closing(data: np.ndarray, i: int, end: int, sign: int) -> int:
    """Behind the next `sign` after i, where it comes soon; else i."""
    for k in range(i + 1, min(end, i + _MAX_INLINE_BYTES)):
        if data[k] == sign:
            return k + 1
    return i
