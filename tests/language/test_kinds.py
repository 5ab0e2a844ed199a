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


CLASSED = st.sampled_from([b"a", b"g", b"7", b"{", b" ", b"\0", b"\xff"])


@given(st.lists(st.tuples(st.integers(0, 9), CLASSED, st.integers(0, 13_000), CLASSED), max_size=8))
def test_kinds_in_place_are_those_by_the_counts_of_numpy(parts: list[tuple[int, bytes, int, bytes]]) -> None:
    """Pieces longer than a counter of the kernel holds too, and contents that stand behind one another."""
    contents = [few * n + one * m for n, few, m, one in parts]
    offsets = np.cumsum([3, *map(len, contents)])
    data = np.frombuffer(b"\0{7" + b"".join(contents), np.uint8)
    expected = [kinds.kinds_of([content])[0] for content in contents]
    assert kinds.kinds_in(data, offsets) == expected
    assert kinds.kinds_of([b""] * kinds.FEW + contents)[kinds.FEW :] == expected


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), st.binary(max_size=9_000))
def test_the_kernel_counts_as_numpy_does(contents: list[bytes], long: bytes) -> None:
    contents += [long, b"{" * 4_097, b"\0" * 4_096]
    ends = np.cumsum([0, *map(len, contents)])
    middles = ends[:-1] + np.diff(ends) // 2
    pieces = np.stack((ends[:-1], middles, middles, ends[1:]), axis=1)
    counts = count_bytes(np.frombuffer(b"".join(contents), np.uint8), pieces, kinds.CLASSES)
    for content, row in zip(contents, counts, strict=True):
        classes = kinds.CLASSES[np.frombuffer(content, np.uint8)]
        assert row.tolist() == np.bincount(classes, minlength=kinds.N_CLASSES).tolist()


@pytest.mark.parametrize(
    ("n", "at", "seen"),
    [(9_000, 4_095, True), (9_000, 4_096, False), (10_000, 4_999, False), (10_000, 5_000, True), (10_000, 9_095, True),
     (10_000, 9_096, False), (5_000, 4_096, True), (4_097, 4_096, True)],
)  # fmt: skip
def test_the_start_and_the_middle_are_seen_to_the_byte(n: int, at: int, seen: bool) -> None:
    content = b"a" * at + b"\0" + b"a" * (n - at - 1)
    found = kinds.kinds_in(np.frombuffer(b"\0" + content + b"\0", np.uint8), np.array([1, 1 + n]))
    assert (found == [kinds.BINARY]) == seen
    assert kinds.kinds_of([content]) == found
