"""Encoded data against the three regular expressions themselves."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import encoded

PATTERNS = (
    r"[a-zA-Z0-9+/\n=]{64,}",
    r"(?:\b(?:0x|\\x)?[0-9a-fA-F]{2}(?:,|\b\s*)){8,}",
    r"(?:\\u[0-9a-fA-F]{4}){8,}",
)


def found(text: str) -> list[int]:
    raw = text.encode()
    data = np.frombuffer(b"ab" + raw + b"cd" * 40, np.uint8)  # neighbours must not count
    return encoded.count(data, np.array([0, 2, 2 + len(raw), data.size]))[1].tolist()


def reference(text: str) -> list[int]:
    sizes = [len(m) for pattern in PATTERNS for m in re.findall(pattern, text)]
    return [sum(sizes), max(sizes, default=0)]


PIECES = st.sampled_from(
    [
        "ab",
        "12",
        "0x1f",
        "\\x41",
        ",",
        ", ",
        " ",
        "\n",
        "\\u4e2d",
        "\\u00e",
        "g",
        "x",
        "\\",
        "a" * 30,
        "Q/+=" * 8,
        "(",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PIECES | st.sampled_from(["12 ", "0xab,", "\\x0f", "\\u1234"]).map(lambda p: p * 7), max_size=30).map(
        "".join
    )
)
def test_matches_are_those_of_the_patterns(text: str) -> None:
    assert found(text) == reference(text)


@pytest.mark.parametrize(
    ("text", "n_chars"),
    [
        ("a" * 64, 64),
        ("a" * 63, 0),
        ("(" * 64 + "a" * 64, 64),  # begins behind a byte that a step lands on
        ("(" * 63 + "a" * 64 + "(", 64),
        ("(" + "0x12,0x34," * 4 + ")", 40),
        ("(" + "0x12,0x34," * 3 + "0x56", 0),
        ("12 34 56 78 9a bc de f0", 23),
        ("12 34 56 78 9a bc de", 0),
        ("\\u0041" * 8, 48),
        ("\\u0041" * 7, 0),
        ("0x12, " * 20, 0),  # the pattern takes a comma or white space, not both
        ("one two six " * 40, 0),
    ],
)
def test_near_misses(text: str, n_chars: int) -> None:
    assert found(text) == [n_chars, n_chars] == reference(text)
