"""Shapes of lines against a plain reading, line by line."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality.marks.shapes import PIECE_BYTES, shapes_of

PIECES = st.sampled_from(
    [
        b"0",
        b"12",
        b"0x1F",
        b"ab",
        b"xyz",
        b"tide ",
        b"'s",
        b"-._",
        b"/",
        b"+",
        b"(",
        b",",
        b";",
        b"|",
        b"\t",
        b" ",
        b"\r",
    ]
    + [b"\n"] * 4
    + [b"\xc3\xa9", b"\x7f", b"0123456789abcdefABCDEF", b"c" * 31, b"9" * 31, b"x" * 63, b"1" * 64]
)


def reference(content: bytes) -> list[int]:
    first, middle = content[:PIECE_BYTES], max(min(len(content), PIECE_BYTES), len(content) // 2)
    behind = content[middle : middle + PIECE_BYTES]
    lines = first.split(b"\n") + behind.split(b"\n")[1:]
    row, before = np.zeros(7, np.int64), [0] * 4
    for line in (line.lstrip(bytes(range(33))) for line in lines):
        n_digits, n_hex = (len(re.findall(some, line)) for some in (rb"\d", rb"[a-fA-FxX]"))
        n_letters = len(re.findall(rb"[g-wyzG-WYZ\x80-\xff]", line))
        n_visible = len(re.findall(rb"[^\x00-\x20]", line))
        if n_visible == 0:
            continue
        columns = [line.count(sign) for sign in (b",", b";", b"|", b"\t")]
        words = re.findall(rb"[\w'./\x80-\xff-]+", line)
        row += [
            1,
            n_digits >= 2 and 10 * n_letters <= n_visible and 5 * n_digits >= n_visible,
            any(n == m and n >= least for n, m, least in zip(columns, before, (2, 2, 2, 1), strict=True)),
            re.search(rb"[0-9a-fA-F]{32}", line) is not None,
            sum(map(len, words)) == n_visible <= 48
            and len(words) <= 3
            and line.count(b"/") <= 1
            and n_hex + n_letters > n_digits,
            n_digits,
            n_visible,
        ]
        before = columns
    return row.tolist()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=40).map(b"".join), min_size=1, max_size=3))
def test_shapes_are_those_of_lines(contents: list[bytes]) -> None:
    offsets = np.cumsum([0, *map(len, contents)]).astype(np.int64)
    found = np.stack(shapes_of(np.frombuffer(b"".join(contents), np.uint8), offsets), axis=1)
    assert found.tolist() == [reference(content) for content in contents]


@pytest.mark.parametrize("n", range(50, 66))
def test_words_and_indentation_are_read_alike_wherever_blocks_end(n: int) -> None:
    contents = [b"\n" * n + some for some in (b"tide pier quay\n", b"a\tb\n\tc\nd\te\n\tf")]
    offsets = np.cumsum([0, *map(len, contents)]).astype(np.int64)
    found = shapes_of(np.frombuffer(b"".join(contents), np.uint8), offsets)
    assert np.stack(found, axis=1).tolist() == [reference(content) for content in contents]
    assert (found.n_word_lines[0], found.n_record_lines.tolist()) == (1, [0, 0])


@settings(max_examples=20, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=12).map(b"".join), st.integers(PIECE_BYTES - 80, 3 * PIECE_BYTES))
def test_the_beginning_and_the_middle_of_a_long_document_are_walked(piece: bytes, n_bytes: int) -> None:
    content = (piece * (n_bytes // len(piece) + 1))[:n_bytes]
    found = np.stack(shapes_of(np.frombuffer(content, np.uint8), np.array([0, n_bytes])), axis=1)
    assert found.tolist() == [reference(content)]
