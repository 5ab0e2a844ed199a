"""What of two runs is the same and what is not, before any document is looked at: bytes, settings, input, stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from compared import beside

from pipeline.compare.page import render
from pipeline.compare.terminal import headline
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import StoreError
from pipeline.report.formats import exact


def test_no_difference_is_said_only_when_all_bytes_were_hashed(a: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "copy")
    copy = RunFiles(open_store(str(tmp_path / "copy")))
    n_files = sum(len(stage["files"]) for stage in a.manifest["stages"].values()) + 1
    for other in (a, copy):
        found = beside(a, other)
        assert found.documents is None
        assert found.same is not None
        assert found.same.n_files == n_files
        assert headline(found).startswith(
            f"no difference: {n_files} files, {exact(found.same.n_bytes)} bytes were hashed"
        )
        assert "No difference" in render(found).decode()


def test_equal_manifests_are_no_proof_when_a_file_has_changed(a: RunFiles, tmp_path: Path) -> None:
    shutil.copytree(a.store.root, tmp_path / "copy")
    (packed,) = sorted((tmp_path / "copy/packed").glob("*.arrow"))[:1]
    data = bytearray(packed.read_bytes())
    data[-400] ^= 1
    packed.write_bytes(data)
    with pytest.raises(StoreError, match=r"copy: 1 of [\d,]+ files .* the first is packed/part-00000"):
        beside(a, RunFiles(open_store(str(tmp_path / "copy"))))


def test_settings_that_differ_are_all_named_with_both_values(a: RunFiles, b: RunFiles) -> None:
    changes = {change.key: (change.a, change.b) for change in beside(a, b).settings}
    assert changes == {
        "balance.code.shares.Python": (None, 1.0),
        "balance.code.shares.others": (None, 1.0),
        "near_dups.min_similarity": (0.7, 0.9),
        "quality.code.max_lines": (400, 90),
        "quality.text.max_words": (600, 900),
        "quality.without": (None, ["lock_file"]),
        "select.drop_prose_languages": (["fi"], None),
    }


def test_inputs_and_sources_that_differ_are_named(a: RunFiles, grown: RunFiles) -> None:
    found = beside(a, grown)
    assert found.inputs is not None
    assert (found.inputs.n_only_a, found.inputs.n_only_b) == (2, 2)  # a file each, and the records under another name
    assert any(name.endswith("code: new.py (B alone)") for name in found.inputs.named)
    (records,) = [change for change in found.settings if change.key.startswith("sources.records.")]
    assert records.key == "sources.records.path"


def test_stages_part_where_the_first_file_differs(a: RunFiles, b: RunFiles) -> None:
    stages = {stage.stage: stage for stage in beside(a, b).stages}
    for name in ("documents", "languages", "quality"):
        assert stages[name].n_equal == stages[name].n_files_a == a.n_shards
    assert stages["judged"].n_equal < a.n_shards
    assert stages["packed"].n_equal == 0
