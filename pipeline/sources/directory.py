"""A folder of files: one file is one document. Links, special files and the stores of version control are passed over.

A file that cannot be read is a row, `unreadable_row`. A file that is gone or has changed since planning is an error:
the plan promises these bytes, and a new plan costs one listing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Source
from pipeline.errors import StoreError
from pipeline.sources.local import open_below
from pipeline.sources.names import is_safe
from pipeline.sources.roots import Root, list_files, locate
from pipeline.sources.rows import TOO_LARGE, UNREADABLE, Found
from pipeline.sources.slices import InputFile, Slice, group_files
from pipeline.sources.values import Facts

_REMOTE_FILES = 64  # fetched at once from a remote store
_REMOTE_BYTES = 32_000_000


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Files in order of their paths, grouped to about `shard_bytes`."""
    files = list_files(source, root=locate(source))
    return [
        Slice(source.name, group, n_bytes=sum(file.size for file in group))
        for group in group_files(files, shard_bytes=shard_bytes)
    ]


def read(source: Source, piece: Slice, *, max_document_bytes: int) -> Iterator[Found]:
    """The rows of one slice. Files above the limit are not opened."""
    root = locate(source)
    unsafe = [file.path for file in piece.files if not is_safe(file.path)]
    if unsafe:
        raise StoreError(f"{root.path}: the planned name {unsafe[0]!r} leads out of its folder; run again")
    if root.fs is None:
        for file in piece.files:
            yield _found(file, _local(root, file) if file.size <= max_document_bytes else TOO_LARGE)
        return
    for group in _fetchable(piece.files, max_document_bytes=max_document_bytes):
        small = [file for file in group if file.size <= max_document_bytes]
        fetched = dict(zip(small, _fetch(root, small), strict=True))
        for file in group:
            yield _found(file, fetched.get(file, TOO_LARGE))


def _found(file: InputFile, content: bytes | str) -> Found:
    """A row; text in place of content is the problem with it."""
    facts = Facts(path=file.path)
    if isinstance(content, str):
        return Found(file.path, 0, None, content, facts)
    return Found(file.path, 0, content, None, facts)


def _local(root: Root, file: InputFile) -> bytes | str:
    try:
        with open_below(root.path, file, take_links=False) as opened:
            content = opened.read()
    except OSError:
        return UNREADABLE
    return _whole(content, root=root, file=file)


def _whole(content: bytes, *, root: Root, file: InputFile) -> bytes:
    """`content` if it has the planned size; a file may shrink or grow while it is read."""
    if len(content) != file.size:
        raise StoreError(
            f"{root.join(file.path)}: gave {len(content)} bytes, planned were {file.size}; "
            "the input changed while it was read; run again, which plans anew"
        )
    return content


def _fetchable(files: tuple[InputFile, ...], *, max_document_bytes: int) -> Iterator[list[InputFile]]:
    group: list[InputFile] = []
    n_bytes = 0
    for file in files:
        size = file.size if file.size <= max_document_bytes else 0
        if group and (len(group) >= _REMOTE_FILES or n_bytes + size > _REMOTE_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += size
    if group:
        yield group


def _fetch(root: Root, files: list[InputFile]) -> list[bytes | str]:
    """Many small files in one go, which a remote store answers in parallel."""
    paths = [root.join(file.path) for file in files]
    answers = root.fs.cat_ranges(paths, None, None, on_error="return")
    contents: list[bytes | str] = []
    for file, answer in zip(files, answers, strict=True):
        if isinstance(answer, FileNotFoundError):
            raise StoreError(f"{root.join(file.path)}: is gone since planning; run again, which plans anew") from answer
        if isinstance(answer, BaseException):
            contents.append(UNREADABLE)
        else:
            contents.append(_whole(bytes(answer), root=root, file=file))
    return contents
