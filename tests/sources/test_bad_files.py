"""With bad shards skipped, a bad file costs no other that happens to share its shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from handmade import make_run, run_stage

from pipeline.config import Source
from pipeline.engine.manifest import read_manifest
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError
from pipeline.schema import DOCUMENTS
from pipeline.sources import plan_slices
from pipeline.sources.documents import Inputs, ingest


def test_bad_files_of_a_shard_are_skipped_alone(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "c", "e"):
        (folder / f"{name}.jsonl").write_bytes(b'{"content": "%b"}\n' % name.encode())
    (folder / "b.jsonl").write_bytes(b"content,path\nx,y\n")
    (folder / "d.jsonl").write_bytes(b"")
    source = Source(name="s", kind="jsonl", path=str(folder))
    slices = plan_slices(source, shard_bytes=1 << 20)
    assert len(slices) == 1
    config = Inputs(sources=(source,), max_document_bytes=1_000, min_encoding_confidence=0.7, slices=tuple(slices))
    run = make_run(tmp_path / "run", sources=(source,))
    with pytest.raises(LoopmixError, match=r"b\.jsonl: none of its.*it looks like CSV.*--on-bad-shard skip"):
        run_stage(run, DOCUMENTS.name, ingest, config=config, n_shards=1)
    run = replace(run, on_bad_shard="skip")
    run_stage(run, DOCUMENTS.name, ingest, config=config, n_shards=1)
    table = Tables(run.store, 1).read(DOCUMENTS, 0)
    assert table["content"].to_pylist() == [b"a", b"c", b"e"]
    problem = read_manifest(run.store)["stages"]["documents"]["problems"]["0"]
    assert "b.jsonl: none of its first 2 rows gives a document; it looks like CSV" in problem
    assert "d.jsonl: holds no row" in problem
    assert problem.endswith("(3 other files of this shard were read)")
