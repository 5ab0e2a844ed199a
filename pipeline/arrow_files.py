"""Arrow files of a run, whoever wrote them: held to their own size, and looked into before anything follows them.

Arrow believes a file: it allocates what a packed buffer says it holds, and follows offsets wherever they lead.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa

from pipeline.arrow_bodies import blocks_of, unpacked_bytes

# What a file may unpack to: ours are not packed at all, and token ids that another tool packs get a third as large.
_MAX_UNPACKED_FRAC = 100
_ALWAYS_BYTES = 1 << 20
# What Arrow and looking into a file raise beside its own errors: names that are no UTF-8, places that are none.
_UNREADABLE = (OSError, ValueError, SystemError, EOFError, IndexError, MemoryError, struct.error, pa.ArrowException)


def read_arrow(source: Any, names: Sequence[str] | None = None, *, fetches: bool = False) -> pa.Table:
    """An Arrow file as a table whose chunks are its batches, with the columns `names`, of which those that are there.

    Views of `source` where that is mapped; where it `fetches` from a server, these columns alone. Lengths, offsets,
    indices and text lead nowhere else than into the file. Raises pa.ArrowInvalid for anything else.
    """
    try:
        if not fetches:
            refuse_bombs(source)
        reader = pa.ipc.open_file(source)
        every = reader.schema.names
        wanted = [name for name in (every if names is None else names) if name in every]
        if fetches:
            options = pa.ipc.IpcReadOptions(included_fields=sorted(map(every.index, wanted)), use_threads=False)
            reader = pa.ipc.open_file(source, options=options)
        table = reader.read_all().select(wanted)
        refuse_unsound(table)
    except _UNREADABLE as error:
        raise _invalid(error) from error
    return table


def refuse_unsound(table: pa.Table) -> None:
    """Raise pa.ArrowInvalid for lengths, offsets and text that are none, and for nulls in lists that hold none."""
    table.validate(full=True)
    for column in table.columns:
        for chunk in column.chunks:
            refuse_inner_nulls(chunk)


def refuse_inner_nulls(column: pa.Array) -> None:
    """Raise pa.ArrowInvalid for a list of values that must not be null, and are: as numbers they would be others."""
    if isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        if column.values.null_count and not column.type.value_field.nullable:
            raise pa.ArrowInvalid(f"a {column.type} holds {column.values.null_count} nulls in its lists")
        refuse_inner_nulls(column.values)


def refuse_bombs(source: Any) -> None:
    """Raise pa.ArrowInvalid for a file that names one batch several times, or unpacks to more than any such file holds.
    Nothing is allocated for it."""
    try:
        places = sorted(blocks_of(source))
        n_bytes = sum(unpacked_bytes(source, at=place)[0] for place in places)
    except _UNREADABLE as error:
        raise _invalid(error) from error
    if any(second == first for first, second in pairwise(places)):
        raise pa.ArrowInvalid("it names one batch several times")
    if n_bytes > (most := _ALWAYS_BYTES + _MAX_UNPACKED_FRAC * source.size()):
        raise pa.ArrowInvalid(f"it says that it unpacks to {n_bytes:,} bytes, expected at most {most:,}")


def _invalid(error: BaseException) -> pa.ArrowInvalid:
    return pa.ArrowInvalid(" ".join(str(error).split()) or "a name in it is no text")
