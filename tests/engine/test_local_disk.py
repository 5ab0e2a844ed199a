"""The local disk against fsspec's file system of it, whose place it takes."""

from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline.engine import local_disk
from pipeline.engine.local_disk import LocalDisk, local_path


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


def listed(fs: LocalDisk | LocalFileSystem, folder: Path) -> list[tuple[str, str, int]]:
    """Sizes of files only: that of a link is nobody's business."""
    found = fs.ls(str(folder), detail=True)
    return sorted((e["name"], e["type"], e["size"] if e["type"] == "file" else 0) for e in found)


def test_a_folder_lists_what_fsspec_lists(tree: Path) -> None:
    assert listed(LocalDisk(), tree) == listed(LocalFileSystem(), tree)
    assert {kind for _, kind, _ in listed(LocalDisk(), tree)} == {"file", "directory", "other"}


def test_what_goes_while_its_folder_is_listed_is_left_out(tree: Path) -> None:
    """The system hands out names by the many, so a name may come when its file is gone."""
    found = local_disk._entries(str(tree))
    first = next(found)["name"]
    for path in tree.iterdir():
        if str(path) != first and (path.is_symlink() or path.is_file()):
            path.unlink()
    assert {e["name"] for e in found} == {str(p) for p in tree.iterdir()} - {first}


def test_files_are_read_and_asked_for_alike(tree: Path) -> None:
    ours, theirs = LocalDisk(), LocalFileSystem()
    for name in ("file", "deep", "to_file", "to_folder", "to_nothing", "no"):
        assert ours.exists(str(tree / name)) == theirs.exists(str(tree / name))
    for name in ("file", "to_file", ".hidden"):
        assert ours.size(str(tree / name)) == theirs.size(str(tree / name))
        assert ours.cat_file(str(tree / name)) == theirs.cat_file(str(tree / name))
        with ours.open(str(tree / name), "rb") as file:
            assert file.read() == theirs.cat_file(str(tree / name))


@pytest.mark.parametrize("name", ["file", "deep", "to_file", "to_nothing"])
def test_what_is_removed_is_gone_and_nothing_else(tree: Path, name: str) -> None:
    before = {p.name for p in tree.iterdir()}
    LocalDisk().rm(str(tree / name), recursive=True)
    assert {p.name for p in tree.iterdir()} == before - {name}


def test_a_link_to_a_folder_takes_no_folder_with_it(tree: Path) -> None:
    with pytest.raises(OSError, match="symbolic link"):
        LocalDisk().rm(str(tree / "to_folder"), recursive=True)
    assert (tree / "deep/file").exists()


def test_what_is_not_there_is_an_error_of_the_same_kind(tree: Path) -> None:
    missing = str(tree / "no")
    for fs in (LocalDisk(), LocalFileSystem()):
        for ask in (lambda f: f.ls(missing, detail=True), lambda f: f.size(missing), lambda f: f.cat_file(missing),
                    lambda f: f.rm(missing, recursive=True), lambda f: f.open(missing, "rb")):  # fmt: skip
            with pytest.raises(FileNotFoundError):
                ask(fs)


def test_places_have_the_names_that_fsspec_gives_them(tmp_path: Path) -> None:
    for root in ("/a/b", "/a/b/", "file:///a/b", "a/b", "~/a", "/a/../b"):
        assert local_path(root) == LocalFileSystem._strip_protocol(root)
