"""Whether a value looks drawn at random, or is a word, a name, or what people write where a secret will stand."""

import math
import re

# Bits per character of an assigned value; eight different characters, the shortest value, have just that. Words and
# place holders lie below (hunter22 has 2.75), random values of 16 characters near 3.8. A plain choice between.
MIN_ENTROPY = 3.0
EXAMPLE = b"EXAMPLE"  # stands in each placeholder that we write, and in those of manuals; no secret holds it by chance

# What people write where a secret will stand: such words, runs of x, * or dots, counting, templates, shell variables.
_PLACE_HOLDER = re.compile(
    rb"(?i)example|change_?me|dummy|your|placeholder|redacted|sample|insert|replace|x{4}|\*{3}|\.{3}|passw|secret|token|"
    rb"^https?:|^[$<%]|^\{\{|\$\{[\w.:-]{1,64}\}|\$\(|\{\{ ?[\w.]{1,64} ?\}\}|%\(\w|%[sdv]$"
)
_COUNTING = re.compile(
    rb"(?i)1234|abcd|0{6}"
)  # where the value is short; a long one has such runs by chance, or in part
_SHORT = 24
_ONE_BYTE = re.compile(rb"([xX0*._-])\1{7}")  # what people fill a form with
_CODE = re.compile(
    rb"\\|^/?\^|\.\*|\(\?|\][*+?{]|^[A-Za-z_]\w*[(\[]|^[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)+$|"
    rb"^[A-Za-z]{2,}\d?(?:[_/-][A-Za-z]{2,}\d?)+$"
)
_SIGNS = re.compile(rb"[!@#$^&*()\[\]{}<>+=?~|;]")
_PATTERN = re.compile(
    rb"\\|\[[^\]]{1,16}\][*+?{]|\.\*|\(\?|\$$|^\^|%[sd]|\{\d|</?\w+>|\w\(\)|\w\.\w+\(|==|&&|\|\||=>|->"
)


def entropy(value: bytes) -> float:
    """Shannon entropy in bits per byte. Bytes in the order in which they first stand, so that sums are the same."""
    shares = [value.count(byte) / len(value) for byte in dict.fromkeys(value)]
    return -sum([p * math.log2(p) for p in shares])


def is_example(value: bytes, *, repeats: bool = False) -> bool:
    """A placeholder of ours or of a manual, or one byte again and again, unless the kind `repeats`."""
    return EXAMPLE in value or (not repeats and _ONE_BYTE.search(value) is not None)


def _is_written(value: bytes) -> bool:
    return _PLACE_HOLDER.search(value) is not None or (len(value) < _SHORT and _COUNTING.search(value) is not None)


def _is_code(value: bytes) -> bool:
    """A regular expression, a call, names or words joined by signs, or words of another script than ASCII."""
    return not value.isascii() or _CODE.search(value) is not None


def looks_random(value: bytes) -> bool:
    """Whether an assigned value is rather a secret than a word, a name or a place holder."""
    if _is_written(value) or _is_code(value) or not re.search(rb"[0-9]", value) or not re.search(rb"[A-Za-z]", value):
        return False
    return entropy(value) >= MIN_ENTROPY


def nests(value: bytes) -> bool:
    """Whether each bracket that closes closes the last that was opened in the value, as in any part of code; what it
    closes may also stand before the value."""
    open_ones: list[int] = []
    for byte in value:
        if byte in b"([{":
            open_ones.append(byte)
        elif byte in b")]}" and open_ones and byte - open_ones.pop() not in (1, 2):  # as far as they lie in ASCII
            return False
    return True


def looks_chosen(value: bytes) -> bool:
    """Whether a value without white space is a password by its signs: many different ones among letters, and neither a
    pattern nor a piece of code."""
    if _is_written(value) or _is_code(value) or _PATTERN.search(value) or not re.search(rb"[A-Za-z0-9]", value):
        return False
    return len(set(_SIGNS.findall(value))) >= 3 and entropy(value) >= MIN_ENTROPY
