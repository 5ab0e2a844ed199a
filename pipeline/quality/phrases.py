"""Phrases that tell what a line is, small and capital letters alike.

A phrase of seven bytes or more has four bytes in a row that begin at every fourth byte of its line, whatever stands
before it; so only every fourth byte is looked at, and where such four bytes of a phrase stand the phrase is compared.

C4's phrases are those of its code (Raffel et al. 2020). The others are ours, in English; they annotate, because a rule
on them would judge no other language.
"""

from functools import lru_cache

import numpy as np

from pipeline.arrays.bits import eight
from pipeline.arrays.compiled import compiled
from pipeline.quality.prose_scan import END, START

C4_LOREM, C4_JAVASCRIPT, C4_CURLY, C4_POLICY, COOKIES, READ_MORE, NAVIGATION, SELLING = (1 << k for k in range(8))
PHRASES = {
    C4_LOREM: ("lorem ipsum",),
    C4_JAVASCRIPT: ("javascript",),
    C4_CURLY: ("{",),
    C4_POLICY: (
        "terms of use",
        "privacy policy",
        "cookie policy",
        "uses cookies",
        "use of cookies",
        "use cookies",
    ),
    COOKIES: (
        "accept all cookies",
        "accept cookies",
        "we use cookies",
        "this site uses cookies",
        "this website uses cookies",
        "manage cookies",
        "cookie settings",
        "cookie preferences",
    ),
    READ_MORE: ("read more", "continue reading", "learn more »", "show more", "view more", "see all posts"),
    NAVIGATION: (
        "skip to content",
        "skip to main content",
        "toggle navigation",
        "back to top",
        "previous post",
        "next post",
        "older posts",
        "newer posts",
        "posted in",
        "leave a comment",
        "leave a reply",
        "all rights reserved",
        "share on facebook",
        "share on twitter",
        "share this",
        "follow us",
        "sign up for our newsletter",
        "subscribe to our",
        "log in to comment",
        "powered by wordpress",
        "site map",
    ),
    SELLING: (
        "add to cart",
        "add to basket",
        "buy now",
        "free shipping",
        "money back guarantee",
        "limited time offer",
        "order now",
        "click here to buy",
        "online casino",
        "payday loan",
        "no deposit bonus",
        "cheap viagra",
        "buy cialis",
        "essay writing service",
        "backlinks",
        "lose weight fast",
        "work from home and earn",
    ),
}


_STEP = 4  # bytes of a window, and from one to the next
_MIN_BYTES = 2 * _STEP - 1
# Places of the table of windows, some two hundred: one in twenty is taken, and 8 kB stay in the cache.
_PLACES, _PLACE_SHIFT = 1 << 12, np.uint64(64 - 12)
_SMALL = np.uint64(0x2020202020202020)  # the bit that capital letters lack; others that lack it are told apart later
_WINDOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads neighbouring keys
_EACH, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_BRACES = np.uint64(ord("{")) * _EACH  # the one phrase of one byte


def _folded() -> np.ndarray:
    folded = np.arange(256, dtype=np.uint8)
    folded[65:91] += 32
    return folded


_FOLDED = _folded()


@lru_cache(maxsize=1)
def _windows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The first window of each place (int16 [_PLACES], -1 where none); for each window its four bytes, phrase, byte
    in it, and the next of its place (int64 [windows, 4]); for each phrase where it ends among all bytes and its bit
    (int64 [phrases + 1, 2], the first a zero); all bytes."""
    words = [(phrase.encode(), bit) for bit, phrases in PHRASES.items() for phrase in phrases if phrase != "{"]
    first, windows = np.full(_PLACES, -1, np.int16), []
    for number, (word, _) in enumerate(words):
        assert len(word) >= _MIN_BYTES, word
        for at in range(_STEP):
            key = int.from_bytes(word[at : at + _STEP], "little") | int(_SMALL & _WINDOW)
            place = _place(np.uint64(key))
            windows.append((key, number, at, first[place]))
            first[place] = len(windows) - 1
    ends = np.cumsum([0, *(len(word) for word, _ in words)])
    rows = np.column_stack((ends, [0, *(bit for _, bit in words)])).astype(np.int64)
    return first, np.array(windows, np.int64), rows, np.frombuffer(b"".join(word for word, _ in words), np.uint8)


def of_lines(data: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The bits of PHRASES whose phrases stand in each line, int16; `rows` as `prose_scan.lines` gives them."""
    return np.asarray(_of_lines(data, rows, *_windows()))


def _place(key: np.uint64) -> int:
    """Where a window of four bytes stands in the table, as `_of_lines` reckons it."""
    return int(key) * int(_GOLDEN) % (1 << 64) >> int(_PLACE_SHIFT)


@compiled
def _of_lines(
    data: np.ndarray,
    rows: np.ndarray,
    first: np.ndarray,
    windows: np.ndarray,
    phrases: np.ndarray,
    text: np.ndarray,
) -> np.ndarray:
    result = np.zeros(rows.shape[0], np.int16)
    for k in range(result.size):
        start, end = rows[k, START], rows[k, END]
        bits = 0
        for i in range(start, end, 8):
            value = _eight(data, i, end)
            braces = value ^ _BRACES
            if (braces - _EACH) & ~braces & _HIGHS:
                bits |= C4_CURLY
            small = value | _SMALL
            for half in range(2):
                window = first[(small & _WINDOW) * _GOLDEN >> _PLACE_SHIFT]
                while window >= 0:
                    if windows[window, 0] == np.int64(small & _WINDOW):
                        at = i + _STEP * half - windows[window, 2]
                        bits |= _found(data, at, start, end, windows[window, 1], phrases, text)
                    window = windows[window, 3]
                small >>= _HALF
        result[k] = bits
    return result


@compiled
def _eight(data: np.ndarray, i: int, end: int) -> np.uint64:
    """Eight bytes from i as one number, zeros from `end` on."""
    if i + 8 <= end:
        return np.uint64(eight(data, i))
    if i + 8 <= data.size:
        return np.uint64(eight(data, i) & (np.uint64(1) << np.uint64(8 * (end - i))) - np.uint64(1))
    value = np.uint64(0)
    for k in range(i, end):
        value |= np.uint64(data[k]) << np.uint64(8 * (k - i))
    return value


@compiled
def _found(data: np.ndarray, i: int, start: int, end: int, phrase: int, phrases: np.ndarray, text: np.ndarray) -> int:
    """The bit of the phrase if it stands at i within data[start:end], else 0."""
    first, size = phrases[phrase, 0], phrases[phrase + 1, 0] - phrases[phrase, 0]
    if i < start or i + size > end:
        return 0
    for k in range(size):
        if _FOLDED[data[i + k]] != text[first + k]:
            return 0
    return int(phrases[phrase + 1, 1])
