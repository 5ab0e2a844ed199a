"""Runs that cannot be compared, or not by their bytes, say so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from compared import beside, call

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import SchemaError


def test_half_finished_and_strange_runs_are_one_clear_line(a: RunFiles, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(a.store.root, half)
    manifest = json.loads((half / "manifest.json").read_text())
    del manifest["stages"]["ledger"], manifest["seal"]
    (half / "manifest.json").write_text(json.dumps(manifest))
    (half / "state/manifest.json").unlink()
    for pair in ((a.store.root, half), (half, a.store.root)):
        result = call("compare", *pair)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert f"{half}/manifest.json: stages ['ledger'] are not done" in result.output
    (half / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    result = call("compare", a.store.root, half)
    assert result.exit_code == 1
    assert "has format 99" in result.output
    result = call("compare", a.store.root, tmp_path / "nothing")
    assert result.exit_code == 1
    assert "does not exist" in result.output


def test_a_ledger_of_another_version_is_named(a: RunFiles, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    shutil.copytree(a.store.root, tmp_path / "old")
    path = next((tmp_path / "old/tables/ledger").glob("*.parquet"))
    pq.write_table(pq.read_table(path).drop_columns(["n_packed_tokens"]), path)
    manifest = json.loads((tmp_path / "old/manifest.json").read_text())
    manifest["stages"]["ledger"]["files"][0]["sha256"] = "0" * 64
    del manifest["seal"]
    (tmp_path / "old/manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "old/state/manifest.json").unlink()
    with pytest.raises(SchemaError, match=r"old.*: another version of loopmix made it: .*n_packed_tokens"):
        beside(a, RunFiles(open_store(str(tmp_path / "old"))))


def test_documents_are_compared_by_size_when_texts_are_gone(a: RunFiles, grown: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "without")
    shutil.rmtree(tmp_path / "without/tables/documents")
    found = beside(RunFiles(open_store(str(tmp_path / "without"))), grown).documents
    assert found is not None
    assert not found.bytes_known
    assert found.counts["other_bytes"] == 1
    assert found.counts["moved"] == 0, "without bytes nothing can be found again at another place"
