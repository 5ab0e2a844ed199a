"""Private keys in armour: PEM (RFC 7468), OpenPGP (RFC 9580), OpenSSH, and the private lines of PuTTY's files.

The secret is the body, base64 in runs of some length, wherever it stands: on lines of its own, behind quotes and plus
signs of a program, or in one string with `\\n` between. A header alone is code that handles keys.
"""

import re
from collections.abc import Iterator

MIN_RUN = 16  # base64 digits of a line; only the last may have fewer, and the checksum of OpenPGP behind it
_SHORT_RUNS = 2
MIN_BODY = 32  # base64 digits in all; shorter ones are no key, but words between the lines of an example
MAX_BODY = 16_384  # bytes; an RSA key of 16,384 bits has 12,700
_BEGIN = re.compile(rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}$")
# Between the runs: white space, written line ends, quotes, and the marks of lists, comments and joined strings.
_BETWEEN = re.compile(rb"(?:\\[nrt]|[\s\\\"'`,;:()+.&|>#*$_=\[\]]|//|<br ?/?>){0,256}")
_HEADERS = re.compile(rb"(?:(?:[ \t#*>\"']|\\[nr]|\r?\n){0,32}[A-Z][A-Za-z-]{2,20}: [^\r\n\\\"]{0,100}){1,5}")
_RUN = re.compile(rb"[A-Za-z0-9+/]{1,16384}={0,2}")
_WORDS = re.compile(rb"[a-z]{16}")  # base64 of random bytes: 26 of 64 digits, sixteen times in a row, once in 2 million
_LINES = re.compile(rb"[0-9]{1,4}\r?\n")


def is_begin(before: bytes) -> bool:
    """Whether the bytes before `PRIVATE KEY` open an armour."""
    return _BEGIN.search(before) is not None


def body(view: memoryview, start: int, stop: int) -> tuple[int, int]:
    """The bytes from the first to the last run of a body behind `start`; (0, 0) where none is.

    It ends before the first byte that can be no part of it, as the hyphens of the end line or of another header; so a
    text of headers alone costs no more than its bytes.
    """
    stop = min(stop, start + MAX_BODY)
    headers = _HEADERS.match(view, start, stop)
    at = headers.end() if headers else start
    first = last = n = n_short = 0
    for begin, end in _runs_from(view, at, stop):
        n_short += end - begin < MIN_RUN
        if n_short > (_SHORT_RUNS if n else 0) or _WORDS.search(view, begin, end):
            break
        first, last, n = first or begin, end, n + end - begin
    return (first, last) if n >= MIN_BODY else (0, 0)


def putty_body(view: memoryview, start: int, stop: int) -> tuple[int, int]:
    """The lines behind `Private-Lines: `, whose number `start` is at."""
    lines = _LINES.match(view, start, stop)
    return body(view, lines.end(), stop) if lines else (0, 0)


def _runs_from(view: memoryview, at: int, stop: int) -> Iterator[tuple[int, int]]:
    while at < stop:
        gap = _BETWEEN.match(view, at, stop)
        run = _RUN.match(view, gap.end() if gap else at, stop)
        if run is None:
            return
        yield run.span()
        at = run.end()


def runs(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the base64 runs of a found body stand in it; what lies between is no secret and keeps code sound."""
    yield from _runs_from(memoryview(body), 0, len(body))
