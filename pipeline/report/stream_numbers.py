"""What the report says of the packed stream, whole or of one phase."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamPoint:
    """Extremes of the prefix balance up to sequence `n_sequences`, since the point before."""

    n_sequences: int
    low: int
    high: int


@dataclass(frozen=True)
class TokenBalance:
    """Code against text, in real tokens. The prefix balance is code x text_parts - text x code_parts."""

    code_parts: int
    text_parts: int
    n_code_tokens: int
    n_text_tokens: int
    worst_prefix: int
    max_prefix: int  # the promise: one sequence length, times the larger part
    points: tuple[StreamPoint, ...]

    @property
    def is_exact(self) -> bool:
        return self.n_code_tokens * self.text_parts == self.n_text_tokens * self.code_parts

    @property
    def is_kept(self) -> bool:
        return self.is_exact and self.worst_prefix <= self.max_prefix


@dataclass(frozen=True)
class Segment:
    """A stretch of the stream that ends at sequence `n_sequences`: shares of its code tokens, in the order of names."""

    n_sequences: int
    fracs: tuple[float, ...]


@dataclass(frozen=True)
class StreamMix:
    """Which languages the code tokens are in along the stream; the last name stands for all others."""

    names: tuple[str, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class PieceBin:
    """Sequences that hold low to high pieces of documents."""

    low: int
    high: int
    n_code: int
    n_text: int


@dataclass(frozen=True)
class PoolPacking:
    """How full one pool's sequences are."""

    pool: str
    n_sequences: int
    n_pieces: int
    n_real_tokens: int
    n_padding_tokens: int

    @property
    def padding_frac(self) -> float:
        return self.n_padding_tokens / max(1, self.n_real_tokens + self.n_padding_tokens)


@dataclass(frozen=True)
class SequencePacking:
    """The packed sequences."""

    seq_len: int
    n_full_sequences: int  # no padding at all
    n_split_docs: int  # longer than a sequence, so cut into several pieces
    pools: tuple[PoolPacking, ...]
    pieces: tuple[PieceBin, ...]


@dataclass(frozen=True)
class PhaseStream:
    """The stream of one phase."""

    name: str
    balance: TokenBalance
    mix: StreamMix
    packing: SequencePacking

    @property
    def n_sequences(self) -> int:
        return sum(pool.n_sequences for pool in self.packing.pools)

    @property
    def said(self) -> str:
        """How a sentence begins that is about it; empty for a stream without a name."""
        return f"Phase {self.name}: " if self.name else ""
