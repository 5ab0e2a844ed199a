"""Pages of one column of a Parquet file, and values in them blanked where they stand.

A page is a header, which holds the length and the CRC-32 of what follows, and its values, compressed. Both keep their
lengths: the values as `arrays/lz4_blank.py` says, the CRC because a number may take more bytes than it needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of
from pipeline.arrays.lz4_blank import blanked
from pipeline.engine.patching import differences
from pipeline.engine.splice import footer_of
from pipeline.engine.thrift import I32, Reader, get, varint_of_length

_LZ4_RAW, _PLAIN, _DATA_PAGE = 7, 0, 0  # of the enumerations of parquet.thrift
_ROW_GROUPS, _COLUMNS, _META, _CODEC, _PATH, _PAGE_OFFSET, _DICTIONARY = 4, 1, 3, 4, 3, 9, 11
_TYPE, _PLAIN_BYTES, _BYTES, _CRC, _DATA = 1, 2, 3, 4, 5
_N_VALUES, _ENCODING = 1, 2
_N_TRIES = 256  # versions of a page: one in sixteen has a CRC that is shorter than most


@dataclass(frozen=True)
class _Page:
    crc_at: int
    n_crc: int
    at: int  # of its data
    n_bytes: int
    n_plain: int
    n_values: int  # nulls among them


def blank(data: Any, name: str, column: pa.Array, rows: np.ndarray) -> list[tuple[int, bytes]]:
    """What to write where in a Parquet file so that the values of a binary column in these rows are zeros; their
    lengths stay. `column` is the column as it is read.

    ValueError where the pages are not as this version writes them, or one cannot be written in the bytes it has.
    """
    patches: list[tuple[int, bytes]] = []
    first = 0
    is_valid = np.asarray(column.is_valid())
    for page in _pages(data, name):
        mine = rows[(rows >= first) & (rows < first + page.n_values)]
        mine = mine[is_valid[mine]]
        if mine.size:
            values = column.slice(first, page.n_values)
            patches += _patches(data, page, values, mine - first, has_levels=_is_nullable(data, name))
        first += page.n_values
    if first != len(column):
        raise ValueError(f"column {name!r} has {first} values in its pages, {len(column)} were read")
    return patches


def _is_nullable(data: Any, name: str) -> bool:
    elements = get(footer_of(data)[0], 2)[1]
    return any(get(e, 4) == name.encode() and get(e, 3) == 1 for e in elements)  # 1: optional


def _pages(data: Any, name: str) -> Iterator[_Page]:
    for group in get(footer_of(data)[0], _ROW_GROUPS)[1]:
        metas = [get(chunk, _META) for chunk in get(group, _COLUMNS)[1]]
        meta = next(m for m in metas if get(m, _PATH)[1] == [name.encode()])
        if get(meta, _CODEC) != _LZ4_RAW or get(meta, _DICTIONARY):
            raise ValueError(f"column {name!r} has a dictionary, or is not compressed with LZ4")
        at, left = get(meta, _PAGE_OFFSET), get(meta, 5)
        while left:
            page = _header(data, at)
            left -= page.n_values
            at = page.at + page.n_bytes
            yield page


def _header(data: Any, at: int) -> _Page:
    reader = Reader(data, at)
    crc_at = n_crc = 0
    found: dict[int, Any] = {}
    for number, kind in reader.heads():
        if number == _CRC and kind == I32:
            crc_at = reader.at
        found[number] = reader.value(kind)
        if number == _CRC:
            n_crc = reader.at - crc_at
    header = found.get(_DATA)
    if found.get(_TYPE) != _DATA_PAGE or not n_crc or header is None or get(header, _ENCODING) != _PLAIN:
        raise ValueError("a page is no plain one with a checksum")
    return _Page(crc_at, n_crc, reader.at, found[_BYTES], found[_PLAIN_BYTES], get(header, _N_VALUES))


def _patches(
    data: Any, page: _Page, values: pa.Array, rows: np.ndarray, *, has_levels: bool
) -> list[tuple[int, bytes]]:
    block = np.frombuffer(data, np.uint8, page.n_bytes, page.at)
    plain = np.frombuffer(pa.decompress(block, page.n_plain, codec="lz4_raw"), np.uint8).copy()
    starts, ends = _places(plain, values, has_levels=has_levels)
    for row in rows.tolist():
        plain[starts[row] : ends[row]] = 0
    for new in islice(blanked(block, plain), _N_TRIES):
        # Signed, as Parquet has it; and never trusted: what is written must read as what was wanted.
        crc = zlib.crc32(new.tobytes())
        said = varint_of_length(crc - (1 << 32) if crc >> 31 else crc, page.n_crc)
        if said is not None and pa.decompress(new, page.n_plain, codec="lz4_raw", asbytes=True) == plain.tobytes():
            return [(page.crc_at, said), *((page.at + at, data) for at, data in differences(block, new))]
    raise ValueError("a page cannot be written in the bytes that it has")


def _places(plain: np.ndarray, values: pa.Array, *, has_levels: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where each value stands in a page, int64: behind its length, 4 bytes; levels say which are null."""
    is_valid, ends = np.asarray(values.is_valid()), bytes_of(values)[1]
    lengths = np.diff(ends)
    at = 4 + int(plain[:4].view("<u4")[0]) if has_levels else 0
    stops = at + np.cumsum(np.where(is_valid, lengths + 4, 0))
    starts = stops - lengths
    said = [int(plain[s - 4 : s].view("<u4")[0]) for s in starts[is_valid].tolist()]
    if said != lengths[is_valid].tolist() or (stops[-1] if stops.size else at) != plain.size:
        raise ValueError("the values of a page are not where their lengths say")
    return starts, stops
