"""What a file is that is not what its source says it is, in words, with what to write instead.

A file that gives no document at all is never a quiet success: it is an error that ends with what is said here.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from pipeline.errors import StoreError
from pipeline.sources.raw import UNREADABLE, RawDocument

HEAD_BYTES = 4_096  # what a file is told from; a plain choice
# Formats by their first bytes, and what to do about them.
_SIGNATURES = {
    b"\x1f\x8b": "gzip data; name it .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard data; name it .zst",
    b"BZh": "bzip2 data; unpack it",
    b"\xfd7zXZ": "xz data; unpack it",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"PK\x05\x06": "an empty zip archive; fetch it again",
    b"PAR1": "parquet; use kind: parquet",
    b"ARROW1": "an Arrow file; use kind: datatrove and reader: IpcReader",
    b"\xff\xff\xff\xff": "an Arrow stream; use kind: huggingface and name its folder",
    b"\x89HDF": "HDF5; write it as parquet",
    b"SQLite format 3\0": "an SQLite database; write its table as parquet",
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer; fetch the file itself: git lfs pull",
}
_TAR = (257, b"ustar")
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(rb"\s*<(?:\?xml|[A-Za-z][\w:.-]*[\s>/])")
_DELIMITERS = {b",": "CSV", b"\t": "TSV", b";": "CSV with semicolons"}
_N_COMPARED_LINES = 5  # of which each must have as many delimiters, to call a file a table
_SHOWN_BYTES = 40
_ENOUGH_ROWS = 100  # of a part of a file, to be judged like a whole one
_MAX_HELD_ROWS = 100_000  # rows without a document before the first one; bounds memory


def signature_of(head: bytes) -> str | None:
    """What the first bytes of a file say beyond doubt; None if nothing."""
    found = next((what for first, what in _SIGNATURES.items() if head.startswith(first)), None)
    if found is None and head[_TAR[0] :].startswith(_TAR[1]):
        return "a tar archive; unpack it"
    if found is None and _HTML.match(head):
        return "an HTML page, perhaps an error page of a server; fetch it again"
    return found


def looks_like(head: bytes) -> str:
    """What a file is that begins with `head`, as a guess, and what to write for it."""
    if not head.strip():
        return "an empty file; fetch it again" if not head else "a file of white space; fetch it again"
    if found := signature_of(head):
        return found
    if head.lstrip()[:1] in (b"{", b"["):
        return "JSON; use kind: jsonl"
    if _XML.match(head):
        return "XML; use kind: directory, or write it as JSON lines"
    if found := _table(head):
        return found
    if b"\0" in head:
        return "binary data; use kind: directory, or exclude it"
    start = " ".join(head[:_SHOWN_BYTES].decode("utf-8", errors="replace").split())
    return f"text that begins with {start!r}; use kind: directory"


def _table(head: bytes) -> str | None:
    """CSV and its like: as many delimiters in each of the first lines."""
    lines = head.split(b"\n")
    lines = [line for line in (lines[:-1] or lines)[:_N_COMPARED_LINES] if line.strip()]
    for delimiter, name in _DELIMITERS.items():
        counts = {re.sub(rb'"[^"]*"', b"", line).count(delimiter) for line in lines}
        if lines and len(counts) == 1 and counts != {0}:
            names = [field.strip(b' "\r').decode("utf-8", errors="replace") for field in lines[0].split(delimiter)]
            return f"{name} with the columns {names[:9]}; write it as parquet or JSON lines, or use kind: datatrove"
    return None


def refuse_fruitless(
    found: Iterable[RawDocument], *, where: str, is_whole: bool, about: Callable[[], str], may_be_empty: bool = False
) -> Iterator[RawDocument]:
    """The rows of a file as they are; StoreError with `about` if none of them can be read, or there is none.

    Of a part of a file only if it has many rows: a few unread ones may follow one after another anywhere.
    `may_be_empty`: that there is no row was meant.
    """
    rows = iter(found)
    held: list[RawDocument] = []
    for row in rows:
        held.append(row)
        if row.problem != UNREADABLE:
            yield from held
            yield from rows
            return
        if len(held) == _MAX_HELD_ROWS:
            break
    if may_be_empty and not held:
        return
    if is_whole or len(held) >= _ENOUGH_ROWS:
        n = f"none of its first {len(held):,} rows gives a document" if held else "holds no row"
        raise StoreError(f"{where}: {n}; {about()}")
    yield from held
