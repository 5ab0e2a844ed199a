"""The small corpus and three runs of it: under its settings, under others, and of an input that has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from compared import DATA, made

from pipeline.engine.run_folder import RunFiles


def other_settings(text: str) -> str:
    """The small corpus under other limits of a rule and of near duplicates, with a rule less, another share."""
    text = text.replace("max_lines: 400", "max_lines: 90").replace("max_words: 600", "max_words: 900")
    text = text.replace("quality:\n", "quality:\n  without: [lock_file]\n")
    text = text.replace("near_dups:\n", "near_dups:\n  min_similarity: 0.9\n")
    text = text.replace("  drop_prose_languages: [fi]\n", "")
    return text + "balance: {code: {shares: {Python: 1, others: 1}}}\n"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small corpus, whose mixtures stand beside it."""
    folder = tmp_path_factory.mktemp("compared") / "data"
    shutil.copytree(DATA, folder)
    text = (DATA / "mixture.yaml").read_text(encoding="utf-8")
    (folder / "other.yaml").write_text(other_settings(text), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def a(corpus: Path) -> RunFiles:
    return made(corpus.parent / "a", corpus / "mixture.yaml")


@pytest.fixture(scope="session")
def b(corpus: Path) -> RunFiles:
    """The same input, other settings."""
    return made(corpus.parent / "b", corpus / "other.yaml")


@pytest.fixture(scope="session")
def grown(corpus: Path, a: RunFiles) -> RunFiles:
    """Other input: a file more, one less, one changed, one of which all rows have another place; on an object store."""
    folder = corpus.parent / "grown"
    shutil.copytree(corpus, folder)
    files = sorted(path for path in (folder / "code").rglob("*.py") if path.stat().st_size > 200)
    files[0].unlink()
    files[1].write_text(files[1].read_text(encoding="utf-8") + "\n\nLAST = 1\n", encoding="utf-8")
    (folder / "code/new.py").write_text(files[2].read_text(encoding="utf-8") + "\n\nNEW = 2\n", encoding="utf-8")
    (folder / "records.jsonl").rename(folder / "rows.jsonl")
    text = (folder / "mixture.yaml").read_text(encoding="utf-8").replace("records.jsonl", "rows.jsonl")
    (folder / "mixture.yaml").write_text(text, encoding="utf-8")
    return made(folder, folder / "mixture.yaml", root=f"memory://{folder.parent.name}-grown")
