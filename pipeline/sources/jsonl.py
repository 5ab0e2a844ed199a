"""JSON: one object a row, plain or compressed with gzip or Zstandard.

Rows are lines, elements of an array, RFC 7464 records or objects over several lines, in any UTF (`json_stream.py`). A
row's number is the byte at which it starts in the uncompressed file, counted in UTF-8. So the row keeps its name
however the file is cut, and whether it is compressed or not. Plain files are cut at any byte where their rows allow it:
a row belongs to the slice in which it starts. Compressed files cannot be entered in the middle; each is an open slice
of its own, so that a damaged one costs no other.

A row that is no JSON object with text under the content key is a row of its own, `unreadable_row`; blank lines are no
documents. A file that cannot be decompressed to its end is an error, because nobody knows how many rows are missing,
and so is a file none of whose rows gives a document.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.caps import InputCaps
from pipeline.sources.entries import without_repeats
from pipeline.sources.foreign import HEAD_BYTES, looks_like, refuse_fruitless
from pipeline.sources.json_rows import Text, parse_row
from pipeline.sources.json_stream import MARK, Lines, as_utf8, rows_of, shape_of
from pipeline.sources.raw import MAX_ENTRIES, NO_FILES, TOO_LARGE, UNREADABLE, RawDocument
from pipeline.sources.roots import Root, list_files, locate, open_file
from pipeline.sources.slices import InputFile, Slice, whole_files
from pipeline.sources.unpack import GZIP, ZSTD, is_compressed, open_blocks
from pipeline.sources.values import find, mapped, metadata_of
from pipeline.yaml_file import closest, did_you_mean

SUFFIXES = tuple(stem + end for stem in (".jsonl", ".ndjson", ".json") for end in ("", *GZIP, *ZSTD))
_EXPANSION = 4  # raw bytes for each compressed one, as code and prose have it; an estimate for progress only

_LINE_PER_DOCUMENT = 8  # a line may be this often the largest document: JSON writes some bytes with six
_LINE_EXTRA_BYTES = 1 << 16  # and this much for the other keys
_N_CHECKED_FILES = 8  # opened before any work until one has the content key; a plain choice
_MIN_ROWS = 5  # fewer first rows without a key say nothing: a writer may leave out what is null
_PEEK_BYTES = 1 << 18  # searched for the content key before any work; a plain choice, enough for some rows


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Slices of about `shard_bytes`: small plain files together, large ones cut; open ones of what cannot be cut."""
    root = locate(source)
    files = list_files(source, root=root, suffixes=SUFFIXES)
    _check_content_key(source, root=root, files=files[:_N_CHECKED_FILES])
    slices: list[Slice] = []
    for small, neighbours in groupby(files, key=lambda file: not is_compressed(file) and file.size <= shard_bytes):
        if small:
            slices += whole_files(source.name, neighbours, shard_bytes=shard_bytes)
            continue
        for file in neighbours:
            if is_compressed(file):
                slices.append(Slice(source.name, (file,), n_bytes=file.size * _EXPANSION, is_open=True))
            elif not _may_be_cut(root, file):
                slices.append(Slice(source.name, (file,), n_bytes=file.size, is_open=True))
            else:
                slices += _cut(source.name, file=file, shard_bytes=shard_bytes)
    return slices


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The rows of one slice."""
    root = locate(source)
    for file in piece.files:
        yield from refuse_fruitless(
            _rows(source, piece, root=root, file=file, max_document_bytes=max_document_bytes, caps=caps),
            where=root.join(file.path),
            is_whole=piece.first == 0 and piece.last < 0,
            about=lambda file=file: _about(source, root=root, file=file),  # type: ignore[misc]
            # Nothing, packed and closed as it should be, was written on purpose; no bytes at all are a failed download.
            may_be_empty=is_compressed(file),
        )


def column_names(source: Source, file: InputFile) -> list[str]:
    """The keys of the first rows, in the order in which they come up."""
    rows = [row for row in _first_rows(locate(source), file, explode=source.explode) if isinstance(row, dict)]
    found: dict[str, None] = {}
    for name, value in ((name, value) for row in rows for name, value in row.items()):
        found[name] = None
        found |= dict.fromkeys(f"{name}.{inner}" for inner in value) if isinstance(value, dict) else {}
    return list(found)


def missing_fields(source: Source, file: InputFile, *, root: Root) -> list[str] | None:
    """The mapped fields whose key none of the first rows has; None where there are too few rows to say so."""
    rows = [row for row in _first_rows(root, file, explode=source.explode) if isinstance(row, dict)]
    if len(rows) < _MIN_ROWS:
        return None
    return [field for field, name in source.columns if name and not any(_has(row, key=name) for row in rows)]


def _has(row: Any, *, key: str) -> bool:
    """Whether the key stands there, null or not; below a parent that is null anything may."""
    if row is None or (isinstance(row, dict) and key in row):
        return True
    head, _, rest = key.partition(".")
    return bool(rest) and isinstance(row, dict) and head in row and _has(row[head], key=rest)


def _rows(
    source: Source, piece: Slice, *, root: Root, file: InputFile, max_document_bytes: int, caps: InputCaps
) -> Iterator[RawDocument]:
    cap = _LINE_PER_DOCUMENT * max_document_bytes + _LINE_EXTRA_BYTES
    columns = mapped(source)
    wanted = [name for _, name in columns if name]
    if source.explode:
        wanted += [source.explode, *(f"{source.explode}.{name}" for name in wanted)]
    for offset, line in _lines_of(root, file, first=piece.first, last=piece.last, cap=cap, caps=caps):
        if line is None:
            yield RawDocument(file.path, offset, None, TOO_LARGE)
            continue
        text = line.removeprefix(MARK) if offset == 0 else line
        if text.strip():
            row = parse_row(text, wanted=wanted)
            if source.explode is None:
                yield _row(row, file=file, number=offset, columns=columns)
            else:
                yield from _entries(row, file=file, offset=offset, source=source)


def _cut(source: str, *, file: InputFile, shard_bytes: int) -> Iterator[Slice]:
    n = -(-file.size // shard_bytes)
    edges = [file.size * k // n for k in range(n)]
    for first, last in zip(edges, [*edges[1:], -1], strict=True):
        yield Slice(source, (file,), first, last, (file.size if last < 0 else last) - first)


def _may_be_cut(root: Root, file: InputFile) -> bool:
    try:
        with open_file(root, file) as opened:
            return shape_of(opened.read(HEAD_BYTES)).may_be_cut
    except StoreError:
        return False  # a damaged file is the reader's to report


def _entries(row: Any, *, file: InputFile, offset: int, source: Source) -> Iterator[RawDocument]:
    """Each file that a row lists, with the row's own keys beside those of the file, which come first."""
    listed = find(row, key=source.explode)
    first = offset * MAX_ENTRIES
    if not isinstance(listed, list) or not listed:  # the row has a place in the ledger all the same
        yield RawDocument(file.path, first, None, NO_FILES if listed == [] else UNREADABLE)
        return
    merged = (row | entry if isinstance(entry, dict) else None for entry in listed)
    columns = mapped(source)
    found = (_row(one, file=file, number=first + k, columns=columns) for k, one in enumerate(merged))
    yield from without_repeats(found)


def _row(row: Any, *, file: InputFile, number: int, columns: Columns) -> RawDocument:
    content = find(row, key=columns.content)
    metadata = metadata_of(row, columns=columns)
    if isinstance(content, Text):
        return RawDocument(file.path, number, content.raw, None, metadata, content.n_replaced)
    if not isinstance(content, str):
        return RawDocument(file.path, number, None, UNREADABLE, metadata)
    return RawDocument(file.path, number, content.encode("utf-8"), None, metadata)


def _lines_of(root: Root, file: InputFile, *, first: int, last: int, cap: int, caps: InputCaps) -> Lines:
    """Rows that start in [first, last), each with its offset; None stands for one longer than `cap`."""
    where = root.join(file.path)
    with open_file(root, file) as opened:
        # One byte early: if that byte ends a line, the first line of the slice starts right at its edge.
        start = max(0, first - 1)
        shape, blocks = open_blocks(opened, file=file, where=where, start=start, caps=caps)
        lines = rows_of(blocks, shape=shape, offset=start, cap=cap, where=where)
        if first > 0:
            next(lines, None)
        for offset, line in lines:
            if 0 <= last <= offset:
                return
            yield offset, line


def _check_content_key(source: Source, *, root: Root, files: list[InputFile]) -> None:
    """Fail before any work if files hold objects and none of them has the content key: a slip in `columns`."""
    key = source.columns.content
    faults = []
    for file in files:
        rows = [row for row in _first_rows(root, file, explode=source.explode) if isinstance(row, dict)]
        if any(key in row or find(row, key=key) is not None for row in rows):
            return
        if rows:
            faults.append(f"{file.path} {_no_key(rows, key=key)}")
    if faults:
        raise ConfigError(f"sources.{source.name}.columns.content: {faults[0]}")


def _no_key(rows: list[dict[str, Any]], *, key: str) -> str:
    names = sorted({name for row in rows for name in row})
    said = f"has no key {key!r} in its first rows; found {names}"
    for name in names:
        lists = (row.get(name) for row in rows)
        if any(isinstance(one, dict) and key in one for listed in lists if isinstance(listed, list) for one in listed):
            return f"{said}; it stands in the list {name!r}: write explode: {name}"
    near = closest(key, names)
    return said + (did_you_mean(near) if near else "")


def _first_rows(root: Root, file: InputFile, *, explode: str | None) -> list[Any]:
    """The values of the rows that begin a file, as many as its first bytes hold whole; none of a damaged file."""
    try:
        with open_file(root, file) as opened:
            shape, blocks = open_blocks(opened, file=file, where=file.path, start=0)
            head = next(blocks, b"")[:_PEEK_BYTES]
            is_all = len(head) < _PEEK_BYTES and next(blocks, None) is None
    except StoreError:
        return []
    rows: list[bytes | None] = []
    try:
        for _, row in rows_of([head], shape=shape, offset=0, cap=_PEEK_BYTES, where=file.path):
            rows.append(row)
    except StoreError:  # the head ends inside an array
        is_all = True
    whole = rows if is_all or len(rows) == 1 else rows[:-1]
    parsed = [parse_row(row.removeprefix(MARK), wanted=None) for row in whole if row is not None and row.strip()]
    return [one for row in parsed for one in _merged(row, explode=explode)]


def _merged(row: Any, *, explode: str | None) -> list[Any]:
    """What the entries of a row look like; nothing where its list cannot be read as a whole."""
    if explode is None:
        return [row]
    listed = find(row, key=explode)
    return [row | one if isinstance(one, dict) else one for one in listed] if isinstance(listed, list) else []


def _about(source: Source, *, root: Root, file: InputFile) -> str:
    """Why a file has no document: what it looks like, and what to write."""
    key = source.columns.content
    found = _first_rows(root, file, explode=source.explode)
    rows = [row for row in found if isinstance(row, dict)]
    if not rows:
        with open_file(root, file) as opened:
            shape, blocks = open_blocks(opened, file=file, where=file.path, start=0)
            head = b"".join(as_utf8([next(blocks, b"")[:HEAD_BYTES]], encoding=shape.encoding))
        return f"it looks like {looks_like(head)}"
    kinds = sorted({type(value).__name__ for row in rows if (value := find(row, key=key)) is not None})
    if not any(key in row or find(row, key=key) is not None for row in rows):
        return f"it {_no_key(rows, key=key)}; say which one holds the text: columns: {{content: NAME}}"
    return f"its {key!r} holds {' and '.join(kinds) or 'null'}, expected text; say which key holds it: columns"
