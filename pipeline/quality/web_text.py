"""What is left of a web page beside its text: lines that are links, and phrases of menus, cookie notices and shops."""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.phrases import COOKIES, NAVIGATION, READ_MORE, SELLING
from pipeline.quality.prose_scan import CHARS, FIRST, FIRST_AT, LAST_AT, RUNS, TextLines

# A longer line is a sentence that speaks of such things, in a manual of a shop system for one.
_MAX_MENU_CHARS = 80
_WEB = COOKIES | READ_MORE | NAVIGATION
_BULLETS = (42, 43, 45, 0x2022)  # * + - •
_OPEN, _PAREN, _CLOSE_PAREN, _CLOSE, _COLON, _SLASH, _DOT, _BANG = 91, 40, 41, 93, 58, 47, 46, 33


def measure(data: np.ndarray, lines: TextLines, found: np.ndarray) -> dict[str, np.ndarray]:
    """Shares of the lines that are not blank, one entry a document; `found` are the phrases of each line."""
    counts = _count(data, lines.rows, lines.offsets, found).T
    return {
        "link_line_frac": _ratio(counts[1], counts[0]),
        "web_phrase_line_frac": _ratio(counts[2], counts[0]),
        "selling_line_frac": _ratio(counts[3], counts[0]),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


@compiled
def _count(data: np.ndarray, rows: np.ndarray, ends: np.ndarray, found: np.ndarray) -> np.ndarray:
    """int64 [documents, 4]: lines that are not blank; that are links; with a phrase of a web page; of a shop."""
    counts = np.zeros((ends.size - 1, 4), np.int64)
    for k in range(counts.shape[0]):
        for line in range(ends[k], ends[k + 1]):
            if rows[line, FIRST] < 0:
                continue
            counts[k, 0] += 1
            counts[k, 1] += _is_link(data, rows[line])
            if rows[line, CHARS] <= _MAX_MENU_CHARS:
                counts[k, 2] += found[line] & _WEB != 0
            counts[k, 3] += found[line] & SELLING != 0
    return counts


@compiled
def _is_link(data: np.ndarray, line: np.ndarray) -> bool:
    """Whether the line, a bullet or number aside, is one Markdown link or one address."""
    i, end = line[FIRST_AT], line[LAST_AT] + 1
    while i < end and (data[i] in _BULLETS or data[i] in (32, 9, _DOT) or 48 <= data[i] <= 57):
        i += 1
    if i < end and data[i] == _BANG:
        i += 1
    if i >= end:
        return False
    if data[i] == _OPEN:
        return bool(data[end - 1] == _CLOSE_PAREN and _first_link_ends(data, i, end) == end)
    return bool(line[RUNS] <= 2 and _is_address(data, i, end))


@compiled
def _first_link_ends(data: np.ndarray, i: int, end: int) -> int:
    """Behind the link "[words](address)" at i; `end` + 1 where there is none."""
    depth = 0
    while i < end:
        depth += (data[i] == _OPEN) - (data[i] == _CLOSE)
        if depth == 0:
            break
        i += 1
    if i + 1 >= end or data[i + 1] != _PAREN:
        return end + 1
    depth = 0
    for k in range(i + 1, end):
        depth += (data[k] == _PAREN) - (data[k] == _CLOSE_PAREN)
        if depth == 0:
            return k + 1
    return end + 1


@compiled
def _is_address(data: np.ndarray, i: int, end: int) -> bool:
    """Whether data[i:end] has "://" and no white space."""
    found = False
    for k in range(i, end):
        if data[k] <= 32:
            return False
        found = found or (k + 2 < end and data[k] == _COLON and data[k + 1] == _SLASH and data[k + 2] == _SLASH)
    return found
