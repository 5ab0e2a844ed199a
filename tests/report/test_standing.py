"""A report that would come out the same is not made again; one that would not, is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hand_run import hand_run, model_folder

from pipeline.engine import same_code
from pipeline.engine.manifest import MANIFEST
from pipeline.engine.run_folder import RunFiles
from pipeline.report import NUMBERS, PAGE, standing, write_report
from pipeline.report.brief import brief_of
from pipeline.report.standing import MADE_OF
from pipeline.sealed import sealed


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    return hand_run(tmp_path / "run")


@pytest.fixture
def root(run: RunFiles) -> Path:
    """Its folder, with a report."""
    write_report(run)
    return Path(run.store.root)


def test_a_report_stands_with_the_lines_that_it_began_with(run: RunFiles) -> None:
    assert standing.standing(run.store) is None
    numbers, _ = write_report(run)
    brief = standing.standing(run.store)
    assert brief == brief_of(numbers)
    assert {name: said for name, said, _ in brief.lines}["in"].startswith("9 documents")


@pytest.mark.parametrize("name", [PAGE, NUMBERS])
def test_a_page_or_numbers_that_changed_or_went_do_not_stand(run: RunFiles, root: Path, name: str) -> None:
    whole = (root / name).read_bytes()
    (root / name).write_bytes(whole.replace(b"9", b"8", 1))
    assert standing.standing(run.store) is None
    (root / name).write_bytes(whole)
    assert standing.standing(run.store) is not None
    (root / name).unlink()
    assert standing.standing(run.store) is None


def test_a_report_of_other_tables_does_not_stand(run: RunFiles, root: Path) -> None:
    manifest = json.loads((root / MANIFEST).read_bytes())
    manifest["stages"]["ledger"]["files"][0]["sha256"] = "0" * 64
    (root / MANIFEST).write_text(json.dumps(sealed(manifest)))
    assert standing.standing(run.store) is None


@pytest.mark.parametrize("file", ["report/shares.py", "report/page.css", "rules/sets/gopher.yaml", "reasons.py"])
def test_a_report_of_other_code_does_not_stand(
    run: RunFiles, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    copy = shutil.copytree(
        same_code._TOP / "pipeline", tmp_path / "code" / "pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        same_code._TOP / "tokenizer", tmp_path / "code" / "tokenizer", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(same_code, "_TOP", tmp_path / "code")
    same_code.code_hash.cache_clear()
    assert standing.standing(run.store) is not None
    (copy / file).write_bytes((copy / file).read_bytes() + b"\n")
    same_code.code_hash.cache_clear()
    assert standing.standing(run.store) is None
    monkeypatch.undo()
    same_code.code_hash.cache_clear()


def _renamed(package: Path) -> None:
    (package / "a.py").rename(package / "b.py")


@pytest.mark.parametrize("change", [
    lambda package: (package / "a.py").write_text("two"),
    lambda package: (package / "c.json").write_text("3"),
    lambda package: (package / "c.json").unlink(),
    _renamed,
])  # fmt: skip
def test_code_is_other_code_by_content_of_any_size_name_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    package = tmp_path / "pipeline"
    package.mkdir()
    (package / "a.py").write_text("one")
    (package / "c.json").write_text("2")
    monkeypatch.setattr(same_code, "_TOP", tmp_path)
    before = same_code.code_hash.__wrapped__()
    change(package)
    assert same_code.code_hash.__wrapped__() != before


def test_a_report_with_a_model_is_not_the_one_that_curating_writes(run: RunFiles, root: Path, tmp_path: Path) -> None:
    write_report(run, model=model_folder(tmp_path / "model", run))
    assert standing.standing(run.store) is None


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"files": [{"path": 1}]}'])
def test_a_damaged_note_is_none(run: RunFiles, root: Path, said: bytes) -> None:
    (root / MADE_OF).write_bytes(said)
    assert standing.standing(run.store) is None


def test_a_note_about_other_files_is_not_believed(run: RunFiles, root: Path) -> None:
    said = json.loads((root / MADE_OF).read_bytes())
    (root / MADE_OF).write_text(json.dumps({**said, "files": said["files"][:1]}))
    assert standing.standing(run.store) is None
    (root / MADE_OF).write_text(json.dumps({**said, "files": [{**said["files"][0], "path": "../x"}]}))
    assert standing.standing(run.store) is None
