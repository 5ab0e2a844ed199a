from pathlib import Path

import pytest
from handmade import ShuffledExecutor, digests, doc_id, documents, make_run, run_stage, write_documents

from pipeline.config import Partitioned
from pipeline.dedup.exact_dups import group_equal
from pipeline.engine.executor import InlineExecutor
from pipeline.schema import EXACT_DUPS

SHARDS = [["a", "b", "a"], [], ["c", "a", "b", "d"]]


def groups(folder: Path, *, n_partitions: int, executor: object) -> list[tuple[int, int, bool]]:
    run = make_run(folder, executor=executor)
    tables = write_documents(run, [documents(i, contents) for i, contents in enumerate(SHARDS)])
    run_stage(run, "exact_dups", group_equal, config=Partitioned(n_partitions=n_partitions), n_shards=3)
    rows = [row for shard in range(3) for row in tables.read(EXACT_DUPS, shard).to_pylist()]
    return [(r["group_position"], r["group_size"], r["is_first"]) for r in rows]


@pytest.mark.parametrize("n_partitions", [1, 3, 16])
def test_groups_are_named_by_their_first_document_by_id(tmp_path: Path, n_partitions: int) -> None:
    second = 2 << 32
    assert doc_id(0, 0) < min(doc_id(0, 2), doc_id(2, 1))  # "a": the first is where the input begins
    assert doc_id(2, 2) < doc_id(0, 1)  # "b": the first stands behind
    assert groups(tmp_path, n_partitions=n_partitions, executor=InlineExecutor()) == [
        (0, 3, True),
        (second + 2, 2, False),
        (0, 3, False),
        (second, 1, True),
        (0, 3, False),
        (second + 2, 2, True),
        (second + 3, 1, True),
    ]


def test_bytes_do_not_depend_on_the_order_of_work(tmp_path: Path) -> None:
    for name, executor in (("a", InlineExecutor()), ("b", ShuffledExecutor(1)), ("c", ShuffledExecutor(2))):
        groups(tmp_path / name, n_partitions=4, executor=executor)
    tables = [digests(tmp_path / name / "tables") for name in "abc"]
    assert tables[0] == tables[1] == tables[2]
    assert not (tmp_path / "a/work/exact_dups").exists()
