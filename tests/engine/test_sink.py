"""A file is there when it is whole, and lasts from then on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipeline.engine.sink import HashingFile, write_local
from pipeline.engine.store import open_store


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_write_that_ends_early_leaves_what_stood_and_nothing_beside_it(
    tmp_path: Path, error: type[BaseException]
) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def fill(file: HashingFile) -> None:
        file.write(b"half")
        assert (tmp_path / "file").read_bytes() == b"old"
        raise error

    with pytest.raises(error):
        write_local(tmp_path / "file", fill)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"old"}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is made to last, in order: a file of so many bytes, a name, the names in a folder."""
    taken: list[str] = []
    replace = Path.replace

    def fsync(handle: int) -> None:
        found = os.fstat(handle)
        taken.append("folder" if stat.S_ISDIR(found.st_mode) else f"{found.st_size} bytes")

    def named(self: Path, target: Path) -> Path:
        taken.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", named)
    return taken


def test_bytes_last_before_their_name_does(tmp_path: Path, steps: list[str]) -> None:
    write_local(tmp_path / "file", lambda file: file.write(b"12345"))
    assert steps == ["5 bytes", "name", "folder"]


def test_a_file_that_is_renamed_has_its_name_for_good(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"x")
    open_store(str(tmp_path)).rename("file", "folder/other")
    assert steps == ["name", "folder"]
    assert (tmp_path / "folder/other").read_bytes() == b"x"
