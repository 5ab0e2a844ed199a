"""The tokenizer that a mixture names, or that a run holds, as an encoder."""

import tokenizer
from pipeline.errors import ConfigError


def load_encoder(path: str) -> tokenizer.Encoder:
    """The encoder of a tokenizer file as it is now, or of `builtin`. Raises ConfigError.

    The package keeps encoders by the bytes of their files, so this costs a shard only the reading of a few megabytes.
    """
    try:
        return tokenizer.load(path)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"tokenizer.path: {error}") from error


def held_encoder(data: bytes, *, where: str) -> tokenizer.Encoder:
    """The encoder of the tokenizer file that a run holds at `where`. Raises ConfigError."""
    try:
        return tokenizer.load_bytes(data, where=where)
    except tokenizer.TokenizerError as error:
        raise ConfigError(str(error)) from error
