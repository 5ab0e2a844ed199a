"""Rules that look at the lines of a text: Gopher's quality, FineWeb's and C4's, and repeated prose beside its programs.

Counts are those of datatrove's filters of these names, at equal words and sentences, with two differences: CR LF and CR
end a line as LF does, and nothing else does. C4 edits a document line by line before it counts; what is measured here
is what would be left, and nothing is edited.
"""

from functools import lru_cache

import numpy as np
import regex

from pipeline.arrays.bits import BLOCK, bits_within, lowest
from pipeline.arrays.compiled import compiled
from pipeline.quality import prose_scan
from pipeline.quality.phrases import C4_CURLY, C4_JAVASCRIPT, C4_LOREM, C4_POLICY
from pipeline.quality.prose_scan import (
    CHARS,
    END,
    FIRST,
    FIRST_AT,
    LAST,
    LAST_AT,
    RUNS,
    START,
)
from pipeline.quality.prose_words import (
    N_ELLIPSES,
    N_HASH_SIGNS,
    N_LETTERED,
    N_NAMED,
    N_PLAIN,
    PLAIN_CHARS,
    STOP_WORD_KINDS,
    TextWords,
)
from pipeline.quality.scan import SPACE, character_classes

SHORT_LINE_CHARS = 30  # FineWeb's
C4_MIN_LINE_WORDS, C4_MAX_WORD_CHARS = 3, 1_000
_DASHES = (45, 0x2022)  # Gopher's bullets: - •
_C4_ENDS = (46, 63, 33, 34, 39)  # . ? ! " '
_CLOSERS = (34, 39, 41, 93)  # " ' ) ]
_DOT, _SPACE_BYTE, _TAB, _OPEN, _CLOSE = 46, 32, 9, 91, 93
_FNV_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Notes that C4 cuts out of a line, besides numbers in square brackets.
_CITATIONS = (b"[edit]", b"[citation needed]")
_EDIT, _NEEDED = (np.frombuffer(note, np.uint8) for note in _CITATIONS)

# Columns of a document's counts.
(
    N_LINES,
    N_FILLED,  # lines that are not blank
    N_DASHED,
    N_STOPPED,  # filled lines that end in a sign that ends a sentence
    N_SHORT,  # filled lines
    N_BREAKS,  # line ends
    N_FILLED_CHARS,
    N_REPEATED_CHARS,  # of prose lines that stood there before
    C4_LINES,  # that C4 keeps
    C4_SENTENCES,
    C4_LOREM_LINES,
    C4_CURLY_LINES,
) = range(12)


@lru_cache(maxsize=1)
def sentence_ends() -> np.ndarray:
    """Which code points end a sentence, in any script: Unicode's property Sentence_Terminal. bool [0x110000].

    Signs of scripts stand in planes 0 and 1: the others hold ideographs, tags and nothing.
    """
    marks = regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, [*range(0xD800), *range(0xE000, 0x20000)])))
    result = np.zeros(0x110000, np.bool_)
    result[[ord(mark) for mark in marks]] = True
    return result


def measure(
    data: np.ndarray,
    offsets: np.ndarray,
    *,
    words: TextWords,
    lines: prose_scan.TextLines,
    found: np.ndarray,
    is_prose: np.ndarray,
) -> dict[str, np.ndarray]:
    """One entry a document in each array.

    data is uint8, offsets int64 [documents + 1]; words and lines are those of these documents, `found` the phrases
    (`phrases.py`) of each line, `is_prose` which lines are prose (`prose_markup.py`).
    """
    counts = _count(
        data, offsets, lines.rows, lines.hashes, lines.offsets, found, is_prose, character_classes(), sentence_ends()
    ).T
    n_words, count = np.diff(words.offsets), words.counts.T
    return {
        "lettered_word_frac": _ratio(count[N_LETTERED], count[N_NAMED]),
        "plain_word_chars": _ratio(count[PLAIN_CHARS], count[N_PLAIN]),
        "hash_sign_ratio": _ratio(count[N_HASH_SIGNS], n_words),
        "ellipsis_ratio": _ratio(count[N_ELLIPSES], n_words),
        "n_stop_word_kinds": np.bitwise_count(count[STOP_WORD_KINDS]).astype(np.int64),
        "dash_line_frac": _ratio(counts[N_DASHED], counts[N_LINES]),
        "stopped_line_frac": _ratio(counts[N_STOPPED], counts[N_FILLED]),
        "short_line_frac": _ratio(counts[N_SHORT], counts[N_FILLED]),
        "line_word_ratio": _ratio(counts[N_BREAKS], n_words),
        "repeated_prose_frac": _ratio(counts[N_REPEATED_CHARS], counts[N_FILLED_CHARS]),
        "c4_line_frac": _ratio(counts[C4_LINES], counts[N_FILLED]),
        "c4_sentences": counts[C4_SENTENCES],
        "c4_lorem_lines": counts[C4_LOREM_LINES],
        "c4_curly_lines": counts[C4_CURLY_LINES],
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


@compiled
def _count(
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    hashes: np.ndarray,
    ends: np.ndarray,
    found: np.ndarray,
    is_prose: np.ndarray,
    classes: np.ndarray,
    stops: np.ndarray,
) -> np.ndarray:
    counts = np.zeros((ends.size - 1, 12), np.int64)
    for k in range(counts.shape[0]):
        mine = rows[ends[k] : ends[k + 1]]
        row = counts[k]
        row[N_LINES] = mine.shape[0]
        if mine.shape[0] == 0:
            continue
        row[N_BREAKS] = mine.shape[0] - (mine[mine.shape[0] - 1, END] == offsets[k + 1])
        for line in range(mine.shape[0]):
            _count_line(data, mine[line], found[ends[k] + line], classes, stops, row)
        _count_repeated(mine, hashes[ends[k] : ends[k + 1]], is_prose[ends[k] : ends[k + 1]], row)
    return counts


@compiled
def _count_line(
    data: np.ndarray, line: np.ndarray, bits: int, classes: np.ndarray, stops: np.ndarray, row: np.ndarray
) -> None:
    if line[FIRST] < 0:
        return
    row[N_FILLED] += 1
    row[N_FILLED_CHARS] += line[CHARS]
    row[N_DASHED] += line[FIRST] in _DASHES
    row[N_STOPPED] += stops[line[LAST]]
    row[N_SHORT] += line[CHARS] <= SHORT_LINE_CHARS
    end = _without_citations(data, line[FIRST_AT], line[LAST_AT] + 1)
    if end <= line[FIRST_AT] or not _ends_a_line(data, line[FIRST_AT], end) or line[RUNS] < C4_MIN_LINE_WORDS:
        return
    if line[CHARS] > C4_MAX_WORD_CHARS and _has_long_word(data, line[START], line[END], classes):
        return
    # C4's order: a line with "javascript" is gone before its brackets are looked at.
    if bits & C4_LOREM:
        row[C4_LOREM_LINES] += 1
    elif bits & C4_JAVASCRIPT == 0:
        if bits & C4_CURLY:
            row[C4_CURLY_LINES] += 1
        elif bits & C4_POLICY == 0:
            row[C4_LINES] += 1
            row[C4_SENTENCES] += _sentences(data, line[FIRST_AT], end)


# ---------------------------------------------------------------- C4


@compiled
def _ends_a_line(data: np.ndarray, start: int, end: int) -> bool:
    """Whether data[start:end] ends in a sign of C4's, an ellipsis aside."""
    if data[end - 1] not in _C4_ENDS:
        return False
    return not (end - start >= 3 and data[end - 1] == _DOT and data[end - 2] == _DOT and data[end - 3] == _DOT)


@compiled
def _without_citations(data: np.ndarray, start: int, end: int) -> int:
    """The end of data[start:end] without the citations it ends in: [12], [], [edit], [citation needed]."""
    while end > start and data[end - 1] == _CLOSE:
        i = end - 2
        while i >= start and 48 <= data[i] <= 57:
            i -= 1
        if i >= start and data[i] == _OPEN:
            end = i
        elif _ends_in(data, start, end, _EDIT):
            end -= _EDIT.size
        elif _ends_in(data, start, end, _NEEDED):
            end -= _NEEDED.size
        else:
            break
    return end


@compiled
def _ends_in(data: np.ndarray, start: int, end: int, note: np.ndarray) -> bool:
    if end - start < note.size:
        return False
    same = 0
    for k in range(note.size):
        same += data[end - note.size + k] == note[k]
    return bool(same == note.size)


@compiled
def _has_long_word(data: np.ndarray, i: int, end: int, classes: np.ndarray) -> bool:
    """Whether a piece between spaces has more than C4_MAX_WORD_CHARS characters; of spaces beyond ASCII none cuts."""
    n = 0
    while i < end:
        if data[i] < 0x80 and classes[data[i]] & SPACE:
            n = 0
        elif data[i] & 0xC0 != 0x80:
            n += 1
            if n > C4_MAX_WORD_CHARS:
                return True
        i += 1
    return False


@compiled
def _sentences(data: np.ndarray, i: int, end: int) -> int:
    """Sentences of a line: each ends in . ! or ? and what closes behind them, before white space and no small letter,
    or in the wide forms of these signs, or with the line."""
    n, is_open = 0, False
    while True:
        stop = _next_stop(data, i, end)
        while i < stop and (data[i] == _SPACE_BYTE or data[i] == _TAB):
            i += 1
        is_open = is_open or i < stop
        i = stop
        if i == end:
            return n + is_open
        if data[i] < 0x80:
            i += 1
            while i < end and (data[i] in (46, 33, 63) or data[i] in _CLOSERS):
                i += 1
            after = i
            while after < end and data[after] in (_SPACE_BYTE, _TAB):
                after += 1
            is_open = after < end and (after == i or 97 <= data[after] <= 122)
            n += not is_open
            i = i if is_open else after
        elif _is_wide_stop(data, i, end):
            n += is_open
            is_open = False
            i += 3
        else:
            is_open = True
            i += 1


@compiled
def _next_stop(data: np.ndarray, i: int, end: int) -> int:
    """Where the next . ! ? stands, or a byte that a wide stop begins with; `end` where none does."""
    while i < end and i + BLOCK <= data.size:
        stops = bits_within(data, i, 46, 46) | bits_within(data, i, 33, 33) | bits_within(data, i, 63, 63)
        stops |= bits_within(data, i, 0xE3, 0xE3) | bits_within(data, i, 0xEF, 0xEF)
        if stops:
            return int(min(i + lowest(stops), end))
        i += BLOCK
    while i < end and data[i] not in (46, 33, 63, 0xE3, 0xEF):
        i += 1
    return min(i, end)


@compiled
def _is_wide_stop(data: np.ndarray, i: int, end: int) -> bool:
    if i + 2 >= end:
        return False
    a, b, c = data[i], data[i + 1], data[i + 2]
    return bool((a == 0xE3 and b == 0x80 and c == 0x82) or (a == 0xEF and b == 0xBC and (c in (0x81, 0x9F))))


# ---------------------------------------------------------------- repeated prose


@compiled
def _count_repeated(rows: np.ndarray, hashes: np.ndarray, is_prose: np.ndarray, row: np.ndarray) -> None:
    """Count the characters of prose lines that stood in the document before."""
    size = 4
    while size < 2 * rows.shape[0]:
        size *= 2
    seen = np.zeros(size, np.uint64)
    for k in range(rows.shape[0]):
        if is_prose[k]:
            row[N_REPEATED_CHARS] += rows[k, CHARS] * _remember(seen, hashes[k])


@compiled
def _remember(seen: np.ndarray, key: np.uint64) -> bool:
    """Whether `key` was remembered before; it is from now on. Open addressing, 0 marks a free place."""
    if key == 0:
        key = np.uint64(1)
    place = np.int64(((key ^ key >> np.uint64(32)) * _FNV_GOLDEN >> np.uint64(20)) & np.uint64(seen.size - 1))
    while seen[place] != 0:
        if seen[place] == key:
            return True
        place = (place + 1) & (seen.size - 1)
    seen[place] = key
    return False
