"""Count the characters, words and lines of documents, compiled, in one walk.

Text is UTF-8. Bytes that are not are read as `bytes.decode("utf-8", "replace")` reads them, one U+FFFD for each
maximal bad piece, so a damaged document still has well-defined counts. A document is walked 64 bytes at a time as bits
(`arrays/bits.py`): characters above ASCII are decoded one by one and put among the bits of the rest. The walk is linear
in its bytes whatever they are.
"""

import numpy as np

from pipeline.arrays.bits import (
    ALL,
    BLOCK,
    GOLDEN,
    NONE,
    ONE,
    between,
    block,
    count_ones,
    hash_of_bytes,
    leading_zeros,
    lowest,
    tail_room,
)
from pipeline.arrays.compiled import compiled
from pipeline.arrays.utf8 import decode, hash_of_codes
from pipeline.quality import scan

_LF, _CR, _HASH, _DOT, _ELLIPSIS = 10, 13, 35, 46, 0x2026
# A stop word as one number: its bytes after a leading 1, which keeps a word that begins with a zero byte apart.
_STOP_KEYS = np.array([int.from_bytes(b"\x01" + w.encode(), "big") for w in scan.STOP_WORDS], np.int64)
_STOP_ENDS = scan.byte_set("".join(word[-1] + word[-1].upper() for word in scan.STOP_WORDS).encode())

# What a block leaves to the next, as bits of uint64. Of pieces:
(
    _IN_PIECE,  # 1: its last byte belongs to a piece
    _HAS_ALNUM,  # 1: to one with a letter or digit so far
    _HAS_LETTER,
    _TOUCHES,  # 1: before the open piece stands an unspaced letter
    _OPEN_CHARS,  # of the open piece
    _GAPS,  # its bytes that belong to none
    _IN_DOTS,  # 1: its last byte is a dot
) = range(7)
# Of lines, places as int64:
(
    _LINE,  # where the open line begins
    _BEFORE,  # characters of the document before it
    _CHARS,  # and before the block
    _FIRST,  # the first byte in the line that is no space; -1: none so far
    _LAST,  # the last one
    _HAS_REPLACED,  # whether U+FFFD stands in it, which several sequences of bytes may be
) = range(6)


def count(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """One row of counts, int64 [n, N_COUNTS], for each document data[offsets[k]:offsets[k + 1]], encoded runs aside."""
    return _count(data, offsets, scan.character_classes(), tail_room())


@compiled
def _count(data: np.ndarray, offsets: np.ndarray, classes: np.ndarray, room: np.ndarray) -> np.ndarray:
    counts = np.zeros((offsets.size - 1, scan.N_COUNTS), np.int64)
    sizes = np.empty(offsets.size - 1, np.int64)
    largest = 0
    for k in range(offsets.size - 1):
        sizes[k] = _table_size(data, offsets[k], offsets[k + 1], room)
        largest = max(largest, sizes[k])
    seen = np.empty(largest, np.uint64)
    pieces, lines = np.zeros(7, np.uint64), np.zeros(6, np.int64)
    for k in range(offsets.size - 1):
        seen[: sizes[k]] = 0
        _document(data, offsets[k], offsets[k + 1], classes, room, seen[: sizes[k]], pieces, lines, counts[k])
    return counts


@compiled
def _document(
    data: np.ndarray,
    start: int,
    end: int,
    classes: np.ndarray,
    room: np.ndarray,
    seen: np.ndarray,
    pieces: np.ndarray,
    lines: np.ndarray,
    row: np.ndarray,
) -> None:
    pieces[:], lines[:] = 0, 0
    pieces[_GAPS] = ALL  # nothing stands before the document
    lines[_LINE], lines[_FIRST] = start, -1
    row[scan.HEAD_BYTES] = end - start
    spill = 0
    for i in range(start, end + 1, BLOCK):  # if the last block is whole, an empty one ends what is open
        at = block(data, i, room)
        live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
        letters = (between(at, 65, 90) | between(at, 97, 122)) & live
        digits = between(at, 48, 57) & live
        spaces = (between(at, 9, 13) | between(at, 28, 32)) & live
        high = between(at, 128, 255) & live
        chars, unspaced, replaced = live, NONE, NONE
        if high != NONE:
            chars, letters, digits, spaces, unspaced, replaced, spill = _decoded(
                data, i, end, classes, (high, chars, letters, digits, spaces), spill, row
            )
        row[scan.N_LETTERS] += count_ones(letters)
        row[scan.N_DIGITS] += count_ones(digits)
        row[scan.N_SPACES] += count_ones(spaces & chars)
        _pieces(data, i, end, at, (live, chars, letters, digits, spaces, unspaced), pieces, row)
        _lines(data, start, i, end, at, (live, chars, spaces, replaced), lines, seen, row)
    if lines[_LINE] < end:
        _end_line(data, start, end, end, row[scan.N_CHARS] - lines[_BEFORE], lines, seen, row)


@compiled
def _decoded(
    data: np.ndarray,
    i: int,
    end: int,
    classes: np.ndarray,
    bits: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
    spill: int,
    row: np.ndarray,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, int]:
    """The block's bits with its characters above ASCII: chars, letters, digits at their first byte, spaces and unspaced
    at all of them; where U+FFFD is; and how much of the last one spills into the next block (a number for `spill`)."""
    high, chars, letters, digits, spaces = bits
    unspaced = replaced = NONE
    covered = (ONE << np.uint64(spill & 7)) - ONE
    chars &= ~covered
    high &= ~covered
    if spill & scan.SPACE << 3:
        spaces |= covered
    if spill & scan.UNSPACED << 3:
        unspaced |= covered
    spill = 0
    while high != NONE:
        k = lowest(high)
        code, size = decode(data, i + k, end)
        flags = classes[code]
        bit = ONE << np.uint64(k)
        span = ((ONE << np.uint64(size)) - ONE) << np.uint64(k)
        high &= ~span
        chars = chars & ~span | bit
        letters |= bit * np.uint64(flags & scan.LETTER != 0)
        digits |= bit * np.uint64(flags & scan.DIGIT != 0)
        spaces |= span * np.uint64(flags & scan.SPACE != 0)
        unspaced |= span * np.uint64(flags & scan.UNSPACED != 0)
        replaced |= bit * np.uint64(code == 0xFFFD)
        row[scan.N_ELLIPSES] += code == _ELLIPSIS
        if k + size > BLOCK:
            spill = k + size - BLOCK | (flags & (scan.SPACE | scan.UNSPACED)) << 3
    return chars, letters, digits, spaces, unspaced, replaced, spill


@compiled
def _run_on(runs: np.uint64, marks: np.uint64, carry: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Where runs end that hold a mark, as the bit behind each, among other bits inside runs; and what the next block
    is to be given. An addition does it: a carry goes on through the ones of a run, up to its first zero."""
    half = runs + marks
    total = half + carry
    return total, np.uint64(half < runs or total < half)


@compiled
def _pieces(
    data: np.ndarray,
    i: int,
    end: int,
    at: np.uint64,
    bits: tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64],
    open_: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count words and signs of a block, the bytes at i.

    A piece is a run without spaces, cut at letters of unspaced scripts, each of which is a piece of its own. A piece
    with a letter or digit is a word. Punctuation that touches an unspaced letter is part of it, as it is in "word,".
    """
    live, chars, letters, digits, spaces, unspaced = bits
    members = live & ~spaces & ~unspaced
    gaps = ~members
    follows = members << ONE | open_[_IN_PIECE]
    words, open_[_HAS_ALNUM] = _run_on(members, (letters | digits) & members, open_[_HAS_ALNUM])
    alpha, open_[_HAS_LETTER] = _run_on(members, letters & members, open_[_HAS_LETTER])
    words &= gaps
    n_unspaced = count_ones(unspaced & chars)
    n_words = count_ones(words)
    row[scan.N_CHARS] += count_ones(chars)
    row[scan.N_UNSPACED] += n_unspaced
    row[scan.N_WORDS] += n_words + n_unspaced
    row[scan.N_PIECES] += n_words + n_unspaced
    row[scan.N_ALPHA_WORDS] += count_ones(alpha & gaps) + n_unspaced
    row[scan.N_WORD_CHARS] += count_ones(chars & members) + n_unspaced  # those of pieces of signs are taken off below
    signs = gaps & follows & ~words
    if signs != NONE:
        _sign_pieces(signs, gaps, chars, unspaced, open_, row)
    before = open_[_GAPS]
    short = words & _are_short(gaps, before)
    if short != NONE:
        _stop_words(data, i, short, gaps, before, row)
    dots = between(at, _DOT, _DOT) & live
    hashes, first_dots = between(at, _HASH, _HASH) & members & ~follows, dots & ~(dots << ONE | open_[_IN_DOTS])
    if hashes | first_dots != NONE:
        _hashtags_and_ellipses(data, i, end, hashes, first_dots, row)
    n_after = leading_zeros(gaps)  # bytes behind the last gap
    if n_after < BLOCK:
        open_[_TOUCHES] = unspaced >> np.uint64(BLOCK - 1 - n_after) & ONE
        open_[_OPEN_CHARS] = np.uint64(count_ones(chars & ~(ALL >> np.uint64(n_after))))
    else:
        open_[_OPEN_CHARS] += np.uint64(count_ones(chars))
    last = np.uint64(BLOCK - 1)
    open_[_IN_PIECE], open_[_GAPS], open_[_IN_DOTS] = members >> last, gaps, dots >> last


@compiled
def _hashtags_and_ellipses(
    data: np.ndarray, i: int, end: int, hashes: np.uint64, first_dots: np.uint64, row: np.ndarray
) -> None:
    while hashes != NONE:  # "#topic", not the signs of a heading, "(#anchor)" or "C#"
        behind = i + lowest(hashes) + 1
        row[scan.N_HASHTAGS] += behind < end and data[behind] > 32 and data[behind] != _HASH
        hashes &= hashes - ONE
    while first_dots != NONE:  # dots that lead to a page number are one ellipsis
        k = i + lowest(first_dots)
        row[scan.N_ELLIPSES] += k + 2 < end and data[k + 1] == _DOT and data[k + 2] == _DOT
        first_dots &= first_dots - ONE


@compiled
def _sign_pieces(
    ends: np.uint64, gaps: np.uint64, chars: np.uint64, unspaced: np.uint64, open_: np.ndarray, row: np.ndarray
) -> None:
    """Pieces without letter and digit, one for each end: they are no words, and none where they touch what is."""
    while ends != NONE:
        end = ends & (~ends + ONE)
        below = end - ONE
        before = gaps & below
        touches = unspaced & end
        if before != NONE:
            behind = ~(ALL >> np.uint64(leading_zeros(before)))  # of the last gap below
            row[scan.N_WORD_CHARS] -= count_ones(chars & below & behind)
            touches |= unspaced & (ONE << np.uint64(BLOCK - 1 - leading_zeros(before)))
        else:
            row[scan.N_WORD_CHARS] -= count_ones(chars & below) + np.int64(open_[_OPEN_CHARS])
            touches |= open_[_TOUCHES]
        row[scan.N_PIECES] += touches == NONE
        ends &= ends - ONE


@compiled
def _are_short(gaps: np.uint64, before: np.uint64) -> np.uint64:
    """Where a piece of one to four bytes may have ended: the longest stop word has four letters."""
    found = NONE
    for n in range(2, 6):
        found |= gaps << np.uint64(n) | before >> np.uint64(BLOCK - n)
    return found


@compiled
def _stop_words(data: np.ndarray, i: int, ends: np.uint64, gaps: np.uint64, before: np.uint64, row: np.ndarray) -> None:
    while ends != NONE:
        k = lowest(ends)
        end = i + k
        ends &= ends - ONE
        if not _STOP_ENDS[data[end - 1]]:
            continue
        below = gaps & ((ONE << np.uint64(k)) - ONE)
        length = k + (leading_zeros(below) - BLOCK if below != NONE else leading_zeros(before))
        key = 1
        for place in range(end - length, end):
            key = key << 8 | (data[place] | 0x20 if 0x41 <= data[place] <= 0x5A else data[place])
        for stop_key in _STOP_KEYS:
            row[scan.N_STOP_WORDS] += key == stop_key


@compiled
def _lines(
    data: np.ndarray,
    start: int,
    i: int,
    end: int,
    at: np.uint64,
    bits: tuple[np.uint64, np.uint64, np.uint64, np.uint64],
    open_: np.ndarray,
    seen: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count the lines that end in a block: with LF, CR LF or CR."""
    live, chars, spaces, replaced = bits
    returns = between(at, _CR, _CR) & live
    ends = between(at, _LF, _LF) & live
    if returns != NONE:
        feeds = ends >> ONE
        if i + BLOCK < end and data[i + BLOCK] == _LF:
            feeds |= ONE << np.uint64(BLOCK - 1)
        ends |= returns & ~feeds
    filled = live & ~spaces  # what is left of it behind the last line end
    while ends != NONE:
        end_bit = ends & (~ends + ONE)
        below = end_bit - ONE
        _note_filled(i, filled & below, replaced, open_)
        stop = i + lowest(ends)
        behind, n_before = stop + 1, open_[_CHARS] + count_ones(chars & below)
        n_chars = n_before - open_[_BEFORE]
        if data[stop] == _LF and stop > open_[_LINE] and data[stop - 1] == _CR:
            stop, n_chars = stop - 1, n_chars - 1
        _end_line(data, start, stop, behind, n_chars, open_, seen, row)
        open_[_LINE], open_[_BEFORE], open_[_FIRST], open_[_HAS_REPLACED] = behind, n_before + 1, -1, 0
        filled &= ~below  # the line end itself is a space
        ends &= ends - ONE
    _note_filled(i, filled, replaced, open_)
    open_[_CHARS] += count_ones(chars)


@compiled
def _note_filled(i: int, filled: np.uint64, replaced: np.uint64, open_: np.ndarray) -> None:
    if filled != NONE:
        if open_[_FIRST] < 0:
            open_[_FIRST] = i + lowest(filled)
        open_[_LAST] = i + BLOCK - 1 - leading_zeros(filled)
        open_[_HAS_REPLACED] |= filled & replaced != NONE


@compiled
def _end_line(
    data: np.ndarray,
    start: int,
    stop: int,
    behind: int,
    n_chars: int,
    line: np.ndarray,
    seen: np.ndarray,
    row: np.ndarray,
) -> None:
    """Count the open line, which ends at `stop`, its line end at `behind`. Two are equal if their 64-bit hashes are."""
    row[scan.N_LINES] += 1
    row[scan.N_LINE_CHARS] += n_chars
    row[scan.MAX_LINE_CHARS] = max(row[scan.MAX_LINE_CHARS], n_chars)
    row[scan.N_LONG_LINE_CHARS] += n_chars * (n_chars > scan.LONG_LINE_CHARS)
    if row[scan.N_LINES] == scan.HEAD_LINES:
        row[scan.HEAD_BYTES] = behind - start
    first = line[_FIRST]
    if first < 0:
        return
    by_code = line[_HAS_REPLACED] != 0
    key = hash_of_codes(data, line[_LINE], stop) if by_code else hash_of_bytes(data, line[_LINE], stop)
    row[scan.N_FILLED_CHARS] += n_chars
    row[scan.N_DUPLICATE_CHARS] += n_chars * _remember(seen, key)
    row[scan.N_BULLET_LINES] += _is_bullet(data, first, stop)
    row[scan.N_ELLIPSIS_LINES] += _ends_in_ellipsis(data, start, line[_LAST] + 1)


@compiled
def _is_bullet(data: np.ndarray, i: int, end: int) -> bool:
    if data[i] == 0xE2:
        return i + 2 < end and data[i + 1] == 0x80 and data[i + 2] == 0xA2
    return bool(data[i] == 45 or data[i] == 42)


@compiled
def _table_size(data: np.ndarray, start: int, end: int, room: np.ndarray) -> int:
    """A power of two, at least twice the number of lines."""
    # At most half full, so that a free place is always near and the search in `_remember` ends.
    n = 1
    for i in range(start, end, BLOCK):
        at = block(data, i, room)
        live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
        n += count_ones((between(at, _LF, _LF) | between(at, _CR, _CR)) & live)
    size = 4
    while size < 2 * n:
        size *= 2
    return size


@compiled
def _remember(seen: np.ndarray, key: np.uint64) -> bool:
    """Whether `key` was remembered before; it is from now on. Open addressing, 0 marks a free place."""
    if key == 0:
        key = np.uint64(1)
    # FNV's low bits depend on the low bits of the characters alone. Folding and multiplying spreads them; the bits from
    # 20 on are well mixed and reach any table below 2^44 places.
    mixed = (key ^ key >> np.uint64(32)) * GOLDEN
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
