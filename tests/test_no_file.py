"""Pipes and devices in the place of files: refused in one line, with the remedy, and never opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.config import Source
from pipeline.errors import ConfigError, no_file
from pipeline.filters import Scorer
from pipeline.quality.scorers import hash_of
from pipeline.sources.roots import locate

pytestmark = pytest.mark.usefixtures("limited")
SAID = "is a pipe and no file; save what it gives as a file, and name that"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize(
    "command",
    [
        "curate PIPE --out RUN",
        "config PIPE",
        "lint PIPE",
        "train PIPE --data RUN --out MODEL",
        "forget RUN --list PIPE",
    ],
)
def test_a_pipe_that_a_command_names_is_refused(command: str, pipe: Path, tmp_path: Path) -> None:
    words = [{"PIPE": str(pipe), "RUN": str(tmp_path / "run")}.get(word, word) for word in command.split()]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and done.output == f"loopmix: ConfigError: {pipe}: {SAID}\n"


def test_a_pipe_under_the_name_of_a_descriptor_is_one_too() -> None:
    read, write = os.pipe()
    try:
        assert no_file(Path(f"/dev/fd/{read}")) == SAID
    finally:
        os.close(read)
        os.close(write)


def test_a_file_a_folder_and_nothing_are_none_of_these_and_a_device_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert [no_file(tmp_path / name) for name in ("file", "nothing", ".", "n" * 9_999)] == [None] * 4
    assert str(no_file(Path("/dev/zero"))).startswith("is a device or socket and no file")


def test_a_pipe_that_a_mixture_names_is_refused(pipe: Path) -> None:
    for kind in ("directory", "jsonl", "parquet"):
        with pytest.raises(ConfigError, match=rf"^sources\.it\.path: {pipe} {SAID}$"):
            locate(Source(name="it", kind=kind, path=str(pipe)))
    with pytest.raises(ConfigError, match=rf"^quality\.scorers\.it: {pipe} {SAID}$"):
        hash_of(Scorer(name="it", kind="fasttext", path=str(pipe), label="a"))
