"""What stands in the place of a find: of the same kind, class and shape, and recognisable as no secret.

A placeholder is drawn by a key and the ordinal of its value among the distinct values of the document; never by the
value, which a reader could find again by trying (there are but 2^32 IPv4 addresses). It has no line break, quote, space
or backslash that the value had not, so a program parses as before, and no second look takes it for a find.
"""

import string
from functools import lru_cache

import xxhash

from pipeline.privacy import armour
from pipeline.privacy.kinds import kinds, tokens
from pipeline.privacy.looks import EXAMPLE

_DIGITS, _HEX = b"0123456789", b"0123456789abcdef"
_LETTERS = (string.ascii_uppercase + string.ascii_lowercase).encode()
_KEPT = b"-_.=+/:|$@~%"  # between the parts of a token: UUIDs, web tokens, webhooks keep their form
_MANUAL_IPV4 = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
_N_HOSTS = 254


def placeholder(value: bytes, kind: str, *, key: int, ordinal: int) -> bytes:
    """In the place of `value`, the document's `ordinal`-th distinct value; `key` is the document's."""
    stream = _Stream(key, ordinal)
    if kind == "email":
        return b"user%d@example.%s" % (stream.number(10**6), (b"com", b"org")[stream.number(2)])
    if kind == "ipv4":
        # Counted on from the document's own start, so that the first 762 of a document differ.
        place = (key + ordinal) % (len(_MANUAL_IPV4) * _N_HOSTS)
        return b"%s.%d" % (_MANUAL_IPV4[place // _N_HOSTS].encode(), place % _N_HOSTS + 1)
    if kind == "ipv6":
        return b"2001:db8:%x::%x" % (stream.number(65_536), ordinal % 65_535 + 1)
    if kind in _armours():
        return _armour(value, stream)
    prefix = _prefix(value, kind)
    return prefix + _body(value[len(prefix) :], stream, whole=kinds()[kind].cls == "password")


@lru_cache(maxsize=1)
def _armours() -> frozenset[str]:
    """The kinds whose values are lines of an armour. `kinds` only describes: how a kind looks is known to `tokens`."""
    return frozenset(token.name for token in tokens() if token.is_armour)


def _prefix(value: bytes, kind: str) -> bytes:
    """The public sign at the head of a token; nothing for other kinds."""
    literals = (text for token in tokens() if token.name == kind for text in token.literals)
    return max((text for text in literals if value.startswith(text)), key=len, default=b"")


def _armour(value: bytes, stream: "_Stream") -> bytes:
    """Each run of base64 anew, what stands between as it was."""
    out, at = bytearray(), 0
    for start, end in armour.runs(value):
        out += value[at:start] + _drawn(value[start:end], stream, EXAMPLE if end - start >= armour.MIN_RUN else b"")
        at = end
    return bytes(out + value[at:])


def _body(body: bytes, stream: "_Stream", *, whole: bool) -> bytes:
    """Of the same length, with EXAMPLE in the first part that has room; passwords without their signs."""
    alphabet = _alphabet(body)
    if whole:
        return EXAMPLE + stream.draw(alphabet, max(len(body) - len(EXAMPLE), 0))
    parts, at, marked = bytearray(), 0, False
    while at < len(body):
        if body[at] in _KEPT:
            parts.append(body[at])
            at += 1
            continue
        end = at
        while end < len(body) and body[end] not in _KEPT:
            end += 1
        mark = EXAMPLE if not marked and end - at >= len(EXAMPLE) else b""
        marked |= bool(mark)
        parts += mark + stream.draw(alphabet, end - at - len(mark))
        at = end
    return bytes(parts) if marked else EXAMPLE + stream.draw(alphabet, max(len(body) - len(EXAMPLE), 0))


def _drawn(run: bytes, stream: "_Stream", mark: bytes) -> bytes:
    padding = len(run) - len(run.rstrip(b"="))
    return mark + stream.draw(_LETTERS + _DIGITS, len(run) - padding - len(mark)) + b"=" * padding


def _alphabet(body: bytes) -> bytes:
    """The smallest of a few that holds the body's letters and digits."""
    plain = bytes(byte for byte in body if byte in _LETTERS or byte in _DIGITS)
    lower = _LETTERS[26:] + _DIGITS
    for alphabet in (_DIGITS, _HEX, _HEX.upper(), lower, lower.upper()):
        if all(byte in alphabet for byte in plain):
            return alphabet
    return _LETTERS + _DIGITS


class _Stream:
    """Keyed bytes, one after the other."""

    def __init__(self, key: int, ordinal: int) -> None:
        self._seed, self._n = b"%d %d " % (key, ordinal), 0

    def _next(self) -> bytes:
        self._n += 1
        return xxhash.xxh3_128_digest(self._seed + b"%d" % self._n)

    def number(self, below: int) -> int:
        return int.from_bytes(self._next()[:8], "little") % below

    def draw(self, alphabet: bytes, n: int) -> bytes:
        drawn = b"".join(self._next() for _ in range(-(-n // 16)))
        return bytes(alphabet[byte % len(alphabet)] for byte in drawn[: max(n, 0)])
