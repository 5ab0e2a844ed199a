"""What decides tokens and packed shards: part of their stages' fingerprints, without the kernels that make them."""

from pipeline.config import Mixture, Tokenizer
from pipeline.fields import Count
from pipeline.mix.encoder import load_encoder
from pipeline.mix.epochs import n_segments, patience
from pipeline.targets import Balance, Pack


class Encoding(Tokenizer):
    """All that decides `tokens`: the tokenizer's file, and what is in it."""

    file_hash: str  # SHA-256


def encoding_of(config: Tokenizer) -> Encoding:
    """The tokenizer with the hash of its file. Raises ConfigError if it cannot be loaded."""
    return Encoding(path=config.path, file_hash=load_encoder(config.path).file_hash)


def end_of_document(config: Tokenizer) -> int:
    """The id that ends each document and fills what is left of a sequence."""
    return load_encoder(config.path).eos_id


class Balancing(Balance):
    """All that decides `balance`; without total_tokens a mixture ends with a sequence of `seq_len` tokens."""

    seq_len: Count | None = None


def balancing_of(mixture: Mixture) -> Balancing:
    """What a mixture says of its balance."""
    seq_len = mixture.pack.seq_len if mixture.balance.total_tokens is None else None
    return Balancing(**dict(mixture.balance), seq_len=seq_len)


class Packing(Pack):
    """All that decides `packed`: sizes, the ratio that every prefix keeps, how often documents may appear, and what
    fills a sequence up.
    """

    n_shards: Count
    n_partitions: Count
    code_parts: int
    text_parts: int
    code_copies: Count = 1  # how often a document of the pool appears at most: `pack` counts it in the plan
    text_copies: Count = 1
    pad_id: int

    @property
    def segments(self) -> tuple[int, int]:
        """How many segments of time the streams of code and text have; text's are numbered behind code's."""
        code, text = (n_segments(self.n_partitions, copies) for copies in (self.code_copies, self.text_copies))
        return code, text

    @property
    def patience(self) -> tuple[int, int]:
        """How many segments a sequence of code, of text, may wait to be filled: without copies all."""
        n_code, n_text = self.segments
        return patience(n_code, self.code_copies), patience(n_text, self.text_copies)


def packing_of(mixture: Mixture) -> Packing:
    """What a mixture says of its packed shards. ConfigError if its tokenizer cannot be loaded."""
    balance = mixture.balance
    return Packing(
        **dict(mixture.pack),
        code_parts=balance.code.parts,
        text_parts=balance.text.parts,
        pad_id=end_of_document(mixture.tokenizer),
    )
