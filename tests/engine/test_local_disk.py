"""The local disk against fsspec's file system of it, whose place it takes."""

import os
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline.engine.disk import Entries
from pipeline.engine.local_disk import LocalDisk, local_path
from pipeline.engine.store import open_store
from pipeline.errors import StoreError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/deep/file").write_bytes(b"abc")
    (tmp_path / "folder/file").write_bytes(b"12345")
    (tmp_path / "folder/.hidden").write_bytes(b"")
    (tmp_path / "folder/to_file").symlink_to(tmp_path / "folder/file")
    (tmp_path / "folder/to_folder").symlink_to(tmp_path / "folder/deep")
    (tmp_path / "folder/to_nothing").symlink_to(tmp_path / "nothing")
    return tmp_path / "folder"


def test_a_folder_lists_files_and_folders_and_no_links(tree: Path) -> None:
    theirs = {Path(e["name"]).name: (e["type"], e["size"]) for e in LocalFileSystem().ls(str(tree), detail=True)}
    found = LocalDisk(str(tree)).entries("")
    assert found.files == {".hidden": 0, "file": 5} == {n: size for n, (k, size) in theirs.items() if k == "file"}
    assert found.folders == ["deep"] == [name for name, (kind, _) in theirs.items() if kind == "directory"]
    assert LocalDisk(str(tree.parent)).sizes("folder") == {"folder/.hidden": 0, "folder/file": 5, "folder/deep/file": 3}


def test_what_goes_while_its_folder_is_listed_is_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system hands out names by the many, so a name may come when its file is gone."""
    scan = os.scandir

    def late(folder: str) -> Any:
        found = list(scan(folder))
        (tree / "file").unlink()
        return nullcontext(found)

    monkeypatch.setattr(os, "scandir", late)
    assert LocalDisk(str(tree)).entries("").files == {".hidden": 0}


def test_files_are_read_and_asked_for_alike(tree: Path) -> None:
    ours, theirs = LocalDisk(str(tree)), LocalFileSystem()
    for name in ("file", "deep", "to_file", "to_folder", "to_nothing", "no"):
        assert ours.exists(name) == theirs.exists(str(tree / name))
    for name in ("file", "to_file", ".hidden"):
        assert ours.size(name) == theirs.size(str(tree / name))
        assert ours.read(name) == theirs.cat_file(str(tree / name))
    assert ours.read_many(["file", "no", "deep/file"]) == {"file": b"12345", "deep/file": b"abc"}


@pytest.mark.parametrize("name", ["file", "deep", "to_file", "to_nothing"])
def test_what_is_removed_is_gone_and_nothing_else(tree: Path, name: str) -> None:
    before = {p.name for p in tree.iterdir()}
    LocalDisk(str(tree)).remove(name)
    LocalDisk(str(tree)).remove(name)
    assert {p.name for p in tree.iterdir()} == before - {name}


def test_a_link_to_a_folder_takes_no_folder_with_it(tree: Path) -> None:
    LocalDisk(str(tree)).remove("to_folder")
    assert not (tree / "to_folder").is_symlink()
    assert (tree / "deep/file").exists()


def test_what_is_not_there_is_an_error_of_the_same_kind(tree: Path) -> None:
    for ask in (LocalDisk.size, LocalDisk.read, LocalDisk.open, partial(LocalDisk.sha256, n_bytes=1)):
        with pytest.raises(FileNotFoundError):
            ask(LocalDisk(str(tree)), "no")
    assert LocalDisk(str(tree)).entries("no") == Entries({}, [])


def test_places_have_the_names_that_fsspec_gives_them(tmp_path: Path) -> None:
    for root in ("/a/b", "/a/b/", "file:///a/b", "a/b", "~/a", "/a/../b"):
        assert local_path(root) == LocalFileSystem._strip_protocol(root)


@pytest.mark.parametrize("linked", ["report", "report/samples"])
def test_a_report_is_written_through_no_link_into_what_is_anybody_s(tmp_path: Path, linked: str) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run" / linked).parent.mkdir(parents=True)
    (tmp_path / "run" / linked).symlink_to(tmp_path / "theirs")
    store = open_store(str(tmp_path / "run"))
    with pytest.raises(StoreError, match=rf"{linked} is a link, .*; remove what stands in its place"):
        store.write_bytes(f"{linked}/index.html", b"mine")
    assert list((tmp_path / "theirs").iterdir()) == []
    (tmp_path / "run" / linked).unlink()
    store.write_bytes(f"{linked}/index.html", b"mine")
    assert (tmp_path / "run" / linked / "index.html").read_bytes() == b"mine"


def test_a_run_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    open_store(str(tmp_path / "run")).write_bytes("report/index.html", b"mine")
    assert (tmp_path / "disk/report/index.html").read_bytes() == b"mine"
