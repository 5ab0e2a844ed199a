"""The uncompressed bytes of a file, gzip and Zstandard included, and a StoreError at the first sign of damage."""

import gzip
from collections.abc import Iterator
from typing import BinaryIO, cast

import zstandard

from pipeline.errors import StoreError
from pipeline.sources.caps import DEFAULT_CAPS, InputCaps, counted
from pipeline.sources.foreign import HEAD_BYTES, looks_like, signature_of
from pipeline.sources.json_stream import Shape, shape_of
from pipeline.sources.roots import DAMAGED, store_errors
from pipeline.sources.slices import InputFile

GZIP = (".gz",)
ZSTD = (".zst", ".zstd")
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "Zstandard"))
_SKIPPABLE = b"\x2a\x4d\x18"  # behind one byte: a Zstandard frame that holds something else, as pzstd writes them
_BLOCK_BYTES = 1 << 20  # a plain choice
_ZSTD_INPUT_BYTES = 512  # a hostile frame can make 32 KiB of each, and a call returns all that its input makes
_ZSTD_OUTPUT_BYTES = 1 << 14  # the library's own buffer
_MAX_WINDOW_BYTES = 1 << 31  # what `zstd --long=31` makes; older public dumps use it


def is_compressed(file: InputFile) -> bool:
    return file.path.lower().endswith(GZIP + ZSTD)


def open_blocks(
    opened: BinaryIO, *, file: InputFile, where: str, start: int, caps: InputCaps = DEFAULT_CAPS
) -> tuple[Shape, Iterator[bytes]]:
    """The shape of a file and its uncompressed bytes from `start` on. StoreError if it is something else, or unpacks to
    more than it may."""
    if is_compressed(file):
        blocks = counted(_blocks(opened, file=file, where=where, start=0), file=file, caps=caps, where=where)
        first = [next(blocks, b"")]
        head, blocks = first[0][:HEAD_BYTES], _again(first, blocks)
    else:
        with store_errors(f"{where}: {DAMAGED}"):
            head = opened.read(HEAD_BYTES)
        blocks = _blocks(opened, file=file, where=where, start=start)
    if foreign := signature_of(head):
        raise StoreError(f"{where}: is no JSON lines file but {foreign}, or exclude it")
    return shape_of(head), blocks


def _again(first: list[bytes], blocks: Iterator[bytes]) -> Iterator[bytes]:
    """`first` and then the others; lets go of it, since a block may be large."""
    yield first.pop()
    yield from blocks


def _blocks(opened: BinaryIO, *, file: InputFile, where: str, start: int) -> Iterator[bytes]:
    """The uncompressed bytes from `start` on. StoreError at the first sign of damage."""
    name = file.path.lower()
    with store_errors(f"{where}: {DAMAGED}"):
        opened.seek(start)
        if name.endswith(GZIP + ZSTD):
            _check_magic(opened, magic=_MAGIC[name.endswith(ZSTD)])
        if name.endswith(ZSTD):
            yield from _unzstd(opened)
            return
        if name.endswith(GZIP):
            opened = cast(BinaryIO, gzip.GzipFile(fileobj=opened))
        while block := opened.read(_BLOCK_BYTES):
            yield block


def _check_magic(opened: BinaryIO, *, magic: tuple[bytes, str]) -> None:
    """The libraries take an empty file for a whole one, and say of another format no more than that it is none."""
    head = opened.read(HEAD_BYTES)
    opened.seek(0)
    if not head:
        raise EOFError("the file is empty")
    if not head.startswith(magic[0]) and not (magic[1] == "Zstandard" and head[1:4] == _SKIPPABLE):
        raise ValueError(f"it is not {magic[1]} but {looks_like(head)}")


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
