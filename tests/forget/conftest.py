"""One run, made once; each test takes back from a copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from forget_runs import mixture_in, work, write_sources


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sources, with the run in `run`."""
    folder = tmp_path_factory.mktemp("forget")
    write_sources(folder)
    work(folder / "run", mixture_in(folder))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, which a test may change."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"
