"""The tokenizer that a mixture names, as an encoder."""

from functools import lru_cache

import tokenizer
from pipeline.errors import ConfigError


@lru_cache(maxsize=2)
def load_encoder(path: str) -> tokenizer.Encoder:
    """The encoder of a tokenizer file, or of `builtin`; kept between the shards of one process. Raises ConfigError."""
    try:
        return tokenizer.load(path)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"tokenizer.path: {error}") from error
