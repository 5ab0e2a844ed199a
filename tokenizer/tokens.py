"""Names of the special tokens, and the letters in which a tokenizer file spells bytes.

Ids of a vocabulary trained here:

    0 .. 63          special tokens, the named ones first; <|endoftext|> is 0
    64 .. 319        the 256 bytes: byte b has id 64 + b
    320 ..           merges, most frequent first
    last ones        <|reserved_N|>, only where the sample was too small to give enough merges
"""

from functools import cache
from typing import Final

END_OF_TEXT: Final = "<|endoftext|>"

SPECIAL_TOKENS: Final = (
    END_OF_TEXT,
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|im_start|>",
    "<|im_end|>",
)

N_SPECIAL: Final = 64  # room for later additions without moving an id
N_BYTES: Final = 256


def special_names() -> list[str]:
    """All special tokens in id order, filled up to N_SPECIAL with reserved ones."""
    return [*SPECIAL_TOKENS, *reserved_names(0, stop=N_SPECIAL - len(SPECIAL_TOKENS))]


def reserved_names(start: int, *, stop: int) -> list[str]:
    """Names of the reserved tokens number `start` to `stop - 1`."""
    return [f"<|reserved_{number}|>" for number in range(start, stop)]


@cache
def byte_chars() -> tuple[str, ...]:
    """The printable character that stands for each byte, by byte value (the convention of GPT-2's vocabulary file).

    Bytes that Latin-1 prints stand for themselves; the others (controls, space, soft hyphen) take the
    code points from 256 upwards in order.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(N_BYTES) if byte not in visible]
    return tuple(chr(byte) if byte in visible else chr(N_BYTES + hidden.index(byte)) for byte in range(N_BYTES))


@cache
def _char_bytes() -> dict[str, int]:
    return {char: byte for byte, char in enumerate(byte_chars())}


def token_bytes(spelling: str) -> bytes:
    """The bytes that a vocabulary entry stands for; an entry outside the byte alphabet stands for its own text."""
    table = _char_bytes()
    try:
        return bytes([table[char] for char in spelling])
    except KeyError:
        return spelling.encode()
