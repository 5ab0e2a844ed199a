"""Numbers of shards and partitions that follow the input, where a mixture does not say them.

They decide what a task holds, so that memory is what one shard takes at any size of input, and how well sequences are
filled: few documents in many packing problems leave room at the end of each. They are a function of the input's bytes
alone, never of workers: with the same input every machine makes the same run.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

from pipeline.config import Mixture
from pipeline.phased import phases_of
from pipeline.sources import Slice

# Bytes of input for each partition or shard, so that a task holds at most some hundred megabytes.
_BYTES: dict[tuple[str, str], int] = {
    ("exact_dups", "n_partitions"): 512_000_000,  # 40 bytes a document, twice while sorting
    ("near_dups", "n_partitions"): 128_000_000,  # shingle sets of candidates: up to twice the bytes of their text
    ("select", "n_partitions"): 256_000_000,  # 100 bytes a document that has duplicates, and the shingles of crowds
    # Some 200 bytes a document and copy. Larger would fill no better: 512 MB are 2,000 sequences of 32,768 tokens for
    # each pool, and best fit leaves room in the last ones only.
    ("pack", "n_partitions"): 512_000_000,
    ("pack", "n_shards"): 128_000_000,  # its sequences: 4 bytes a token, about as many as the token has in text
}
# An exchange has (shards x partitions) pieces; from a terabyte on these cost more than larger tasks do.
_MOST = 8_192


def sized(mixture: Mixture, slices: Iterable[Slice]) -> Mixture:
    """The mixture with every number that it leaves to the input; those that it says stay."""
    open_ = {(part, name) for part, name in _BYTES if getattr(getattr(mixture, part), name) is None}
    if not open_:
        return mixture
    # A source that cannot say how much it holds (a reader of others' formats) counts as full shards.
    n_bytes = sum(piece.n_bytes or mixture.ingest.shard_bytes for piece in slices)
    n_bytes = ceil(n_bytes * _rate(mixture))
    parts = {}
    for part in {part for part, _ in open_}:
        numbers = {name: number_of(n_bytes, part, name) for of, name in open_ if of == part}
        parts[part] = getattr(mixture, part).model_copy(update=numbers)
    return mixture.model_copy(update=parts)


def scaled(mixture: Mixture) -> Mixture:
    """The mixture of a sample: its budget and its numbers of shards and partitions by the sample's rate.

    The budget is rounded down to the ratio of the pools and is at least one token for each part; the numbers are
    rounded up. A mixture of the whole input stays as it is.
    """
    rate, balance = _rate(mixture), mixture.balance
    if rate == 1:
        return mixture
    parts: dict[str, object] = {}
    if balance.total_tokens is not None:
        unit = balance.code.parts + balance.text.parts
        total = max(unit, int(balance.total_tokens * rate) // unit * unit)
        parts["balance"] = balance.model_copy(update={"total_tokens": total})
    if mixture.phases:
        ratios = {phase.name: phase.code_parts + phase.text_parts for phase in phases_of(mixture)}
        parts["phases"] = tuple(
            one
            if one.tokens is None
            else one.model_copy(update={"tokens": max(ratios[one.name], int(one.tokens * rate))})
            for one in mixture.phases
        )
    for part in dict.fromkeys(part for part, _ in _BYTES):
        own = getattr(mixture, part)
        said = {name: getattr(own, name) for of, name in _BYTES if of == part}
        parts[part] = own.model_copy(update={name: ceil(n * rate) for name, n in said.items() if n is not None})
    return mixture.model_copy(update=parts)


def _rate(mixture: Mixture) -> Fraction:
    """The share of the input that enters, as it was written."""
    return Fraction(repr(mixture.ingest.sample or 1))


def number_of(n_bytes: int, part: str, name: str) -> int:
    """How many there are of what `part`.`name` counts, for so many bytes of input."""
    return min(_MOST, max(1, -(-n_bytes // _BYTES[part, name])))
