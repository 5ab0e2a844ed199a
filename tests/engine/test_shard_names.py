"""Names of shards told by their form."""

from __future__ import annotations

from pipeline.engine.names import ShardNames
from pipeline.engine.store import part


def test_names_are_those_of_the_shards_and_no_other() -> None:
    names = ShardNames((("", 3, "parquet"), ("1-main", 2, "arrow")))
    every = {part(i, 3) for i in range(3)} | {f"1-main/{part(i, 2, suffix='arrow')}" for i in range(2)}
    assert all(name in names for name in every)
    strange = [
        part(3, 3),
        part(0, 2),
        part(0, 3, suffix="arrow"),
        part(0, 2, suffix="arrow"),
        f"1-main/{part(0, 3, suffix='arrow')}",
        f"2-main/{part(0, 2, suffix='arrow')}",
        f"x/{part(0, 3)}",
        f"{part(0, 3)}.tmp",
        f".{part(0, 3)}",
        "mine.parquet",
        "",
    ]
    assert [name for name in strange if name in names] == []
