"""Text that was read in a wrong encoding and saved so: "Ã©" for "é", "â€™" for an apostrophe.

A compiled look at the lines finds suspects: characters that are the bytes of UTF-8 read one by one as Latin-1 or
Windows-1252. ftfy then says of these lines what they were; few documents have any, so its slowness costs nothing.
"""

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.prose_scan import CHARS, END, START, TextLines

# So many suspect lines of a document are given to ftfy (some 1 MB/s); of more, the rest counts like these.
MAX_LINES = 100
# A longer line is looked at only so far: minified text has one line.
_MAX_LINE_BYTES = 4_096
# UTF-8 of U+00C2, U+00C3, U+00D0, U+00D1 and U+00E2 (second byte behind 0xC3): what the first byte of a character of
# Latin, Cyrillic and punctuation looks like.
_FIRST = (0x82, 0x83, 0x90, 0x91, 0xA2)
# Characters that bytes 0x80 to 0x9F are in Windows-1252 begin with one of these bytes in UTF-8.
_WINDOWS_LEADS = (0xC5, 0xC6, 0xCB, 0xE2)


def measure(data: np.ndarray, lines: TextLines) -> np.ndarray:
    """Characters too many because an encoding was misread, as a share of all characters; float64 [documents]."""
    suspects = np.flatnonzero(_suspect_lines(data, lines.rows))
    result = np.zeros(lines.offsets.size - 1)
    owners = np.searchsorted(lines.offsets, suspects, side="right") - 1
    for document in np.unique(owners).tolist():
        mine = suspects[owners == document]
        excess = sum(_excess(data, lines.rows[k]) for k in mine[:MAX_LINES].tolist())
        rows = lines.rows[lines.offsets[document] : lines.offsets[document + 1]]
        result[document] = excess * max(1.0, len(mine) / MAX_LINES) / rows[:, CHARS].sum()
    return result


def _excess(data: np.ndarray, row: np.ndarray) -> int:
    """By how many characters a line is too long."""
    import ftfy  # a tenth of a second, and few runs have a suspect

    start, end = int(row[START]), int(row[END])
    line = data[start : min(end, start + _MAX_LINE_BYTES)].tobytes().decode("utf-8", "ignore")
    return max(0, len(line) - len(ftfy.fix_encoding(line)))


@compiled
def _suspect_lines(data: np.ndarray, rows: np.ndarray) -> np.ndarray:
    result = np.zeros(rows.shape[0], np.bool_)
    for k in range(result.size):
        start, end = rows[k, START], rows[k, END]
        if end - start > rows[k, CHARS]:  # it has a character of several bytes
            result[k] = _is_suspect(data, start, end)
    return result


@compiled
def _is_suspect(data: np.ndarray, i: int, end: int) -> bool:
    """Whether one of the characters _FIRST stands before one that a byte from 0x80 to 0xBF looks like."""
    while i + 3 < end:
        if data[i] == 0xC3 and data[i + 1] in _FIRST and (data[i + 2] == 0xC2 or data[i + 2] in _WINDOWS_LEADS):
            return True
        i += 1
    return False
