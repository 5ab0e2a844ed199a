"""The two engines that turn one document into token ids, and the test that a fast one must pass.

Both are given a tokenizer file without its added tokens, so a document that contains the text "<|endoftext|>" is
plain text to them and can never forge the end of a document.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, final

import numpy as np

from tokenizer.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

EQUAL: Final = "equal to Hugging Face on the self-test"
EngineName = Literal["gigatoken", "huggingface"]

# gigatoken 0.10 remembers every piece it ever saw and never forgets: 0.3 MB of memory per MB of ordinary text and
# up to 17 MB per MB of random base64, without end. Starting afresh after this many tokens (some 200 MB of text, 110 MB
# of base64) costs a fifth of a second per time and kept a process under 1.2 GB on the worst of inputs.
TOKENS_PER_CACHE: Final = 2**26

# Letters, digits and marks of Unicode 17. gigatoken 0.10 knows them, the regex engine of tokenizers 0.23 (Unicode 16)
# takes them for signs and splits elsewhere. All other code points were compared one by one and agree; a slow test
# repeats that. Documents with one of these go to the reference.
DISPUTED: Final = (
    (0x088F, 0x088F),
    (0x0C5C, 0x0C5C),
    (0x0CDC, 0x0CDC),
    (0xA7CE, 0xA7D4),
    (0xA7F1, 0xA7F1),
    (0x10940, 0x10959),
    (0x10EC5, 0x10EC7),
    (0x11DB0, 0x11DE9),
    (0x16EA0, 0x16ED3),
    (0x16FF2, 0x16FF6),
    (0x187F8, 0x187FF),
    (0x18D09, 0x18DF2),
    (0x1E6C0, 0x1E6FF),
    (0x2B73A, 0x2B73F),
    (0x2CEA2, 0x2CEAD),
    (0x323B0, 0x33479),
)
_DISPUTED_CHAR: Final = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in DISPUTED) + "]")
_DISPUTED_LEADS: Final = (0xE0, 0xEA, 0xF0)  # first bytes of their UTF-8; finding one is a hundred times cheaper
# First two bytes (a step of 64 code points passes over none): emoji and Hangul share the leads, but none of these.
_DISPUTED_PREFIXES: Final = sorted(
    {chr(code).encode()[:2] for first, last in DISPUTED for code in (*range(first, last, 64), last)}
)

_TEST_CODE_STEP: Final = 61  # prime, so that blocks of Unicode are hit at varying places
_TEST_CODE_STOP: Final = 0x33480
_TEST_GROUP: Final = 64  # characters, or vocabulary entries, of one self-test text

# Letters new in Unicode 15, 15.1 and 16: an engine built on older tables fails here.
_RECENT_LETTERS: Final = "\U00011f04\U0001e4d0\U00031350\U0002ebf0\U000105c0\U00016d40\U00011380\ua7cb\u1c89\U0001df25"


@contextmanager
def refusing_panics() -> Iterator[None]:
    """Turn what Rust raises where a library of its own fails, which is no Exception, into a TokenizerError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"Hugging Face tokenizers fails on it: {str(error).splitlines()[0]:.200}") from error


@final
class GigatokenEngine:
    """gigatoken on the calling thread. Its cache grows, so it is thrown away now and then; ids do not depend on it."""

    name: Final = "gigatoken"

    def __init__(self, config: str, *, reference: HuggingFaceEngine, tokens_per_cache: int = TOKENS_PER_CACHE) -> None:
        self._config = config
        self._reference = reference
        self._tokens_per_cache = tokens_per_cache
        self._renew()

    def _renew(self) -> None:
        from gigatoken import Tokenizer

        self._tokenizer = Tokenizer.from_json(self._config)
        self._n_tokens = 0

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """Ids of one UTF-8 document. (gigatoken's own encode_batch is no faster here and needs awkward arrays.)"""
        if is_disputed(text):
            return self._reference.encode(text)
        if self._n_tokens >= self._tokens_per_cache:
            self._renew()
        ids: NDArray[np.uint32] = self._tokenizer.encode(text)
        self._n_tokens += ids.size
        return ids


def is_disputed(text: bytes) -> bool:
    """Whether a character occurs that the engines class differently. Nearly free for most texts."""
    return (
        any(lead in text for lead in _DISPUTED_LEADS)
        and any(prefix in text for prefix in _DISPUTED_PREFIXES)
        and _DISPUTED_CHAR.search(text.decode()) is not None
    )


@final
class HuggingFaceEngine:
    """The reference implementation, some fifty times slower, on the calling thread."""

    name: Final = "huggingface"

    def __init__(self, config: str, *, is_sound: bool = False) -> None:
        """Built at once, which checks the file; where `is_sound` says that it is, with the first text."""
        self._config = config
        self._tokenizer: Tokenizer | None = None
        if not is_sound:
            self._build()

    def _build(self) -> Tokenizer:
        from tokenizers import Tokenizer

        with refusing_panics():
            try:
                self._tokenizer = Tokenizer.from_str(self._config)
            except Exception as error:  # it raises no narrower one
                raise TokenizerError(f"Hugging Face tokenizers refuses it: {error}") from error
        return self._tokenizer

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """Ids of one UTF-8 document. encode_batch_fast would be a quarter faster, but wakes a pool of threads."""
        tokenizer = self._tokenizer or self._build()
        with refusing_panics():
            return np.array(tokenizer.encode(text.decode(), add_special_tokens=False).ids, dtype=np.uint32)


def fastest(
    config: str, *, reference: HuggingFaceEngine, vocabulary: Sequence[bytes]
) -> tuple[GigatokenEngine | HuggingFaceEngine, str]:
    """gigatoken if it gives the reference's ids, else the reference; and why."""
    try:
        candidate = GigatokenEngine(config, reference=reference)
    except ImportError:
        return reference, "gigatoken is not installed"
    except RuntimeError as error:  # an unknown split, a normaliser that it lacks
        return reference, f"gigatoken refuses this tokenizer: {str(error).splitlines()[0][:200]}"
    for text in self_test_texts(vocabulary):
        data = text.encode()
        if not np.array_equal(candidate.encode(data), reference.encode(data)):
            return reference, f"gigatoken's ids differ from Hugging Face's on the self-test text {text[:40]!r}"
    return candidate, EQUAL


def self_test_texts(vocabulary: Sequence[bytes]) -> Iterator[str]:
    """About 300 kB that walk through the places where tokenizers differ.

    The vocabulary itself is the best test of the merges; the rest aims at the split and at special tokens.
    """
    yield from _SPLIT_TRAPS
    ascii_chars = [chr(code) for code in range(128)]
    for first in ascii_chars:
        yield "".join(first + second for second in ascii_chars)
    codes = [code for code in range(0, _TEST_CODE_STOP, _TEST_CODE_STEP) if not 0xD800 <= code < 0xE000]  # surrogates
    chars = _RECENT_LETTERS + "".join(char for char in map(chr, codes) if not _DISPUTED_CHAR.match(char))
    for start in range(0, len(chars), _TEST_GROUP):
        yield "".join(f"a{char};b {char}1 '{char}\n{char}{char}!" for char in chars[start : start + _TEST_GROUP])
    readable = [text for token in vocabulary if (text := token.decode(errors="ignore"))]
    for start in range(0, len(readable), 8 * _TEST_GROUP):
        group = readable[start : start + 8 * _TEST_GROUP]
        yield " ".join(group[::8])
        yield "".join(group[3::8])


_SPLIT_TRAPS: Final = (
    "",
    " ",
    "\r\n",
    "\n\n \r\n\r\r \t\n  x\n\n\n",
    "a \t b\u00a0\u00a0c\u2003\u2028d\u3000\u3000e\u200b\u200bf\ufeffg\x00h\x1ci\x85j",
    "I'm you'Re we'VE it'd they'll 's 'S 'T 'x ''s '\u017f '\u212a don\u2019t 'lll 'ss",
    "0 12 123 1234 12345 1,234,567.89 0xDEADBEEF 1e-3 \u0661\u0662\u0663\u0664 \u00bd\u00b2\u2167 x1y22z333",
    "for (int i=0;i<n;++i){a[i]+=b->c;}\r\n\t\t// ----\r\n#define F(x) \\\r\n  ((x)<<2)\r\n\r\n",
    "def f(a: int = 3, *, b=None) -> str:\n    return f'{a!r:>10}'  # done\n\n\n\nclass A_b(C): ...\n",
    "<|endoftext|><|fim_prefix|> a<|im_end|>b <|reserved_3|>\n<|file_sep|></s><s>[INST]<0x0A><unk>",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\u2764\ufe0f \U0001f44d\U0001f3fd!",
    "\u4e2d\u6587\u5b57\u7b26\u3002\u65e5\u672c\u8a9e\u30c6\u30b9\u30c8\uff01\ud55c\uad6d\uc5b4 \ud55c\uad6d\u3001",
    "e\u0301\u0302 \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22\u0e49 \u05e9\u05b8\u05c1 \u0639\u0631\u0628",
    "\u00c3\u00a9\u00e2\u201a\u00ac\ufffd\ufffd \u0080\u0081\u00ad\u00ff \ue000\uf8ff \ufdd0\uffff \U0010ffff",
    "a" * 5_000,
    " " * 5_000 + "x",
    "\n" * 3_000 + " " * 3_000 + "\n",
    "-=" * 2_000 + "'" * 999 + "\u4e2d" * 999 + "7" * 999,
)
