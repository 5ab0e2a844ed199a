"""Numbers that tell of one document, from its bytes alone, whether something happened to it."""

import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.ruin import kernels

Hashes = NDArray[np.uint64]

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{40,}={0,2})")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}[\s:]?){24,}")
_DIGITS = b"0123456789"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_ACCENTED = re.compile(r"[\u00c0-\u00ff]{4,}")
_READ_AS = ("cp1252", "latin-1", "cp1251", "cp437", "mac_roman", "koi8_r")
# Marks that a text may end with, in several scripts.
_ENDS = frozenset(
    ".!?:;)]}>\"'`*|/\\-_=~#%$\u3002\uff01\uff1f\u300d\u300f\u201d\u2019\u00bb\u2026\u203a\uff09\u3011\u0964"
)


@dataclass(frozen=True)
class TextSigns:
    """What the bytes of one document say; shares in [0, 1]."""

    n_bytes: int
    n_words: int
    n_lines: int
    invalid: float  # share of bytes that are no UTF-8
    deflate: float  # bits per byte
    encoded: float  # share of bytes in base64 or hex
    mojibake: float  # share of characters beyond ASCII that read better in another encoding
    n_mojibake: int
    repeat: float  # share of runs of GRAM words that stood before
    repeat_masked: float  # the same with numbers masked
    line_order: float  # deviations, see `kernels.line_order`
    clean_end: bool  # with a line, or a mark that ends sentences or blocks


def word_grams(text: bytes) -> tuple[int, Hashes, Hashes]:
    """How many words a text has, and the hash of every GRAM of them in a row: as they are, and with numbers masked."""
    data = np.frombuffer(text, np.uint8)
    plain, masked = np.empty(len(data), np.uint64), np.empty(len(data), np.uint64)
    n = kernels.words(data, plain, masked)
    runs = np.empty(n, np.uint64), np.empty(n, np.uint64)
    n_runs = [kernels.grams(words[:n], kernels.GRAM, out) for words, out in zip((plain, masked), runs, strict=True)]
    return n, runs[0][: n_runs[0]], runs[1][: n_runs[1]]


def measure(text: bytes) -> TextSigns:
    """All signs of one document's bytes."""
    chars = text.decode("utf-8", "replace")
    invalid = max(0, chars.count("\ufffd") - text.count(b"\xef\xbf\xbd"))
    n, plain, masked = word_grams(text)
    n_lines, order = kernels.line_order(np.frombuffer(text, np.uint8))
    # Digits tell base64 from a long path. A hash is both base64 and hexadecimal, so the two are not added up.
    base64 = sum(len(m) for m in _BASE64.findall(text) if m.translate(None, _DIGITS) != m)
    encoded = max(base64, sum(len(m) for m in _HEX.findall(text)))
    n_mojibake, n_beyond = _mojibake(chars)
    tail = chars.rstrip(" \t")
    clean = tail.endswith("\n") or (tail[-1:] in _ENDS)
    return TextSigns(
        len(text),
        n,
        n_lines,
        invalid / max(1, len(text)),
        8 * len(zlib.compress(text, 6)) / max(1, len(text)),
        min(1.0, encoded / max(1, len(text))),
        n_mojibake / max(1, n_beyond),
        n_mojibake,
        kernels.repeated(plain),
        kernels.repeated(masked),
        order,
        clean,
    )


def _mojibake(chars: str) -> tuple[int, int]:
    found = beyond = 0
    for match in _NOT_ASCII.finditer(chars):
        run = match.group()
        beyond += len(run)
        if len(run) >= 2 and _misread(run):
            found += len(run)
    found += sum(len(m) for m in _ACCENTED.findall(chars))
    return found, beyond


def _misread(run: str) -> bool:
    for codec in _READ_AS:
        try:
            run.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False
