"""How rules are put to many documents at once: one comparison over a column for each condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with, one_chunk
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.features import EXTRA, MARK
from pipeline.filters import Rule

# Of a 64-bit hash; the share of documents that stays is compared with its upper bits, exact to one in 2**53.
_SCALE = 2.0**-53


@dataclass(frozen=True)
class Fired:
    """Where one rule fires: bool and float64, one entry per document; `value` is what was measured, fired or not."""

    reason: str
    mask: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class FeaturesOfShard:
    """What rules ask about the documents of one shard; every array has one entry per document."""

    quality: pa.Table  # the columns of table `quality` that `columns_for` names
    pool: np.ndarray  # text
    language: np.ndarray  # text
    content_words: tuple[np.ndarray, np.ndarray]  # two uint64 of the content's hash: what a keyed draw is keyed by
    among: np.ndarray  # bool: the documents that are judged at all

    def feature(self, name: str) -> np.ndarray:
        """The feature as float64, NaN where it was not measured."""
        return measured_values(self.quality, name)


def measured_values(quality: pa.Table, name: str) -> np.ndarray:
    """A feature, a mark or a number of a plug-in or scorer of each row of `quality`, float64 [n]; NaN: not measured."""
    if name.startswith(MARK):
        return lists_with(quality["marks"], name.removeprefix(MARK)).astype(np.float64)
    if name.startswith(EXTRA):
        column = pc.map_lookup(one_chunk(quality["extra"]), name.removeprefix(EXTRA), "first")
    else:
        column = one_chunk(quality[name])
    values: np.ndarray = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    return values


def judge(rules: Sequence[Rule], measured: FeaturesOfShard) -> list[Fired]:
    """Put every rule to the documents that are judged. A feature that was not measured fires nothing."""
    features: dict[str, np.ndarray] = {}
    for rule in rules:
        for condition in (rule, *rule.when):
            if condition.feature not in features:
                features[condition.feature] = measured.feature(condition.feature)
    return [Fired(rule.reason, _fires(rule, measured, features), features[rule.feature]) for rule in rules]


def _fires(rule: Rule, measured: FeaturesOfShard, features: Mapping[str, np.ndarray]) -> np.ndarray:
    mask = measured.among & rule.is_met(features[rule.feature])
    for condition in rule.when:
        mask &= condition.is_met(features[condition.feature])
    if rule.pool is not None:
        mask &= measured.pool == rule.pool
    if rule.languages:
        mask &= np.isin(measured.language, rule.languages)
    if rule.exempt:
        mask &= ~np.isin(measured.language, rule.exempt)
    if rule.keep_frac and mask.any():
        drawn = keyed_hash(stage_key(0, rule.reason), *measured.content_words) >> np.uint64(11)
        mask &= drawn * _SCALE >= rule.keep_frac
    return np.asarray(mask)


def in_rows(fired: Sequence[Fired], *, order: Sequence[str], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regroup by document: offsets int64 [n + 1], then for each firing its index into `order` and its value.

    Within a document the firings stand in `order`, each reason once: of its rules the first that fires counts.
    """
    place = {reason: k for k, reason in enumerate(order)}
    kinds = np.repeat([place[f.reason] for f in fired], [np.count_nonzero(f.mask) for f in fired]).astype(np.int64)
    rows = np.concatenate([np.zeros(0, np.int64), *(np.flatnonzero(f.mask) for f in fired)])
    values = np.concatenate([np.zeros(0), *(f.value[f.mask] for f in fired)])
    sorting = np.lexsort((kinds, rows))  # stable, so that of one reason the first rule comes first
    kinds, rows, values = kinds[sorting], rows[sorting], values[sorting]
    first = np.ones(rows.size, bool)
    first[1:] = (rows[1:] != rows[:-1]) | (kinds[1:] != kinds[:-1])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=n))]).astype(np.int64)
    return offsets, kinds[first], values[first]
