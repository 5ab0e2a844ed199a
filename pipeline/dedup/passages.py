"""Where in a text given words stand, by the very words that `shingles.py` counts."""

import numpy as np

from pipeline.dedup.shingles import shingle


def find_words(text: bytes, first: int, last: int) -> tuple[int, int]:
    """Begin and end, in bytes, of the words first to last - 1 of a text, counted from 0; kept within the text.

    What a word is depends on script, normal form and case, so none is looked for: the words of ever shorter beginnings
    of the text are counted. With texts of megabytes that takes a second: for people who ask about one document.
    """
    begin, end = _start(text, first), _start(text, last)
    return begin, begin + len(text[begin:end].rstrip())


def _start(text: bytes, word: int) -> int:
    """Where a word begins; behind the text if it has no such word."""
    low, high = 0, len(text) + 1
    while low < high:
        middle = (low + high) // 2
        if _n_words(text[:middle]) > word or middle > len(text):
            high = middle
        else:
            low = middle + 1
    place = low - 1  # the shortest beginning that holds it ends with the last byte of its first character
    while 0 < place < len(text) and text[place] & 0xC0 == 0x80:
        place -= 1
    return place


def _n_words(text: bytes) -> int:
    data = np.frombuffer(text, np.uint8)
    ends = shingle(data, np.zeros(1, np.int64), np.array([data.size]), n_words=1, kind="unicode", fold_case=True)[1]
    return int(ends[-1])
