"""Where a text is taken apart into prefix, middle and suffix: at random characters, lines or nodes of its syntax tree.

Each choice is a hash of a key, the document and the number of the choice. A kind that cannot be had gives way: a node
where no grammar reads the text to a line, a line where there is only one to characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import xxhash

from pipeline.syntax.parse import GRAMMARS
from pipeline.syntax.parse_process import parser_process
from pipeline.targets import Splits

Span = tuple[int, int]  # bytes of the middle: first, and the one behind the last
# A shorter document has no beginning, middle and end that were worth telling apart.
LEAST_BYTES = 32
# Longer texts are taken apart at lines: no grammar has been held against them, and their time grows.
_MAX_PARSED_BYTES = 64_000


@dataclass(frozen=True)
class Draw:
    """Numbers of one document; equal keys and documents draw equal ones."""

    key: int
    doc_id: str

    def word(self, *number: int) -> int:
        """64 bits."""
        text = f"{self.doc_id}/{'/'.join(map(str, number))}"
        return xxhash.xxh3_64_intdigest(text.encode(), seed=self.key & (2**64 - 1))

    def below(self, bound: int, *number: int) -> int:
        """One of 0 .. bound - 1."""
        return self.word(*number) * bound >> 64


def split(text: bytes, *, language: str, splits: Splits, draw: Draw, turn: int) -> Span:
    """The middle of a valid UTF-8 text of at least 2 characters; `turn` numbers the pieces of a document.

    Never empty, and never all of the text.
    """
    weights = (splits.random, splits.line, splits.syntax)
    point = draw.word(turn, 0) / 2**64 * sum(weights)
    found: Span | None = None
    if point >= weights[0] + weights[1] and weights[2] > 0:
        found = _node(text, language, draw.word(turn, 1))
    if found is None and point >= weights[0]:
        found = _lines(text, draw, turn)
    return found or _characters(text, draw, turn)


def _node(text: bytes, language: str, drawn: int) -> Span | None:
    if language not in GRAMMARS or len(text) > _MAX_PARSED_BYTES:
        return None
    found = parser_process().node(text, language, drawn)
    return found if isinstance(found, tuple) else None  # a grammar that died costs its node, not the document


def _lines(text: bytes, draw: Draw, turn: int) -> Span | None:
    """From the beginning of one line to that of another, or the end."""
    bounds = [0]
    place = text.find(b"\n")
    while 0 <= place < len(text) - 1:
        bounds.append(place + 1)
        place = text.find(b"\n", place + 1)
    if len(bounds) < 2:
        return None
    bounds.append(len(text))
    return _two_of(bounds, draw, turn)


def _characters(text: bytes, draw: Draw, turn: int) -> Span:
    starts = [draw.below(len(text) + 1, turn, number) for number in (2, 3)]
    one, two = sorted(character(text, place) for place in starts)
    if one == two or (one, two) == (0, len(text)):
        # Two short ones that met, or all of it: then between any two of the bounds of characters.
        every = [place for place in range(len(text) + 1) if character(text, place) == place]
        return _two_of(every, draw, turn)
    return one, two


def character(text: bytes, place: int) -> int:
    """Where the character begins in which a place of the text lies."""
    while 0 < place < len(text) and text[place] & 0xC0 == 0x80:
        place -= 1
    return place


def _two_of(bounds: list[int], draw: Draw, turn: int) -> Span:
    """Two of three or more ascending bounds, but not the outermost both."""
    last = len(bounds) - 1
    one = draw.below(last + 1, turn, 4)
    others = [i for i in range(last + 1) if i != one and {i, one} != {0, last}]
    two = others[draw.below(len(others), turn, 5)]
    return bounds[min(one, two)], bounds[max(one, two)]
