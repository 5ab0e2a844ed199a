"""A folder that `save_to_disk` of the library `datasets` wrote: Arrow streams, in the order of its `state.json`.

Several splits lie in folders of their own below, and all are read; `include` chooses. Files that no `state.json` names
(caches) are no part of the data set, nor are data sets in hidden folders. A stream is read from its start, so a file is
an open slice.

A row's number is its place in the file.
"""

import json
import struct
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from pipeline.arrow_bodies import blocks_of, message_end, unpacked_bytes
from pipeline.config import Source
from pipeline.errors import ConfigError, StoreError
from pipeline.sources.arrow_rows import (
    all_names,
    check_content,
    check_types,
    fields_missing,
    rows_at_once,
    rows_of,
)
from pipeline.sources.arrow_sound import refuse_unsound
from pipeline.sources.caps import InputCaps, refuse_bytes
from pipeline.sources.foreign import HEAD_BYTES, looks_like, refuse_fruitless
from pipeline.sources.names import is_safe
from pipeline.sources.raw import RawDocument
from pipeline.sources.roots import DAMAGED, Root, hides, list_files, locate, open_file, store_errors
from pipeline.sources.slices import InputFile, Slice

_STATE = "state.json"
_STARTS = (b"\xff\xff\xff\xff", b"ARROW1")
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of a stream; without it nobody knows how many batches are missing


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """An open slice for each file that the data set names."""
    root = locate(source)
    everything = source.model_copy(update={"include": ("*",), "exclude": ()})
    there = {file.path: file for file in list_files(everything, root=root)}
    hidden = hides(source, root=root)  # a data set in a hidden folder; what a `state.json` names is meant
    states = [file for path, file in sorted(there.items()) if path.rpartition("/")[2] == _STATE and not hidden(path)]
    if not states:
        raise ConfigError(
            f"sources.{source.name}.path: {source.path} holds no {_STATE}, so `save_to_disk` did not write it; "
            "use kind: parquet, jsonl or directory"
        )
    chosen = {file.path for file in list_files(source, root=root)}
    names = [name for state in states for name in _named(root, state) if name in chosen or name not in there]
    files = [there.get(name, InputFile(name, 0, "")) for name in names]  # one that is gone fails when it is read
    check_types(list(_schemas(root, [file for file in files if file.path in there])), source=source)
    return [Slice(source.name, (file,), n_bytes=file.size, is_open=True) for file in files]


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The rows of one file."""
    root = locate(source)
    for file in piece.files:
        where = root.join(file.path)
        with open_file(root, file) as opened:
            stream = _open(opened, size=file.size, where=where)
            check_content(stream.schema, source=source, where=where)
            batches = _checked(opened, stream, file=file, caps=caps, where=where)
            rows = _rows(batches, source=source, file=file, where=where)
            about = f"the column {source.columns.content!r} holds nothing but nulls, or the file has no rows"
            yield from refuse_fruitless(rows, where=where, is_whole=True, about=lambda: about)  # noqa: B023


def column_names(source: Source, file: InputFile) -> list[str]:
    """What `columns` could map; nothing of a file that cannot be opened."""
    return [
        name
        for where, schema in _schemas(locate(source), [file])
        for name in all_names(schema, source=source, where=where)
    ]


def missing_fields(source: Source, file: InputFile, *, root: Root) -> list[str] | None:
    """The mapped fields whose column the file lacks; None where it cannot be opened."""
    for where, schema in _schemas(root, [file]):
        return fields_missing(schema, source=source, where=where)
    return None


def _named(root: Root, state: InputFile) -> list[str]:
    """The data files that a `state.json` names, relative to the root."""
    where, folder = root.join(state.path), state.path[: -len(_STATE)]
    try:
        with open_file(root, state) as opened:
            found = json.loads(opened.read())
        names = [folder + entry["filename"] for entry in found["_data_files"]]
        is_indexed = bool(found.get("_indices_data_files"))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{where}: is no state of a data set ({type(error).__name__}: {error})") from error
    if unsafe := [name for name in names if not is_safe(name)]:
        raise ConfigError(f"{where}: names {unsafe[0]!r}, which leads out of its folder")
    if is_indexed:
        raise ConfigError(f"{where}: chooses rows by an index; call flatten_indices() and save it again")
    return names


def _schemas(root: Root, files: list[InputFile]) -> Iterator[tuple[str, pa.Schema]]:
    """Of the files that can be opened; the others fail when they are read."""
    for file in files:
        where = root.join(file.path)
        try:
            with open_file(root, file) as opened:
                schema = _open(opened, size=file.size, where=where).schema
                with store_errors(f"{where}: {DAMAGED}"):
                    str(schema)  # damaged names show when they are read
                yield where, schema
        except StoreError:
            continue


def _open(opened: BinaryIO, *, size: int, where: str) -> pa.RecordBatchReader:
    with store_errors(f"{where}: {DAMAGED}"):
        head = opened.read(HEAD_BYTES)
        if not head.startswith(_STARTS):
            raise StoreError(f"{where}: it is no Arrow file; it looks like {looks_like(head)}")
        if head.startswith(_STARTS[1]):
            opened.seek(0)
            table = pa.ipc.open_file(opened)
            batches = (table.get_batch(k) for k in range(table.num_record_batches))
            return pa.RecordBatchReader.from_batches(table.schema, batches)
        opened.seek(size - len(_END))
        if opened.read() != _END:
            raise EOFError("the stream does not end")
        opened.seek(0)
        return pa.ipc.open_stream(opened)


def _checked(
    opened: BinaryIO, stream: pa.RecordBatchReader, *, file: InputFile, caps: InputCaps, where: str
) -> Iterator[pa.RecordBatch]:
    """The batches, each asked for what it unpacks to before Arrow allocates that."""
    with store_errors(f"{where}: {DAMAGED}"):
        here = opened.tell()
        opened.seek(0)
        has_footer = opened.read(len(_STARTS[1])) == _STARTS[1]
        n_bytes = sum(unpacked_bytes(opened, at=at)[0] for at in blocks_of(opened)) if has_footer else 0
        refuse_bytes(n_bytes, file=file, caps=caps, where=where)
        opened.seek(here)
        while True:
            if not has_footer:  # the stream stands where its next message begins
                n_bytes += _ahead(opened)
                refuse_bytes(n_bytes, file=file, caps=caps, where=where)
            batch = next(iter(stream), None)
            if batch is None:
                return
            refuse_unsound(batch)
            yield batch


def _ahead(opened: BinaryIO) -> int:
    """What the next batch of rows and the dictionaries before it unpack to."""
    here = at = opened.tell()
    n_bytes, is_batch = 0, False
    try:
        while not is_batch:
            more, is_batch = unpacked_bytes(opened, at=at)
            n_bytes += more
            at = message_end(opened, at=at)
    except (EOFError, ValueError, struct.error):
        pass  # the end, or damage, which Arrow itself will name
    opened.seek(here)
    return n_bytes


def _rows(batches: Iterator[pa.RecordBatch], *, source: Source, file: InputFile, where: str) -> Iterator[RawDocument]:
    first = 0
    for batch in batches:
        step = rows_at_once(batch, source=source)
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            yield from rows_of(part, input_file=file.path, first_row=first + start, source=source)
        first += batch.num_rows
