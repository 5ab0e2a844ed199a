"""Git checkouts: the tracked files of the commit that is checked out, read from the repository's own store.

What is read is the commit HEAD, not the working tree. So every document's revision is true to the byte, line ends are
those of the repository, untracked and edited files stay out, links and submodules are passed over, and nothing can
change between planning and reading. `path` is one checkout or bare repository, or a folder or glob with several below.

A file whose object the repository lacks (a partial or damaged clone) is a row, `missing_object`; a checkout that cannot
be read at all becomes a slice all the same and fails when it is read: then it is one bad shard with a name.

Only git's plumbing is called, on the objects alone (`git_program.py`). Where they lie is found out here, and a
repository whose objects lie outside of the source's folder is refused (`git_home.py`).
"""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.globs import chooser
from pipeline.sources.caps import InputCaps
from pipeline.sources.git_home import Home, open_home
from pipeline.sources.git_program import output, started
from pipeline.sources.local import SKIPPED_FOLDERS
from pipeline.sources.names import to_bytes, to_text
from pipeline.sources.raw import MISSING_OBJECT, TOO_LARGE, RawDocument
from pipeline.sources.roots import Root, kept_listing, locate
from pipeline.sources.slices import InputFile, Slice, whole_files
from pipeline.sources.values import Metadata

_REGULAR = (b"100644", b"100755", b"100664")  # the last is historic; 120000 would be a link, 160000 a submodule
_MICROS = 1_000_000
_UNPLANNED = ""  # the version of an entry that stands for a whole checkout that could not be listed
_REMEDY = "run git fsck there, or clone it in full"


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Files of every checkout in order of their paths, grouped to about `shard_bytes`; no slice spans two checkouts."""
    root = _locate(source)
    chosen = chooser(source.include, source.exclude)
    slices: list[Slice] = []
    failures: list[str] = []
    homes = _all_homes(root)
    for home in homes:
        try:
            files = [file for file in _all_tracked(root, home) if chosen(file.path.removeprefix(home))]
        except StoreError as error:
            failures.append(str(error))
            files = [InputFile(home[:-1], 0, _UNPLANNED)]
        slices += whole_files(source.name, files, shard_bytes=shard_bytes, home=home)
    if not homes:
        raise ConfigError(
            f"sources.{source.name}.path: {source.path} is no git checkout and has none below it; "
            "use kind: directory, or clone the repository"
        )
    if len(failures) == len(homes):
        raise ConfigError(f"sources.{source.name}: {failures[0]}")
    if not slices:
        raise ConfigError(f"sources.{source.name}: no tracked file of {source.path} matches include and exclude")
    return slices


def tracked_names(source: Source) -> list[str]:
    """Paths of all tracked files, each from its checkout on. StoreError if one cannot be listed."""
    root = _locate(source)
    return [file.path.removeprefix(home) for home in _all_homes(root) for file in _all_tracked(root, home)]


def _all_homes(root: Root) -> list[str]:
    return kept_listing((root, "homes"), lambda: list(_homes(root)))


def _all_tracked(root: Root, home: str) -> list[InputFile]:
    return kept_listing((root, home + "/"), lambda: _tracked(root, home))


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The rows of one slice, which holds files of one checkout."""
    root = _locate(source)
    if piece.files[0].version == _UNPLANNED:
        _tracked(root, piece.files[0].path + "/")
        raise StoreError(f"{root.join(piece.files[0].path)}: could not be read when it was planned; run again")
    home = _home_of(root, piece.files[0].path)
    commit = piece.files[0].version.partition(":")[0]
    wanted = [_blob(file) for file in piece.files if _is_wanted(file, max_document_bytes=max_document_bytes)]
    objects = _objects(_open(root, home), [commit, *wanted])
    about = next(objects)
    if about is None:
        raise StoreError(f"{root.join(home)}: git object {commit} is missing or damaged; {_REMEDY}")
    repo = source.repo or (home[:-1] or Path(root.path).name).removesuffix(".git")
    shared = Metadata(repo=repo, revision=commit, revision_micros=_committed_at(about))
    for file in piece.files:
        content = next(objects) if _is_wanted(file, max_document_bytes=max_document_bytes) else None
        problem = TOO_LARGE if file.size > max_document_bytes else MISSING_OBJECT if content is None else None
        yield RawDocument(file.path, 0, content, problem, shared._replace(path=file.path.removeprefix(home)))


def _is_wanted(file: InputFile, *, max_document_bytes: int) -> bool:
    return bool(_blob(file)) and file.size <= max_document_bytes


def _blob(file: InputFile) -> str:
    """The name of a file's object; "" if the repository lacked it when it was planned."""
    return file.version.partition(":")[2]


def _locate(source: Source) -> Root:
    root = locate(source)
    if root.fs is not None or root.only is not None:
        raise ConfigError(f"sources.{source.name}.path: {source.path} is no folder of this machine; clone it first")
    return root


def _is_checkout(folder: Path) -> bool:
    """A checkout, a worktree or submodule (where `.git` is a file), or a bare repository."""
    return os.path.lexists(folder / ".git") or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def _homes(root: Root) -> Iterator[str]:
    """Checkouts at or below the root, in order, each as a path that ends in a slash; "" is the root itself."""
    pending = [""]
    while pending:
        home = pending.pop()
        if (root.glob is None or home) and root.names(home[:-1]) and _is_checkout(_folder(root, home)):
            yield home
            continue
        try:
            with os.scandir(os.fsencode(_folder(root, home))) as entries:
                below = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name not in SKIPPED_FOLDERS]
        except OSError as error:
            raise StoreError(f"{root.path}/{home}: cannot be listed: {error.strerror}; make it readable") from error
        pending += sorted((f"{home}{to_text(name)}/" for name in below), reverse=True)


def _home_of(root: Root, path: str) -> str:
    """The checkout that a planned path lies in: the outermost one, as in planning."""
    parts = path.split("/")
    homes = ("".join(part + "/" for part in parts[:n]) for n in range(len(parts)))
    for home in homes:
        if _is_checkout(_folder(root, home)):
            return home
    raise StoreError(f"{root.path}/{path}: lies in no git checkout any more; run again, which plans anew")


def _folder(root: Root, home: str) -> Path:
    return Path(root.path) / os.fsdecode(to_bytes(home))


def _open(root: Root, home: str) -> Home:
    return open_home(_folder(root, home), root=Path(root.path))


def _tracked(root: Root, home: str) -> list[InputFile]:
    """Regular files of HEAD. The version names commit and blob, so that reading needs no second look at HEAD.

    StoreError if there is no commit, a folder of it is missing, or all of its files are.
    """
    opened = _open(root, home)
    commit = output(opened, "rev-parse", "--verify", f"{opened.commit}^{{commit}}").strip().decode("ascii")
    try:
        listed = output(opened, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    except StoreError:  # some versions of git stop at the first object that a partial clone lacks
        listed = _listed_without_sizes(opened, commit)
    files = []
    for entry in listed.split(b"\0")[:-1]:
        about, _, name = entry.partition(b"\t")
        mode, _, blob, size = about.split()
        if mode in _REGULAR:
            is_there = size.isdigit()  # git writes BAD for the size of an object that it does not have
            version = f"{commit}:{blob.decode('ascii') if is_there else ''}"
            files.append(InputFile(home + to_text(name), int(size) if is_there else 0, version))
    if files and not any(map(_blob, files)):
        raise StoreError(
            f"{opened.folder}: has none of the {len(files)} files of its commit {commit}; clone it in full"
        )
    return sorted(files, key=lambda f: f.path)


def _listed_without_sizes(home: Home, commit: str) -> bytes:
    """As `ls-tree -l` lists a commit, without a look at objects that are not there."""
    entries = output(home, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]
    walked = output(home, "rev-list", "--objects", "--no-walk", "--missing=print", commit).splitlines()
    missing = {line[1:].split()[0] for line in walked if line.startswith(b"?")}
    blobs = [entry.partition(b"\t")[0].split()[2] for entry in entries]
    there = [blob for blob in dict.fromkeys(blobs) if blob not in missing]
    with tempfile.TemporaryFile() as asked:
        asked.write(b"".join(blob + b"\n" for blob in there))
        asked.seek(0)
        with started(home, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked) as process:
            answers = process.communicate()[0].splitlines()
    sizes = dict(line.split(maxsplit=1) for line in answers)
    lines = (entry.split(b"\t", 1) for entry in entries)
    return b"".join(
        b"%b %b\t%b\0" % (about, sizes.get(blob, b"BAD"), name)
        for (about, name), blob in zip(lines, blobs, strict=True)
    )


def _committed_at(commit: bytes) -> int | None:
    """Microseconds since 1970, from the line `committer NAME <MAIL> SECONDS ZONE` of a commit object."""
    found = re.search(rb"^committer .*> (-?\d{1,12}) [+-]\d+$", commit, re.MULTILINE)
    return int(found[1]) * _MICROS if found else None


def _objects(home: Home, names: list[str]) -> Iterator[bytes | None]:
    """Contents of git objects, in order; None for one that is missing or damaged.

    At some damage git ends at once; then it is started again behind the object that it could not give.
    """
    left = names
    while left:
        n_given = 0
        for content in _until_it_ends(home, left):
            n_given += 1
            yield content
        if n_given < len(left):
            n_given += 1
            yield None
        left = left[n_given:]


def _until_it_ends(home: Home, names: list[str]) -> Iterator[bytes | None]:
    """What one git process gives. Names go in by a file: two full pipes would wait for each other."""
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(name + "\n" for name in names).encode("ascii"))
        asked.seek(0)
        with started(home, "cat-file", "--batch", "--buffer", stdin=asked) as process:
            assert process.stdout is not None
            for _ in names:
                header = process.stdout.readline().split()
                if header[1:] == [b"missing"]:
                    yield None
                    continue
                if len(header) != 3 or not header[2].isdigit():
                    return
                content = process.stdout.read(int(header[2]) + 1)
                if len(content) != int(header[2]) + 1:
                    return
                yield content[:-1]
