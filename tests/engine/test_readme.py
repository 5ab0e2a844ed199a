"""RUN/README.md: a finished run loads by its folder, and what a person wrote there stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from export.export_runs import Truth, export_run

from pipeline.engine.belonging import erase
from pipeline.engine.manifest import forget_others, read_manifest
from pipeline.engine.readme import README, drop_readme, put_readme
from pipeline.engine.store import FileEntry, Store
from pipeline.sealed import sealed


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    made = export_run(tmp_path / "run")
    put_readme(made.run.store)
    return made


def entry(truth: Truth) -> Any:
    return read_manifest(truth.run.store)["readme"]


def test_a_finished_run_loads_by_its_folder(truth: Truth, tmp_path: Path) -> None:
    """A shard without rows is among the others."""
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(tmp_path / "run"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.to_list() == truth.rows


def test_a_run_that_stands_is_not_written_again(truth: Truth, tmp_path: Path) -> None:
    files = (tmp_path / "run" / README, tmp_path / "run/manifest.json")
    before = [(p.stat().st_ino, p.read_bytes()) for p in files]
    put_readme(truth.run.store)
    assert before == [(p.stat().st_ino, p.read_bytes()) for p in files]


def test_it_follows_the_run_and_comes_back(truth: Truth, tmp_path: Path) -> None:
    path = tmp_path / "run" / README
    first = path.read_text()
    assert "sequences of 16 token ids" in first
    path.unlink()
    put_readme(truth.run.store)
    assert path.read_text() == first
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    manifest["mixture"]["pack"]["seq_len"] = 4096
    (tmp_path / "run/manifest.json").write_text(json.dumps(sealed(manifest)))
    put_readme(truth.run.store)
    assert "sequences of 4,096 token ids" in path.read_text()


def test_what_a_person_wrote_stays(truth: Truth, tmp_path: Path) -> None:
    path = tmp_path / "run" / README
    path.write_text(path.read_text() + "mine\n")
    drop_readme(truth.run.store)
    put_readme(truth.run.store)
    assert path.read_text().endswith("mine\n")
    erase(truth.run.store)
    assert path.read_text().endswith("mine\n")


def test_a_stranger_is_not_replaced_by_the_first_one(tmp_path: Path) -> None:
    made = export_run(tmp_path / "run")
    (tmp_path / "run" / README).write_text("mine")
    put_readme(made.run.store)
    assert (tmp_path / "run" / README).read_text() == "mine"
    assert "readme" not in read_manifest(made.run.store)


def test_it_goes_with_its_run(truth: Truth, tmp_path: Path) -> None:
    erase(truth.run.store)
    assert list((tmp_path / "run").iterdir()) == []


def test_an_unfinished_run_gets_none(truth: Truth, tmp_path: Path) -> None:
    (tmp_path / "run" / README).unlink()
    forget_others(truth.run.store, {})
    put_readme(truth.run.store)
    assert not (tmp_path / "run" / README).exists()


def test_a_stop_before_the_file_leaves_it_to_the_next_start(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one must not be taken for a person's then."""
    manifest = read_manifest(truth.run.store)
    manifest["mixture"]["pack"]["seq_len"] = 4096
    (tmp_path / "run/manifest.json").write_text(json.dumps(sealed(manifest)))
    write = Store.write_bytes

    def stopping(store: Store, path: str, *arguments: Any, **options: Any) -> FileEntry:
        if path == README:
            raise KeyboardInterrupt
        return write(store, path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_bytes", stopping)
        with pytest.raises(KeyboardInterrupt):
            put_readme(truth.run.store)
    put_readme(truth.run.store)
    assert "sequences of 4,096 token ids" in (tmp_path / "run" / README).read_text()
