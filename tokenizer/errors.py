"""The one error of this room."""


class TokenizerError(ValueError):
    """A tokenizer file, a text to encode or a training sample cannot be used; the message says what to do."""
