"""Sixty-four bytes at once as the bits of one number: which of them are a given byte, which lie in a range.

Bit k stands for byte k. A walk that asks for a byte's class in a table waits for every byte; here a comparison of all
64 is one or two instructions of the vector units, and a run, a gap or a line end is found by arithmetic on the bits.
Kernels of other files call what stands here, so it is one of the `HELPERS` of `compiled.py`.
"""

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.arrays.compiled import compiled

BLOCK = 64
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
NONE, ONE = np.uint64(0), np.uint64(1)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads a bit over all above it

_BYTES = ir.VectorType(ir.IntType(8), BLOCK)
_WORD = ir.IntType(64)


def tail_room() -> np.ndarray:
    """What `block` needs beside the data: room for a last block that is not whole."""
    return np.zeros(BLOCK, np.uint8)


def _address(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [i])


@intrinsic
def block(typing: Any, data: Any, i: Any, room: Any) -> Any:
    """The address of the 64 bytes of data that begin at i; of a copy in `room` where data has fewer.

    Both arrays must be arguments of the kernel that asks, so that they outlive the address. Behind the end of data
    stands anything: whoever asks masks it out.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, i, room = args
        array = context.make_array(signature.args[0])(context, builder, data)
        left = builder.sub(builder.extract_value(array.shape, 0), i)
        here = _address(context, builder, signature.args[0], data, i)
        there = context.make_array(signature.args[2])(context, builder, room).data
        is_short = builder.icmp_signed("<", left, ir.Constant(_WORD, BLOCK))
        with builder.if_then(is_short, likely=False):
            copy = builder.module.declare_intrinsic("llvm.memcpy", [there.type, here.type, _WORD])
            builder.call(copy, [there, here, left, ir.Constant(ir.IntType(1), 0)])
        return builder.ptrtoint(builder.select(is_short, there, here), _WORD)

    return types.uint64(data, types.int64, room), build


def _filled(builder: Any, byte: Any) -> Any:
    """A block of one byte."""
    nothing, number = ir.Constant(_BYTES, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, byte, ir.Constant(number, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(number, BLOCK), [0] * BLOCK))


@intrinsic
def bits_within(typing: Any, data: Any, i: Any, low: Any, high: Any) -> Any:
    """uint64: which of the 64 bytes of data at i, which it must have, lie in low .. high, both included."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(_address(context, builder, signature.args[0], args[0], args[1]), _BYTES.as_pointer())
        above = builder.sub(builder.load(place, align=1), _filled(builder, args[2]))  # what is below wraps around
        found = builder.icmp_unsigned("<=", above, _filled(builder, builder.sub(args[3], args[2])))
        return builder.bitcast(found, _WORD)

    return types.uint64(data, types.int64, types.uint8, types.uint8), build


@intrinsic
def between(typing: Any, address: Any, low: Any, high: Any) -> Any:
    """uint64: which of the 64 bytes at an address lie in low .. high, both constants and both included."""
    if not (isinstance(low, types.IntegerLiteral) and isinstance(high, types.IntegerLiteral)):
        return None

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, last = signature.args[1].literal_value, signature.args[2].literal_value
        loaded = builder.load(builder.inttoptr(args[0], _BYTES.as_pointer()), align=1)
        moved = builder.sub(loaded, ir.Constant(_BYTES, [first] * BLOCK))
        return builder.bitcast(builder.icmp_unsigned("<=", moved, ir.Constant(_BYTES, [last - first] * BLOCK)), _WORD)

    return types.uint64(types.uint64, low, high), build


@intrinsic
def equal(typing: Any, address: Any, byte: Any) -> Any:
    """uint64: which of the 64 bytes at an address are a byte, which need not be a constant."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(builder.inttoptr(args[0], _BYTES.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("==", loaded, _filled(builder, args[1])), _WORD)

    return types.uint64(types.uint64, types.uint8), build


@intrinsic
def count_ones(typing: Any, bits: Any) -> Any:
    """How many bits are set, int64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set, int64; 64 if none is."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


@intrinsic
def leading_zeros(typing: Any, bits: Any) -> Any:
    """64 minus the place behind the highest bit that is set, int64; 64 if none is."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


@intrinsic
def eight(typing: Any, data: Any, i: Any) -> Any:
    """The eight bytes of data at i, which it must have, as a number, uint64; the first byte is the lowest."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(_address(context, builder, signature.args[0], args[0], args[1]), _WORD.as_pointer())
        found = builder.load(place, align=1)
        return found if sys.byteorder == "little" else builder.bswap(found)

    return types.uint64(data, types.int64), build


@intrinsic
def folded_product(typing: Any, a: Any, b: Any) -> Any:
    """The two halves of the 128-bit product of two numbers, one on the other: a bit of either reaches all of it, where
    an ordinary product has nothing of a high bit in its low half. uint64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(2 * BLOCK)
        product = builder.mul(*(builder.zext(arg, wide) for arg in args))
        high = builder.lshr(product, ir.Constant(wide, BLOCK))
        return builder.trunc(builder.xor(product, high), _WORD)

    return types.uint64(types.uint64, types.uint64), build


@compiled
def hash_of_bytes(data: np.ndarray, i: int, end: int) -> np.uint64:
    """64 bits that tell data[i:end] from other bytes: eight bytes a multiplication, the last eight perhaps twice, and
    the length beside them."""
    key = np.uint64(end - i) * GOLDEN  # spread: next to the first byte it would be taken for another first byte
    if end - i < 8:
        last = NONE
        for k in range(i, end):
            last = last << np.uint64(8) | np.uint64(data[k])
    else:
        last = eight(data, end - 8)
        while i + 8 < end:
            key = folded_product(key ^ eight(data, i), GOLDEN)
            i += 8
    return np.uint64(folded_product(key ^ last, GOLDEN))


@compiled
def below_eight(data: np.ndarray, start: int, end: int) -> np.uint64:
    """The bytes data[start:end], fewer than eight, as `eight` gives eight."""
    value = np.uint64(0)
    for k in range(start, end):
        value |= np.uint64(data[k]) << np.uint64(8 * (k - start))
    return value
