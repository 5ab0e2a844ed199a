"""Where documents come from: every kind of input, planned as slices and read as `documents` tables.

    plan_slices   a source -> its slices, in an order that depends on nothing but names and sizes
    read_slice    a slice -> the rows of one shard, in input order

A row's doc_id is a hash of (source name, input file relative to the source's folder, row in that file). It says nothing
of where the folder lies, how large the shards are, or how a JSON lines file is compressed.

    directory.py  folders; a file is a document           parquet.py  cut at row groups
    git.py        the commit that is checked out          jsonl.py    cut at bytes; .gz and .zst
    trove.py      any reader of datatrove
    roots.py      what `path` names, through fsspec       local.py    the same on this machine, kept inside the folder
    names.py      globs, and names that are not UTF-8     values.py   column values -> repo, licence, stars, times
    rows.py       decode, hash, say what is wrong
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.config import Source
from pipeline.errors import StoreError
from pipeline.sources import datatrove as trove
from pipeline.sources import directory, git, jsonl, parquet
from pipeline.sources.rows import Found, as_documents
from pipeline.sources.slices import InputFile, Slice

__all__ = ["InputFile", "Slice", "plan_slices", "read_slice"]


def plan_slices(source: Source, *, shard_bytes: int) -> list[Slice]:
    """Cut a source into slices of about `shard_bytes` raw bytes, the same on every machine.

    ConfigError if its path is missing, nothing in it matches, or a mapped column does not exist. Contents are not
    looked at, so damage shows when a slice is read.
    """
    match source.kind:
        case "directory":
            return directory.plan(source, shard_bytes=shard_bytes)
        case "git":
            return git.plan(source, shard_bytes=shard_bytes)
        case "parquet":
            return parquet.plan(source, shard_bytes=shard_bytes)
        case "jsonl":
            return jsonl.plan(source, shard_bytes=shard_bytes)
        case "datatrove":
            return trove.plan(source)


def read_slice(source: Source, piece: Slice, *, max_document_bytes: int) -> pa.Table:
    """The rows of one slice with the columns of `schema.DOCUMENTS`, in input order.

    A bad document is a row whose `problem` says why. StoreError, with cause and remedy, if a file is damaged, gone,
    or not the one that was planned.
    """
    if piece.source != source.name:
        raise StoreError(f"slice of source {piece.source!r} cannot be read from source {source.name!r}; run again")
    found = _read(source, piece, max_document_bytes=max_document_bytes)
    return as_documents(found, source=source, max_document_bytes=max_document_bytes)


def _read(source: Source, piece: Slice, *, max_document_bytes: int) -> Iterator[Found]:
    match source.kind:
        case "directory":
            return directory.read(source, piece, max_document_bytes=max_document_bytes)
        case "git":
            return git.read(source, piece, max_document_bytes=max_document_bytes)
        case "parquet":
            return parquet.read(source, piece)
        case "jsonl":
            return jsonl.read(source, piece, max_document_bytes=max_document_bytes)
        case "datatrove":
            return trove.read(source, piece)
