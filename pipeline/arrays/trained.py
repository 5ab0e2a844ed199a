"""The text that stands for a document wherever something is made of it or compared: redacted where it was."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import bytes_of, one_chunk


def trained(documents: pa.Table, redacted: pa.Table) -> pa.LargeBinaryArray:
    """Content of the same rows of both tables: that of `redacted`, or where it is null, that of `documents`."""
    changed, content = one_chunk(redacted["content"]), one_chunk(documents["content"])
    if changed.null_count == len(changed):
        return content
    # Runs of rows that come from one table are copied at once: Arrow's `coalesce` takes five times as long.
    is_changed = np.asarray(pc.is_valid(changed))
    ends = [*(np.flatnonzero(np.diff(is_changed)) + 1).tolist(), len(changed)]
    runs, first = [], 0
    for end in ends:
        runs.append((changed if is_changed[first] else content).slice(first, end - first))
        first = end
    return pa.concat_arrays(runs)


def texts_of(documents: pa.Table, redacted: pa.Table, *, rows: np.ndarray) -> Iterator[bytes]:
    """The same of some rows, one at a time: no second copy of a shard is made."""
    data, starts = bytes_of(one_chunk(documents["content"]))
    changed = one_chunk(redacted["content"])
    mended, places = bytes_of(changed)
    is_changed = np.asarray(pc.is_valid(changed))
    for row in rows.tolist():
        raw, ends = (mended, places) if is_changed[row] else (data, starts)
        yield raw[ends[row] : ends[row + 1]].tobytes()


def trained_rows(documents: pa.Table, redacted: pa.Table, *, rows: np.ndarray) -> pa.LargeBinaryArray:
    """`trained` of some rows, of which alone a copy is made."""
    texts = list(texts_of(documents, redacted, rows=rows))
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(texts), buffers)
