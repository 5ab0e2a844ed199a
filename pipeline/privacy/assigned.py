"""What is assigned to a name: `DB_PASSWORD = "..."`, `token: ...`, `export API_KEY=...`, `Authorization: ...`.

The name says what the value is, the value whether it was drawn. Without quotes a value is told from code only where the
file is no program: settings, data, shell; there it ends with white space.
"""

import re
from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from pipeline.privacy.kinds import PASSWORD_WORDS, SECRET_WORDS, Named, named
from pipeline.privacy.looks import entropy, is_example, looks_chosen, looks_random, nests

BEFORE_BYTES = 96  # a name, and what may stand between it and the sign
AFTER_BYTES = 320  # a sign and a value
Span = tuple[int, int, str]  # start and end in the document's bytes, name of the kind

# Languages in which a value needs no quotes (linguist's names).
UNQUOTED = frozenset((
    "ApacheConf", "Batchfile", "cURL Config", "desktop", "Dockerfile", "Dotenv", "fish", "Git Config", "HAProxy", "INI",
    "Java Properties", "Markdown", "Nginx", "NPM Config", "Option List", "Other", "reStructuredText", "Shell",
    "ShellSession", "Text", "TOML", "Unknown", "Wget Config", "YAML",
))  # fmt: skip

# Read backwards from the sign: white space, quotes and brackets, then the name.
_NAME = re.compile(rb"!?[ \t]{0,8}(?:\][0-9]{0,4}\[)?[\"'`\])]{0,3}[ \t]{0,4}([A-Za-z0-9_.-]{2,64})")
_VALUE = re.compile(
    rb"(?:[=:]{1,3}>?)[ \t]{0,8}(?:@|[bBrRuU](?=[\"'`]))?"
    rb"(?:([\"'`])(?P<quoted>[^\"'`\s]{8,256})\1|(?P<bare>[^\s\"'`,;&<]{8,256})(?=[\s\"'`,;&<]|\Z))"
)
# `"..." == password`: the value read backwards, the name forwards.
_VALUE_BEFORE = re.compile(rb"!?[ \t]{0,8}([\"'`])([^\"'`\s]{8,256})\1")
_NAME_AFTER = re.compile(rb"={1,3}[ \t]{0,8}([A-Za-z0-9_.]{2,64})")
_NAME_BEFORE_QUOTE = re.compile(rb"[ \t]{0,4}\(?[ \t]{0,4}([A-Za-z0-9_.-]{2,64})")
_STRING = re.compile(rb"([\"'`])([^\"'`\s]{8,256})\1")
_ASKS = re.compile(r"-*(?:get|is|has|find|parse|read|load|check|delete|remove|expect|test|lookup|fetch|new|the|an?|no)")
MIN_ARGUMENT_ENTROPY = 3.5  # bits per byte: twelve different characters or more, which names of things seldom have
_SIGNS = re.compile(r"[_.-]+")
_PUBLIC = re.compile(r"public|^pub|pubkey")  # a public key or token is none
# What a name ends in that speaks about a secret and does not hold one.
_ABOUT = re.compile(
    r"(?:name|names|path|file|url|uri|type|len|length|size|field|label|header|prefix|suffix|format|class|pattern|regexp?|"
    r"count|index|desc|description|title|text|placeholder|hint|help|message|error|policy|algorithm|alg|version|ids?|"
    r"expiry|expires|expiration|ttl|timeout|endpoint|host|port|sha|sha1|sha256|md5|hash|checksum|digest|fingerprint|ref)s?$"
)
_WORDS = re.compile("|".join((*PASSWORD_WORDS, *SECRET_WORDS)).replace("token", "token(?!i[sz])"))  # no tokenizer
_PASSWORDS = re.compile("|".join(PASSWORD_WORDS))
# A value without quotes that is a path, a variable, a call, an identifier or a number with a unit.
_NO_START = re.compile(rb"[/~$.\\{(\[<*&@-]")
_NO_VALUE = re.compile(
    rb"^[/~$.\\{(\[<*&@-]|[(){}\[\]\\]|^[A-Za-z_]\w*(?:[.:-][A-Za-z_]\w*)+$|^[a-z_]+[0-9]{0,2}$|::|->"
)


class Name(NamedTuple):
    """What a name says of its value."""

    issuers: tuple[Named, ...]  # kinds of whose words it holds one, in their order
    is_secret: bool  # it says secret, and is not about one
    is_password: bool
    is_token: bool
    asks: bool  # it asks for a value, as a function does


def _plain(name: bytes) -> str:
    """A name in small letters without signs; nothing of one that is public."""
    plain = _SIGNS.sub("", name.decode("ascii").lower())
    return "" if _PUBLIC.search(plain) else plain


@lru_cache(maxsize=4_096)  # two thirds of all names stood before
def _read(name: bytes) -> Name:
    plain = _plain(name)
    pattern, by_word = _by_word()
    return Name(
        tuple(kind for word in pattern.findall(plain) for kind in by_word[word]),
        _WORDS.search(plain) is not None and not _ABOUT.search(plain),
        _PASSWORDS.search(plain) is not None,
        "token" in plain,
        _ASKS.match(plain) is not None,
    )


@lru_cache(maxsize=1)
def _by_word() -> tuple[re.Pattern[str], dict[str, list[Named]]]:
    kinds: dict[str, list[Named]] = defaultdict(list)
    for kind in named():
        for word in kind.names:
            kinds[word].append(kind)
    return re.compile("|".join(sorted(kinds, key=len, reverse=True))), dict(kinds)


def assigned(view: memoryview, sign: int, low: int, high: int, *, unquoted: bool) -> Span | None:
    """What is assigned by the sign at byte `sign` of the document `view[low:high]`, if it is a secret."""
    before = bytes(view[max(low, sign - BEFORE_BYTES) : sign])[::-1]
    found = _NAME.match(before)
    if found is None:
        return None
    name = _read(found[1][::-1])
    if not name.is_secret and not name.issuers:
        return None
    value = _VALUE.match(view, sign, min(high, sign + AFTER_BYTES))
    if value is None:
        return None
    group = "quoted" if value["quoted"] is not None else "bare"
    start, end = value.span(group)
    text = value[group]
    kind = _issued(name, text) or _drawn(name, text, quoted=group == "quoted", unquoted=unquoted)
    return (start, end, kind) if kind else None


def compared(view: memoryview, sign: int, low: int, high: int) -> Span | None:
    """What stands before the `==` at byte `sign` and is compared with a name."""
    value = _VALUE_BEFORE.match(bytes(view[max(low, sign - AFTER_BYTES) : sign])[::-1])
    name = _NAME_AFTER.match(view, sign, min(high, sign + BEFORE_BYTES))
    if value is None or name is None:
        return None
    start, end = sign - value.end(2), sign - value.start(2)
    kind = _drawn(_read(name[1]), bytes(view[start:end]), quoted=True, unquoted=False)
    return (start, end, kind) if kind else None


def argument(view: memoryview, quote: int, low: int, high: int) -> Span | None:
    """The string at byte `quote` behind a name without a sign: `password "..."`, `--token "..."`, `setSecret("...")`.

    What is asked for by a name, as in getToken("..."), is no secret; so more is expected of the value.
    """
    found = _NAME_BEFORE_QUOTE.match(bytes(view[max(low, quote - BEFORE_BYTES) : quote])[::-1])
    if found is None:
        return None
    name = _read(found[1][::-1])
    if not name.is_secret and not name.issuers:
        return None
    value = _STRING.match(view, quote, min(high, quote + AFTER_BYTES))
    if value is None:
        return None
    start, end = value.span(2)
    text = value[2]
    kind = _issued(name, text)
    if kind is None and name.is_secret and not name.asks and entropy(text) >= MIN_ARGUMENT_ENTROPY:
        kind = _drawn(name, text, quoted=True, unquoted=False)
    return (start, end, kind) if kind else None


def _issued(name: Name, value: bytes) -> str | None:
    """The kind of a value of an issuer's form, where the name holds the issuer's word."""
    for kind in name.issuers:
        if not kind.value.fullmatch(value) or is_example(value, repeats=kind.repeats):
            continue
        if entropy(value) >= kind.min_entropy and _is_mixed(value):
            return kind.name
    return None


def _is_mixed(value: bytes) -> bool:
    """A word is no value that a machine drew: that has digits, or capitals within, or is long."""
    return len(value) >= 24 or re.search(rb"[0-9]|[a-z][A-Z]", value) is not None


def _drawn(name: Name, value: bytes, *, quoted: bool, unquoted: bool) -> str | None:
    """A random-looking value of a name that says secret."""
    if not name.is_secret or is_example(value):
        return None
    if quoted:
        sound = looks_random(value) or ((name.is_password or not name.is_token) and looks_chosen(value))
    else:
        # Signs are a password's where no code stands, and where brackets do not nest, which is never code.
        chosen = looks_chosen(value) and not _NO_START.match(value) and (unquoted or not nests(value))
        sound = chosen or (unquoted and looks_random(value) and not _NO_VALUE.search(value))
    return ("assigned_password" if name.is_password else "assigned_secret") if sound else None
