"""What the record batches of an Arrow file say they unpack to, before anything is unpacked.

Arrow allocates what the first eight bytes of a packed buffer say, whatever is behind them. So a reader of a stranger's
file asks here first. Layout after `Message.fbs`, `Schema.fbs` and `File.fbs` of Apache Arrow, format version 5.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

_GOES_ON = 0xFFFFFFFF  # before the length of a message
_DICTIONARY, _BATCH = 2, 3  # kinds of messages that have a body
_TAIL = b"ARROW1"
_MAX_HEAD_BYTES = 1 << 28  # of a message's own description: names and places of some million columns
_BLOCK = struct.Struct("<qi4xq")  # where a message lies in a file: offset, bytes of its head, bytes of its body


class _Table:
    """A flatbuffer table: fields by number, each at the place that a list in front of them names."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - self._int(at)
        self._n_bytes = struct.unpack_from("<H", data, self._fields)[0]

    def _int(self, at: int) -> int:
        return int(struct.unpack_from("<i", self.data, at)[0])

    def place(self, number: int) -> int:
        """Where a field lies; 0 where it is not there."""
        slot = 4 + 2 * number
        here = struct.unpack_from("<H", self.data, self._fields + slot)[0] if slot < self._n_bytes else 0
        return self.at + here if here else 0

    def table(self, number: int) -> "_Table | None":
        """A field that is a table."""
        at = self.place(number)
        return _Table(self.data, at + self._int(at)) if at else None

    def vector(self, number: int) -> tuple[int, int]:
        """Where the items of a field that is a list begin, and how many they are."""
        at = self.place(number)
        if not at:
            return 0, 0
        start = at + self._int(at)
        return start + 4, self._int(start)


def unpacked_bytes(opened: BinaryIO, *, at: int) -> tuple[int, bool]:
    """What the message at byte `at` unpacks to, and whether it is a batch of rows. ValueError, struct.error or EOFError
    where there is no message."""
    opened.seek(at)
    goes_on, n_bytes = struct.unpack("<Ii", _exactly(opened, 8))
    if goes_on != _GOES_ON or not 0 < n_bytes <= _MAX_HEAD_BYTES:
        raise EOFError("no message begins there")
    head = _exactly(opened, n_bytes)
    message = _Table(head, struct.unpack_from("<i", head)[0])
    kind = head[message.place(1)] if message.place(1) else 0
    header, is_batch = message.table(2), kind == _BATCH
    if kind == _DICTIONARY and header is not None:
        header = header.table(1)
    if kind not in (_DICTIONARY, _BATCH) or header is None or header.table(3) is None:
        return 0, is_batch
    n_unpacked: int = sum(_declared(opened, header, body=at + 8 + n_bytes))
    return n_unpacked, is_batch


def message_end(opened: BinaryIO, *, at: int) -> int:
    """Where the message behind the one at byte `at` begins."""
    opened.seek(at)
    _, n_bytes = struct.unpack("<Ii", _exactly(opened, 8))
    head = _exactly(opened, n_bytes)
    message = _Table(head, struct.unpack_from("<i", head)[0])
    place = message.place(3)
    body = int(struct.unpack_from("<q", head, place)[0]) if place else 0
    if body < 0:
        raise ValueError("a message with less than nothing in it")
    return at + 8 + int(n_bytes) + body


def blocks_of(opened: BinaryIO) -> Iterator[int]:
    """Where the messages with bodies lie in a file with a footer."""
    size = opened.seek(0, 2)
    opened.seek(size - 10)
    n_bytes, tail = struct.unpack("<i6s", _exactly(opened, 10))
    if tail != _TAIL or not 0 < n_bytes <= min(_MAX_HEAD_BYTES, size - 10):
        raise EOFError("the file has no footer")
    opened.seek(size - 10 - n_bytes)
    footer = _exactly(opened, n_bytes)
    table = _Table(footer, struct.unpack_from("<i", footer)[0])
    for number in (2, 3):  # dictionaries, batches of rows
        start, n = table.vector(number)
        for k in range(n):
            yield int(_BLOCK.unpack_from(footer, start + k * _BLOCK.size)[0])


def _declared(opened: BinaryIO, batch: _Table, *, body: int) -> Iterator[int]:
    """The bytes that each packed buffer says it holds; -1 there means that it is not packed."""
    start, n = batch.vector(2)
    for k in range(n):
        offset, n_bytes = struct.unpack_from("<qq", batch.data, start + 16 * k)
        if n_bytes < 8:
            continue
        opened.seek(body + offset)
        said = struct.unpack("<q", _exactly(opened, 8))[0]
        yield n_bytes if said < 0 else int(said)


def _exactly(opened: BinaryIO, n_bytes: int) -> bytes:
    data = opened.read(n_bytes)
    if len(data) != n_bytes:
        raise EOFError("the file ends inside a message")
    return data
