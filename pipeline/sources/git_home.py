"""Where a git checkout keeps its objects, and which commit it stands at; nothing outside the source's folder is read.

A repository is a stranger's data, and much in it may name another place of the machine: a `.git` that is a link or a
file with `gitdir:`, `commondir`, alternates, links among its objects. Git follows all of them, so whoever plants one
could have a private repository beside the source read into a corpus. So the layout is read here, by rules that lead
nowhere else, and git is given no more of it than the folder of objects (`git_program.py`). A worktree or submodule
whose repository lies inside the source is read; all that leads out, or needs what lies elsewhere, is refused.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.sources.local import read_plain

_REMEDY = "read a copy that stands alone: git clone --no-local --dissociate, or git repack -a -d there"
_POINTER = re.compile(rb"gitdir: ([^\0\n]+)\s*\Z")
_REF = re.compile(rb"ref: (refs/[^\0\n]+)\s*\Z")
_COMMIT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\s*\Z")
_MAX_SMALL_BYTES = 1 << 16  # of a file that holds one line; a plain choice
_MAX_REFS_BYTES = 1 << 30  # of packed-refs: some ten million
_MAX_STEPS = 5  # from HEAD to a commit, as git counts them


@dataclass(frozen=True)
class Home:
    """A checkout, a worktree, a submodule or a bare repository that may be read."""

    folder: Path  # as the source names it
    objects: Path
    commit: str  # what HEAD says: 40 or 64 hex characters; whether there is such a commit is for git to say
    n_bytes: int  # stored as objects


def open_home(folder: Path, *, root: Path) -> Home:
    """The repository of `folder`, which lies at or below `root`. StoreError for one that leads out of `root`."""
    git, common = repository_of(folder, root=root)
    objects = common / "objects"
    n_bytes = _plain_bytes(objects, folder=folder)
    alternates = objects / "info" / "alternates"
    if alternates.exists() and _read(alternates, folder=folder).strip():
        raise StoreError(f"{folder}: takes objects from elsewhere (objects/info/alternates); {_REMEDY}")
    return Home(folder, objects, _head(git, common, folder=folder), n_bytes)


def repository_of(folder: Path, *, root: Path) -> tuple[Path, Path]:
    """The folder with HEAD, and that with objects and refs, which worktrees share."""
    pointer = folder / ".git"
    try:
        kind = pointer.lstat().st_mode
    except FileNotFoundError:
        git = folder  # bare
    else:
        if stat.S_ISLNK(kind):
            raise StoreError(f"{folder}: its .git is a link, and links are not followed; {_REMEDY}")
        git = pointer if stat.S_ISDIR(kind) else _named(pointer, pattern=_POINTER, folder=folder, root=root)
    shared = git / "commondir"
    if not os.path.lexists(shared):
        return git, git
    return git, _named(shared, pattern=re.compile(rb"([^\0\n]+)\s*\Z"), folder=folder, root=root)


def _named(file: Path, *, pattern: re.Pattern[bytes], folder: Path, root: Path) -> Path:
    """The folder that a file names, absolute or from where it lies."""
    found = pattern.match(_read(file, folder=folder))
    if found is None:
        raise StoreError(f"{folder}: its {file.name} names no folder; {_REMEDY}")
    named = (file.parent / os.fsdecode(found[1])).resolve()
    if not named.is_relative_to(root.resolve()):
        raise StoreError(f"{folder}: its {file.name} leads to {named}, outside of the source {root}; {_REMEDY}")
    return named


def _head(git: Path, common: Path, *, folder: Path) -> str:
    """The commit that HEAD names, by way of refs or at once."""
    said = _read(git / "HEAD", folder=folder)
    for _ in range(_MAX_STEPS):
        if commit := _COMMIT.match(said):
            return commit[1].decode("ascii")
        ref = _REF.match(said)
        if ref is None or ".." in os.fsdecode(ref[1]).split("/"):
            raise StoreError(f"{folder}: its HEAD names neither a commit nor a ref; {_REMEDY}")
        if (common / "reftable").exists():
            raise StoreError(f"{folder}: keeps its refs as a table; run git refs migrate --ref-format=files there")
        said = _ref(common, ref[1], folder=folder)
    raise StoreError(f"{folder}: its HEAD leads from ref to ref without an end; {_REMEDY}")


def _ref(common: Path, name: bytes, *, folder: Path) -> bytes:
    """What a ref says. A loose one goes before its packed line, which is older."""
    loose = common / os.fsdecode(name)
    if loose.is_file() or loose.is_symlink():
        above = loose.parent
        while above != common:
            if above.is_symlink():
                raise StoreError(f"{folder}: {above} is a link, and links are not followed; {_REMEDY}")
            above = above.parent
        return _read(loose, folder=folder)
    packed = common / "packed-refs"
    if os.path.lexists(packed):
        for line in _read(packed, folder=folder, most=_MAX_REFS_BYTES).splitlines():
            commit, _, named = line.partition(b" ")
            if named == name:
                return commit
    said = os.fsdecode(name)
    raise StoreError(f"{folder}: HEAD names {said}, which is not there; expected a checkout with at least one commit")


def _read(file: Path, *, folder: Path, most: int = _MAX_SMALL_BYTES) -> bytes:
    try:
        return read_plain(file, most=most)
    except OSError as error:
        raise StoreError(f"{folder}: {file} cannot be read: {error.strerror}; {_REMEDY}") from error


def _plain_bytes(objects: Path, *, folder: Path) -> int:
    """The bytes of all files below. StoreError for anything that is neither a file nor a folder."""
    n_bytes = 0
    pending = [objects]
    while pending:
        here = pending.pop()
        try:
            if here.is_symlink():
                raise StoreError(f"{folder}: {here} is a link, and links are not followed; {_REMEDY}")
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        n_bytes += entry.stat(follow_symlinks=False).st_size
                    else:
                        raise StoreError(f"{folder}: {entry.path} is a link or no file, and not followed; {_REMEDY}")
        except OSError as error:
            raise StoreError(f"{folder}: {here} cannot be listed: {error.strerror}; {_REMEDY}") from error
    return n_bytes
