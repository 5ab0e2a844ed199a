"""The two engines that turn one document into token ids, and the test that a fast one must pass.

Both are given a tokenizer file without its added tokens, so a document that contains the text "<|endoftext|>" is
plain text to them and can never forge the end of a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, final

import numpy as np

from tokenizer.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

EngineName = Literal["gigatoken", "huggingface"]

# gigatoken 0.10 remembers every piece it ever saw and never forgets: 0.3 MB of memory per MB of ordinary text and
# 5 to 17 MB per MB of random base64, without end. Starting afresh after this many tokens (some 200 MB of text) costs
# under a tenth of a second per time.
TOKENS_PER_CACHE: Final = 2**26

_TEST_PIECE: Final = 64  # entries of the vocabulary per self-test text
_CODE_POINT_STEP: Final = 61  # prime, so that blocks of Unicode are hit at varying places
_LAST_CODE_POINT: Final = 0x323AF  # end of the assigned planes of letters


@final
class GigatokenEngine:
    """gigatoken on the calling thread. Its cache grows, so it is thrown away now and then; ids do not depend on it."""

    name: Final = "gigatoken"

    def __init__(self, config: str, *, tokens_per_cache: int = TOKENS_PER_CACHE) -> None:
        self._config = config
        self._tokens_per_cache = tokens_per_cache
        self._renew()

    def _renew(self) -> None:
        from gigatoken import Tokenizer  # first use loads the native library

        self._tokenizer = Tokenizer.from_json(self._config)
        self._n_tokens = 0

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """Ids of one UTF-8 document. Never use its encode_batch here: that one starts a pool of threads."""
        if self._n_tokens >= self._tokens_per_cache:
            self._renew()
        ids: NDArray[np.uint32] = self._tokenizer.encode(text)
        self._n_tokens += ids.size
        return ids


@final
class HuggingFaceEngine:
    """The reference implementation, some fifty times slower, on the calling thread."""

    name: Final = "huggingface"

    def __init__(self, config: str) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(config)
        except Exception as error:  # it raises no narrower one
            raise TokenizerError(f"Hugging Face tokenizers refuses it: {error}") from error

    def encode(self, text: bytes) -> NDArray[np.uint32]:
        """Ids of one UTF-8 document. encode_batch_fast would be a quarter faster, but wakes a pool of threads."""
        return np.array(self._tokenizer.encode(text.decode(), add_special_tokens=False).ids, dtype=np.uint32)


def fastest(
    config: str, *, reference: HuggingFaceEngine, vocabulary: Sequence[bytes]
) -> tuple[GigatokenEngine | HuggingFaceEngine, str]:
    """gigatoken if it gives the reference's ids, else the reference; and why."""
    try:
        candidate = GigatokenEngine(config)
    except ImportError:
        return reference, "gigatoken is not installed"
    except RuntimeError as error:  # an unknown split, a normaliser that it lacks
        return reference, f"gigatoken refuses this tokenizer: {str(error).splitlines()[0][:200]}"
    difference = first_difference(candidate, reference, vocabulary=vocabulary)
    if difference is not None:
        return reference, f"gigatoken's ids differ from Hugging Face's on the self-test text {difference[:60]!r}"
    return candidate, "equal to Hugging Face on the self-test"


def first_difference(
    candidate: GigatokenEngine, reference: HuggingFaceEngine, *, vocabulary: Sequence[bytes]
) -> str | None:
    """The first self-test text on which the engines disagree; None if there is none."""
    for text in self_test_texts(vocabulary):
        if not np.array_equal(candidate.encode(text.encode()), reference.encode(text.encode())):
            return text
    return None


def self_test_texts(vocabulary: Sequence[bytes]) -> Iterator[str]:
    """About 200 kB that walk through the places where tokenizers differ.

    The vocabulary itself is the best test of the merges; the rest aims at the split and at special tokens.
    """
    yield from _SPLIT_TRAPS
    ascii_chars = [chr(code) for code in range(128)]
    for first in ascii_chars:
        yield "".join(first + second for second in ascii_chars)
    for start in range(0, _LAST_CODE_POINT, _CODE_POINT_STEP * _TEST_PIECE):
        codes = range(start, min(start + _CODE_POINT_STEP * _TEST_PIECE, _LAST_CODE_POINT), _CODE_POINT_STEP)
        chars = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]  # surrogates are no text
        yield "".join(f"a{char}b {char}1 '{char}\n{char};" for char in chars)
    readable = [spelling for spelling in map(_as_text, vocabulary) if spelling]
    for start in range(0, len(readable), _TEST_PIECE * 8):
        yield " ".join(readable[start : start + _TEST_PIECE * 8 : 8])
        yield "".join(readable[start + 3 : start + _TEST_PIECE * 8 : 8])


def _as_text(token: bytes) -> str:
    """The token as text, or nothing if it ends inside a character."""
    return token.decode("utf-8", errors="ignore")


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
    "e\u0301\u0302 \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22\u0e49 \u05e9\u05b8\u05c1 \u0639\u0631\u0628\u064a",
    "\u00c3\u00a9\u00e2\u201a\u00ac\ufffd\ufffd \u0080\u0081\u00ad\u00ff \ue000\uf8ff \ufdd0\uffff \U0010ffff",
    "a" * 5_000,
    " " * 5_000 + "x",
    "\n" * 3_000 + " " * 3_000 + "\n",
    "-=" * 2_000 + "'" * 999 + "\u4e2d" * 999 + "7" * 999,
)
