"""What a rule is, and how a table of rules is put to many documents at once.

A rule says: drop the document if this feature lies above (below) that threshold. The tables stand in `code_rules.py`
and `text_rules.py`; thresholds come from the mixture; the reason codes and their order from `reasons.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.reasons import REASONS

UNSPACED_MIN_FRAC = 0.2  # from this share of letters on, a document counts as written without spaces


@dataclass(frozen=True)
class Rule:
    """A predicate on one feature. `threshold` names a field of the pool's configuration, or is a number that has no
    place there."""

    reason: str
    feature: str
    fires: Literal["above", "below"]
    threshold: str | float
    source: str  # who uses it, and where that is written
    only: frozenset[str] | None = None  # languages it is for; None: every language
    exempt: frozenset[str] = frozenset()  # languages it is not for
    spaced_only: bool = False  # not for documents in scripts without spaces between words


@dataclass(frozen=True)
class Fired:
    """Where one rule fires: bool and float64, one entry per document; `value` is what was measured, fired or not."""

    reason: str
    mask: np.ndarray
    value: np.ndarray


def judge(
    rules: Sequence[Rule],
    *,
    features: Mapping[str, np.ndarray],
    thresholds: Mapping[str, int | float],
    languages: np.ndarray,
    among: np.ndarray,
) -> list[Fired]:
    """Put every rule to the documents where `among` is true. A feature that is NaN (not measured) fires nothing."""
    result = []
    for rule in rules:
        value = np.asarray(features[rule.feature], np.float64)
        threshold = thresholds[rule.threshold] if isinstance(rule.threshold, str) else rule.threshold
        mask = (value > threshold if rule.fires == "above" else value < threshold) & among
        if rule.only is not None:
            mask &= np.isin(languages, list(rule.only))
        if rule.exempt:
            mask &= ~np.isin(languages, list(rule.exempt))
        if rule.spaced_only:
            mask &= features["unspaced_frac"] < UNSPACED_MIN_FRAC
        result.append(Fired(rule.reason, mask, value))
    return result


def in_rows(fired: Sequence[Fired], *, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regroup by document: offsets int64 [n + 1], then for each firing its index into REASONS and its value.

    Within a document the firings stand in documented order. A reason with several rules (a limit for markup, one for
    the rest) fires at most once in a document: its rules exclude each other.
    """
    order = list(REASONS)
    places = np.array([order.index(f.reason) for f in fired], np.int64)
    rows = np.concatenate([np.flatnonzero(f.mask) for f in fired])
    kinds = np.repeat(places, [np.count_nonzero(f.mask) for f in fired])
    values = np.concatenate([f.value[f.mask] for f in fired])
    sorting = np.lexsort((kinds, rows))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return offsets, kinds[sorting], values[sorting]
