"""Words of a text by their definition, character by character, and what follows from them: shingles and Jaccard."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

OPERATORS = frozenset("+-*/%=<>&|^~!?:")
HAN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
THAI = re.compile(r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u0640\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
FEWEST = 15  # words of a document that shingles may speak for: three times five
Word = tuple[str, str, str]  # the operators before it, itself, and of the last word those behind


def cut_after(before: int, letter: int) -> int:
    """The hash of two neighbouring characters whose low bits cut unspaced scripts."""
    h = (before * 0x9E3779B1 + letter * 0x85EBCA77) % 2**32
    h = (h ^ (h >> 15)) * 0x2C1B3C6D % 2**32
    return (h ^ (h >> 12)) >> 8


def is_word(c: str) -> bool:
    return unicodedata.category(c)[0] in "LMN" or c == "_"


def is_operator(c: str) -> bool:
    return c in OPERATORS or (not c.isascii() and unicodedata.category(c)[0] == "S" and c != "\ufffd")


def words_of(text: str, *, fold_case: bool = False, is_code: bool = True) -> list[Word]:
    words: list[Word] = []
    here, operators, before, last = "", "", 0, ""

    def close() -> None:
        nonlocal here, operators
        if here:
            words.append((operators, here, ""))
            operators = ""
        here = ""

    for c in unicodedata.normalize("NFC", UNSEEN.sub("", text)):
        kind = "" if not is_word(c) else "han" if HAN.match(c) else "thai" if THAI.match(c) else "word"
        if kind != last:
            close()
            before, last = 0, kind
        if kind:
            c = c.lower() if fold_case and len(c.lower()) == 1 else c
            here += c
        elif is_code and is_operator(c):
            operators += c
        if kind in ("han", "thai"):
            if cut_after(before, ord(c)) & {"han": 1, "thai": 3}[kind] == 0:
                close()
            before = ord(c)
    close()
    if words and operators:
        words[-1] = (*words[-1][:2], operators)
    return words


def windows(text: str, n: int = 5, **options: Any) -> frozenset[tuple[Word, ...]]:
    """Shingles: n successive words, or all of a shorter text."""
    words = words_of(text, **options)
    return frozenset(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))) if words else frozenset()


def carries_meaning(text: str) -> bool:
    """Whether words speak for a text: enough of them, and letters and digits a third of what is seen."""
    shown = [c for c in UNSEEN.sub("", text) if unicodedata.category(c) not in ("Cc", "Cf", "Zs", "Zl", "Zp")]
    n_letters = sum(is_word(c) and c != "_" for c in shown)
    return len(words_of(text)) >= FEWEST and 3 * n_letters >= len(shown)


def jaccard(a: frozenset[Any], b: frozenset[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0
