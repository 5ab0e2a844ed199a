"""Copies that meet are found from the stream alone; what the plan says of it is believed for the number of copies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.phased import Phased
from pipeline.reading.verify_epochs import PoolPlan, epochs_hold
from pipeline.reading.work import working
from pipeline.schema import BALANCE, FORMS, LANGUAGES, Table, packed_schema

SEQ = 64


def planted(
    folder: Path,
    stream: Sequence[Sequence[int]],
    *,
    first: int = 2,
    repo: int | None = None,
    copies: int = 2,
    batch: int | None = None,
) -> Any:
    """A run of which only plan and stream are there: `stream` names the documents of each sequence."""
    store, half = open_store(str(folder)), len(stream) // 2
    ids = [hashlib.md5(b"%d" % doc).hexdigest() for doc in range(1 + max(doc for row in stream for doc in row))]
    plan = [{"doc_id": i, "n_tokens": 2, "n_copies": copies, "cut_tokens": 0, "over_cap": None} for i in ids]
    plan[0]["n_tokens"] = first
    tables = Tables(store, 1)
    tables.write(BALANCE, 0, data=pa.Table.from_pylist(plan, schema=BALANCE.schema))
    pools = [blank_of(LANGUAGES) | {"pool": "code"} for _ in ids]
    tables.write(LANGUAGES, 0, data=pa.Table.from_pylist(pools, schema=LANGUAGES.schema))
    if repo is not None:  # all are files of its first part, or of none
        place, of = (None, None) if repo < 0 else (0, repo)
        forms = [blank_of(FORMS) | {"repo_place": place, "repo_part": of} for _ in ids]
        tables.write(FORMS, 0, data=pa.Table.from_pylist(forms, schema=FORMS.schema))
    schema, files = packed_schema(SEQ, joined=repo is not None), []
    for number, part in enumerate((stream[:half], stream[half:])):
        rows = [
            {
                "token_ids": [0] * SEQ,
                "n_real": 2 * len(docs),
                "cu_seqlens": [2 * i for i in range(len(docs) + 1)],
                "piece_bounds": [2 * i for i in range(len(docs) + 1)],
                "doc_ids": [ids[doc] for doc in docs],
                "doc_offsets": [0] * len(docs),
                "pool": "code",
                "groups": ["C"] * len(docs),
            }
            for docs in part
        ]
        batch_of = pa.RecordBatch.from_pylist(rows, schema=schema)
        files.append(store.write_ipc(f"packed/{number}.arrow", [batch_of], schema=schema))
    counts = {"n_pieces": sum(len(docs) for docs in stream), "n_docs": len(ids)}
    stages = {"packed": {"counts": counts}, "documents": {"counts": counts}}
    phases = (Phased(None, "", "packed", SEQ, 1, 1, batch, None),)
    return SimpleNamespace(
        phases=phases,
        store=store,
        tables=tables,
        n_shards=1,
        joined=repo is not None,
        manifest={"stages": stages},
        files=lambda _: iter(files),
    )


def hold(folder: Path, stream: Sequence[Sequence[int]], *, sizes: dict[str, int] | None = None, **more: Any) -> Any:
    with working(**(sizes or {})) as work:
        return epochs_hold(planted(folder, stream, **more), work)


def blank_of(table: Table) -> dict[str, Any]:
    """Null in each column, or something where it must not be null."""
    return {f.name: None if f.nullable else {"string": "", "bool": False}.get(str(f.type), 0) for f in table.schema}


EPOCH = [[2 * i, 2 * i + 1] for i in range(20)]
LARGE = [[2 * i, 2 * i + 1] for i in range(40)]  # worth 80 documents


def test_whole_epochs_after_each_other_hold(tmp_path: Path) -> None:
    kept, said = hold(tmp_path, EPOCH + EPOCH)
    assert kept
    assert said == "40 documents stand up to 2 times; copies are at least 1.00 of an epoch apart"


def test_a_stream_without_copies_says_so(tmp_path: Path) -> None:
    assert hold(tmp_path, EPOCH, copies=1) == (True, "no document stands in the stream twice")


@pytest.mark.parametrize("sizes", [{}, {"rows_per_part": 7, "rows_per_task": 1}])
def test_two_copies_in_one_sequence_are_found(tmp_path: Path, sizes: dict[str, int]) -> None:
    kept, said = hold(tmp_path, [*EPOCH[:-1], [38, 39, 0], *EPOCH[1:], [1, 1]], sizes=sizes)
    assert not kept
    assert said.startswith("1 times two copies stand in one sequence; 40 documents")


def test_copies_nearer_than_half_an_epoch_are_found_but_where_an_epoch_is_a_few_documents(tmp_path: Path) -> None:
    kept, said = hold(tmp_path / "many", LARGE[::-1] + LARGE)
    assert not kept
    assert "two copies are less than half an epoch apart" in said
    kept, said = hold(tmp_path / "few", EPOCH[::-1] + EPOCH)
    assert kept
    assert said.endswith("apart, as one is worth no more than 40 documents of equal length")
    kept, said = hold(tmp_path / "large", LARGE[::-1] + LARGE, first=20)  # 79 of 2 tokens, one of 20
    assert kept
    assert said.endswith("apart, as one is worth no more than 44 documents of equal length")


def test_files_that_lie_together_are_one_document_to_an_epoch(tmp_path: Path) -> None:
    kept, said = hold(tmp_path / "together", LARGE[::-1] + LARGE, repo=2**64 - 1)
    assert kept
    assert said.endswith("apart, as one is worth no more than 1 documents of equal length")
    kept, said = hold(tmp_path / "alone", LARGE[::-1] + LARGE, repo=-1)
    assert not kept
    assert "two copies are less than half an epoch apart" in said


def test_what_an_epoch_is_worth_when_counted_by_hand() -> None:
    plans = [PoolPlan(3, 2, 3 * 10 + 2 * 4, 3 * 10.0**2 + 2 * 4.0**2), PoolPlan(1, 0, 6, 36.0)]
    assert sum(plans, PoolPlan()).worth == (30 + 8 + 6) ** 2 / (3 * (300 + 32 + 36))
    assert PoolPlan().worth == float("inf")


def test_copies_in_one_global_batch_are_found(tmp_path: Path) -> None:
    assert hold(tmp_path, EPOCH + EPOCH, batch=20)[0]
    assert hold(tmp_path, EPOCH + EPOCH, batch=40) == (
        False,
        "40 times two copies stand in one global batch of 40 sequences; 40 documents stand up to 2 times; copies are "
        "at least 1.00 of an epoch apart",
    )
