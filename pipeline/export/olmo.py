"""OLMo-core's token array: `tokens.npy`, ids end to end without any header, and `tokens.csv.gz`, a line for each piece.

A line is start, end, doc_id, pool, group: OLMo-core reads the first two, the others are for people and scripts. Where
files of a repository were joined, the line has the ids and groups of all.
"""

import csv
import gzip
import io
from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.export.finished import Finished
from pipeline.sequences import Rows

NAME = "tokens"


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write both files of each stream."""
    return [file for prefix, stream in source.streams() for file in _write(source, out, stream, name=prefix + NAME)]


def _write(source: Finished, out: Store, stream: Iterator[Rows], *, name: str) -> list[FileEntry]:
    kind = np.dtype(source.id_type)

    made: list[FileEntry] = []

    def both(index: HashingFile) -> None:
        # Level 1: lines are few beside the ids. No time and no name in the header, so that equal runs give equal bytes.
        with gzip.GzipFile(fileobj=cast(io.BufferedIOBase, index), mode="wb", compresslevel=1, mtime=0) as lines:

            def fill(file: HashingFile) -> None:
                for rows in stream:
                    lines.write(_lines(rows, start=file.n_bytes // kind.itemsize))
                    file.write(rows.real_ids.astype(kind, copy=False).data)

            made.append(out.write_stream(f"{name}.npy", fill))

    made.append(out.write_stream(f"{name}.csv.gz", both))
    return made


def _lines(rows: Rows, *, start: int) -> bytes:
    lengths = rows.span_ends - rows.span_starts
    ends = np.cumsum(lengths) + start
    text = io.StringIO()
    first = np.flatnonzero(~rows.joins).tolist()
    spans = list(pairwise([*first, rows.ends.size]))
    groups, ids = rows.groups, rows.doc_ids
    pools = [groups[a][0] for a, _ in spans]
    # One line each, whatever a group is called; where several files were joined, theirs one after another.
    names = ["; ".join(" ".join(group.split()) for _, group in groups[a:b]) for a, b in spans]
    documents = [" ".join(ids[a:b]) for a, b in spans]
    csv.writer(text, lineterminator="\n").writerows(
        zip((ends - lengths).tolist(), ends.tolist(), documents, pools, names, strict=True)
    )
    return text.getvalue().encode()
