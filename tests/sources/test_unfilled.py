"""Documents of files without a mapped column are counted field by field, and the report says how many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hand_run import hand_run
from handmade import make_run, run_stage

from pipeline.config import Mixture, Source
from pipeline.engine.manifest import read_manifest
from pipeline.report.compute import compute
from pipeline.report.count_sources import unfilled_fields
from pipeline.report.notices import notices_of
from pipeline.report.numbers import UnfilledField
from pipeline.schema import DOCUMENTS
from pipeline.sources import plan_slices
from pipeline.sources.documents import ingest, inputs_of

Row = dict[str, Any]
ROW: Row = {"content": "x = 1\n", "where": "a.py", "license": "MIT", "lang": "Python"}
COLUMNS = {"content": "content", "path": "where", "license": "license", "language": "lang"}


def counted(folder: Path, source: Source) -> tuple[dict[str, int], tuple[UnfilledField, ...]]:
    """What the manifest counts of fields that are not filled, and what the report makes of it."""
    slices = plan_slices(source, shard_bytes=1 << 20)
    run = make_run(folder / "run", sources=(source,))
    config = inputs_of(Mixture(name="m", sources=(source,)), slices)
    run_stage(run, DOCUMENTS.name, ingest, config=config, n_shards=len(slices))
    manifest = read_manifest(run.store)
    counts = manifest["stages"]["documents"]["counts"]
    read: Any = SimpleNamespace(manifest=manifest)  # a run whose other stages are not asked for
    return {name: n for name, n in counts.items() if "unfilled" in name}, unfilled_fields(read)


def source_of(folder: Path, kind: str, **more: Any) -> Source:
    return Source(**({"name": "it", "kind": kind, "path": str(folder / "in"), "columns": COLUMNS} | more))


def test_documents_of_files_without_a_column_are_counted_by_field(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    bare = {"content": "y = 2\n", "lang": "Python"}
    empty = {"content": "", "lang": "Python"}
    for name, rows in {
        "a": [ROW] * 4,
        "b": [bare] * 3,
        "c": [ROW, ROW | {"license": None}],
        "d": [bare, empty],
    }.items():
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / f"{name}.parquet")
    counts, found = counted(tmp_path, source_of(tmp_path, "parquet"))
    assert counts == {"n_unfilled_path it": 4, "n_unfilled_license it": 4}  # of `empty` nothing is asked
    assert found == (UnfilledField("it", "license", 4), UnfilledField("it", "path", 4))


def test_what_the_source_states_and_what_is_lost_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = {"a": [ROW], "b": [{"content": "y = 2\n", "where": {"odd": 1}, "lang": None}] * 3}
    for name, lines in rows.items():
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    counts, _ = counted(tmp_path, source_of(tmp_path, "jsonl", license="MIT"))
    assert counts == {"n_unfilled_language it": 3}


def test_the_report_says_how_many_documents_are_without_a_mapped_field(tmp_path: Path) -> None:
    numbers = replace(compute(hand_run(tmp_path)), unfilled_fields=())
    (name, n_docs), *_ = numbers.source_docs.items()

    def said(n: int) -> list[str]:
        many = replace(numbers, source_docs={name: 1_000}, unfilled_fields=(UnfilledField(name, "license", n),))
        return [one.message for one in notices_of(many).notices if "Mapped fields" in one.message]

    assert n_docs and said(10) == []
    assert said(11) == [
        f"Mapped fields that all documents of an input file are without: license of 11 of 1,000 in {name}."
    ]
