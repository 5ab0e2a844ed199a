"""Names that are no UTF-8: what quotes one can be written and read back; no run lies under one."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import make_run, run_stage

from pipeline.api.started import started
from pipeline.config import Mixture, Source
from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError, StoreError
from pipeline.request.load import load_mixture
from pipeline.schema import DOCUMENTS
from pipeline.sources import plan_slices
from pipeline.sources.documents import Inputs, ingest

BAD = os.fsdecode(b"ru\xf3n")


def test_a_bad_checkout_that_names_no_utf8_leaves_a_manifest_that_can_be_read(tmp_path: Path) -> None:
    for name in ("bad", "sound"):
        folder = tmp_path / "in" / name
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        (folder / "a.py").write_text("a = 1\n", encoding="utf-8")
        git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "a"], check=True)
    (tmp_path / "in" / "bad" / ".git" / "HEAD").write_bytes(b"ref: refs/head\xf3/main\n")
    source = Source(name="s", kind="git", path=str(tmp_path / "in"))
    slices = tuple(plan_slices(source, shard_bytes=1 << 20))
    config = Inputs(sources=(source,), max_document_bytes=1_000, min_encoding_confidence=0.7, slices=slices)
    run = replace(make_run(tmp_path / "run", sources=(source,)), on_bad_shard="skip")
    for _ in range(2):  # the second goes on from the markers of the first
        run_stage(run, DOCUMENTS.name, ingest, config=config, n_shards=len(slices))
        (problem,) = read_manifest(run.store)["stages"]["documents"]["problems"].values()
        assert r"HEAD names refs/head\udcf3/main, which is not there" in problem


def test_a_mixture_in_such_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / BAD).mkdir()
    mixture = tmp_path / BAD / "mix.yaml"
    mixture.write_text("name: m\nsources: [{name: s, kind: directory, path: .}]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a byte of this folder's name is no UTF-8; rename it"):
        load_mixture(mixture)


def test_a_run_in_such_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a byte of this name is no UTF-8"):
        open_store(str(tmp_path / BAD))
    assert not (tmp_path / BAD).exists()


def test_the_command_that_a_log_keeps_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["loopmix", "curate", BAD, "s3://key:secret@host/out"])
    said = started(Mixture(name="m", sources=(Source(name="s", kind="git", path=str(tmp_path)),)), file=b"\xf3")
    assert said["command"] == ["loopmix", "curate", r"ru\udcf3n", "s3://...@host/out"]
    json.dumps(said, ensure_ascii=False).encode("utf-8")
