"""How much one input file may become: a few hundred bytes can unpack to terabytes, and cost nothing to plant.

What a file makes is counted while it is read, so that memory stays what it is for an honest file, and reading stops at
the first byte or row too many. It is counted twice: the bytes that are unpacked, whether they belong to a row or not,
and the rows, each as its content and `ROW_BYTES`, since a row costs that much however little it holds.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.config import Ingest
from pipeline.errors import StoreError
from pipeline.sources.raw import RawDocument
from pipeline.sources.slices import ROW_BYTES, InputFile

# A file that makes no more harms nobody, and of a tiny one the ratio says nothing: a plain choice.
HARMLESS_BYTES = 1_000_000
_REMEDY = "look at it; if it is what it should be, raise"


class InputCaps(NamedTuple):
    """The settings of `ingest` that bound one file."""

    max_rows: int = 1_000_000_000
    max_unpacked_frac: float = 5_000.0  # bytes that it makes for each of its own

    def bytes_of(self, file: InputFile) -> int:
        """What a file may make."""
        return max(HARMLESS_BYTES, int(file.size * self.max_unpacked_frac))


DEFAULT_CAPS = InputCaps()


def caps_of(ingest: Ingest) -> InputCaps:
    """The caps of a mixture."""
    return InputCaps(ingest.max_rows, ingest.max_unpacked_frac)


def refuse_bytes(n_bytes: int, *, file: InputFile, caps: InputCaps, where: str) -> None:
    """StoreError for a file that has made more than it may."""
    if n_bytes > caps.bytes_of(file):
        raise StoreError(
            f"{where}: makes more than {n_bytes:,} bytes of its {file.size:,}, allowed are {caps.bytes_of(file):,}; "
            f"{_REMEDY} ingest.max_unpacked_frac, now {caps.max_unpacked_frac:g}"
        )


def refuse_rows(n_rows: int, *, caps: InputCaps, where: str) -> None:
    """StoreError for a file that has more rows than it may."""
    if n_rows > caps.max_rows:
        raise StoreError(f"{where}: has more than {caps.max_rows:,} rows; {_REMEDY} ingest.max_rows")


def counted(blocks: Iterable[bytes], *, file: InputFile, caps: InputCaps, where: str) -> Iterator[bytes]:
    """The blocks of one file as they are unpacked."""
    n_bytes = 0
    for block in blocks:
        n_bytes += len(block)
        refuse_bytes(n_bytes, file=file, caps=caps, where=where)
        yield block


def capped(
    found: Iterable[RawDocument], *, files: Iterable[InputFile], caps: InputCaps, folder: str
) -> Iterator[RawDocument]:
    """The rows of a slice, file by file. A row of no file (datatrove reads many as one) is bounded by number alone."""
    known = {file.path: file for file in files}
    name, n_rows, n_bytes = "", 0, 0
    for row in found:
        if row.input_file != name:
            name, n_rows, n_bytes = row.input_file, 0, 0
        n_rows += 1
        n_bytes += ROW_BYTES + len(row.content or b"")
        where = f"{folder}/{name}"
        refuse_rows(n_rows, caps=caps, where=where)
        if name in known:
            refuse_bytes(n_bytes, file=known[name], caps=caps, where=where)
        yield row
