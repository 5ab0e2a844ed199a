"""A bounded look at each input: how large it is, and what its first documents, and some further on, are.

Some slices of about a megabyte are read, spread over the plan of a source. So a lint takes seconds at any size of
input, and says what is typical.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.config import Against, Mixture, Source, source_of
from pipeline.errors import LoopmixError
from pipeline.schema import DOCUMENTS
from pipeline.sources import InputFile, Slice, column_names, plan_slices, read_parts, read_slice
from pipeline.sources.caps import caps_of

Item = TypeVar("Item")
_HEAD_BYTES = 1_000_000  # of a slice that is looked at
_N_SLICES = 4  # the first, the last and two between
_MAX_ROWS = 100  # of a slice: their languages take a quarter of a second
_PACKED = (".parquet", ".arrow", ".gz", ".zst")  # files that hold more than their size


@dataclass(frozen=True)
class Head:
    """What was seen of one input."""

    n_bytes: int  # of its files
    is_packed: bool  # its files hold more bytes than they have, nobody knows how many
    rows: Sequence[dict[str, Any]]  # of `documents`, with `language`, `pool` and `group` of `languages` where asked
    problem: str | None = None  # why it could not be looked at
    paths: tuple[str, ...] | None = None  # of all its documents, where these are files
    pieces: tuple[Slice, ...] = ()  # of its plan, all of them
    columns: tuple[str, ...] = ()  # of its first file, mapped or not

    @property
    def files(self) -> tuple[InputFile, ...]:
        """All of its files, in the order of the plan."""
        return tuple({file.path: file for piece in self.pieces for file in piece.files}.values())

    @property
    def docs(self) -> list[dict[str, Any]]:
        """The rows that are documents."""
        return [row for row in self.rows if row["problem"] is None]

    @property
    def problems(self) -> Counter[str]:
        """Why the others are none."""
        return Counter(row["problem"] for row in self.rows if row["problem"] is not None)


def look_at_source(mixture: Mixture, source: Source) -> Head:
    """The head of a source, with languages."""
    return _look(source, mixture, is_told=True)


def look_at_benchmark(mixture: Mixture, entry: Against) -> Head:
    """The head of a benchmark."""
    return _look(source_of(entry), mixture, is_told=False)


def _look(source: Source, mixture: Mixture, *, is_told: bool) -> Head:
    try:
        pieces = plan_slices(source, shard_bytes=_HEAD_BYTES)
    except LoopmixError as error:
        return Head(0, False, (), problem=str(error))
    files = {file.path: file.size for piece in pieces for file in piece.files}
    paths = tuple(files) if source.kind in ("directory", "git") else None
    is_packed = not files or any(path.lower().endswith(_PACKED) for path in files)
    n_bytes = sum(files.values()) or sum(piece.n_bytes for piece in pieces)
    try:
        rows = [row for piece in evenly(pieces, _N_SLICES) for row in _some_of(source, piece, mixture, is_told=is_told)]
        columns = tuple(column_names(source, pieces[0])) if pieces else ()
    except LoopmixError as error:
        return Head(n_bytes, is_packed, (), problem=str(error), paths=paths)
    return Head(n_bytes, is_packed, rows, paths=paths, pieces=tuple(pieces), columns=columns)


def look_again(mixture: Mixture, source: Source, head: Head, **columns: str) -> list[dict[str, Any]]:
    """The first rows of a source as they would be with other `columns`, and with nothing that the source itself says.

    Nothing where they cannot be read so.
    """
    if not head.pieces:
        return []
    own = source.model_copy(
        update={
            "columns": source.columns.model_copy(update=columns),
            "license": None,
            "repo": None,
            "strip_prefix": None,
        }
    )
    try:
        return _some_of(own, head.pieces[0], mixture, is_told=False)
    except LoopmixError:
        return []


def unstripped(mixture: Mixture, source: Source, head: Head) -> list[bytes]:
    """What was looked at, with the prefixes that `strip_prefix` takes off."""
    whole = source.model_copy(update={"strip_prefix": None})
    rows = (row for piece in evenly(head.pieces, _N_SLICES) for row in _some_of(whole, piece, mixture, is_told=False))
    return [row["content"] for row in rows if row["problem"] is None]


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of some items, the first and the last among them where there is room for both."""
    if len(items) <= most:
        return list(items)
    return [items[k * (len(items) - 1) // max(1, most - 1)] for k in range(most)]


def _some_of(source: Source, piece: Slice, mixture: Mixture, *, is_told: bool) -> list[dict[str, Any]]:
    """The first rows of a slice."""
    limits: dict[str, Any] = {"max_document_bytes": mixture.ingest.max_document_bytes}
    limits |= {"notebooks": mixture.ingest.notebooks, "caps": caps_of(mixture.ingest)}
    if piece.is_open:
        _, table = next(read_parts(source, piece, shard_bytes=_HEAD_BYTES, **limits))
    else:
        table = read_slice(source, piece, **limits)
    table = table.slice(0, _MAX_ROWS).cast(DOCUMENTS.schema)
    rows: list[dict[str, Any]] = table.to_pylist()
    if is_told and rows:
        from pipeline.language.languages import classify  # late: its tables and model take a second

        told = classify(table, config=mixture.classify).select(["language", "pool", "group"]).to_pylist()
        rows = [row | more for row, more in zip(rows, told, strict=True)]
    return rows
