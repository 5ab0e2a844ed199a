"""What a rule is, and how a table of rules is put to many documents at once.

A rule says: drop the document if this feature lies above (below) that threshold. The tables stand in `code_rules.py`
and `text_rules.py`; thresholds come from the mixture; the reason codes and their order from `reasons.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.reasons import REASONS

# From this share of letters on, a document counts as written without spaces between its words. A plain choice: Latin
# names in Chinese or Thai leave far more of such letters, and a page that only quotes some has far fewer.
UNSPACED_MIN_FRAC = 0.2


@dataclass(frozen=True)
class Rule:
    """A predicate on one feature. `threshold` names a field of the pool's configuration and says the direction: it
    fires above what begins with `max_`, below what begins with `min_`. None: fixed, it fires above 0."""

    reason: str
    feature: str
    threshold: str | None
    source: str  # who uses it and at which value; shown by `loopmix why` and in docs/quality.md
    only: frozenset[str] | None = None  # languages it is for; None: every language
    exempt: frozenset[str] = frozenset()  # languages it is not for
    spaced_only: bool = False  # not for documents in scripts without spaces between words

    @property
    def fires(self) -> Literal["above", "below"]:
        """On which side of its threshold it fires; a value that equals the threshold fires nothing."""
        return "below" if self.threshold and self.threshold.startswith("min_") else "above"


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
        threshold = thresholds[rule.threshold] if rule.threshold else 0
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
