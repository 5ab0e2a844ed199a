"""Likely secrets and personal data, counted. Values are never returned, logged or stored: only how many there are.

Two steps, both linear in the bytes. A compiled pass finds places where something may start (a literal such as `ghp_`,
a name such as `password` with a quoted value assigned to it, four numbers between dots, a letter before an at sign).
A regular expression with bounded repeats then confirms it within a window of WINDOW_BYTES, so no input is slow.

A count is a hint, not proof. Formats are those that the issuers document; examples from manuals, place holders and
reserved names (example.com, AWS's ...EXAMPLE, private networks) are not counted.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.arrays.compiled import compiled
from pipeline.quality.scan import DIGITS, LETTERS, byte_set

BEFORE_BYTES = 64  # the longest local part of an address (RFC 5321, 4.5.3.1.1); the word before a number is shorter
# No pattern below can match more. The longest are the domain of an address (1 + 6 * 64 + 18 bytes), a web token
# (3 + 128 + 4 + 200 + 1 + 10) and a private key (a header of up to 117, 200 of other headers, 32 of its body).
WINDOW_BYTES = 512
# Bits per character of an assigned value; eight different characters, the shortest value, have just that. Words and
# place holders lie below (hunter22 has 2.75), random values of 16 characters near 3.8. A plain choice between.
MIN_ENTROPY = 3.0


@dataclass(frozen=True)
class Findings:
    """int64, one entry per document."""

    n_secrets: np.ndarray
    n_personal: np.ndarray


@dataclass(frozen=True)
class Pattern:
    """`literals` start a match (ASCII case is ignored there, not in `regex`); `regex` is matched at the literal."""

    name: str
    literals: tuple[bytes, ...]
    regex: re.Pattern[bytes]


# Prefixes and lengths are those that the issuers document. Where no guard stands behind a fixed length, a longer token
# of the same form counts too; where one does, a longer word is something else.
_PATTERNS = (
    Pattern(  # a header alone is code that handles keys; a key has a body
        "private key",
        (b"-----begin ",),
        re.compile(rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,200}?[A-Za-z0-9+/]{32}"),
    ),
    Pattern("AWS key id", (b"akia", b"asia"), re.compile(rb"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])")),
    Pattern("GitHub", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), re.compile(rb"gh[pousr]_[A-Za-z0-9]{36}")),
    Pattern("GitHub, fine-grained", (b"github_pat_",), re.compile(rb"github_pat_[A-Za-z0-9_]{50}")),
    Pattern("GitLab", (b"glpat-",), re.compile(rb"glpat-[A-Za-z0-9_-]{20}")),
    Pattern("Slack", (b"xoxa-", b"xoxb-", b"xoxp-", b"xoxr-", b"xoxs-"), re.compile(rb"xox[abprs]-[0-9]{6}[\w-]{10}")),
    Pattern("Stripe", (b"sk_live_", b"rk_live_"), re.compile(rb"[sr]k_live_[A-Za-z0-9]{20}")),
    Pattern("Google", (b"aiza",), re.compile(rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")),
    # "sk-" also begins names of styles and tasks, which have no digit within their first words.
    Pattern("OpenAI, Anthropic", (b"sk-",), re.compile(rb"sk-(?=[a-z-]{0,12}[A-Za-z]{0,40}[0-9])[A-Za-z0-9_-]{40}")),
    Pattern("npm", (b"npm_",), re.compile(rb"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])")),
    Pattern("PyPI", (b"pypi-",), re.compile(rb"pypi-AgE[A-Za-z0-9_-]{50}")),
    # Letters alone, as in the rule of gitleaks.
    Pattern("Hugging Face", (b"hf_",), re.compile(rb"hf_[A-Za-z]{34}(?![A-Za-z])")),
    Pattern("SendGrid", (b"sg.",), re.compile(rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}")),
    Pattern("Azure storage", (b"accountkey=",), re.compile(rb"AccountKey=[A-Za-z0-9+/]{86}==")),
    Pattern("JSON web token", (b"eyj",), re.compile(rb"eyJ[\w-]{10,128}\.eyJ[\w-]{10,200}\.[\w-]{10}")),
    Pattern("password in a URL", (b"://",), re.compile(rb"://[^\s/:@\"'<>]{1,64}:([^\s/:@\"'<>]{8,64})@")),
)
# A name with a quoted value assigned to it; the value is the group. Values of fewer than 8 characters are words or too
# weak to look random; the upper bounds only keep the window small.
_ASSIGNMENT = Pattern(
    "assignment",
    tuple(
        b"password passwd secret token api_key api-key apikey access_key access-key accesskey "
        b"private_key private-key privatekey".split()
    ),
    re.compile(
        rb"(?i:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[A-Za-z0-9_-]{0,32}"
        rb"[\"'\]]{0,2}[ \t]{0,8}(?::=|=>|[=:])[ \t]{0,8}[\"']([^\"'\s]{8,128})[\"']"
    ),
)
# What people write where a secret will stand: such words, runs of x, * or dots, counting, templates, shell variables.
_PLACE_HOLDER = re.compile(
    rb"(?i)example|changeme|change_me|dummy|your|placeholder|x{4}|\*{3}|\.{3}|1234|abcd|passw|secret|token|^https?:|[${<%(]"
)
# An address by RFC 5321: a local part of up to 64 bytes, labels of up to 63 (RFC 1035). Six labels and a last part of 2
# to 18 letters are plain bounds of ours.
_EMAIL_LOCAL_REVERSED = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_])?(?![A-Za-z0-9._%+-])")
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
_VERSION_BEFORE = re.compile(rb"(?i)(?:version|release|revision|assembly|\bv|\bver)[^\r\n]{0,16}$")
_ADDRESS = re.compile(rb"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")

# What a place that the compiled pass reports may be.
_LITERALS = tuple((p, text) for p in (*_PATTERNS, _ASSIGNMENT) for text in p.literals)
_EMAIL, _IPV4 = len(_LITERALS), len(_LITERALS) + 1
_FIRST_ASSIGNMENT = sum(len(p.literals) for p in _PATTERNS)


def count(data: np.ndarray, offsets: np.ndarray) -> Findings:
    """Secrets and personal data in the documents data[offsets[k]:offsets[k + 1]]."""
    n_secrets = np.zeros(len(offsets) - 1, np.int64)
    n_personal = np.zeros(len(offsets) - 1, np.int64)
    view = data.data  # a memoryview
    documents, places, kinds = _find(data, offsets.astype(np.int64, copy=False), *_TABLES)
    counted_to = -1
    for document, place, kind in zip(documents.tolist(), places.tolist(), kinds.tolist(), strict=True):
        if place < counted_to:
            continue  # inside what was just counted: token and secret in "secret_token = ..."
        start = max(int(offsets[document]), place - BEFORE_BYTES)
        before = bytes(view[start:place])
        window = bytes(view[place : min(int(offsets[document + 1]), place + WINDOW_BYTES)])
        length = _confirm(before, window, kind=kind)
        if length:
            counted_to = place + length
            (n_personal if kind >= _EMAIL else n_secrets)[document] += 1
    return Findings(n_secrets, n_personal)


def _confirm(before: bytes, window: bytes, *, kind: int) -> int:
    """How many bytes of `window` are a secret or personal datum of this kind; 0: none."""
    if kind == _EMAIL:
        return _email_length(before, window)
    if kind == _IPV4:
        return _address_length(before, window)
    if before[-1:].isalnum() and kind < _FIRST_ASSIGNMENT and window[:3] != b"://":
        return 0  # the literal is the tail of a longer word
    # The ten bytes that "public_key" takes.
    if before[-10:].lower().replace(b"_", b"").endswith((b"publickey", b"public")):
        return 0  # a .NET publicKeyToken
    match = _LITERALS[kind][0].regex.match(window)
    if match is None or b"EXAMPLE" in match.group():
        return 0
    if match.lastindex and not _looks_random(match.group(1)):
        return 0
    return match.end()


def _looks_random(value: bytes) -> bool:
    """Whether an assigned value is rather a secret than a word, a name or a place holder."""
    if _PLACE_HOLDER.search(value) or not re.search(rb"[0-9]", value) or not re.search(rb"[A-Za-z]", value):
        return False
    return entropy(value) >= MIN_ENTROPY


def entropy(value: bytes) -> float:
    """Shannon entropy in bits per byte."""
    shares = [n / len(value) for n in Counter(value).values()]
    return -sum(p * math.log2(p) for p in shares)


def _email_length(before: bytes, window: bytes) -> int:
    """`window` begins with the at sign; the local part is read backwards, so that each byte is looked at once."""
    local = _EMAIL_LOCAL_REVERSED.match(before[::-1])
    domain = _EMAIL_DOMAIN.match(window, 1)
    if local is None or domain is None or domain.group(1).lower() in _NO_DOMAINS:
        return 0
    if _IN_URL.search(before) or _VERSION.match(domain.group()):
        return 0
    if _RESERVED_DOMAIN.search(domain.group()) or local.group()[::-1].lower() in _SERVICE_LOCALS:
        return 0
    return domain.end()


def _address_length(before: bytes, window: bytes) -> int:
    """A public IPv4 address. A version, a section or an object id has four numbers too, but small ones; so the first
    must be 3 or more and one of them 64 or more, which nearly all addresses meet."""
    match = _ADDRESS.match(window)
    if match is None or _VERSION_BEFORE.search(before):
        return 0
    a, b, c, _ = parts = [int(group) for group in match.groups()]
    if a < 3 or not 64 <= max(parts) <= 255 or any(g[:1] == b"0" and len(g) > 1 for g in match.groups()):
        return 0
    # RFC 1918 and loopback, multicast and above, link-local; RFC 6598 and RFC 2544 (shared); RFC 5737 (manuals).
    private = a in (10, 127) or a >= 224 or (a, b) in ((192, 168), (169, 254)) or (a == 172 and 16 <= b <= 31)
    shared = (a == 100 and 64 <= b <= 127) or (a == 198 and b in (18, 19))
    manual = (a, b, c) in ((192, 0, 2), (198, 51, 100), (203, 0, 113))
    return 0 if private or shared or manual else match.end()


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Literals for the compiled pass: the first literal of every byte pair (-1: none), the next with the same pair,
    all literals one after the other, and where each begins."""
    first, following = np.full(65_536, -1, np.int16), np.full(len(_LITERALS), -1, np.int16)
    for k, (_, text) in reversed(list(enumerate(_LITERALS))):
        pairs = {p[0] << 8 | p[1] for p in (text[:2], text[:2].upper(), text[:2].title(), text[:2].title().swapcase())}
        for pair in pairs:
            following[k] = first[pair]
            first[pair] = k
    joined = b"".join(text for _, text in _LITERALS)
    starts = np.cumsum([0, *(len(text) for _, text in _LITERALS)])
    for byte in LETTERS + DIGITS + b"_":
        first[byte << 8 | ord("@")] = _EMAIL
    for byte in DIGITS:
        first[byte << 8 | ord(".")] = _IPV4
    return first, following, np.frombuffer(joined, np.uint8), starts


_TABLES = _tables()
_IDENTIFIER = byte_set(LETTERS + DIGITS + b"_-")


@compiled
def _find(
    data: np.ndarray,
    offsets: np.ndarray,
    first: np.ndarray,
    following: np.ndarray,
    literals: np.ndarray,
    starts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Document, place and kind of everything that is worth a second look, in the order of the bytes."""
    found = np.empty((3, 1024), np.int64)  # doubled when full
    n = 0
    for document in range(offsets.size - 1):
        end = offsets[document + 1]
        for i in range(offsets[document], end - 1):
            kind = first[(data[i] & 0xFFFF) << 8 | data[i + 1]]
            if kind < 0:
                continue
            place = i
            if kind == _EMAIL:
                place = i + 1
            elif kind == _IPV4:
                place = _address_start(data, offsets[document], i, end)
                kind = kind if place >= 0 else -1
            else:
                while kind >= 0 and not _starts_here(data, i, end, literals[starts[kind] : starts[kind + 1]]):
                    kind = following[kind]
                if kind >= _FIRST_ASSIGNMENT and not _is_assigned(data, i, end):
                    kind = -1
            if kind >= 0:
                if n == found.shape[1]:
                    found = np.concatenate((found, np.empty_like(found)), axis=1)
                found[0, n], found[1, n], found[2, n] = document, place, kind
                n += 1
    return found[0, :n], found[1, :n], found[2, :n]


@compiled
def _starts_here(data: np.ndarray, i: int, end: int, literal: np.ndarray) -> bool:
    if i + literal.size > end:
        return False
    for k in range(literal.size):
        byte = data[i + k]
        if 65 <= byte <= 90:
            byte = byte | 0x20
        if byte != literal[k]:
            return False
    return True


@compiled
def _is_assigned(data: np.ndarray, i: int, end: int) -> bool:
    """Whether the name around i is followed by an equals sign or colon and a quote, at most 64 bytes on."""
    end = min(end, i + 64)  # a name, its closing quote or bracket and the sign; keeps the pass linear
    while i < end and _IDENTIFIER[data[i]]:
        i += 1
    while i < end and data[i] in (9, 32, 34, 39, 93):  # tab, space, quotes, ]
        i += 1
    assigned = False
    while i < end and data[i] in (9, 32, 58, 61, 62):  # tab, space, : = >
        assigned |= data[i] == 58 or data[i] == 61
        i += 1
    return assigned and i < end and (data[i] == 34 or data[i] == 39)


@compiled
def _address_start(data: np.ndarray, begin: int, i: int, end: int) -> int:
    """Where four numbers between dots begin, if the first of them ends at byte i; -1 if there are none."""
    start = i
    while start > begin and i - start < 3 and 48 <= data[start - 1] <= 57:
        start -= 1
    if start > begin and (_IDENTIFIER[data[start - 1]] or data[start - 1] == 46):
        return -1
    i += 1
    for _ in range(3):
        if i + 1 >= end or data[i] != 46 or not 48 <= data[i + 1] <= 57:
            return -1
        i += 1
        while i < end and 48 <= data[i] <= 57:
            i += 1
    if i < end and (_IDENTIFIER[data[i]] or (data[i] == 46 and i + 1 < end and _IDENTIFIER[data[i + 1]])):
        return -1
    return start
