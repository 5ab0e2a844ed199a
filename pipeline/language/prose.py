"""Tell prose from code where no name helps: a count of words, letters and code symbols that anyone can check.

guesslang knows no prose (it calls an English essay Markdown), so this test comes before it. It errs towards code:
what it lets through goes to the model, whose verdict needs `min_confidence`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import regex

MIN_WORDS = 10
MAX_SYMBOL_FRAC = 0.03  # code symbols among characters that are not blank
MIN_LETTER_FRAC = 0.75  # letters and combining marks among the same
MIN_STOP_WORD_FRAC = 0.15  # of words; English prose has about 0.4, identifiers in code below 0.1
MIN_WIDE_FRAC = 0.5  # letters outside the Latin script among letters: such prose needs no stop words

# The commonest function words of twelve languages in the Latin script; keywords of programming languages are left out.
STOP_WORDS = frozenset(
    """the of and to in is that it was he his with as be are this have from or had by not but what they you we which
    their there been has would were an at on der die und den von zu das mit sich des auf nicht ein eine ist im dem auch
    les des le la et du un une est que pour dans qui pas sur au il ne se el los las y del por con una para su al lo como
    os da em um não uma com mais di che non per sono della il nel het een van op te dat voor zijn og att som det och av
    för på en er til ikke w nie się na z jest bir ve bu için ile dan yang di untuk dengan và của là các""".split()
)

_LETTER = regex.compile(r"[\p{L}\p{M}]")
_WIDE = regex.compile(r"[^\P{L}\p{Latin}]")
_WORD = regex.compile(r"[\p{L}\p{M}]+(?:['’]\p{L}+)?")
_SYMBOL = re.compile(r"[{}\[\];=<>|\\_$#@^~+*/&]")
_SPACE = re.compile(r"\s+")
_MARKDOWN = (
    re.compile(r"^#{1,6} \S", re.MULTILINE),
    re.compile(r"^(?:```|~~~)", re.MULTILINE),
    re.compile(r"\]\([^)\s]+\)"),
    re.compile(r"^(?:[-*+]|\d+\.) \S", re.MULTILINE),
    re.compile(r"^(?:={3,}|-{3,})$", re.MULTILINE),
    re.compile(r"(?<!\w)(?:\*\*|__)\S[^*_\n]*(?:\*\*|__)(?!\w)"),
)


class Counts(NamedTuple):
    """What the test looks at; all but `n_words` in [0, 1]."""

    n_words: int
    letter_frac: float
    symbol_frac: float
    stop_word_frac: float
    wide_frac: float


def count(text: str) -> Counts:
    """Measure a text. A text without any letters counts as no prose."""
    solid = _SPACE.sub("", text)
    n_letters = len(_LETTER.findall(solid))
    if not n_letters:
        return Counts(0, 0.0, 0.0, 0.0, 0.0)
    words = _WORD.findall(text)
    return Counts(
        n_words=len(words),
        letter_frac=n_letters / len(solid),
        symbol_frac=len(_SYMBOL.findall(solid)) / len(solid),
        stop_word_frac=sum(word.lower() in STOP_WORDS for word in words) / len(words) if words else 0.0,
        wide_frac=len(_WIDE.findall(solid)) / n_letters,
    )


def is_prose(text: str) -> bool:
    """True for running text in a natural language. Scripts without spaces have few `words`, so letters count there."""
    found = count(text)
    if found.letter_frac < MIN_LETTER_FRAC or found.symbol_frac > MAX_SYMBOL_FRAC:
        return False
    if found.wide_frac >= MIN_WIDE_FRAC:
        return found.n_words >= 1 and len(text) >= 2 * MIN_WORDS
    return found.n_words >= MIN_WORDS and found.stop_word_frac >= MIN_STOP_WORD_FRAC


def is_markdown(text: str) -> bool:
    """True for prose with at least two kinds of Markdown marks, such as a heading and a list."""
    return sum(mark.search(text) is not None for mark in _MARKDOWN) >= 2
