"""Public vocabularies to compare with, out of packages that carry them; nothing is downloaded.

None of the packages is needed: who wants the comparison installs the extra `peers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

Count = Callable[[str], int]  # tokens of a text, in which the names of special tokens are plain text


@dataclass(frozen=True, slots=True)
class Peer:
    """A public vocabulary, and the package that brings it."""

    name: str
    n_entries: int
    package: str  # as pip names it
    module: str  # as Python does
    open: Callable[[], Count]


def _openai(name: str) -> Callable[[], Count]:
    def opened() -> Count:
        from bpe_openai import get_encoding

        encode = get_encoding(name).encode_ordinary
        return lambda text: len(encode(text))

    return opened


def _qwen() -> Count:
    from dashscope.tokenizers import get_tokenizer

    encode = get_tokenizer("qwen-7b-chat").encode
    return lambda text: len(encode(text, allowed_special=set()))


def _tekken() -> Count:
    import mistral_common
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    encode = Tekkenizer.from_file(Path(mistral_common.__file__).parent / "data" / "tekken_240911.json").encode
    return lambda text: len(encode(text, bos=False, eos=False))


PEERS: Final = (
    Peer("cl100k", 100_256, "bpe-openai", "bpe_openai", _openai("cl100k_base")),
    Peer("o200k", 199_998, "bpe-openai", "bpe_openai", _openai("o200k_base")),
    Peer("qwen", 151_643, "dashscope", "dashscope", _qwen),
    Peer("tekken", 130_072, "mistral-common", "mistral_common", _tekken),
)


def installed(peers: tuple[Peer, ...] = PEERS) -> tuple[dict[str, Count], dict[str, str]]:
    """Counters by name of the vocabularies that are here, and for each other one why it is not."""
    found: dict[str, Count] = {}
    missing: dict[str, str] = {}
    for peer in peers:
        if find_spec(peer.module) is None:
            missing[peer.name] = f"{peer.package} is not installed"
            continue
        try:
            found[peer.name] = peer.open()
        except (ImportError, OSError, AttributeError, KeyError, ValueError) as error:  # another version of the package
            missing[peer.name] = f"{peer.package} does not open it ({type(error).__name__}: {error})"
    return found, missing
