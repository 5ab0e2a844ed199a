"""One line of JSON -> the values that a source maps. Only the content decides whether a row can be read.

A sound line is parsed by pydantic's parser. One that it refuses (half a surrogate pair, bytes that are no UTF-8,
numbers of thousands of digits, nesting without end) is taken apart by its brackets and quotes, and each value is read
by itself: what cannot be read is `LOST`, and the content costs no more than its damaged characters.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

LOST: Final = object()  # stands for a value that is there and cannot be read

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb"[ \t\r\n]*+(?:(" + _STRING + rb')|([{}\[\],:])|([^\s"{}\[\],:]++))', re.DOTALL)
_BRACKET = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_ESCAPE = re.compile(
    # a pair of halves, half a pair or another character, one of the short escapes, anything else behind a backslash
    rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\([\"\\/bfnrt])|(\\)",
)
_SHORT = {b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Half a pair, encoded as if it were a character; whole pairs written so (CESU-8) are left to `decode`.
_PAIR = rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]"
_HALF = re.compile(rb"(" + _PAIR + rb")|\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT = "\ufffd".encode()


@dataclass(frozen=True)
class Text:
    """A string that is not quite one."""

    raw: bytes  # unescaped; may be no UTF-8
    n_replaced: int  # halves of surrogate pairs that are U+FFFD now


def parse_row(line: bytes, *, wanted: Collection[str] | None = None) -> Any:
    """The value of a line, or None. Of a damaged object only what the names `wanted` lead to, strings as str or `Text`.

    A name may have dots, which step into nested objects; without `wanted`, all keys. NaN and the infinities are floats.
    """
    try:
        return from_json(line, allow_inf_nan=True, cache_strings="keys")
    except ValueError:
        return _salvage(line, wanted=wanted)


def _salvage(line: bytes, *, wanted: Collection[str] | None) -> dict[str, Any] | None:
    """The wanted values of an object, each read by itself; None if brackets and quotes do not make an object."""
    spans = _spans(line)
    if spans is None:
        return None
    row: dict[str, Any] = {}
    for key, raw in spans:
        below = [name[len(key) + 1 :] for name in wanted or () if name.startswith(f"{key}.")]
        if below or wanted is None or key in wanted:
            row[key] = _value(raw, below=below)
    return row


def _spans(line: bytes) -> list[tuple[str, bytes]] | None:
    """Each key of an object with the bytes of its value, in order; None where the line is anything else."""
    tokens = _tokens(line)
    if next(tokens, (b"", 0, 0))[0] != b"{":
        return None
    found: list[tuple[str, bytes]] = []
    for token, _, _ in tokens:
        if token == b"}" and not found:
            break
        colon, value = next(tokens, None), next(tokens, None)
        if colon is None or value is None or colon[0] != b":" or value[0] in (b"}", b"]", b",", b":"):
            return None
        if token[:1] != b'"':
            return None
        key = unescape(token[1:-1])
        found.append((key.raw.decode("utf-8", errors="replace") if key else "", line[value[1] : value[2]]))
        after = next(tokens, (b"", 0, 0))[0]
        if after == b"}":
            break
        if after != b",":
            return None
    else:
        return None
    return found if next(tokens, None) is None else None


def _tokens(line: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Strings, words and signs with their places; a nested object or list is one token. An empty token is an error."""
    place, is_first = 0, True
    while match := _TOKEN.match(line, place):
        token, start, place = match[match.lastindex or 0], match.start(match.lastindex or 0), match.end()
        if token in (b"{", b"[") and not is_first:
            place = _end_of(line, start)
            token = line[start : start + 1] if place else b""
        is_first = False
        yield token, start, place
        if not place:
            return
    if line[place:].strip():
        yield b"", place, place


def _end_of(line: bytes, start: int) -> int:
    """Where the object or list that begins at `start` ends; 0 if it does not. Any depth, since nothing calls itself."""
    depth = 0
    for match in _BRACKET.finditer(line, start):
        sign = match[0]
        depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
        if depth == 0:
            return match.end()
    return 0


def _value(raw: bytes, *, below: list[str]) -> Any:
    try:
        return from_json(raw, allow_inf_nan=True, cache_strings="keys")
    except ValueError:
        if raw[:1] == b'"':
            return unescape(raw[1:-1]) or LOST
        if raw[:1] == b"{" and below:
            return _salvage(raw, wanted=below) or LOST
        if raw[:1] == b"[" and below:
            items = _items(raw)
            return LOST if items is None else [_value(item, below=below) for item in items]
        return LOST


def _items(raw: bytes) -> list[bytes] | None:
    """The bytes of each element of a list; None where brackets and quotes do not make one."""
    tokens = _tokens(raw)
    next(tokens)
    found: list[bytes] = []
    for token, start, end in tokens:
        if token == b"]":
            return found if end == len(raw) else None
        if token == b"":
            return None
        if token != b",":
            found.append(raw[start:end])
    return None


def unescape(raw: bytes) -> Text | None:
    """The bytes between two quotes without escapes; None if a backslash stands before what JSON does not know."""
    if b"\\" not in raw:
        return Text(*_without_halves(raw))
    n_halves, is_bad = 0, False

    def plain(match: re.Match[bytes]) -> bytes:
        nonlocal n_halves, is_bad
        if match[1]:
            return chr(0x10000 + ((int(match[1], 16) & 0x3FF) << 10) + (int(match[2], 16) & 0x3FF)).encode()
        if match[3]:
            code = int(match[3], 16)
            if 0xD800 <= code < 0xE000:
                n_halves += 1
                return _REPLACEMENT
            return chr(code).encode()
        is_bad |= match[5] is not None
        return _SHORT.get(match[4], b"")

    halved, n = _without_halves(raw)
    text = _ESCAPE.sub(plain, halved)
    return None if is_bad else Text(text, n + n_halves)


def _without_halves(raw: bytes) -> tuple[bytes, int]:
    n_halves = 0

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal n_halves
        if match[1]:
            return match[1]
        n_halves += 1
        return _REPLACEMENT

    return (_HALF.sub(mend, raw), n_halves) if b"\xed" in raw else (raw, 0)
