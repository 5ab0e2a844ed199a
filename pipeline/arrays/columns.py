"""Columns of a table as numpy arrays, without a copy wherever Arrow allows it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.keys import hex_ids, id_words


def columns(table: pa.Table, *names: str) -> Sequence[np.ndarray]:
    """Number columns as numpy arrays; they hold no nulls."""
    return [table.column(n).to_numpy() for n in names]


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array; copies only where it has several chunks."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])


def bytes_of(content: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """The array's bytes (uint8) and int64 offsets. Of a slice: all bytes, and the offsets of the slice."""
    if not len(content):  # it may have no buffers at all
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = content.buffers()
    raw = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return raw, np.frombuffer(offsets, np.int64)[content.offset : content.offset + len(content) + 1]


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, as most Arrow buffers are: numba compiles for each kind of array anew."""
    view = array.view()
    view.flags.writeable = False
    return view


def doc_words(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The high and low 64 bits of the column doc_id, one each a row; ValueError where that is no column of ids."""
    ids = one_chunk(table["doc_id"])
    if not len(ids):
        return id_words(b"")
    _, offsets, data = ids.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[ids.offset, ids.offset + len(ids)]].tolist()
    if last - first != 32 * len(ids):  # nulls, other texts or long offsets, which would give other rows' ids, or fewer
        raise ValueError(f"doc_id: expected ids of 32 hex digits as {pa.string()}, found {ids.type}")
    return id_words(np.frombuffer(data, np.uint8)[first:last])


def joined(parts: Sequence[Sequence[np.ndarray]], *, n: int) -> Sequence[np.ndarray]:
    """Each of `n` columns of 64-bit words over all parts, one after another; empty columns where there is no part."""
    empty = [np.zeros(0, np.uint64)] * n
    return [np.concatenate(column).astype(np.uint64, copy=False) for column in zip(empty, *parts, strict=True)]


def id_array(high: np.ndarray, low: np.ndarray) -> pa.StringArray:
    """The inverse of `doc_words`: ids as text."""
    data = hex_ids(high, low)
    offsets = np.arange(0, 32 * high.size + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(high.size, pa.py_buffer(offsets), pa.py_buffer(data))


def hash_words(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Both 64-bit halves of a column of 16-byte hashes, as this machine's numbers would read them on any machine."""
    hashes = one_chunk(column)
    if not len(hashes):
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    words = np.frombuffer(hashes.buffers()[1], "<u8").reshape(-1, 2)[hashes.offset : hashes.offset + len(hashes)]
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)


def lists_with(lists: pa.ChunkedArray | pa.ListArray, value: str) -> np.ndarray:
    """Which of the lists hold `value`, as booleans."""
    lists = one_chunk(lists) if isinstance(lists, pa.ChunkedArray) else lists
    found = np.zeros(len(lists), bool)
    found[np.asarray(pc.list_parent_indices(lists))[np.asarray(pc.equal(lists.flatten(), value))]] = True
    return found


def strings(column: pa.ChunkedArray) -> np.ndarray:
    """The column as numpy text of fixed width, a null as an empty string."""
    coded = one_chunk(column).dictionary_encode()  # few distinct values: each is decoded once
    values = np.array([*coded.dictionary.to_pylist(), ""], np.str_)
    found: np.ndarray = values[pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()]
    return found
