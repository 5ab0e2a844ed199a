"""The rows of an open slice, cut into shards while they are read.

How much a compressed file, a row group or a stream holds shows only when it is unpacked, and none can be entered in the
middle without unpacking what comes before. So it is read once from its start, and a shard is closed whenever the next
row would make it too large. Where it is cut depends on its rows and `shard_bytes` alone; what is held is one shard.
"""

from collections.abc import Iterable, Iterator

from pipeline.sources.raw import RawDocument
from pipeline.sources.slices import ROW_BYTES, Slice
from pipeline.sources.unpack import is_compressed


def bytes_of_a_part(piece: Slice, *, shard_bytes: int) -> int:
    """Bytes of content that one shard of an open slice may hold, so that all are about equal.

    Where the size is known beforehand, and not only guessed from compressed bytes, it is divided evenly: 65 MB are two
    shards of 33, not one of 64 and one of 1.
    """
    if piece.n_bytes <= shard_bytes or any(map(is_compressed, piece.files)):
        return shard_bytes
    n_shards = -(-piece.n_bytes // shard_bytes)
    return -(-piece.n_bytes // n_shards)


def cut_rows(
    found: Iterable[RawDocument], *, part_bytes: int, shard_bytes: int
) -> Iterator[tuple[int, Iterator[RawDocument]]]:
    """For each shard the number of its first row and its rows, which must be used up before the next is asked for.

    A row larger than `part_bytes` stands alone. Rows are bounded too, since each takes memory however short it is.
    """
    max_rows = max(1, shard_bytes // ROW_BYTES)
    rows = iter(found)
    waiting = next(rows, None)

    def part() -> Iterator[RawDocument]:
        nonlocal waiting
        n_rows = n_bytes = 0
        while waiting is not None:
            n_bytes += len(waiting.content or b"")
            if n_rows and (n_bytes > part_bytes or n_rows == max_rows):
                return
            n_rows += 1
            row, waiting = waiting, None  # let go of it before the next is read: a row may be megabytes
            yield row
            waiting = next(rows, None)

    while waiting is not None:
        yield waiting.input_row, part()


def rows_between(found: Iterable[RawDocument], *, first: int, last: int) -> Iterator[RawDocument]:
    """The rows from number `first` up to `last`, exclusive; -1: to the end. Nothing is read behind them."""
    for row in found:
        if 0 <= last <= row.input_row:
            return
        if row.input_row >= first:
            yield row
