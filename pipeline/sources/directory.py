"""A folder of files: one file is one document. Links, special files and the stores of version control are passed over.

A file that cannot be read is a row, `unreadable_row`. A file that is gone or has changed since planning is an error:
the plan promises these bytes, and a new plan costs one listing.
"""

from collections.abc import Iterator

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.caps import InputCaps
from pipeline.sources.local import open_below
from pipeline.sources.raw import TOO_LARGE, UNREADABLE, RawDocument
from pipeline.sources.roots import Root, list_files, locate
from pipeline.sources.slices import InputFile, Slice, group_files, whole_files
from pipeline.sources.unpack import GZIP, ZSTD
from pipeline.sources.values import Metadata

# Read at once, so that a remote store can answer in parallel (fsspec bounds how many requests are open); bounds memory.
_GROUP_BYTES = 32_000_000
# Binary files of rows, by the kind of source that reads them.
_HOLD_ROWS = {
    (".parquet", ".pq"): "parquet",
    (".arrow",): "huggingface",
    tuple(f".{stem}{end}" for stem in ("jsonl", "ndjson", "json") for end in (*GZIP, *ZSTD)): "jsonl",
}
_Content = tuple[bytes | None, str | None]  # the bytes, or the problem with them


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Files in order of their paths, grouped to about `shard_bytes`.

    ConfigError where all of them hold rows: each would be a document of bytes that no rule lets in.
    """
    files = list_files(source, root=locate(source))
    for suffixes, kind in _HOLD_ROWS.items():
        if all(file.path.lower().endswith(suffixes) for file in files):
            raise ConfigError(
                f"sources.{source.name}.kind: directory makes one document of each file, and {source.path} has nothing "
                f"but files of rows, as {files[0].path.rpartition('/')[2]}; write kind: {kind}"
            )
    return whole_files(source.name, files, shard_bytes=shard_bytes)


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The rows of one slice. Files above the limit are not opened."""
    root = locate(source)
    for group in group_files(piece.files, shard_bytes=_GROUP_BYTES):
        small = [file for file in group if file.size <= max_document_bytes]
        contents = [_open(root, file) for file in small] if root.fs is None else _fetch(root, small)
        found = dict(zip(small, contents, strict=True))
        for file in group:
            content, problem = found.get(file, (None, TOO_LARGE))
            yield RawDocument(file.path, 0, content, problem, Metadata(path=file.path))


def _open(root: Root, file: InputFile) -> _Content:
    try:
        with open_below(root.path, file, take_links=False) as opened:
            return _whole(opened.read(), root=root, file=file), None
    except OSError:
        return None, UNREADABLE


def _fetch(root: Root, files: list[InputFile]) -> list[_Content]:
    answers = root.fs.cat_ranges([root.join(file.path) for file in files], None, None, on_error="return")
    contents: list[_Content] = []
    for file, answer in zip(files, answers, strict=True):
        if isinstance(answer, FileNotFoundError):
            raise StoreError(f"{root.join(file.path)}: is gone since planning; run again, which plans anew") from answer
        unread = isinstance(answer, BaseException)
        contents.append((None, UNREADABLE) if unread else (_whole(bytes(answer), root=root, file=file), None))
    return contents


def _whole(content: bytes, *, root: Root, file: InputFile) -> bytes:
    """`content` if it has the planned size; a file may shrink or grow while it is read."""
    if len(content) != file.size:
        raise StoreError(
            f"{root.join(file.path)}: gave {len(content)} bytes, planned were {file.size}; "
            "the input changed while it was read; run again, which plans anew"
        )
    return content
