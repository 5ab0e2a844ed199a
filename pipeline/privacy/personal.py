"""Addresses of people and machines: electronic mail, IPv4, IPv6, and the password in a URL.

Addresses that manuals, tests and private networks use point to nobody and are not found.
"""

import ipaddress
import re

from pipeline.privacy.looks import MIN_ENTROPY, entropy, is_example, looks_random

BEFORE_BYTES = 64  # the longest local part of an address (RFC 5321, 4.5.3.1.1); the word before a number is shorter
# The domain of an address (1 + 6 * 64 + 18 bytes), a URL's user and password, an IPv6 address of 39 bytes.
AFTER_BYTES = 512
Span = tuple[int, int, str]

# An address by RFC 5321: a local part of up to 64 bytes, labels of up to 63 (RFC 1035). Six labels and a last part of 2
# to 18 letters are plain bounds of ours.
_EMAIL_LOCAL_REVERSED = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_])?(?![A-Za-z0-9._%+-])")
_EMAIL_DOMAIN = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}([A-Za-z]{2,18})(?![A-Za-z0-9-])")
# RFC 2606 and 6761, .local of RFC 6762, and example.edu, which manuals use alike.
_RESERVED_DOMAIN = re.compile(
    rb"(?i)(?:^|\.)(?:example\.(?:com|net|org|edu)|(?:example|test|invalid|localhost|local))$"
)
# Last parts that follow an at sign in file names (icon@2x.png) and in code (matrix@other.shape), not in addresses.
_NO_DOMAINS = frozenset(
    b"png jpg jpeg gif svg webp ico css scss less js mjs ts tsx jsx json xml html htm md txt py rb java cpp so".split()
)
_IN_URL = re.compile(rb"://[^\s\"'<>]*$")  # user:password@host
_VERSION = re.compile(rb"\d+\.\d+\.")  # left-pad@1.2.3
# Local parts of accounts and of manuals, which point to nobody: git@github.com, user@host.org.
_SERVICE_LOCALS = frozenset(b"git hg svn noreply no-reply root user username you me name foo bar".split())
# A word for versions within 16 bytes before four numbers; further away it speaks of something else.
_VERSION_BEFORE = re.compile(
    rb"(?i)(?:version|release|revision|assembly|upgraded|updated|changed|\bv|\bver)[^\r\n]{0,16}$"
)
_IPV4 = re.compile(rb"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![A-Za-z0-9_-]|\.[A-Za-z0-9_-])")
# Between numbers with dots and signs, as in the paths of SVG, four numbers are none of an address.
_AMONG_NUMBERS = re.compile(rb"[\d.][ ,]$"), re.compile(rb"[ ,]?[-\d.]")
_NUMBER_REVERSED = re.compile(rb"\d{1,3}")
_IPV6 = re.compile(rb"[0-9A-Fa-f:]{6,39}(?![0-9A-Za-z_])")
_URL_PASSWORD = re.compile(rb"://[^\s/:@\"'<>]{1,64}:([^\s/:@\"'<>]{8,128})@")
_MANUAL_IPV6 = (ipaddress.IPv6Network("2001:db8::/32"), ipaddress.IPv6Network("3fff::/20"))  # RFC 3849, RFC 9637


def email(view: memoryview, sign: int, low: int, high: int) -> Span | None:
    """The address around the at sign at `sign`; the local part is read backwards, so each byte is looked at once."""
    before = bytes(view[max(low, sign - BEFORE_BYTES) : sign])
    local = _EMAIL_LOCAL_REVERSED.match(before[::-1])
    domain = _EMAIL_DOMAIN.match(view, sign + 1, min(high, sign + AFTER_BYTES))
    if local is None or domain is None or domain[1].lower() in _NO_DOMAINS:
        return None
    if _IN_URL.search(before) or _VERSION.match(domain[0]):
        return None
    if _RESERVED_DOMAIN.search(domain[0]) or local[0][::-1].lower() in _SERVICE_LOCALS:
        return None
    return sign - local.end(), domain.end(), "email"


def ipv4(view: memoryview, dot: int, low: int, high: int) -> Span | None:
    """A public IPv4 address whose first dot is at `dot`. A version, a section or an object id has four numbers too, but
    small ones; so the first must be 3 or more and one of them 64 or more, which nearly all addresses meet."""
    number = _NUMBER_REVERSED.match(bytes(view[max(low, dot - 3) : dot])[::-1])
    if number is None:
        return None
    start = dot - number.end()
    match = _IPV4.match(view, start, min(high, start + AFTER_BYTES))
    before = bytes(view[max(low, start - BEFORE_BYTES) : start])
    if match is None or _VERSION_BEFORE.search(before):
        return None
    if _AMONG_NUMBERS[0].search(before) and _AMONG_NUMBERS[1].match(view, match.end(), high):
        return None
    a, b, c, _ = parts = [int(group) for group in match.groups()]
    if a < 3 or not 64 <= max(parts) <= 255 or any(g[:1] == b"0" and len(g) > 1 for g in match.groups()):
        return None
    # RFC 1918 and loopback, multicast and above, link-local; RFC 6598 and RFC 2544 (shared); RFC 5737 (manuals).
    private = a in (10, 127) or a >= 224 or (a, b) in ((192, 168), (169, 254)) or (a == 172 and 16 <= b <= 31)
    shared = (a == 100 and 64 <= b <= 127) or (a == 198 and b in (18, 19))
    manual = (a, b, c) in ((192, 0, 2), (198, 51, 100), (203, 0, 113))
    return None if private or shared or manual else (start, match.end(), "ipv4")


def ipv6(view: memoryview, colon: int, low: int, high: int) -> Span | None:
    """A public IPv6 address (2000::/3) whose first colon is at `colon`, behind four digits."""
    start = colon - 4
    match = _IPV6.match(view, start, min(high, start + AFTER_BYTES)) if start >= low else None
    if match is None:
        return None
    text = match[0].rstrip(b":") if not match[0].endswith(b"::") else match[0]
    try:
        address = ipaddress.IPv6Address(text.decode("ascii"))
    except ipaddress.AddressValueError:
        return None
    # 2020:: alone is a year and a name space of C++.
    if any(address in network for network in _MANUAL_IPV6) or len(text) < 9:
        return None
    return start, start + len(text), "ipv6"


def _is_long(password: bytes) -> bool:
    """A password longer than words are, of many letters."""
    return len(password) >= 20 and entropy(password) >= MIN_ENTROPY and password.isalnum()


def url_password(view: memoryview, sign: int, low: int, high: int) -> Span | None:
    """The password between user and host of the URL whose `://` is at `sign`."""
    match = _URL_PASSWORD.match(view, sign, min(high, sign + AFTER_BYTES))
    if match is None or is_example(match[1]) or not (looks_random(match[1]) or _is_long(match[1])):
        return None
    return match.start(1), match.end(1), "url_password"
