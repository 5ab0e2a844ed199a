"""What decides tokens and packed shards: part of their stages' fingerprints, without the kernels that make them."""

from pipeline.config import Pack, Tokenizer
from pipeline.fields import Count
from pipeline.mix.encoder import load_encoder


class Encoding(Tokenizer):
    """All that decides `tokens`: the tokenizer's file, and what is in it."""

    file_hash: str  # SHA-256


def encoding_of(config: Tokenizer) -> Encoding:
    """The tokenizer with the hash of its file. Raises ConfigError if it cannot be loaded."""
    return Encoding(path=config.path, file_hash=load_encoder(config.path).file_hash)


def end_of_document(config: Tokenizer) -> int:
    """The id that ends each document and fills what is left of a sequence."""
    return load_encoder(config.path).eos_id


class Packing(Pack):
    """All that decides `packed`: sizes, the ratio that every prefix keeps, and what fills a sequence up.

    Partition p of pool k is number k * n_partitions + p.
    """

    n_shards: Count
    n_partitions: Count
    code_parts: int
    text_parts: int
    pad_id: int
