"""What comments and the heads of files say, compiled: notes of work to do, marks of generated files and of XML."""

import numpy as np

from pipeline.arrays.compiled import compiled

N_CHARS, N_ASKING_LINES, N_NUMBER_SIGNS = range(3)  # columns of a row of counts
XML_HEAD_CHARS, GENERATED_HEAD_CHARS = 100, 200  # SantaCoder's, OpenCoder's

_TODO, _FIXME, _YOURS, _GENERATE, _AUTOGEN, _DO_NOT_EDIT, _XML = (
    np.frombuffer(text, np.uint8)
    for text in (b"todo", b"fixme", b"your code here", b"generate", b"autogen", b"do not edit", b"<?xml version=")
)


@compiled
def count(comments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters of the comments of each document, lines of them that ask for work, number signs; int64 [n, 3]."""
    result = np.zeros((offsets.size - 1, 3), np.int64)
    for k in range(offsets.size - 1):
        asks = False
        n_rest = n_lines = n_signs = 0
        start, end = offsets[k], offsets[k + 1]
        for i in range(start, end):
            byte = comments[i]
            n_rest += byte & 0xC0 == 0x80
            n_signs += byte == 35
            if byte == 10:
                n_lines += asks
                asks = False
            elif not asks and _small(byte) in (116, 102, 121):  # t, f, y
                asks = _stands(comments, i, end, _TODO) or _stands(comments, i, end, _FIXME)
                asks = asks or _stands(comments, i, end, _YOURS)
        result[k, 0], result[k, 1], result[k, 2] = end - start - n_rest, n_lines + asks, n_signs
    return result


@compiled
def replacements(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Replacement characters (U+FFFD) of each document, int64 [n]."""
    result = np.zeros(offsets.size - 1, np.int64)
    for k in range(offsets.size - 1):
        n = 0
        for i in range(offsets[k], offsets[k + 1] - 2):
            n += (data[i] == 0xEF) & (data[i + 1] == 0xBF) & (data[i + 2] == 0xBD)
        result[k] = n
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
