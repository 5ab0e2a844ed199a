"""Folders: what is walked, what is passed over, what happens when files are bad or change under our hands."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import InputFile, Slice, plan_slices, read_slice
from pipeline.sources.rows import document_id


def _source(path: Path | str, **more: Any) -> Source:
    return Source(name="here", kind="directory", path=str(path), **more)


def _fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_directory_gives_one_row_for_each_file_in_order_of_paths(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"b/z.py": b"z\n", "a.py": b"a\n", "b.txt": b"b\n", "b/.hidden": b"h\n"})
    rows = rows_of(_source(tmp_path, pool="code", license="MIT", repo="me/mine"))
    assert [row["path"] for row in rows] == ["a.py", "b.txt", "b/.hidden", "b/z.py"]
    first = rows[0]
    assert first["doc_id"] == document_id("here", input_file="a.py", input_row=0)
    assert (first["source"], first["repo"], first["license"], first["pool_hint"]) == ("here", "me/mine", "MIT", "code")
    assert (first["content"], first["n_bytes"], first["encoding"], first["problem"]) == (b"a\n", 2, "utf-8", None)
    assert (first["input_file"], first["input_row"], first["revision"], first["stars"]) == ("a.py", 0, None, None)


def test_directory_gives_the_same_rows_when_cut_and_moved(tmp_path: Path, rows_of: Any) -> None:
    files = {f"d{i % 3}/f{i}.py": b"x = %d\n" % i * 50 for i in range(40)}
    one, other = _fill(tmp_path / "one", files), _fill(tmp_path / "elsewhere" / "other", files)
    assert len(plan_slices(_source(one), shard_bytes=2_000)) > 5
    assert rows_of(_source(one), shard_bytes=2_000) == rows_of(_source(other), shard_bytes=10**9)


def test_slice_fits_into_a_plan_file(tmp_path: Path) -> None:
    _fill(tmp_path, {"a.py": b"a\n"})
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1024)
    plain = json.loads(json.dumps(asdict(piece)))
    assert Slice(**plain | {"files": tuple(InputFile(**file) for file in plain["files"])}) == piece


def test_directory_passes_over_version_control_links_and_special_files(tmp_path: Path, rows_of: Any) -> None:
    root = _fill(
        tmp_path / "root",
        {".git/config": b"x", ".hg/x": b"x", "__pycache__/x.pyc": b"x", "a/.git": b"gitdir: /", "a/real.py": b"1\n"},
    )
    outside = _fill(tmp_path / "outside", {"secret": b"secret", "more/secret": b"secret"})
    (root / "link.py").symlink_to(outside / "secret")
    (root / "inside.py").symlink_to(root / "a" / "real.py")
    (root / "folder").symlink_to(outside / "more", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(root / "pipe")
    assert [row["path"] for row in rows_of(_source(root))] == ["a/real.py"]


def test_directory_keeps_include_and_exclude(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"a.py": b"1", "a.c": b"1", "t/a.py": b"1", "vendor/x/a.py": b"1", "docs/a.md": b"1"})
    source = _source(tmp_path, include=("*.py", "docs/**"), exclude=("t/*", "vendor/**"))
    assert [row["path"] for row in rows_of(source)] == ["a.py", "docs/a.md"]


def test_directory_tells_names_apart_when_they_are_not_utf8(tmp_path: Path, rows_of: Any) -> None:
    for name in (b"caf\xe9.py", rb"caf\xe9.py", "café.py".encode(), b"new\nline.py"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    rows = rows_of(_source(tmp_path))
    assert {row["path"]: row["content"] for row in rows} == {
        r"caf\x5cxe9.py": rb"caf\xe9.py",
        r"caf\xe9.py": "café.py".encode("latin-1").decode("cp1252").encode(),
        "café.py": "café.py".encode(),
        "new\nline.py": b"new\nline.py",
    }


def test_directory_names_the_problem_when_a_file_is_no_document(tmp_path: Path, rows_of: Any) -> None:
    _fill(
        tmp_path,
        {"1empty": b"", "2blank": b" \n\t\n", "3wide": "\u3000\n".encode(), "4bin": b"\x7fELF\0\0", "5big": b"x" * 101},
    )
    rows = rows_of(_source(tmp_path), max_document_bytes=100)
    assert [(row["problem"], row["content"], row["encoding"], row["n_bytes"]) for row in rows] == [
        ("empty", b"", "utf-8", 0),
        ("empty", b" \n\t\n", "utf-8", 4),
        ("empty", "\u3000\n".encode(), "utf-8", 4),
        ("binary", b"", "binary", 0),
        ("too_large", b"", "unread", 0),
    ]


def test_document_is_too_large_when_decoding_makes_it_so(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"a.txt": "déjà créé ".encode("cp1252") * 10})
    (row,) = rows_of(_source(tmp_path), max_document_bytes=100)
    assert (row["problem"], row["encoding"], row["content"]) == ("too_large", "cp1252", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_directory_gives_a_row_when_a_file_may_not_be_read(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"a": b"a", "b": b"b"})
    (tmp_path / "a").chmod(0)
    assert [row["problem"] for row in rows_of(_source(tmp_path))] == ["unreadable_row", None]


def test_directory_gives_a_row_when_opening_fails(
    tmp_path: Path, rows_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("no")

    _fill(tmp_path, {"a": b"a"})
    monkeypatch.setattr("pipeline.sources.directory.open_below", refuse)
    assert [row["problem"] for row in rows_of(_source(tmp_path))] == ["unreadable_row"]


@pytest.mark.parametrize("change", ["grow", "touch", "remove", "link", "pipe"])
def test_directory_refuses_to_read_when_a_file_changed_since_planning(tmp_path: Path, change: str) -> None:
    root = _fill(tmp_path / "root", {"d/a.py": b"a\n"})
    outside = _fill(tmp_path / "outside", {"a.py": b"a\n"})
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    path = root / "d" / "a.py"
    if change == "grow":
        path.write_bytes(b"a\nb\n")
    elif change == "touch":
        os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    if change == "link":
        path.parent.rmdir()
        path.parent.symlink_to(outside, target_is_directory=True)
    elif change == "pipe":
        os.mkfifo(path)
    with pytest.raises(StoreError, match=r"d/a\.py.*run again"):
        read_slice(_source(root), piece, max_document_bytes=100)


@pytest.mark.parametrize("part", ["folder", "file"])
def test_directory_never_follows_a_link_that_was_swapped_in_even_to_an_equal_file(tmp_path: Path, part: str) -> None:
    root = _fill(tmp_path / "root", {"top/d/a.py": b"mine\n"})
    outside = _fill(tmp_path / "outside", {"a.py": b"them\n"})
    found = (root / "top" / "d" / "a.py").stat()
    os.utime(outside / "a.py", ns=(found.st_atime_ns, found.st_mtime_ns))
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    (root / "top" / "d").rename(tmp_path / "away")
    if part == "folder":
        (root / "top" / "d").symlink_to(outside, target_is_directory=True)
    else:
        (root / "top" / "d").mkdir()
        (root / "top" / "d" / "a.py").symlink_to(outside / "a.py")
    with pytest.raises(StoreError, match=r"d/a\.py: is gone or has become a link since planning"):
        read_slice(_source(root), piece, max_document_bytes=100)


def test_directory_refuses_a_pipe_that_looks_like_the_planned_file(tmp_path: Path) -> None:
    root = _fill(tmp_path / "root", {"a": b""})
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    found = (root / "a").stat()
    (root / "a").unlink()
    os.mkfifo(root / "a")
    os.utime(root / "a", ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(StoreError, match="run again"):
        read_slice(_source(root), piece, max_document_bytes=100)


def test_glob_does_not_open_folders_below_its_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path, {"a/1.py": b"1", "a/deep/2.py": b"2"})
    opened: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (opened.append(os.fsdecode(path)), scandir(path))[1])
    assert len(plan_slices(_source(tmp_path / "*" / "*.py"), shard_bytes=1024)) == 1
    assert [path.rstrip("/").rpartition("/")[2] for path in opened] == [tmp_path.name, "a"]


def test_directory_does_not_open_a_file_above_the_limit(tmp_path: Path) -> None:
    root = _fill(tmp_path / "root", {"a": b"x" * 101})
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    (root / "a").unlink()
    (row,) = read_slice(_source(root), piece, max_document_bytes=100).to_pylist()
    assert row["problem"] == "too_large"


def test_directory_refuses_a_file_that_grew_while_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _fill(tmp_path / "root", {"a": b"x"})
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    monkeypatch.setattr("pipeline.sources.directory.open_below", lambda *_, **__: io.BytesIO(b"xy"))
    with pytest.raises(StoreError, match="gave 2 bytes, planned were 1"):
        read_slice(_source(root), piece, max_document_bytes=100)


def test_planning_refuses_a_listed_name_that_leads_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe("/sources-out/a", b"a")
    listed = {"/sources-out/../secret": {"size": 1, "type": "file"}}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *_, **__: listed)
    with pytest.raises(ConfigError, match=r"'\.\./secret' leads out of its folder"):
        plan_slices(_source("memory://sources-out"), shard_bytes=1024)


def test_glob_is_refused_when_two_stars_are_part_of_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.here\.path: .*`\*\*` must stand alone"):
        plan_slices(_source(tmp_path / "a**" / "x"), shard_bytes=1024)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", r"\x2e\x2e/outside"])
def test_directory_refuses_a_planned_name_that_leads_out(tmp_path: Path, name: str) -> None:
    root = _fill(tmp_path / "root", {"a": b"a"})
    _fill(tmp_path, {"outside": b"secret"})
    (piece,) = plan_slices(_source(root), shard_bytes=1024)
    forged = replace(piece, files=(replace(piece.files[0], path=name),))
    with pytest.raises(StoreError, match="leads out"):
        read_slice(_source(root), forged, max_document_bytes=100)


def test_slice_is_refused_when_it_belongs_to_another_source(tmp_path: Path) -> None:
    _fill(tmp_path, {"a": b"a"})
    (piece,) = plan_slices(_source(tmp_path), shard_bytes=1024)
    with pytest.raises(StoreError, match="another"):
        read_slice(_source(tmp_path).model_copy(update={"name": "another"}), piece, max_document_bytes=1)


def test_planning_fails_when_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.here\.path.*does not exist"):
        plan_slices(_source(tmp_path / "nowhere"), shard_bytes=1024)
    with pytest.raises(ConfigError, match=r"sources\.here\.path: no file.*looked at 0 files"):
        plan_slices(_source(tmp_path), shard_bytes=1024)
    _fill(tmp_path, {"a.py": b"a"})
    with pytest.raises(ConfigError, match=r"no file.*looked at 1 files.*'\*\.c'"):
        plan_slices(_source(tmp_path, include=("*.c",)), shard_bytes=1024)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is a pipe and no file"):
        plan_slices(_source(tmp_path / "pipe"), shard_bytes=1024)


def test_path_may_be_one_file_or_a_glob(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"a/1.py": b"1", "a/2.c": b"2", "b/3.py": b"3", "b/d/4.py": b"4", "odd[1].py": b"5"})
    assert [row["path"] for row in rows_of(_source(tmp_path / "a" / "1.py"))] == ["1.py"]
    assert [row["path"] for row in rows_of(_source(tmp_path / "*" / "*.py"))] == ["a/1.py", "b/3.py"]
    assert [row["path"] for row in rows_of(_source(tmp_path / "b" / "**"))] == ["3.py", "d/4.py"]
    assert [row["path"] for row in rows_of(_source(tmp_path / "odd[1].py"))] == ["odd[1].py"]


@pytest.mark.parametrize("folder", ["[2024] set", "set*", "what?", "{a,b}", "[!x]"])
def test_glob_looks_into_a_folder_whose_name_looks_like_a_pattern(tmp_path: Path, rows_of: Any, folder: str) -> None:
    _fill(tmp_path, {f"{folder}/in/1.py": b"1", f"{folder}/in/2.c": b"2", "2/in/3.py": b"3", "set4/in/4.py": b"4"})
    assert [row["path"] for row in rows_of(_source(tmp_path / folder / "in" / "*.py"))] == ["1.py"]
    assert [row["path"] for row in rows_of(_source(tmp_path / folder / "*" / "*.py"))] == ["in/1.py"]
    assert [row["path"] for row in rows_of(_source(tmp_path / folder))] == ["in/1.py", "in/2.c"]
    with pytest.raises(ConfigError, match="does not exist"):
        plan_slices(_source(tmp_path / folder / "gone" / "x.py"), shard_bytes=1024)


def test_directory_shares_no_shard_between_too_many_empty_files(tmp_path: Path) -> None:
    _fill(tmp_path, {f"{i:03}": b"" for i in range(100)})
    assert [len(piece.files) for piece in plan_slices(_source(tmp_path), shard_bytes=512 * 40)] == [40, 40, 20]


def test_directory_reads_the_same_rows_when_it_lies_on_another_file_system(tmp_path: Path, rows_of: Any) -> None:
    files = {"a.py": b"a = 1\n", "d/b.py": b"b = 2\n", "d/odd[1]*.py": b"c\n", "big": b"x" * 500}
    _fill(tmp_path, files)
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/sources-test/{name}": content for name, content in files.items()})
    there = rows_of(_source("memory://sources-test"), max_document_bytes=100)
    assert there == rows_of(_source(tmp_path), max_document_bytes=100)
    assert there == rows_of(_source(f"file://{tmp_path}"), max_document_bytes=100)
    assert [row["path"] for row in rows_of(_source("memory://sources-test/d/*"))] == ["b.py", "odd[1]*.py"]
    assert [row["path"] for row in rows_of(_source("memory://sources-test/a.py"))] == ["a.py"]


def test_remote_directory_is_an_error_when_a_file_is_gone_and_a_row_when_it_cannot_be_read(rows_of: Any) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/sources-gone/a": b"a", "/sources-gone/b": b"b"})
    source = _source("memory://sources-gone")
    (piece,) = plan_slices(source, shard_bytes=4096)
    memory.rm("/sources-gone/b")
    with pytest.raises(StoreError, match=r"sources-gone/b: is gone"):
        read_slice(source, piece, max_document_bytes=10)
    memory.pipe({"/sources-gone/b": b"bb"})
    with pytest.raises(StoreError, match="gave 2 bytes, planned were 1"):
        read_slice(source, piece, max_document_bytes=10)


def test_directory_gives_a_row_when_a_remote_file_may_not_be_read(
    rows_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    willing = MemoryFileSystem.cat_file

    def cat_file(self: Any, path: str, *more: Any, **options: Any) -> bytes:
        if path.endswith("locked"):
            raise PermissionError(path)
        return willing(self, path, *more, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    fsspec.filesystem("memory").pipe({"/sources-box/a": b"a", "/sources-box/locked": b"b", "/sources-box/z": b"z"})
    rows = rows_of(_source("memory://sources-box"))
    assert [(row["path"], row["problem"]) for row in rows] == [("a", None), ("locked", "unreadable_row"), ("z", None)]


@pytest.mark.parametrize("path", ["nosuch://bucket/x", "memory://sources-none"])
def test_planning_fails_when_the_url_leads_nowhere(path: str) -> None:
    with pytest.raises((ConfigError, StoreError), match=path):
        plan_slices(_source(path), shard_bytes=1024)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["rows.parquet"], "parquet"),
        (["a.parquet", "deep/b.PQ"], "parquet"),
        (["data-00000-of-00001.arrow"], "huggingface"),
        (["a.jsonl.gz", "b.json.zst"], "jsonl"),
    ],
)
def test_files_of_rows_are_no_documents(tmp_path: Path, names: list[str], kind: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"rows")
    source = Source(name="code", kind="directory", path=str(tmp_path))
    with pytest.raises(ConfigError, match=rf"sources.code.kind: .*; write kind: {kind}$"):
        plan_slices(source, shard_bytes=1_000)
    (tmp_path / "read.py").write_text("a = 1")  # a folder of code may hold data
    assert sum(len(piece.files) for piece in plan_slices(source, shard_bytes=1_000)) == len(names) + 1
