"""Rows of numbers on their way between tasks of a check: written by source, read by partition.

A check that holds something against all documents (is any id there twice, is that keeper kept) cuts the question by the
high bits of a key: each task writes its rows sorted by partition into one file, and each partition is then looked at
alone. So a task holds some millions of rows, whatever the number of documents, and every row is written and read once.

    <scratch>/<name>/<source>      uint64 [n_parts + 1] where each partition begins, then the rows, uint64 [n, width]

The files are numbers of one verification, on one kind of machine, and gone with it: they have no schema and no hashes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.engine.exchange import spread
from pipeline.engine.store import Store
from pipeline.errors import StoreError

# As many as a 16-bit number tells apart, by which numpy sorts in linear time.
MAX_PARTS = 32_767
_WORD = 8


@dataclass(frozen=True)
class Spread:
    """Rows of `width` words from `n_sources` tasks in `n_parts` partitions. Cheap to pickle."""

    store: Store
    name: str
    width: int
    n_sources: int
    n_parts: int

    def part_of(self, key: np.ndarray) -> np.ndarray:
        """The partition of each well-mixed 64-bit key, by its high bits: they rise with the keys, int64 [n]."""
        return spread(key, self.n_parts)

    def write(self, source: int, *columns: np.ndarray, part: np.ndarray) -> None:
        """Write the rows of task `source`, `width` columns of shape [n], each row into its partition; in their order
        inside of it. A task that is repeated writes the same file."""
        assert [column.size for column in columns] == [part.size] * self.width, self.name
        order = np.argsort(part.astype(np.int16), kind="stable")
        rows = np.empty((order.size, self.width), np.uint64)
        for number, column in enumerate(columns):
            rows[:, number] = column[order]
        counts = np.bincount(part, minlength=self.n_parts)
        bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)

        def fill(file: Any) -> None:
            file.write(bounds.data.cast("B"))
            if rows.size:  # an empty array has no memory to view
                file.write(rows.data.cast("B"))

        if not self.store.is_local:
            self.store.write_stream(self._file(source), fill)
            return
        # Renamed when it is whole, and not synced: after a crash nobody looks at it again.
        target = Path(self.store.full(self._file(source)))
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            with beside.open("wb") as file:
                fill(file)
            beside.replace(target)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StoreError(f"{target}: cannot be written: {error}; free space or name another --scratch") from error

    def read(self, part: int) -> Sequence[np.ndarray]:
        """The rows of one partition as `width` columns, those of source 0 first. StoreError where a file is gone."""
        bounds = [self._bounds(source, part) for source in range(self.n_sources)]
        out = np.empty((self.width, sum(end - first for first, end in bounds)), np.uint64)
        begin, head = 0, (self.n_parts + 1) * _WORD
        for source, (first, end) in enumerate(bounds):
            if first == end:
                continue
            row_bytes = self.width * _WORD
            data = self.store.read_range(self._file(source), head + first * row_bytes, (end - first) * row_bytes)
            out[:, begin : begin + end - first] = np.frombuffer(data, np.uint64).reshape(-1, self.width).T
            begin += end - first
        return list(out)

    def drop(self) -> None:
        """Remove the files, all of which have been read."""
        self.store.remove(self.name)

    def _bounds(self, source: int, part: int) -> tuple[int, int]:
        first, end = np.frombuffer(self.store.read_range(self._file(source), part * _WORD, 2 * _WORD), np.uint64)
        return int(first), int(end)

    def _file(self, source: int) -> str:
        return f"{self.name}/{source:07d}"
