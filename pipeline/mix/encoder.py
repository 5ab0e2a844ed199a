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


def expected_encoder(path: str, file_hash: str) -> tokenizer.Encoder:
    """The encoder of a file that had this SHA-256 when the run began. ConfigError if it is another one now."""
    encoder = load_encoder(path)
    if encoder.file_hash != file_hash:
        raise ConfigError(
            f"tokenizer.path: {path} has SHA-256 {encoder.file_hash}, at the start it had {file_hash}: "
            "it changed while the run was made, or differs between machines; run the same command again"
        )
    return encoder


def held_encoder(data: bytes, *, where: str) -> tokenizer.Encoder:
    """The encoder of the tokenizer file that a run holds at `where`. Raises ConfigError."""
    try:
        return tokenizer.load_bytes(data, where=where)
    except tokenizer.TokenizerError as error:
        raise ConfigError(str(error)) from error
