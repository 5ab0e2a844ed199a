"""Git checkouts: what HEAD tracks, from the repository's own store, without running anything of the repository's."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices, read_slice

if shutil.which("git") is None:
    pytest.skip("needs the program git", allow_module_level=True)


def _git(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "c > d",
        "GIT_COMMITTER_EMAIL": "c@d",
        "GIT_AUTHOR_DATE": "2020-01-01T00:00:00 +0000",
        "GIT_COMMITTER_DATE": "2021-02-03T04:05:06 +0200",
    }
    done = subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


def _repository(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "one")
    return folder


def _source(path: Path, **more: Any) -> Source:
    return Source(name="code", kind="git", path=str(path), **more)


def test_git_gives_the_tracked_files_of_the_commit(tmp_path: Path, rows_of: Any) -> None:
    root = _repository(
        tmp_path / "mine", {"b.py": b"b\r\n", "d/a.py": b"a\n", ".gitignore": b"*.log\n", "x.bin": b"\0"}
    )
    (root / "untracked.py").write_bytes(b"u")
    (root / "noise.log").write_bytes(b"n")
    (root / "b.py").write_bytes(b"edited")
    rows = rows_of(_source(root, license="MIT"))
    assert [(row["path"], row["content"]) for row in rows] == [
        (".gitignore", b"*.log\n"),
        ("b.py", b"b\r\n"),
        ("d/a.py", b"a\n"),
        ("x.bin", b""),
    ]
    assert {row["revision"] for row in rows} == {_git(root, "rev-parse", "HEAD")}
    assert {row["revision_time"] for row in rows} == {datetime(2021, 2, 3, 2, 5, 6, tzinfo=UTC)}
    assert {(row["repo"], row["license"]) for row in rows} == {("mine", "MIT")}
    assert {row["repo"] for row in rows_of(_source(root, repo="me/mine"))} == {"me/mine"}


def test_git_passes_over_links_and_submodules(tmp_path: Path, rows_of: Any) -> None:
    inner = _repository(tmp_path / "inner", {"i.py": b"i"})
    root = _repository(tmp_path / "outer", {"o.py": b"o"})
    (root / "link").symlink_to("/etc/hostname")
    shutil.copytree(inner, root / "sub")
    _git(root, "-c", "advice.addEmbeddedRepo=false", "add", "-A")
    _git(root, "commit", "-q", "-m", "two")
    assert _git(root, "ls-files").split() == ["link", "o.py", "sub"]
    assert [row["path"] for row in rows_of(_source(root))] == ["o.py"]


def test_git_finds_every_checkout_below_a_folder(tmp_path: Path, rows_of: Any) -> None:
    _repository(tmp_path / "all" / "one", {"a.py": b"1", "b.c": b"2"})
    _repository(tmp_path / "all" / "deep" / "two", {"a.py": b"3"})
    _git(tmp_path / "all", "clone", "-q", "--bare", "one", "three.git")
    (tmp_path / "all" / "stray.py").write_bytes(b"s")
    rows = rows_of(_source(tmp_path / "all", include=("*.py",)))
    assert [(row["input_file"], row["path"], row["repo"]) for row in rows] == [
        ("deep/two/a.py", "a.py", "deep/two"),
        ("one/a.py", "a.py", "one"),
        ("three.git/a.py", "a.py", "three"),
    ]
    assert [row["input_file"] for row in rows_of(_source(tmp_path / "all" / "*"))] == [
        "one/a.py",
        "one/b.c",
        "three.git/a.py",
        "three.git/b.c",
    ]


def test_git_gives_the_same_rows_when_cut_and_when_head_moves_on(tmp_path: Path, rows_of: Any) -> None:
    root = _repository(tmp_path / "mine", {f"{i:02}.py": b"x = %d\n" % i * 40 for i in range(30)})
    whole = rows_of(_source(root), max_document_bytes=250)
    slices = plan_slices(_source(root), shard_bytes=4_096)
    assert len(slices) > 3
    (root / "00.py").write_bytes(b"new")
    _git(root, "commit", "-q", "-a", "-m", "two")
    tables = [read_slice(_source(root), piece, max_document_bytes=250) for piece in slices]
    assert [row for table in tables for row in table.to_pylist()] == whole
    assert [row["problem"] for row in whole] == [None] * 10 + ["too_large"] * 20


def test_git_runs_nothing_that_the_repository_asks_for(tmp_path: Path, rows_of: Any) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a\n", ".gitattributes": b"*.py filter=evil diff=evil\n"})
    trap = tmp_path / "trap"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "filter.evil.smudge", "diff.evil.textconv", "core.sshCommand", "core.pager"):
        _git(root, "config", key, str(script))
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(script, root / ".git" / "hooks" / hook)
    assert [row["content"] for row in rows_of(_source(root))] == [b"*.py filter=evil diff=evil\n", b"a\n"]
    assert not trap.exists()


def test_git_is_started_with_every_door_shut(tmp_path: Path, rows_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a\n"})
    calls: list[tuple[list[str], dict[str, str], str]] = []
    start = subprocess.Popen

    def popen(command: list[str], **more: Any) -> Any:
        calls.append((command, more["env"], str(more["cwd"])))
        return start(command, **more)

    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG_COUNT"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    commit = _git(root, "rev-parse", "HEAD")
    monkeypatch.setattr(subprocess, "Popen", popen)
    assert len(rows_of(_source(root))) == 1
    assert {command[-1] for command, _, _ in calls} >= {f"{commit}^{{commit}}", "--buffer"}
    shut = {"core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "log.showSignature=false"}
    shut |= {"core.commitGraph=false", "core.multiPackIndex=false"}
    for command, environment, folder in calls:
        n_doors = command.count("-c")
        assert shut == set(command[2 : 2 * n_doors + 1 : 2])
        assert set(command[1 : 2 * n_doors : 2]) == {"-c"}
        assert environment.pop("PATH") and environment == {
            "LC_ALL": "C",
            "GIT_DIR": folder,
            "GIT_OBJECT_DIRECTORY": str(root / ".git" / "objects"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }


def test_git_goes_on_behind_an_object_that_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a\n", "b.py": b"b\n"})
    (piece,) = plan_slices(_source(root), shard_bytes=1 << 20)
    says = iter([r"c commit 3\nabc\nb blob 10\nshort", r"b blob 5\nwhole\n"])
    monkeypatch.setattr(
        "pipeline.sources.git.started",
        lambda *_, **__: subprocess.Popen(["printf", next(says)], stdout=subprocess.PIPE),
    )
    found = read_slice(_source(root), piece, max_document_bytes=100)
    assert found["problem"].to_pylist() == ["missing_object", None]
    assert found["content"].to_pylist() == [b"", b"whole"]


def test_git_fetches_nothing_that_a_partial_clone_lacks(tmp_path: Path) -> None:
    origin = _repository(tmp_path / "origin", {"a.py": b"a\n"})
    _git(origin, "config", "uploadpack.allowFilter", "true")
    _git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{origin}", "part")
    trap, script = tmp_path / "trap", tmp_path / "evil.sh"
    script.write_text(f'#!/bin/sh\ntouch {trap}\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    _git(tmp_path / "part", "config", "remote.origin.uploadpack", str(script))
    with pytest.raises((ConfigError, StoreError), match=r"clone it in full|ls-tree failed|no tracked file"):
        for piece in plan_slices(_source(tmp_path / "part"), shard_bytes=1024):
            read_slice(_source(tmp_path / "part"), piece, max_document_bytes=100)
    assert not trap.exists()


def test_git_reads_the_commit_itself_when_a_replacement_stands_for_it(tmp_path: Path, rows_of: Any) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"true\n"})
    (root / "b").write_bytes(b"lies\n")
    _git(root, "replace", _git(root, "rev-parse", "HEAD:a.py"), _git(root, "hash-object", "-w", "b"))
    assert [row["content"] for row in rows_of(_source(root))] == [b"true\n"]


def test_git_does_not_take_the_repository_around_a_broken_one_for_it(tmp_path: Path) -> None:
    _repository(tmp_path / "outer", {"a.py": b"a"})
    (tmp_path / "outer" / "inner" / ".git").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"cannot be (read|listed)"):
        plan_slices(_source(tmp_path / "outer" / "inner"), shard_bytes=1024)


def test_git_keeps_names_that_are_not_utf8(tmp_path: Path, rows_of: Any) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9\n.py")).write_bytes(b"x")
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "one")
    assert [row["path"] for row in rows_of(_source(folder))] == ["caf\\xe9\n.py"]


def test_git_fails_clearly_when_there_is_no_commit_to_read(tmp_path: Path) -> None:
    (tmp_path / "plain" / "d").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"sources\.code\.path: .*plain is no git checkout.*kind: directory"):
        plan_slices(_source(tmp_path / "plain"), shard_bytes=1024)
    _git(tmp_path / "plain", "init", "-q")
    with pytest.raises(
        ConfigError,
        match=r"HEAD names refs/heads/\w+, which is not there; expected a checkout with at least one commit",
    ):
        plan_slices(_source(tmp_path / "plain"), shard_bytes=1024)
    root = _repository(tmp_path / "mine", {"a.py": b"a"})
    with pytest.raises(ConfigError, match="no tracked file"):
        plan_slices(_source(root, include=("*.c",)), shard_bytes=1024)
    with pytest.raises(ConfigError, match="is no folder of this machine"):
        plan_slices(_source(root / "a.py"), shard_bytes=1024)


def test_git_fails_clearly_when_the_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs the program git; install it or use kind: directory"):
        plan_slices(_source(root), shard_bytes=1024)


@pytest.mark.parametrize("damage", ["gone", "junk", "cut"])
def test_git_gives_a_row_when_an_object_is_not_there(tmp_path: Path, rows_of: Any, damage: str) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a", "b.py": b"b" * 999, "c.py": b"c", "d/e.py": b"b" * 999})
    blob = _git(root, "rev-parse", "HEAD:b.py")
    path = root / ".git" / "objects" / blob[:2] / blob[2:]
    raw = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(b"junk" if damage == "junk" else raw[:-5])
    rows = rows_of(_source(root))
    assert [(row["path"], row["problem"], row["content"]) for row in rows] == [
        ("a.py", None, b"a"),
        ("b.py", "missing_object", b""),
        ("c.py", None, b"c"),
        ("d/e.py", "missing_object", b""),
    ]


def test_git_reads_what_a_partial_clone_has(tmp_path: Path, rows_of: Any) -> None:
    origin = _repository(tmp_path / "origin", {"a.py": b"a\n", "big.py": b"x = 1\n" * 999, "d/b.py": b"b\n"})
    _git(origin, "config", "uploadpack.allowFilter", "true")
    _git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:limit=100", f"file://{origin}", "part")
    rows = rows_of(_source(tmp_path / "part"))
    assert [(row["path"], row["problem"], row["content"]) for row in rows] == [
        ("a.py", None, b"a\n"),
        ("big.py", "missing_object", b""),
        ("d/b.py", None, b"b\n"),
    ]


def test_checkout_that_cannot_be_read_is_one_bad_slice(tmp_path: Path) -> None:
    for name in ("a", "c"):
        _repository(tmp_path / name, {f"{name}.py": b"x"})
    (tmp_path / "b").mkdir()
    _git(tmp_path / "b", "init", "-q")
    first, bad, last = plan_slices(_source(tmp_path), shard_bytes=4096)
    assert [piece.files[0].path for piece in (first, bad, last)] == ["a/a.py", "b", "c/c.py"]
    for piece in (first, last):
        assert read_slice(_source(tmp_path), piece, max_document_bytes=10).num_rows == 1
    with pytest.raises(StoreError, match=r"/b: HEAD names .*expected a checkout with at least one commit"):
        read_slice(_source(tmp_path), bad, max_document_bytes=10)
    (tmp_path / "b" / "x.py").write_bytes(b"x")
    _git(tmp_path / "b", "add", "-A")
    _git(tmp_path / "b", "commit", "-q", "-m", "one")
    with pytest.raises(StoreError, match="could not be read when it was planned; run again"):
        read_slice(_source(tmp_path), bad, max_document_bytes=10)


def test_git_is_an_error_when_the_commit_or_the_repository_is_gone(tmp_path: Path) -> None:
    root = _repository(tmp_path / "mine", {"a.py": b"a", "b.py": b"b"})
    (piece,) = plan_slices(_source(root), shard_bytes=4096)
    forged = replace(piece, files=(replace(piece.files[0], path="../mine/a.py"),))
    with pytest.raises(StoreError, match="leads out"):
        read_slice(_source(root), forged, max_document_bytes=10)
    commit = piece.files[0].version.partition(":")[0]
    (root / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(StoreError, match=f"git object {commit} is missing or damaged; run git fsck"):
        read_slice(_source(root), piece, max_document_bytes=10)
    shutil.rmtree(root / ".git")
    with pytest.raises(StoreError, match="no git checkout any more"):
        read_slice(_source(root), piece, max_document_bytes=10)
