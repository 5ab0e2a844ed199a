"""TensorBoard event files without TensorBoard: scalars only, some sixty lines instead of a dependency.

A file is a row of records: length (u64), masked CRC-32C of the length, payload, masked CRC-32C of the payload, all
little-endian. The payload is protobuf message `Event` (wall_time 1, step 2, file_version 3, summary 5); a summary holds
`value` (1) with tag (1) and simple_value (2). Events carry the clock, so these files differ between equal runs; each
life of a run begins one of its own, as TensorBoard expects.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from types import TracebackType

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_MASK_DELTA = 0xA282EAD8


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C of a short record."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)


def record(payload: bytes) -> bytes:
    """One framed record."""
    length = struct.pack("<Q", len(payload))
    return length + _masked(length) + payload + _masked(payload)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def event(*, wall_time: float, step: int = 0, scalars: dict[str, float] | None = None) -> bytes:
    """An `Event`: with scalars a summary of them, without the file's version."""
    head = b"\x09" + struct.pack("<d", wall_time)
    if scalars is None:
        return head + _field(3, b"brain.Event:2")
    values = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)) for tag, value in scalars.items()
    )
    return head + b"\x10" + _varint(step) + _field(5, values)


class EventFile:
    """One life's event file in `folder`, named by its start so that names sort by time. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        taken = len(list(folder.glob("events.out.tfevents.*")))
        self._file = (folder / f"events.out.tfevents.{int(now)}.loopmix.{taken}").open("wb")
        self._file.write(record(event(wall_time=now)))

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, step: int, scalars: dict[str, float]) -> None:
        """Scalars of one step; they reach the disk at once, so a running training can be watched."""
        self._file.write(record(event(wall_time=time.time(), step=step, scalars=scalars)))
        self._file.flush()
