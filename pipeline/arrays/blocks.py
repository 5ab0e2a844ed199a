"""Bytes of a text in blocks, for kernels: which of 64 bytes lie in a range, and eight bytes at any place as a number.

A kernel that goes from bit to bit does no work at the bytes between, and a processor compares 32 or 64 bytes at once.
Only from here are such instructions asked for; LLVM makes of them what the machine has, on any machine. That a place
lies within the array is for the caller to know: nothing checks it.
"""

import sys
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np import arrayobj

BLOCK = 64


def _load(context: Any, builder: Any, signature: Any, arguments: Any, form: Any) -> Any:
    """What lies at the place arguments[1] of the array of bytes, read as `form`; at any address."""
    array = arrayobj.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.load(builder.bitcast(builder.gep(array.data, [arguments[1]]), form.as_pointer()), align=1)


def _filled(builder: Any, byte: Any, form: Any) -> Any:
    """A block of one byte."""
    nothing, number = ir.Constant(form, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, byte, ir.Constant(number, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(number, BLOCK), [0] * BLOCK))


@intrinsic
def bits_within(_context: Any, data: Any, _at: Any, _low: Any, _high: Any) -> Any:
    """bits_within(data, i, low, high): uint64 whose bit k says whether low <= data[i + k] <= high, for the BLOCK bytes
    from i of a contiguous uint8 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        form = ir.VectorType(ir.IntType(8), BLOCK)
        _, _, low, high = arguments
        block = _load(context, builder, signature, arguments, form)
        above = builder.sub(block, _filled(builder, low, form))  # what is below wraps around
        found = builder.icmp_unsigned("<=", above, _filled(builder, builder.sub(high, low), form))
        return builder.bitcast(found, ir.IntType(BLOCK))

    return types.uint64(data, types.int64, types.uint8, types.uint8), generate


@intrinsic
def eight_at(_context: Any, data: Any, _at: Any) -> Any:
    """eight_at(data, i): data[i] to data[i + 7] of a contiguous uint8 array as one uint64, the first byte lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = _load(context, builder, signature, arguments, ir.IntType(64))
        return found if sys.byteorder == "little" else builder.bswap(found)

    return types.uint64(data, types.int64), generate


@intrinsic
def lowest(_context: Any, _bits: Any) -> Any:
    """lowest(bits): the number of the lowest bit that is set in a uint64; BLOCK where none is."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def n_bits(_context: Any, _bits: Any) -> Any:
    """n_bits(bits): how many bits are set in a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate
