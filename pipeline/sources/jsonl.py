"""JSON lines: one object a line, plain or compressed with gzip or Zstandard.

A row's number is the byte at which its line starts in the uncompressed file. So the row keeps its name however the
file is cut, and whether it is compressed or not. Plain files are cut at any byte: a line belongs to the slice in which
it starts. Compressed files cannot be entered in the middle and stand alone, so that a damaged one costs no other.

A line that is no JSON object with text under the content key is a row of its own, `unreadable_row`; blank lines are no
documents. A file that cannot be decompressed to its end is an error, because nobody knows how many rows are missing.
"""

import gzip
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, BinaryIO, cast

import zstandard
from pydantic_core import from_json

from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.roots import Root, list_files, locate, open_file, store_errors
from pipeline.sources.rows import TOO_LARGE, UNREADABLE, RawDocument
from pipeline.sources.slices import InputFile, Slice, whole_files
from pipeline.sources.values import find, metadata_of

_GZIP = (".gz",)
_ZSTD = (".zst", ".zstd")
_SUFFIXES = tuple(stem + end for stem in (".jsonl", ".ndjson", ".json") for end in ("", *_GZIP, *_ZSTD))
_EXPANSION = 4  # raw bytes for each compressed one, as code and prose have it; an estimate for progress only
_BLOCK_BYTES = 1 << 20  # a plain choice
_ZSTD_INPUT_BYTES = 512  # a hostile frame can make 32 KiB of each, and a call returns all that its input makes
_ZSTD_OUTPUT_BYTES = 1 << 14  # the library's own buffer
_MAX_WINDOW_BYTES = 1 << 31  # what `zstd --long=31` makes; older public dumps use it
_LINE_PER_DOCUMENT = 8  # a line may be this often the largest document: JSON writes some bytes with six
_LINE_EXTRA_BYTES = 1 << 16  # and this much for the other keys
_PEEK_BYTES = 1 << 18  # searched for the content key before any work; a plain choice, enough for some rows
_MARK = b"\xef\xbb\xbf"
_FOREIGN_STARTS = {
    b"\x1f\x8b": "gzip data; name it .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard data; name it .zst",
    b"\xff\xfe": "UTF-16; convert it to UTF-8",
    b"\xfe\xff": "UTF-16; convert it to UTF-8",
    b"BZh": "bzip2 data; unpack it",
    b"\xfd7zXZ": "xz data; unpack it",
    b"PAR1": "parquet; use kind: parquet",
}


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Slices of about `shard_bytes`: small plain files together, large ones cut, compressed ones alone."""
    root = locate(source)
    files = list_files(source, root=root, suffixes=_SUFFIXES)
    _check_content_key(source, root=root, file=files[0])
    slices: list[Slice] = []
    for small, neighbours in groupby(files, key=lambda file: not _is_compressed(file) and file.size <= shard_bytes):
        if small:
            slices += whole_files(source.name, neighbours, shard_bytes=shard_bytes)
            continue
        for file in neighbours:
            if _is_compressed(file):
                slices.append(Slice(source.name, (file,), n_bytes=file.size * _EXPANSION))
            else:
                slices += _cut(source.name, file=file, shard_bytes=shard_bytes)
    return slices


def read(source: Source, piece: Slice, *, max_document_bytes: int) -> Iterator[RawDocument]:
    """The rows of one slice."""
    root = locate(source)
    for file in piece.files:
        cap = _LINE_PER_DOCUMENT * max_document_bytes + _LINE_EXTRA_BYTES
        for offset, line in _lines_of(root, file, first=piece.first, last=piece.last, cap=cap):
            if line is None:
                yield RawDocument(file.path, offset, None, TOO_LARGE)
            elif line.strip():
                yield _row(line, file=file, offset=offset, source=source)


def _cut(source: str, *, file: InputFile, shard_bytes: int) -> Iterator[Slice]:
    n = -(-file.size // shard_bytes)
    edges = [file.size * k // n for k in range(n)]
    for first, last in zip(edges, [*edges[1:], -1], strict=True):
        yield Slice(source, (file,), first, last, (file.size if last < 0 else last) - first)


def _is_compressed(file: InputFile) -> bool:
    return file.path.lower().endswith(_GZIP + _ZSTD)


def _row(line: bytes, *, file: InputFile, offset: int, source: Source) -> RawDocument:
    row = _parse(line.removeprefix(_MARK) if offset == 0 else line)
    content = find(row, key=source.columns.content)
    metadata = metadata_of(row, columns=source.columns)
    if not isinstance(content, str):
        return RawDocument(file.path, offset, None, UNREADABLE, metadata)
    return RawDocument(file.path, offset, content.encode("utf-8"), None, metadata)


def _parse(line: bytes) -> Any:
    """The value of a line, or None. Strict: no NaN, broken UTF-8 or lone surrogate; at most 200 levels deep."""
    try:
        return from_json(line, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None


def _lines_of(root: Root, file: InputFile, *, first: int, last: int, cap: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines that start in [first, last), each with its offset; None stands for a line longer than `cap`."""
    with open_file(root, file) as opened:
        # One byte early: if that byte ends a line, the first line of the slice starts right at its edge.
        start = max(0, first - 1)
        lines = split_lines(_blocks(opened, file=file, where=root.join(file.path), start=start), offset=start, cap=cap)
        if first > 0:
            next(lines, None)
        for offset, line in lines:
            if 0 <= last <= offset:
                return
            yield offset, line


def split_lines(blocks: Iterable[bytes], *, offset: int, cap: int) -> Iterator[tuple[int, bytes | None]]:
    """Cut a stream of bytes at line feeds. A line longer than `cap` is passed over without being gathered."""
    held: list[bytes] = []  # of the line that has begun and not ended
    n_held = 0
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for piece in ended:
            n = n_held + len(piece)
            yield offset, (b"".join((*held, piece)) if held else piece) if n <= cap else None
            offset += n + 1
            held, n_held = [], 0
        n_held += len(rest)
        held.append(rest)
        if n_held > cap:
            held = []
    if n_held:
        yield offset, b"".join(held) if n_held <= cap else None


def _blocks(opened: BinaryIO, *, file: InputFile, where: str, start: int) -> Iterator[bytes]:
    """The uncompressed bytes from `start` on. StoreError at the first sign of damage."""
    name = file.path.lower()
    with store_errors(f"{where}: is damaged, cut short or cannot be read; fetch it again or exclude it"):
        if name.endswith(_ZSTD):
            yield from _unzstd(opened)
            return
        head = opened.read(8)
        opened.seek(start)
        if name.endswith(_GZIP):
            if not head:  # the library checks length and sum of each member, but takes an empty file for a whole one
                raise EOFError("the file is empty")
            opened = cast(BinaryIO, gzip.GzipFile(fileobj=opened))
        elif foreign := [what for first, what in _FOREIGN_STARTS.items() if head.startswith(first)]:
            raise StoreError(f"{where}: is no JSON lines file but {foreign[0]}, or exclude it")
        while block := opened.read(_BLOCK_BYTES):
            yield block


def _unzstd(opened: BinaryIO) -> Iterator[bytes]:
    """All frames of a file, in blocks. Unlike the library's reader this notices a frame that breaks off."""
    made: list[bytes] = []
    n_made = 0
    frames = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    frame = frames.decompressobj(write_size=_ZSTD_OUTPUT_BYTES)
    open_ended = True  # also before the first byte: an empty file holds no frame
    while data := opened.read(_ZSTD_INPUT_BYTES):
        while data:
            made.append(frame.decompress(data))
            n_made += len(made[-1])
            if n_made >= _BLOCK_BYTES:
                yield b"".join(made)
                made, n_made = [], 0
            data, open_ended = b"", True
            if frame.eof:
                data, open_ended = frame.unused_data, False
                frame = frames.decompressobj(write_size=_ZSTD_OUTPUT_BYTES)
    if open_ended:
        raise EOFError("the last frame is not complete")
    yield b"".join(made)


def _check_content_key(source: Source, *, root: Root, file: InputFile) -> None:
    """Fail before any work if the first rows hold objects and none of them has the content key: a slip in `columns`."""
    key = source.columns.content
    keys: dict[str, None] = {}
    try:
        with open_file(root, file) as opened:
            head = next(_blocks(opened, file=file, where=file.path, start=0), b"")[:_PEEK_BYTES]
    except StoreError:
        return  # a damaged file is the reader's to report
    for line in head.split(b"\n")[:-1] or [head]:
        row = _parse(line.removeprefix(_MARK))
        if isinstance(row, dict):
            if key in row or find(row, key=key) is not None:
                return
            keys |= dict.fromkeys(row)
    if keys:
        raise ConfigError(
            f"sources.{source.name}.columns.content: {file.path} has no key {key!r} in its first rows; "
            f"found {sorted(keys)}"
        )
