"""Tokens whose equal or near duplicate was judged more strictly, counted on runs of a few rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.work import working
from pipeline.report.numbers import StricterCopies
from pipeline.report.stricter import stricter_of


class Rows:
    """What `stricter_of` reads of a run: two documents a shard."""

    def __init__(self, shards: list[list[dict[str, Any]]], pairs: list[tuple[int, int]]) -> None:
        self.all, self.pairs, self.n_shards = shards, pairs, len(shards)
        counts = {"documents": {"n_docs": sum(map(len, shards))}, "near_dups": {"n_pairs": len(pairs)}}
        self.manifest = {"stages": {name: {"counts": of} for name, of in counts.items()}}
        self.tables, self.store = SimpleNamespace(read=self.read), SimpleNamespace(read_parquet=self.near_dups)

    def files(self, stage: str) -> list[Any]:
        return [SimpleNamespace(path=stage)]

    def near_dups(self, path: str, **_: Any) -> pa.Table:
        left, right = ([p[i] for p in self.pairs] for i in (0, 1))
        return pa.table({"position": pa.array(left, pa.uint64()), "other_position": pa.array(right, pa.uint64())})

    def read(self, table: Any, shard: int, *, columns: list[str]) -> pa.Table:
        types = {"group_position": pa.uint64(), "group_size": pa.int64(), "license": pa.string(),
                 "reasons": pa.list_(pa.string()), "n_packed_tokens": pa.int64()}  # fmt: skip
        rows = self.all[shard]
        return pa.table({n: pa.array([r[n] for r in rows], t) for n, t in types.items() if n in columns})


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
    with working() as work:
        assert stricter_of(run, work) == StricterCopies(*expected)
