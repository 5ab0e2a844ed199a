"""Whether an Arrow batch of a stranger may be followed: offsets that lead out of their values would read memory that is
not ours, or end the process."""

from __future__ import annotations

import pyarrow as pa

_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}


def refuse_unsound(batch: pa.RecordBatch) -> None:
    """Raise pa.ArrowInvalid for lengths, offsets or indices that lead nowhere. Text need not be UTF-8."""
    for column in batch.columns:
        column.validate()  # that buffers are there at all, before any of them is looked into
        column.view(_as_bytes(column.type)).validate(full=True)


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """The same layout with bytes in the place of text, of which Arrow would demand that it is UTF-8."""
    if kind in _BYTES:
        return _BYTES[kind]
    if pa.types.is_map(kind):
        return pa.map_(_as_bytes(kind.key_type), _as_bytes(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    return kind
