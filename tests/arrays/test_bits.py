"""Bits of sixty-four bytes against numpy, which asks one byte after another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arrays import bits
from pipeline.arrays.compiled import compiled
from pipeline.arrays.utf8 import decode


@compiled
def masks(data, i, room, byte):
    at = bits.block(data, i, room)
    return bits.between(at, 48, 57), bits.between(at, 200, 255), bits.equal(at, byte)


@compiled
def numbers(x, y):
    return bits.count_ones(x), bits.lowest(x), bits.leading_zeros(x), bits.folded_product(x, y)


@compiled
def hashes(data, offsets):
    found = np.zeros(offsets.size - 1, np.uint64)
    for k in range(offsets.size - 1):
        found[k] = bits.hash_of_bytes(data, offsets[k], offsets[k + 1])
    return found


def as_bits(mask):
    return [bool(int(mask) >> k & 1) for k in range(64)]


@pytest.mark.parametrize("size", [1, 7, 63, 64, 65, 130])
def test_a_block_says_of_each_byte_what_numpy_says_also_at_the_end(size):
    data = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)
    for i in range(size):
        piece = data[i : i + 64]
        expected = [(piece >= 48) & (piece <= 57), piece >= 200, piece == data[0]]
        for mask, wanted in zip(masks(data, i, bits.tail_room(), data[0]), expected, strict=True):
            assert as_bits(mask)[: piece.size] == wanted.tolist()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda k: 1 << k), st.integers(0, 2**64 - 1))
def test_numbers_of_bits_are_pythons(x, y):
    product = x * y
    assert [int(n) for n in numbers(np.uint64(x), np.uint64(y))] == [
        x.bit_count(),
        (x & -x).bit_length() - 1 if x else 64,
        64 - x.bit_length(),
        (product ^ product >> 64) & (2**64 - 1),
    ]


def hashes_of(lines):
    return hashes(np.frombuffer(b"".join(lines), np.uint8), np.cumsum([0, *map(len, lines)]))


def test_lines_that_differ_a_little_have_other_hashes():
    marks = [b" ", b"#", b"a", b"b", b"\x01", b"\xc3"]
    lines = {first + b" " * n + middle + b"  " + last for first, n, middle, last in itertools.product(
        marks, range(24), marks, [b"", b"x", b"y", b"esac", b"done\x0b"]
    )}  # fmt: skip
    lines |= {b"key%c aaa%c%c" % (a, b, c) for a, b, c in itertools.product(range(32, 127), range(32, 64), range(8))}
    assert len(set(hashes_of(sorted(lines)).tolist())) == len(lines)


def test_equal_bytes_have_one_hash_wherever_they_stand():
    assert len(set(hashes_of([b"abc", b"def", b"abc"]).tolist())) == 2
    assert len(set(hashes_of([b"twelve bytes", b"twelve byteS", b"twelve bytes"]).tolist())) == 2


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=4).map(str.encode) | st.binary(max_size=8))
def test_characters_are_read_as_python_reads_them(content):
    data, i, seen = np.frombuffer(content, np.uint8), 0, []
    while i < data.size:
        code, size = (data[i], 1) if data[i] < 0x80 else decode(data, i, data.size)
        seen.append(chr(code))
        i += size
    assert "".join(seen) == content.decode("utf-8", "replace")
