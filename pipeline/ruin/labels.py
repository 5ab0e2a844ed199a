"""Whether a document is what its group and pool say, by the content classifier alone: names play no part here."""

from typing import NamedTuple

import numpy as np

from pipeline.language.classes import CLASSES, OTHER, class_of
from pipeline.language.classifier import probabilities
from pipeline.language.structure import program_frac
from pipeline.language.table import NO_LANGUAGES, TEXT, languages

# Both must hold before a label is doubted: the label is all but excluded and another is all but certain.
MAX_LABEL = 0.01
MIN_OTHER = 0.97
_BATCH = 1_024
_MAX_BYTES = 8_192  # of a document; the classifier needs no more


class LabelDoubts(NamedTuple):
    """`says` is the likeliest class. Both doubts are False where the document fits its labels or leaves a choice."""

    says: str
    wrong_language: bool
    wrong_pool: bool


def judge(texts: list[bytes], labels: list[tuple[str, str]]) -> list[LabelDoubts]:
    """A verdict for each text and its (pool, group)."""
    found = []
    for start in range(0, len(texts), _BATCH):
        batch = probabilities([text[:_MAX_BYTES] for text in texts[start : start + _BATCH]])
        heads = zip(texts[start : start + _BATCH], batch, labels[start : start + _BATCH], strict=True)
        found += [_verdict(text, row, *label) for text, row, label in heads]
    return found


def _is_prose(group: str) -> bool:
    """Whether documents of this language may read as prose; names that are no language are sources of text."""
    entry = languages().get(group)
    return group in NO_LANGUAGES or entry is None or entry.type != "programming"


def _verdict(text: bytes, row: np.ndarray, pool: str, group: str) -> LabelDoubts:
    best = int(row.argmax())
    says = CLASSES[best]
    sure = row[best] >= MIN_OTHER and says != OTHER
    if pool == "text":
        entry = languages().get(says)
        doubted = sure and entry is not None and entry.type == "programming" and program_frac(text) >= 0.4
        return LabelDoubts(says, False, bool(doubted))
    if says == TEXT:
        return LabelDoubts(says, False, bool(sure and not _is_prose(group)))
    label = class_of(group)
    known = group in languages() and label != OTHER
    doubted = sure and says != label and known and row[CLASSES.index(label)] <= MAX_LABEL
    return LabelDoubts(says, bool(doubted), False)
