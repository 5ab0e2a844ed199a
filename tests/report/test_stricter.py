"""Tokens whose equal or near duplicate was judged more strictly, counted on runs of a few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine.run_folder import RunFiles
from pipeline.report.numbers import StricterCopies
from pipeline.report.stricter import stricter_of


class Rows:
    """What `stricter_of` reads of a run: two documents a shard."""

    def __init__(self, shards: list[list[dict[str, Any]]], pairs: list[tuple[int, int]]) -> None:
        self.all, self.pairs = shards, pairs

    def near_dups(self) -> pa.Table:
        left, right = ([p[i] for p in self.pairs] for i in (0, 1))
        return pa.table({"position": pa.array(left, pa.uint64()), "other_position": pa.array(right, pa.uint64())})

    def shards(self, table: Any, *, columns: Any = None) -> list[pa.Table]:
        types = {"group_position": pa.uint64(), "group_size": pa.int64(), "license": pa.string(),
                 "reasons": pa.list_(pa.string()), "n_packed_tokens": pa.int64()}  # fmt: skip
        return [pa.table({n: pa.array([r[n] for r in rows], t) for n, t in types.items()}) for rows in self.all]


def doc(at: int, license_id: str | None, n: int = 0, *, reasons: tuple[str, ...] = (), size: int = 1) -> dict[str, Any]:
    return {
        "group_position": at,
        "group_size": size,
        "license": license_id,
        "reasons": list(reasons),
        "n_packed_tokens": n,
    }


FAR = 1 << 32  # the first position of shard 1


@pytest.mark.parametrize(
    ("shards", "pairs", "expected"),
    [
        # a permissive document near to a copyleft one that was dropped for it, and one near to nothing
        (
            [[doc(0, "MIT", 10), doc(1, "MIT", 5)], [doc(FAR, "GPL-2.0", reasons=("near_duplicate",))]],
            [(0, FAR)],
            (1, 10),
        ),
        # unlabelled, and near to one that the mixture shut out, whatever its licence
        ([[doc(0, None, 7), doc(1, "MIT", reasons=("contaminated",))]], [(0, 1)], (1, 7)),
        # a stricter equal, and a near one of it
        ([[doc(0, None, 7, size=2), doc(0, "GPL-3.0", size=2)], [doc(FAR, "MIT", 2)]], [(0, FAR)], (2, 9)),
        # an unknown licence is not stricter, the same class is not, a document outside the mixture is not counted
        ([[doc(0, "MIT", 7), doc(1, None)]], [(0, 1)], (0, 0)),
        ([[doc(0, "GPL-2.0", 7), doc(1, "LGPL-2.1")]], [(0, 1)], (0, 0)),
        ([[doc(0, "MIT", 0), doc(1, "GPL-2.0", 4)]], [(0, 1)], (0, 0)),
        ([[doc(0, "MIT", 3)]], [], (0, 0)),
    ],
)
def test_what_resembles_a_stricter_document_is_counted(
    tmp_path: Path, shards: Any, pairs: Any, expected: tuple[int, int]
) -> None:
    run: RunFiles = Rows(shards, pairs)  # type: ignore[assignment]
    assert stricter_of(run) == StricterCopies(*expected)
