import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language import kinds
from pipeline.language.tokens import count_bytes

NUMBERS = b"/* lamps of the street */\nint lamp[] = {" + b"0x1f, 20, 0xA3, 7,\n" * 200 + b"};\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
        (b"lamp\0lamp", "binary"),
        (b"lamp" * 2_000 + b"\0", "binary"),  # seen in the middle
        (NUMBERS, "data"),
        (b"12, 7.5, 3\n" * 400, "data"),
        (b"12, 7.5, 3\n", "prose"),  # short: numbers in a file are no dump; few symbols, so it may be prose
        (b"She lit the lamp and closed the door. Nobody came.\n" * 3, "prose"),
        (b"int main(void) { return lamp[3] + 1; }\n" * 3, "code"),
    ],
)
def test_contents_are_of_the_kind_that_they_look_like(content: bytes, name: str) -> None:
    assert [kinds.NAMES[kind] for kind in kinds.kinds_of([content])] == [name]
    assert [kinds.NAMES[kind] for kind in kinds.kinds_of([content] * (kinds.FEW + 1))] == [name] * (kinds.FEW + 1)


@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=60)), max_size=8))
def test_the_kernel_counts_as_numpy_does(pairs: list[tuple[bytes, bytes]]) -> None:
    counts = count_bytes([piece for pair in pairs for piece in pair], kinds.CLASSES)
    for (first, second), row in zip(pairs, counts, strict=True):
        classes = kinds.CLASSES[np.frombuffer(first + second, np.uint8)]
        assert row.tolist() == np.bincount(classes, minlength=kinds.N_CLASSES).tolist()
