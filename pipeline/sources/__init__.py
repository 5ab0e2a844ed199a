"""Where documents come from: every kind of input, planned as slices and read as `documents` tables.

    plan_slices   a source -> its slices, in an order that depends on nothing but names and sizes
    read_slice    a slice -> the rows of one shard, in input order

A row's doc_id is a hash of (source name, input file relative to the source's folder, row in that file). It says nothing
of where the folder lies, how large the shards are, or how a JSON lines file is compressed. Each kind of source has a
file of its name; `roots.py` finds and opens files for them, `rows.py` makes the table.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from pipeline.errors import StoreError
from pipeline.sources.names import is_safe
from pipeline.sources.slices import InputFile, Slice

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.config import Source

__all__ = ["InputFile", "Slice", "plan_slices", "read_slice"]


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
) -> pa.Table:
    """The rows of one slice with the columns of `schema.DOCUMENTS`, in input order.

    A bad document is a row whose `problem` says why. StoreError, with cause and remedy, if a file is damaged, gone,
    or not the one that was planned.
    """
    from pipeline.sources.rows import as_documents  # late, as in _reader

    if piece.source != source.name:
        raise StoreError(f"slice of source {piece.source!r} cannot be read from source {source.name!r}; run again")
    # A plan is read back from a file, so its names are data like any other.
    if unsafe := [file.path for file in piece.files if not is_safe(file.path)]:
        raise StoreError(f"{source.path}: the planned name {unsafe[0]!r} leads out of its folder; run again")
    found = _reader(source).read(source, piece, max_document_bytes=max_document_bytes)
    return as_documents(
        found,
        source=source,
        max_document_bytes=max_document_bytes,
        min_encoding_confidence=min_encoding_confidence,
        notebooks=notebooks,
    )


def _reader(source: Source) -> ModuleType:
    """The module of this source's kind. Late: each brings its libraries, and who only decodes a file needs none."""
    return import_module(f"pipeline.sources.{source.kind}")
