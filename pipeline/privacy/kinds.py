"""The kinds of secrets and personal data, read from data/*.yaml: what each is called, looks like, and is replaced by.

A row of tokens.yaml begins with a literal that only its issuer uses; a row of named.yaml is told by the name that its
value is assigned to; the kinds in STRUCTURAL have code of their own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from itertools import product
from typing import Any, Literal, get_args

from pipeline.yaml_file import parse_shipped

Class = Literal["key", "token", "private_key", "password", "email", "address"]
CLASSES: tuple[Class, ...] = get_args(Class)
PERSONAL = ("email", "address")  # the classes that speak of somebody; the others open something
MAX_BYTES = 4096  # no pattern may match more, so that a find costs a bounded window
MIN_LITERAL = 3  # bytes; the compiled pass steps by them


@dataclass(frozen=True)
class DataKind:
    """One kind. `specific` orders kinds that claim the same bytes: the larger number says more."""

    name: str
    cls: Class
    meaning: str
    specific: int


@dataclass(frozen=True)
class Token(DataKind):
    """A kind with a literal of its own. A match is lead + literal + then."""

    literals: tuple[bytes, ...]
    after: bytes  # the expression `then`
    before: bytes | None  # the expression `lead`
    min_entropy: float
    repeats: bool  # may hold one byte again and again
    is_armour: bool  # a private key's: see armour.py
    head: tuple[bytes, int]  # bytes of which at least so many follow the literal: what a first look can tell

    # Compiled with the first literal that is found: 200 expressions take a tenth of a second, and a run needs few.
    @cached_property
    def then(self) -> re.Pattern[bytes]:
        return re.compile(self.after)

    @cached_property
    def lead(self) -> re.Pattern[bytes] | None:
        """Of the bytes before the literal, reversed."""
        return re.compile(self.before) if self.before else None


@dataclass(frozen=True)
class Named(DataKind):
    """A kind told by the name before its value."""

    names: tuple[str, ...]
    form: bytes  # the expression `value`
    min_entropy: float
    repeats: bool

    @cached_property
    def value(self) -> re.Pattern[bytes]:
        return re.compile(self.form)


STRUCTURAL: tuple[DataKind, ...] = (
    DataKind("url_password", "password", "the password between user and host of a URL", 1),
    DataKind("assigned_password", "password", "a random-looking value assigned to a name that says password", 0),
    DataKind("assigned_secret", "key", "a random-looking value assigned to a name that says secret, token or key", 0),
    DataKind("email", "email", "an address of electronic mail outside reserved domains", 1),
    DataKind("ipv4", "address", "an IPv4 address that is routed publicly", 1),
    DataKind("ipv6", "address", "an IPv6 address that is routed publicly", 1),
)


@lru_cache(maxsize=1)
def tokens() -> tuple[Token, ...]:
    return tuple(_token(row) for row in _rows("tokens"))


@lru_cache(maxsize=1)
def named() -> tuple[Named, ...]:
    return tuple(
        Named(
            row["kind"],
            row["class"],
            _named_meaning(row),
            2,
            tuple(row["names"]),
            row["value"].encode(),
            row.get("random", 2.5),  # words and counting lie below, sixteen random hexadecimal digits near 3.2
            row.get("repeats", False),
        )
        for row in _rows("named")
    )


# Words in the names of what is assigned and secret; small letters, signs left out.
PASSWORD_WORDS = ("password", "passwd", "passwrd", "passphrase", "pwd", "dbpass", "userpass", "mypass", "rootpass")
SECRET_WORDS = (
    "secret", "token", "apikey", "accesskey", "privatekey", "authkey", "credential", "encryptionkey", "signingkey",
    "masterkey", "servicekey", "secretkey", "sharedkey", "clientkey", "bearer",
)  # fmt: skip
HEADER_WORDS = ("authorization", "apikey", "authtoken")


@lru_cache(maxsize=1)
def words() -> tuple[str, ...]:
    """Every word of which a name holds one, where its value is worth a look."""
    found = {*PASSWORD_WORDS, *SECRET_WORDS, *HEADER_WORDS, *(name for kind in named() for name in kind.names)}
    return tuple(sorted(found))


@lru_cache(maxsize=1)
def kinds() -> dict[str, DataKind]:
    """Every kind by its name, in the order in which pages list them: what it is called and means, not how it looks."""
    rows = [(row, _token_meaning(row), row.get("specific", 2)) for row in _rows("tokens")]
    rows += [(row, _named_meaning(row), 2) for row in _rows("named")]
    described = (DataKind(row["kind"], row["class"], meaning, specific) for row, meaning, specific in rows)
    return {kind.name: kind for kind in (*STRUCTURAL, *described)}


@lru_cache(maxsize=2)
def _rows(name: str) -> list[dict[str, Any]]:
    text = resources.files("pipeline.privacy").joinpath("data", f"{name}.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = parse_shipped(text)
    return rows


def _token_meaning(row: dict[str, Any]) -> str:
    return f"{'holds' if row.get('lead') else 'begins with'} {' or '.join(row['starts'])}"


def _named_meaning(row: dict[str, Any]) -> str:
    return f"a value of the issuer's form, assigned to a name with {' or '.join(row['names'])}"


def _token(row: dict[str, Any]) -> Token:
    literals = tuple(text for start in row["starts"] for text in _expanded(start))
    guard = "" if row.get("end") == "open" else "(?![A-Za-z0-9])"
    lead = row.get("lead")
    before = f"{lead['bytes']}{{{lead['min']},{lead['max']}}}(?![A-Za-z0-9])" if lead else None
    return Token(
        row["kind"],
        row["class"],
        _token_meaning(row),
        row.get("specific", 2),
        literals,
        f"(?:{row['then']}){guard}".encode(),
        before.encode() if before else None,
        row.get("random", 0.0),
        row.get("repeats", False),
        row["class"] == "private_key" and not row["then"],
        _head(row["then"]),
    )


def _expanded(start: str) -> Iterator[bytes]:
    """`SK[0-9a-f]` stands for sixteen literals."""
    parts = re.findall(r"\[([^\]]+)\]|([^\[]+)", start)
    choices = [_members(group) if group else [plain] for group, plain in parts]
    for choice in product(*choices):
        yield "".join(choice).encode()


@lru_cache(maxsize=64)  # many kinds begin with, or are followed by, the same few classes
def _members(group: str) -> list[str]:
    return [chr(byte) for byte in range(128) if re.fullmatch(f"[{group}]", chr(byte))]


@lru_cache(maxsize=256)
def _head(then: str) -> tuple[bytes, int]:
    """The class of bytes that a pattern begins with and how many it needs; nothing where it begins otherwise."""
    found = re.match(r"(\[[^\]]+\])(?:\{(\d+))?", then)
    if not found:
        return b"", 0
    member = re.compile(found[1].encode())
    return bytes(byte for byte in range(256) if member.fullmatch(bytes((byte,)))), int(found[2] or 1)
