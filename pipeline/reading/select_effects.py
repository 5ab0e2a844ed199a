"""What other settings of `select` shut out of a finished run, by the functions that the stage uses.

Judged anew is what differs from the run's own settings. A licence holds for all documents of equal bytes, which may
stand in any shard, so licences are read first. What holds for a document since another has equal words is left as the
run decided it: only a new run finds such pairs again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns
from pipeline.config import Select
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reasons import SETTINGS
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, QUALITY
from pipeline.select.licenses import UNKNOWN
from pipeline.select.shut_out import asks_prose_language, license_classes, may_enter, shut_out

_SECTION = "select."
_GROUP = ["group_position", "group_size"]
# Settings that `shut_out` judges by, with the reason that each decides.
COUNTED = {s.key: s.reason for s in SETTINGS if s.key and s.key.startswith(_SECTION)} | {
    "select.license_of_equals": "dropped_license"
}


_Measured = tuple[pa.Table, pa.Table, pa.Table | None]  # of a shard, what `shut_out` looks at


@dataclass(frozen=True)
class _Judge:
    """One mixture's settings; `shared` are the groups of equal bytes that a licence shuts out as a whole, int64 [n]."""

    config: Select
    shared: np.ndarray

    def masks(self, measured: _Measured, group: np.ndarray) -> dict[str, np.ndarray]:
        """By reason whom it drops of a shard, bool [n]; `group` as in `ShutOut.of`."""
        masks = shut_out(*measured, self.config)
        if self.shared.size:
            masks["dropped_license"] = masks["dropped_license"] | np.isin(group, self.shared)
        return masks


@dataclass(frozen=True)
class ShutOut:
    """What is judged anew of a run; no `reasons`: nothing."""

    reasons: tuple[str, ...]
    before: _Judge
    after: _Judge

    def of(
        self, tables: Tables, shard: int, decided: pa.ListArray, group: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """By reason whom the other settings shut out; and whom the run dropped for such a reason by another document.

        `decided` are the reasons of the run, from its ledger; `group` of each document is that of its equals, int64.
        """
        if not self.reasons:
            return {}, np.zeros(len(decided), bool)
        nobody = np.zeros(len(decided), bool)
        asks = any(asks_prose_language(judge.config) for judge in (self.before, self.after))
        measured = (
            tables.read(DOCUMENTS, shard, columns=["license", "problem"]),
            tables.read(LANGUAGES, shard, columns=["pool", "language", "group", "content_kind"]),
            tables.read(QUALITY, shard, columns=["prose_language"]) if asks else None,
        )
        before, after = self.before.masks(measured, group), self.after.masks(measured, group)
        shared, parents = nobody.copy(), np.asarray(pc.list_parent_indices(decided))
        for reason in self.reasons:
            has = nobody.copy()
            has[parents[np.asarray(pc.equal(decided.flatten(), reason))]] = True
            shared |= has & ~before.get(reason, nobody)
        return {reason: after[reason] for reason in self.reasons if reason in after}, shared


def shut_out_anew(run: RunFiles, select: Select) -> ShutOut:
    """What of `select` is other than in the run."""
    mine = run.mixture.select
    differ = {reason for key, reason in COUNTED.items() if _of(mine, key) != _of(select, key)}
    by_license = "dropped_license" in differ
    nothing = np.zeros(0, np.int64)
    before, after = (_Judge(one, _judged_groups(run, one) if by_license else nothing) for one in (mine, select))
    return ShutOut(tuple(sorted(differ)), before, after)


def _of(select: Select, key: str) -> object:
    value = getattr(select, key.removeprefix(_SECTION))
    return frozenset(value) if isinstance(value, tuple) else value


def _judged_groups(run: RunFiles, config: Select) -> np.ndarray:
    """Groups of equal documents of which one bears a licence that may not enter, and none frees the others."""
    judged, states = set[int](), set[int]()
    for shard in range(run.n_shards if config.drop_licenses else 0):
        licenses = run.tables.read(DOCUMENTS, shard, columns=["license"])["license"]
        enters = may_enter(licenses, config.drop_licenses)
        group, size = columns(run.tables.read(EXACT_DUPS, shard, columns=_GROUP), *_GROUP)
        group = group.astype(np.int64)
        speaks = (license_classes(licenses) != UNKNOWN) & (size > 1)
        judged |= set(group[speaks & ~enters].tolist())
        states |= set(group[speaks & enters].tolist())
    found = judged - states if config.license_of_equals == "freest" else judged
    return np.array(sorted(found), np.int64)
