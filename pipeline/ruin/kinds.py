"""From what was measured of a document to what happened to it: one kind of ruin, or none."""

from typing import Literal, NamedTuple

from pipeline.ruin.labels import LabelDoubts
from pipeline.ruin.pairs import Order
from pipeline.ruin.signs import TextSigns

Kind = Literal[
    "noise", "encoded", "mojibake", "repetition", "template", "copied", "reversed", "shuffled_tokens", "wrong_pool",
    "wrong_language", "truncated", "shuffled_lines",
]  # fmt: skip

_COPIED = 0.97  # share of a document that others have: all but a line of it
_MIN_ANCHORS = 6  # fewer may be one common passage
_MIN_MASKED = 12
_MIN_LINES = 16  # fewer may stand in any order by chance


class Measured(NamedTuple):
    signs: TextSigns
    order: Order
    backwards: Order | None  # of the tokens in reverse, where the order is poor
    label: LabelDoubts
    contained: float  # share of its token runs that other documents have
    n_anchors: int
    contained_masked: float
    n_masked: int
    ends: bool


def kinds_of(m: Measured) -> tuple[Kind, ...]:
    """Every kind of ruin that a document shows, the plainest first; what is spoilt as a whole says no more."""
    spoilt = _spoilt(m)
    found: list[Kind] = [spoilt] if spoilt else []
    if m.n_anchors >= _MIN_ANCHORS and m.contained >= _COPIED:
        found.append("copied")
    elif m.ends and not spoilt and m.n_masked >= _MIN_MASKED and m.contained_masked >= _COPIED:
        found.append("template")
    if spoilt:
        return tuple(found)
    if m.label.wrong_pool:
        found.append("wrong_pool")
    if m.label.wrong_language:
        found.append("wrong_language")
    if m.ends and not m.signs.clean_end:
        found.append("truncated")
    if m.signs.n_lines >= _MIN_LINES and abs(m.signs.line_order) < 1.0:
        found.append("shuffled_lines")
    return tuple(found)


def _spoilt(m: Measured) -> Kind | None:
    """What happened to the whole content.

    The bounds lie beyond what 999 of 1,000 healthy documents show: no byte beyond UTF-8, .35 of the bytes in base64,
    .76 of the word runs repeated (.9 masked), an order score of 1.2 where shuffled ones have .4 in the mean. Short
    documents are left out where a few bytes would decide: tiny files are as dense as noise.
    """
    s, o = m.signs, m.order
    if s.n_bytes >= 64 and s.invalid > 0.02:
        return "noise"
    if s.n_bytes >= 200 and s.encoded > 0.6:
        return "encoded"
    if s.n_bytes >= 400 and s.deflate > 6.2 and not o.score >= 0.8:
        return "noise"
    if s.n_mojibake >= 6 and s.mojibake > 0.5:
        return "mojibake"
    if s.n_words >= 60 and s.repeat > 0.8:
        return "repetition"
    if s.n_words >= 60 and s.repeat_masked > 0.85:
        return "template"
    if o.score < 1.2:
        if m.backwards is not None and m.backwards.score > o.score + 1.0:
            return "reversed"
        return "shuffled_tokens"
    return None
