"""Thrift's compact protocol, as far as Parquet's metadata uses it: structs read into fields and written back.

A struct is a list of (field number, kind, value) in the order in which it was read, so what is not understood here
comes back as it was. Source: `thrift-compact-protocol.md` of Apache Thrift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_INTEGERS = (I16, I32, I64)

Field = tuple[int, int, Any]
Struct = list[Field]


class Reader:
    """Reads values from bytes; `at` is where the next one begins. ValueError for what is no such value."""

    def __init__(self, data: bytes | memoryview, at: int = 0) -> None:
        self._data, self.at = memoryview(data).cast("B"), at  # Arrow's buffers are of signed bytes

    def varint(self) -> int:
        """An unsigned number, seven bits a byte."""
        value = shift = 0
        while True:
            if self.at >= len(self._data) or shift > 63:
                raise ValueError("a number of the metadata has no end")
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def number(self) -> int:
        """A signed one."""
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def bytes(self, n: int) -> bytes:
        """The next n bytes."""
        if self.at + n > len(self._data):
            raise ValueError("the metadata ends inside a value")
        self.at += n
        return self._data[self.at - n : self.at].tobytes()

    def heads(self) -> Iterator[tuple[int, int]]:
        """Number and kind of each field of a struct; whoever asks reads the value before the next."""
        number = 0
        while head := self.bytes(1)[0]:
            number = number + (head >> 4) if head >> 4 else self.number()
            yield number, head & 0x0F

    def struct(self) -> Struct:
        """All fields up to the end of a struct."""
        return [(number, kind, self.value(kind)) for number, kind in self.heads()]

    def value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind in _INTEGERS:
            return self.number()
        if kind == BYTE:
            return self.bytes(1)
        if kind == DOUBLE:
            return self.bytes(8)
        if kind == BINARY:
            return self.bytes(self.varint())
        if kind in (LIST, SET):
            head = self.bytes(1)[0]
            n = self.varint() if head >> 4 == 15 else head >> 4
            item = head & 0x0F
            # In a list a truth value has a byte of its own.
            return item, [self.bytes(1) if item in (TRUE, FALSE) else self.value(item) for _ in range(n)]
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"the metadata holds a value of kind {kind}")


def written(fields: Struct) -> bytes:
    """A struct as bytes."""
    out = bytearray()
    before = 0
    for number, kind, value in fields:
        said = (TRUE if value else FALSE) if kind in (TRUE, FALSE) else kind
        step = number - before
        out += bytes([step << 4 | said]) if 0 < step < 16 else bytes([said]) + _varint(_zigzag(number))
        before = number
        if kind not in (TRUE, FALSE):
            out += _written(kind, value)
    return bytes(out) + b"\0"


def _written(kind: int, value: Any) -> bytes:
    if kind in _INTEGERS:
        return _varint(_zigzag(value))
    if kind in (BYTE, DOUBLE):
        return bytes(value)
    if kind == BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return written(value)
    item, values = value
    head = bytes([len(values) << 4 | item]) if len(values) < 15 else bytes([0xF0 | item]) + _varint(len(values))
    return head + b"".join(bytes(v) if item in (TRUE, FALSE) else _written(item, v) for v in values)


def _zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def varint_of_length(value: int, n: int) -> bytes | None:
    """A signed number in exactly n bytes, with more of them than it needs; None where it needs more than n."""
    raw = bytearray(_varint(_zigzag(value)))
    if len(raw) > n:
        return None
    if len(raw) < n:
        raw[-1] |= 0x80
        raw += b"\x80" * (n - len(raw) - 1) + b"\0"
    return bytes(raw)


def get(fields: Struct, number: int) -> Any:
    """The value of a field; None where there is none."""
    return next((value for n, _, value in fields if n == number), None)


def put(fields: Struct, number: int, value: Any) -> Struct:
    """The struct with another value in a field that it has."""
    return [(n, kind, value if n == number else old) for n, kind, old in fields]
