"""Arrow batches whose offsets lead out of their values are refused before anything follows them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.sources.arrow_sound import refuse_unsound


def text(offsets: list[int], data: bytes, kind: pa.DataType | None = None) -> pa.Array:
    width = np.int64 if kind == pa.large_string() else np.int32
    buffers = [None, pa.py_buffer(np.array(offsets, width)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind or pa.string(), len(offsets) - 1, buffers)


def listed(values: pa.Array, offsets: list[int]) -> pa.Array:
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32))]
    return pa.Array.from_buffers(pa.list_(values.type), len(offsets) - 1, buffers, children=[values])


BAD = text([0, 500, 3], b"abc")
GOOD = text([0, 1, 3], b"abc")


@pytest.mark.parametrize(
    "column",
    [
        BAD,
        text([0, 500, 3], b"abc", pa.large_string()),
        text([0, -2, 3], b"abc"),
        listed(BAD, [0, 2]),
        listed(GOOD, [0, 9, 2]),
        pa.StructArray.from_arrays([BAD], ["content"]),
        listed(pa.StructArray.from_arrays([GOOD, BAD], ["path", "content"]), [0, 2]),
        pa.DictionaryArray.from_arrays(pa.array([0, 7], pa.int32()), GOOD, safe=False),
    ],
    ids=["text", "large text", "negative", "text in list", "list", "struct", "list of structs", "dictionary"],
)
def test_offsets_that_lead_out_of_their_values_are_refused(column: pa.Array) -> None:
    with pytest.raises(pa.ArrowInvalid):
        refuse_unsound(pa.record_batch([column], ["content"]))


@pytest.mark.parametrize(
    "column",
    [
        GOOD,
        text([0, 2], b"\xff\xfe"),
        listed(text([0, 2], b"\xff\xfe"), [0, 1]),
        pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())),
        pa.array(["a"], pa.string_view()),
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.array([[{"x": "a"}], None, []]),
        pa.array([], pa.string()),
        pa.array([1, None]),
    ],
    ids=["text", "no UTF-8", "no UTF-8 in a list", "map", "view", "dictionary", "nested", "nothing", "numbers"],
)
def test_what_can_be_followed_passes_whether_it_is_utf8_or_not(column: pa.Array) -> None:
    refuse_unsound(pa.record_batch([column], ["content"]))
    refuse_unsound(pa.record_batch([column.slice(1)], ["content"]))
