"""Count the encoded runs of documents, compiled, after the three patterns of StarCoder2 (arXiv 2402.19173, 2.1).

All of their characters are ASCII, so bytes are characters. Nearly every document has no run: 64 bytes at a time are
asked for one as bits (`arrays/bits.py`), and only where escapes stand are bytes walked one by one.
"""

import numpy as np

from pipeline.arrays.bits import ALL, BLOCK, NONE, ONE, between, block, count_ones, lowest, tail_room
from pipeline.arrays.compiled import compiled
from pipeline.quality import scan

_LF, _CR, _BACKSLASH = 10, 13, 92
_QUOTES_AND_COMMA = (34, 39, 44)
_BASE64 = scan.byte_set(scan.LETTERS + scan.DIGITS + b"+/=")
_HEX = scan.byte_set(scan.DIGITS + b"abcdefABCDEF")
# What a block leaves to the next: a base64-like run that may go on, from where to where (equal: none); how many escapes
# there may be so far; which of the bytes belong to a run; whether the last is a backslash (2) or a zero (1).
_RUN, _RUN_END = range(2)  # int64
_N_ESCAPES, _RUN_BYTES, _ESCAPES = range(3)  # uint64


def count(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Rows like those of `scan_text.count`, of which only the columns on encoded runs are filled."""
    return _count(data, offsets, tail_room())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, room: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, scan.N_COUNTS), np.int64)
    runs, places = np.zeros(3, np.uint64), np.zeros(2, np.int64)
    for k in range(offsets.size - 1):
        start, end = offsets[k], offsets[k + 1]
        runs[:], places[:] = 0, 0
        for i in range(start, end + 1, BLOCK):  # if the last block is whole, an empty one ends the run
            at = block(data, i, room)
            live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
            _block(data, start, i, at, live, runs, places, counts[k])
        if runs[_N_ESCAPES] >= scan.MIN_ESCAPES:  # runs of them cut base64-like ones
            counts[k] = 0
            _walk(data, start, end, counts[k])
        else:
            _end_base64(data, places[_RUN], places[_RUN_END], counts[k])
    return counts


@compiled
def _block(
    data: np.ndarray,
    start: int,
    i: int,
    at: np.uint64,
    live: np.uint64,
    runs: np.ndarray,
    places: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count the base64-like runs that end in a block, and what may be escapes, of which eight are worth a closer walk.

    A base64-like run goes on over line ends and indentation as long as its lines are long.
    """
    alnum = between(at, 48, 57) | between(at, 65, 90) | between(at, 97, 122)
    signs = between(at, 43, 43) | between(at, 47, 47) | between(at, 61, 61)
    run = (alnum | signs) & live
    long, before = run, runs[_RUN_BYTES]  # where the n bytes that end here are all of a run, n doubling to 32
    for n in (1, 2, 4, 8, 16):
        long, before = long & (long << np.uint64(n) | before >> np.uint64(BLOCK - n)), before & before << np.uint64(n)
    ends = ~run & (long << ONE | before >> np.uint64(BLOCK - 1))
    while ends != NONE:
        run_end = i + lowest(ends)
        run_start = run_end - scan.MIN_ENCODED_LINE
        while run_start > start and _BASE64[data[run_start - 1]]:
            run_start -= 1
        ends &= ends - ONE
        if places[_RUN] == places[_RUN_END] or not _is_line_break(data, places[_RUN_END], run_start):
            _end_base64(data, places[_RUN], places[_RUN_END], row)
            places[_RUN] = run_start
        places[_RUN_END] = run_end
    backslashes, zeros = between(at, _BACKSLASH, _BACKSLASH) & live, between(at, 48, 48) & live
    behind_backslash = backslashes << ONE | runs[_ESCAPES] >> ONE
    escapes = between(at, 117, 117) & behind_backslash
    escapes |= between(at, 120, 120) & (behind_backslash | zeros << ONE | runs[_ESCAPES] & ONE)
    runs[_N_ESCAPES] += np.uint64(count_ones(escapes & live))
    last = np.uint64(BLOCK - 1)
    runs[_RUN_BYTES], runs[_ESCAPES] = run, backslashes >> last << ONE | zeros >> last


@compiled
def _walk(data: np.ndarray, i: int, end: int, row: np.ndarray) -> None:
    """The same byte by byte, with escapes."""
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
            if i - start >= scan.MIN_ENCODED_LINE:
                if run_end == run_start or not _is_line_break(data, run_end, start):
                    _end_base64(data, run_start, run_end, row)
                    run_start = start
                run_end = i
        else:
            i += 1
    _end_base64(data, run_start, run_end, row)


@compiled
def _count_run(n_chars: int, row: np.ndarray) -> None:
    row[scan.N_ENCODED_CHARS] += n_chars
    row[scan.MAX_ENCODED_RUN_CHARS] = max(row[scan.MAX_ENCODED_RUN_CHARS], n_chars)


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
    if end - start < scan.MIN_ENCODED_CHARS:
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
    """Bytes of the run of scan.MIN_ESCAPES or more escapes of one length at i, or 0. White space, commas and quotes may
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
    return stop - start if n >= scan.MIN_ESCAPES else 0
