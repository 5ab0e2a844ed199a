"""Merging the files of a channel, so that a gather reads a few files however many sources there are.

A merge reads one band of partitions of up to FAN_IN neighbouring files and writes one file of it: the pieces of one
partition become one piece, rows in the order of the sources. It reads windows of many partitions at a time, so what is
asked of the store grows with the bytes and not with sources times partitions, and holds one window.

Where sources are S and partitions P, a gather of a hundred thousand sources would ask S times P questions a channel;
with merges each byte is written twice more instead.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.engine.exchange import Channel, at_once
from pipeline.engine.markers import Outcome
from pipeline.engine.pieces import ExchangeIndex, read_pieces, write_pieces
from pipeline.engine.store import Store

# What a merge reads at a time, of all its files together. Local files are mapped, and a piece that is larger is read
# whole by whoever gathers it, so a merge never holds more than a gather.
WINDOW_BYTES = 128_000_000


def merge_files(channel: Channel, level: int, number: int, _: None) -> Outcome:
    """Write file `number` of layer `level` from the files of the layer before."""
    store, before, layer = channel.store, channel.layers[level - 1], channel.layers[level]
    group, band = divmod(number, layer.n_bands)
    first, last = layer.partitions(band)
    held_by = before.band_of(first)
    groups = range(group * channel.fan_in, min(before.n_groups, (group + 1) * channel.fan_in))
    indices = at_once(store, partial(before.index, store), [one * before.n_bands + held_by for one in groups])

    def merged() -> Iterator[tuple[int, pa.Table]]:
        for begin, end in windows(indices, first, last, n_bytes=WINDOW_BYTES):
            pieces: dict[int, list[pa.RecordBatch]] = {}
            for found in at_once(store, partial(_read, store, begin, end), indices):
                for partition, batch in found:
                    pieces.setdefault(partition, []).append(batch)
            for partition in sorted(pieces):
                yield partition, pa.Table.from_batches(pieces.pop(partition))

    entry = write_pieces(
        store, layer.file(number), merged(), schema=indices[0].schema, n_partitions=channel.n_partitions
    )
    return Outcome((entry,), {})


def _read(store: Store, begin: int, end: int, index: ExchangeIndex) -> list[tuple[int, pa.RecordBatch]]:
    return list(read_pieces(store, index, begin, end))


def windows(indices: list[ExchangeIndex], first: int, last: int, *, n_bytes: int) -> Iterator[tuple[int, int]]:
    """Cut partitions `first` to before `last` into ranges of at most `n_bytes` in all files, or one partition."""
    sizes = np.zeros(last - first, np.int64)
    for index in indices:
        mine = index.entries(first, last)
        held = np.diff(index.start[mine.start : mine.stop + 1])
        np.add.at(sizes, index.partition[mine.start : mine.stop] - first, held)
    ends = np.cumsum(sizes)
    begin = 0
    while begin < sizes.size:
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + n_bytes, side="right")))
        yield first + begin, first + end
        begin = end
