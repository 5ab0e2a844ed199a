"""The plan of an input: which files, and which part of them, one shard of `documents` will hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Counted for each file beside its content, so that a million empty files do not share a shard: about what a row of
# `documents` takes beside its content.
_ROW_BYTES = 512


@dataclass(frozen=True)
class InputFile:
    """A file as it was when the input was planned."""

    path: str  # relative to the source's root, "/" between folders; see `names.py` for names that are not UTF-8
    size: int  # bytes
    version: str  # mtime in ns, etag or checksum; git: commit and blob; "" if the filesystem has none


@dataclass(frozen=True)
class Slice:
    """What one shard of `documents` holds. Plain data: `dataclasses.asdict` of it fits into a plan file."""

    source: str  # the source's name
    files: tuple[InputFile, ...]
    first: int = 0  # parquet: first row group; plain jsonl: first byte; datatrove: rank
    last: int = -1  # exclusive; -1: to the end
    n_bytes: int = 0  # estimate of raw bytes, for progress


def group_files(files: Iterable[InputFile], *, shard_bytes: int) -> Iterator[tuple[InputFile, ...]]:
    """Neighbours together, up to `shard_bytes`; a larger file stands alone. Keeps the order."""
    group: list[InputFile] = []
    n_bytes = 0
    for file in files:
        cost = file.size + _ROW_BYTES
        if group and n_bytes + cost > shard_bytes:
            yield tuple(group)
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += cost
    if group:
        yield tuple(group)


def whole_files(source: str, files: Iterable[InputFile], *, shard_bytes: int) -> list[Slice]:
    """A slice for each group of whole files."""
    groups = group_files(files, shard_bytes=shard_bytes)
    return [Slice(source, group, n_bytes=sum(file.size for file in group)) for group in groups]
