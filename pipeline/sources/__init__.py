"""Where documents come from: every kind of input, planned as slices and read as `documents` tables.

    plan_slices   a source -> its slices, in an order that depends on nothing but names and sizes
    read_slice    a slice -> the rows of one shard, in input order
    read_parts    an open slice, whose size only reading tells -> the rows of each of its shards, one after the other
    column_names  a slice -> the columns or keys of its first file, mapped or not
    passed_over   a source -> files of rows that its folder or glob holds and that are not read (`hidden.py`)
    missing_fields  some files -> for each the mapped fields that it has no column for

A row's doc_id is a hash of (source name, input file relative to the source's folder, its number there). It says nothing
of where the folder lies, how large the shards are, or how a JSON lines file is compressed. Each kind of source has a
file of its name; `roots.py` finds and opens files for them, `rows.py` makes the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from pipeline.errors import LoopmixError, StoreError
from pipeline.sources.caps import DEFAULT_CAPS, InputCaps, capped
from pipeline.sources.names import is_safe
from pipeline.sources.raw import RawDocument, RowPlace, without_poisonous
from pipeline.sources.roots import DAMAGED, hidden_files, locate, store_errors
from pipeline.sources.slices import InputFile, Slice

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.config import Source

__all__ = [
    "WITH_COLUMNS",
    "InputFile",
    "Slice",
    "column_names",
    "missing_fields",
    "passed_over",
    "plan_slices",
    "read_parts",
    "read_slice",
]


def plan_slices(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Cut a source into slices of about `shard_bytes` raw bytes, the same on every machine.

    ConfigError if its path is missing, nothing in it matches, or a mapped column does not exist. Contents are not
    looked at, so damage shows when a slice is read.
    """
    slices: list[Slice] = _reader(source).plan(source, shard_bytes=shard_bytes)
    return slices


def read_slice(
    source: Source,
    piece: Slice,
    *,
    max_document_bytes: int,
    min_encoding_confidence: float = 0.75,
    notebooks: Literal["script", "keep"] = "script",
    caps: InputCaps = DEFAULT_CAPS,
    poisonous: Collection[RowPlace] = (),
) -> pa.Table:
    """The rows of one slice with the columns of `schema.DOCUMENTS`, in input order.

    A bad document is a row whose `problem` says why. StoreError, with cause and remedy, if a file is damaged, gone,
    or not the one that was planned.
    """
    from pipeline.sources.parts import rows_between
    from pipeline.sources.rows import as_documents  # late, as in _reader

    found = _rows_of(source, piece, max_document_bytes=max_document_bytes, caps=caps)
    if (piece.first_row, piece.last_row) != (0, -1):
        found = rows_between(found, first=piece.first_row, last=piece.last_row)
    return as_documents(
        without_poisonous(found, poisonous=_of(source, poisonous)),
        source=source,
        max_document_bytes=max_document_bytes,
        min_encoding_confidence=min_encoding_confidence,
        notebooks=notebooks,
    )


def read_parts(
    source: Source,
    piece: Slice,
    *,
    shard_bytes: int,
    max_document_bytes: int,
    min_encoding_confidence: float = 0.75,
    notebooks: Literal["script", "keep"] = "script",
    caps: InputCaps = DEFAULT_CAPS,
    poisonous: Collection[RowPlace] = (),
) -> Iterator[tuple[int, pa.Table]]:
    """The shards of an open slice, each with the number of its first row; at least one, which may have no rows.

    Each table is as `read_slice` gives it for that part of `Slice.parts`. StoreError as there, behind tables that were
    given already: who cannot use a part of a damaged file waits for the end.
    """
    from pipeline.sources.parts import bytes_of_a_part, cut_rows
    from pipeline.sources.rows import as_documents  # late, as in _reader

    found = _rows_of(source, piece, max_document_bytes=max_document_bytes, caps=caps)
    part_bytes = bytes_of_a_part(piece, shard_bytes=shard_bytes)
    make = partial(
        as_documents,
        source=source,
        max_document_bytes=max_document_bytes,
        min_encoding_confidence=min_encoding_confidence,
        notebooks=notebooks,
    )
    is_empty = True
    for first, rows in cut_rows(found, part_bytes=part_bytes, shard_bytes=shard_bytes):
        is_empty = False
        yield first, make(without_poisonous(rows, poisonous=_of(source, poisonous)))
    if is_empty:
        yield 0, make(())


WITH_COLUMNS = ("parquet", "jsonl", "huggingface")  # kinds whose files have columns or keys
_THREADS = 8  # looking at heads of files is waiting, mostly on remote stores


def column_names(source: Source, piece: Slice) -> list[str]:
    """Columns of the first file of a slice, in its order, those of structs with a dot; none where files have none.

    Of JSON the keys of its first rows. StoreError if the file cannot be opened.
    """
    if source.kind not in WITH_COLUMNS or not piece.files:
        return []
    names: list[str] = _reader(source).column_names(source, piece.files[0])
    return names


def passed_over(source: Source) -> list[str]:
    """Paths of files that seem to hold rows and are not read, because a name on the way begins with `.` or `_`.

    Lists a source of files of rows again; nothing where that cannot be done, which is the plan's to say.
    """
    if source.kind not in ("parquet", "jsonl"):
        return []
    try:
        return hidden_files(source, root=locate(source), suffixes=_reader(source).SUFFIXES)
    except LoopmixError:
        return []


def missing_fields(source: Source, files: Sequence[InputFile]) -> dict[str, list[str]]:
    """For each file by path the fields of `columns` whose column it lacks; without files that cannot be looked at.

    Of JSON by the first rows. `explode` stands for the list that it names.
    """
    if source.kind not in WITH_COLUMNS:
        return {}
    root, look = locate(source), _reader(source).missing_fields

    def of(file: InputFile) -> list[str] | None:
        try:
            found: list[str] | None = look(source, file, root=root)
        except StoreError:
            return None  # the reader's to report
        return found

    with ThreadPoolExecutor(_THREADS) as threads:
        found = zip(files, threads.map(of, files), strict=True)
        return {file.path: fields for file, fields in found if fields is not None}


def _rows_of(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    if piece.source != source.name:
        raise StoreError(f"slice of source {piece.source!r} cannot be read from source {source.name!r}; run again")
    # A plan is read back from a file, so its names are data like any other.
    if unsafe := [file.path for file in piece.files if not is_safe(file.path)]:
        raise StoreError(f"{source.path}: the planned name {unsafe[0]!r} leads out of its folder; run again")
    rows: Iterator[RawDocument] = _reader(source).read(source, piece, max_document_bytes=max_document_bytes, caps=caps)
    where = f"{source.path}: {piece.files[0].path}" if piece.files else source.path
    return capped(_clear(rows, where=where), files=piece.files, caps=caps, folder=source.path)


def _clear(rows: Iterator[RawDocument], *, where: str) -> Iterator[RawDocument]:
    """The rows; whatever a library says of a stranger's file that no reader expected is damage of that file."""
    with store_errors(f"{where}: {DAMAGED}"):
        yield from rows


def _of(source: Source, places: Collection[RowPlace]) -> list[RowPlace]:
    return [place for place in places if place.source == source.name]


def _reader(source: Source) -> ModuleType:
    """The module of this source's kind. Late: each brings its libraries, and who only decodes a file needs none."""
    return import_module(f"pipeline.sources.{source.kind}")
