"""What comments and the heads of files say, compiled: notes of work to do, marks of generated files and of XML."""

import numpy as np

from pipeline.arrays.bits import ALL, BLOCK, NONE, ONE, between, block, count_ones, lowest, tail_room
from pipeline.arrays.compiled import compiled

N_CHARS, N_ASKING_LINES, N_NUMBER_SIGNS = range(3)  # columns of a row of counts
XML_HEAD_CHARS, GENERATED_HEAD_CHARS = 100, 200  # SantaCoder's, OpenCoder's

_TODO, _FIXME, _YOURS, _GENERATE, _AUTOGEN, _DO_NOT_EDIT, _XML = (
    np.frombuffer(text, np.uint8)
    for text in (b"todo", b"fixme", b"your code here", b"generate", b"autogen", b"do not edit", b"<?xml version=")
)


def count(comments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters of the comments of each document, lines of them that ask for work, number signs; int64 [n, 3]."""
    return _count(comments, offsets, tail_room())


@compiled
def _count(comments: np.ndarray, offsets: np.ndarray, room: np.ndarray) -> np.ndarray:
    result = np.zeros((offsets.size - 1, 3), np.int64)
    for k in range(offsets.size - 1):
        start, end = offsets[k], offsets[k + 1]
        asked_to = start  # where the line ends that was counted last
        for i in range(start, end, BLOCK):
            at = block(comments, i, room)
            live = ALL if end - i >= BLOCK else (ONE << np.uint64(end - i)) - ONE
            result[k, N_CHARS] += count_ones(live & ~between(at, 0x80, 0xBF))
            result[k, N_NUMBER_SIGNS] += count_ones(between(at, 35, 35) & live)
            # What asks begins with t, f or y, and an o or i comes second; what comes behind the block may be one.
            o_or_i = between(at, 105, 105) | between(at, 111, 111) | between(at, 73, 73) | between(at, 79, 79)
            first = between(at, 102, 102) | between(at, 116, 116) | between(at, 121, 121)
            first |= between(at, 70, 70) | between(at, 84, 84) | between(at, 89, 89)
            may = first & live & (o_or_i >> ONE | ONE << np.uint64(BLOCK - 1))
            while may != NONE:
                place = i + lowest(may)
                may &= may - ONE
                if place >= asked_to and _asks(comments, place, end):
                    result[k, N_ASKING_LINES] += 1
                    asked_to = place
                    while asked_to < end and comments[asked_to] != 10:
                        asked_to += 1
    return result


@compiled
def _asks(comments: np.ndarray, i: int, end: int) -> bool:
    is_short = _stands(comments, i, end, _TODO) or _stands(comments, i, end, _FIXME)
    return is_short or _stands(comments, i, end, _YOURS)


def replacements(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Replacement characters (U+FFFD) of each document, int64 [n]."""
    return _replacements(data, offsets, tail_room())


@compiled
def _replacements(data: np.ndarray, offsets: np.ndarray, room: np.ndarray) -> np.ndarray:
    result = np.zeros(offsets.size - 1, np.int64)
    for k in range(offsets.size - 1):
        end = offsets[k + 1]
        for i in range(offsets[k], end - 2, BLOCK):
            live = ALL if end - 2 - i >= BLOCK else (ONE << np.uint64(end - 2 - i)) - ONE
            may = between(block(data, i, room), 0xEF, 0xEF) & live
            while may != NONE:
                place = i + lowest(may)
                may &= may - ONE
                result[k] += data[place + 1] == 0xBF and data[place + 2] == 0xBD
    return result


@compiled
def heads(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether the first characters of each document hold an XML declaration; a word of generators. bool [n, 2]."""
    result = np.zeros((offsets.size - 1, 2), np.bool_)
    for k in range(offsets.size - 1):
        i, n_chars = offsets[k], 0
        xml_end = end = i
        while end < offsets[k + 1] and n_chars < GENERATED_HEAD_CHARS:
            end += 1
            while end < offsets[k + 1] and data[end] & 0xC0 == 0x80:
                end += 1
            n_chars += 1
            if n_chars <= XML_HEAD_CHARS:
                xml_end = end
        while i < end:
            small = _small(data[i])
            if small == 60 and _stands(data, i, xml_end, _XML):
                result[k, 0] = True
            elif small in (103, 97, 100):  # g, a, d
                is_found = _stands(data, i, end, _GENERATE) or _stands(data, i, end, _AUTOGEN)
                result[k, 1] |= is_found or _stands(data, i, end, _DO_NOT_EDIT)
            i += 1
    return result


@compiled
def _small(byte: int) -> int:
    return byte | 0x20 if 65 <= byte <= 90 else byte


@compiled
def _stands(data: np.ndarray, i: int, end: int, text: np.ndarray) -> bool:
    if end - i < text.size:
        return False
    k = 0
    while k < text.size and _small(data[i + k]) == text[k]:
        k += 1
    return k == text.size
