"""Phrases that tell what a line is, found by one automaton in one look at each byte, small and capital letters alike.

The automaton is Aho and Corasick's (1975). C4's phrases are those of its code (Raffel et al. 2020). The others are
ours, in English; they annotate, because a rule on them would judge no other language.
"""

from collections import deque
from functools import lru_cache

import numpy as np

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


@lru_cache(maxsize=1)
def automaton() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column of each byte (uint8 [256]), next state (int16 [states, columns]) and what a state has found (int16)."""
    words = [(phrase.encode(), bit) for bit, phrases in PHRASES.items() for phrase in phrases]
    columns = np.zeros(256, np.uint8)  # column 0: bytes that no phrase has
    for number, byte in enumerate(sorted({byte for word, _ in words for byte in word}), start=1):
        columns[byte] = number
    for byte in range(ord("A"), ord("Z") + 1):
        columns[byte] = columns[byte + 32]
    steps: list[dict[int, int]] = [{}]
    found = [0]
    for word, bit in words:
        state = 0
        for byte in word:
            if int(columns[byte]) not in steps[state]:
                steps[state][int(columns[byte])] = len(steps)
                steps.append({})
                found.append(0)
            state = steps[state][int(columns[byte])]
        found[state] |= bit
    return columns, _filled(steps, found, n_columns=int(columns.max()) + 1), np.array(found, np.int16)


def _filled(steps: list[dict[int, int]], found: list[int], *, n_columns: int) -> np.ndarray:
    """The next state for every state and column; a state also finds what its longest proper suffix finds."""
    table = np.zeros((len(steps), n_columns), np.int16)
    suffix = [0] * len(steps)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        found[state] |= found[suffix[state]]
        for column in range(n_columns):
            following = steps[state].get(column)
            if following is None:
                table[state, column] = table[suffix[state], column] if state else 0
                continue
            suffix[following] = int(table[suffix[state], column]) if state else 0
            table[state, column] = following
            waiting.append(following)
    return table


def of_lines(data: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The bits of PHRASES whose phrases stand in each line, int16; `rows` as `prose_scan.lines` gives them."""
    return np.asarray(_of_lines(data, rows, *automaton()))


@compiled
def _of_lines(
    data: np.ndarray, rows: np.ndarray, columns: np.ndarray, table: np.ndarray, found: np.ndarray
) -> np.ndarray:
    result = np.zeros(rows.shape[0], np.int16)
    for k in range(result.size):
        state = bits = 0
        for i in range(rows[k, START], rows[k, END]):
            state = table[state, columns[data[i]]]
            bits |= found[state]
        result[k] = bits
    return result
