"""Whatever a repository says, nothing is read of one that lies outside of the source's folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices, read_slice
from pipeline.sources.git_home import open_home
from pipeline.sources.git_program import output

if shutil.which("git") is None:
    pytest.skip("needs the program git", allow_module_level=True)

_MARK = b"the marker of a private repository"
_ENV = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent"}
_ENV |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, env=_ENV | {"PATH": os.environ["PATH"]}, check=True, capture_output=True)
    return done.stdout.decode().strip()


def _repository(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").write_bytes(content)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "one")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> tuple[Path, Path]:
    """A source with one good checkout and one to plant in, and a private repository beside it."""
    private = _repository(tmp_path / "private", _MARK)
    _repository(tmp_path / "source" / "good", b"good\n")
    return _repository(tmp_path / "source" / "evil", b"evil\n"), private


def _found(folder: Path) -> tuple[list[bytes], list[str]]:
    """Contents of all slices that can be read, and what is said of the others."""
    source = Source(name="s", kind="git", path=str(folder))
    contents: list[bytes] = []
    said: list[str] = []
    try:
        pieces = plan_slices(source, shard_bytes=1 << 20)
    except ConfigError as error:
        return [], [str(error)]
    for piece in pieces:
        try:
            contents += read_slice(source, piece, max_document_bytes=1 << 20)["content"].to_pylist()
        except StoreError as error:
            said.append(str(error))
    return contents, said


def _link(place: Path, target: Path) -> None:
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(target)


def _pointed(evil: Path, private: Path) -> None:
    shutil.rmtree(evil / ".git")
    (evil / ".git").write_text(f"gitdir: {private}/.git\n")


def _pointed_by_dots(evil: Path, private: Path) -> None:
    shutil.rmtree(evil / ".git")
    (evil / ".git").write_text("gitdir: ../../private/.git\n")


def _worktree_outside(evil: Path, private: Path) -> None:
    shutil.rmtree(evil)
    _git(private, "worktree", "add", "-q", "--detach", str(evil))


def _linked(evil: Path, private: Path) -> None:
    _link(evil / ".git", private / ".git")


def _shared(evil: Path, private: Path) -> None:
    (evil / ".git" / "commondir").write_text("../../../private/.git\n")


def _alternate(evil: Path, private: Path) -> None:
    commit = _git(private, "rev-parse", "HEAD")
    (evil / ".git" / "objects" / "info" / "alternates").write_text(f"{private}/.git/objects\n")
    (evil / ".git" / "refs" / "heads" / "main").write_text(commit + "\n")


def _linked_objects(evil: Path, private: Path) -> None:
    _link(evil / ".git" / "objects", private / ".git" / "objects")
    shutil.copy(private / ".git" / "refs" / "heads" / "main", evil / ".git" / "refs" / "heads" / "main")


def _linked_loose(evil: Path, private: Path) -> None:
    for folder in (private / ".git" / "objects").iterdir():
        if len(folder.name) == 2:
            _link(evil / ".git" / "objects" / folder.name, folder)
    shutil.copy(private / ".git" / "refs" / "heads" / "main", evil / ".git" / "refs" / "heads" / "main")


def _linked_packs(evil: Path, private: Path) -> None:
    _git(private, "repack", "-a", "-d", "-q")
    for pack in (private / ".git" / "objects" / "pack").iterdir():
        _link(evil / ".git" / "objects" / "pack" / pack.name, pack)
    shutil.copy(private / ".git" / "refs" / "heads" / "main", evil / ".git" / "refs" / "heads" / "main")


def _linked_head(evil: Path, private: Path) -> None:
    _link(evil / ".git" / "HEAD", private / ".git" / "refs" / "heads" / "main")


def _linked_refs(evil: Path, private: Path) -> None:
    _link(evil / ".git" / "refs", private / ".git" / "refs")


def _linked_packed_refs(evil: Path, private: Path) -> None:
    _git(private, "pack-refs", "--all")
    (evil / ".git" / "refs" / "heads" / "main").unlink()
    _link(evil / ".git" / "packed-refs", private / ".git" / "packed-refs")


def _head_by_dots(evil: Path, private: Path) -> None:
    (evil / ".git" / "HEAD").write_text("ref: refs/../../../../private/.git/refs/heads/main\n")


def _pipe(evil: Path, private: Path) -> None:
    (evil / ".git" / "HEAD").unlink()
    os.mkfifo(evil / ".git" / "HEAD")


_ESCAPES: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "gitdir": (_pointed, r"evil: its \.git leads to .*private/\.git, outside of the source"),
    "gitdir by dots": (_pointed_by_dots, r"evil: its \.git leads to .*private/\.git, outside"),
    "worktree of outside": (_worktree_outside, r"evil: its \.git leads to .*, outside"),
    ".git is a link": (_linked, r"evil: its \.git is a link"),
    "commondir": (_shared, r"evil: its commondir leads to .*private/\.git, outside"),
    "alternates": (_alternate, r"evil: takes objects from elsewhere \(objects/info/alternates\)"),
    "objects is a link": (_linked_objects, r"evil: .*objects is a link"),
    "loose objects are links": (_linked_loose, r"evil: .*/objects/.. is a link"),
    "packs are links": (_linked_packs, r"evil: .*/objects/pack/pack-.* is a link"),
    "HEAD is a link": (_linked_head, r"evil: .*/HEAD cannot be read"),
    "refs is a link": (_linked_refs, r"evil: .*/refs is a link"),
    "packed-refs is a link": (_linked_packed_refs, r"evil: .*/packed-refs cannot be read"),
    "HEAD leads up": (_head_by_dots, r"evil: its HEAD names neither"),
    "HEAD is a pipe": (_pipe, r"evil: .*/HEAD cannot be read: is no plain file"),
}


@pytest.mark.parametrize("escape", _ESCAPES)
def test_what_leads_out_of_the_source_is_refused_by_name(there: tuple[Path, Path], escape: str) -> None:
    evil, private = there
    plant, message = _ESCAPES[escape]
    plant(evil, private)
    contents, said = _found(evil.parent)
    assert contents == [b"good\n"]  # the checkout beside it is read
    assert len(said) == 1
    assert re.search(message, said[0]) and "git repack -a -d" in said[0] and _MARK.decode() not in said[0]


def test_settings_of_a_repository_are_not_read(there: tuple[Path, Path]) -> None:
    evil, private = there
    secret = private / "config-of-another"
    secret.write_bytes(b"[" + _MARK)
    config = evil / ".git" / "config"
    config.write_text(
        f"[include]\n\tpath = {secret}\n[core]\n\tworktree = {private}\n\trepositoryFormatVersion = 1\n"
        f"[extensions]\n\tworktreeConfig = true\n\tpartialClone = origin\n\tobjectFormat = nonsense\n"
        f'[remote "origin"]\n\turl = {private}\n\tpromisor = true\n'
    )
    (evil / ".git" / "info").mkdir(exist_ok=True)
    (evil / ".git" / "info" / "grafts").write_text(f"{_git(private, 'rev-parse', 'HEAD')}\n")
    (evil / ".git" / "shallow").write_text(f"{_git(private, 'rev-parse', 'HEAD')}\n")
    assert _found(evil.parent) == ([b"evil\n", b"good\n"], [])


def test_objects_named_by_the_environment_are_not_read(
    there: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil, private = there
    commit = _git(private, "rev-parse", "HEAD")
    (evil / ".git" / "refs" / "heads" / "main").write_text(commit)
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", str(private / ".git" / "objects"))
    contents, said = _found(evil.parent)
    assert contents == [b"good\n"] and "rev-parse failed" in said[0]


def test_what_a_promisor_outside_holds_is_not_fetched(there: tuple[Path, Path]) -> None:
    evil, private = there
    _git(private, "config", "uploadpack.allowFilter", "true")
    shutil.rmtree(evil)
    _git(evil.parent, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{private}", "evil")
    contents, said = _found(evil.parent)
    assert contents == [b"good\n"] and f"{evil}: has none of the 1 files of its commit" in said[0]


def test_worktrees_and_submodules_inside_of_the_source_are_read(there: tuple[Path, Path], tmp_path: Path) -> None:
    evil, _ = there
    root = evil.parent
    _git(evil, "worktree", "add", "-q", "--detach", str(root / "tree"))
    (root / "tree" / "w.py").write_bytes(b"of the worktree\n")
    _git(root / "tree", "add", "-A")
    _git(root / "tree", "commit", "-q", "-m", "two")
    inner = _repository(tmp_path / "inner", b"inner\n")
    outer = _repository(root / "outer", b"outer\n")
    _git(outer, "submodule", "--quiet", "add", str(inner), "sub")
    _git(outer, "commit", "-q", "-m", "two")
    (tmp_path / "alone").mkdir()
    shutil.move(outer / "sub", root / "outer-sub")  # a checkout of its own in the listing, its repository in outer's
    (root / "outer-sub" / ".git").write_text("gitdir: ../outer/.git/modules/sub\n")
    contents, said = _found(root)
    assert said == []
    modules = contents.index(next(c for c in contents if c.startswith(b"[submodule")))
    del contents[modules]
    assert contents == [b"evil\n", b"good\n", b"inner\n", b"outer\n", b"evil\n", b"of the worktree\n"]


def test_a_repository_reached_by_a_linked_root_is_read(there: tuple[Path, Path], tmp_path: Path) -> None:
    evil, _ = there
    _git(evil, "worktree", "add", "-q", "--detach", str(evil.parent / "tree"))
    (tmp_path / "by-link").symlink_to(evil.parent)
    assert _found(tmp_path / "by-link")[0] == [b"evil\n", b"good\n", b"evil\n"]
    (tmp_path / "checkout-link").symlink_to(evil)
    assert _found(tmp_path / "checkout-link") == ([b"evil\n"], [])


def test_refs_are_found_packed_detached_and_by_names_of_sha256(tmp_path: Path) -> None:
    packed = _repository(tmp_path / "packed", b"packed\n")
    _git(packed, "pack-refs", "--all", "--prune")
    detached = _repository(tmp_path / "detached", b"detached\n")
    _git(detached, "checkout", "-q", "--detach")
    wide = tmp_path / "wide"
    wide.mkdir()
    _git(wide, "init", "-q", "--object-format=sha256")
    (wide / "a.py").write_bytes(b"wide\n")
    _git(wide, "add", "-A")
    _git(wide, "commit", "-q", "-m", "one")
    assert _found(tmp_path) == ([b"detached\n", b"packed\n", b"wide\n"], [])


def test_refs_that_lead_round_or_lie_in_a_table_are_said(there: tuple[Path, Path]) -> None:
    evil, _ = there
    ref: Any = evil / ".git" / "refs" / "heads" / "main"
    ref.write_text("ref: refs/heads/main\n")
    assert "without an end" in _found(evil.parent)[1][0]
    (evil / ".git" / "reftable").mkdir()
    assert "git refs migrate --ref-format=files" in _found(evil.parent)[1][0]


def test_folders_in_folders_without_end_are_one_bad_checkout(there: tuple[Path, Path]) -> None:
    evil, _ = there
    below = _git(evil, "rev-parse", "HEAD^{tree}")
    for _ in range(7):
        entries = "".join(f"40000 tree {below}\t{k}\n".replace("40000", "040000") for k in range(8))
        command = ["git", "-C", str(evil), "mktree"]
        made = subprocess.run(
            command, input=entries.encode(), env=_ENV | {"PATH": os.environ["PATH"]}, capture_output=True
        )
        below = made.stdout.decode().strip()
    commit = _git(evil, "commit-tree", below, "-m", "bomb")
    (evil / ".git" / "refs" / "heads" / "main").write_text(commit)
    contents, said = _found(evil.parent)
    assert contents == [b"good\n"] and re.search(r"evil: its [\d,]+ bytes of objects list more than", said[0])


def test_a_repository_of_gigabytes_is_asked_in_parts(there: tuple[Path, Path]) -> None:
    """What it may list at most is thousands of times its objects: no read may make room for that."""
    home = replace(open_home(there[0], root=there[0]), n_bytes=10**12)
    assert output(home, "cat-file", "-t", home.commit) == b"commit\n"
