"""What shall be taken back: a list of documents, one entry a line.

    # a comment
    doc_id:0f3c...             the document's id in this run, 32 hex characters
    path:src/secret.py         every document of that path, in whichever repository
    repo:owner/name            every document of that repository
    content_hash:9ab1...       XXH3-128 of the text, as table `documents` has it
    sha256:..., sha1:...       of the text
    blob:e69de2...             git's id of the file: SHA-1 of a header and the text
    {"repo": "owner/name", "path": "src/secret.py"}    JSON: all of it must hold

An entry without a prefix is what its form says: 64 hex characters are a SHA-256, 40 a SHA-1 or git's id, 32 a doc_id or
a content hash; anything else is a path or a repository, and refused where it is both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError, no_file, unfit, why
from pipeline.globs import is_text

KINDS = ("doc_id", "path", "repo", "content_hash", "sha256", "sha1", "blob")
HASHED = {"sha256", "sha1", "blob"}  # kinds for which texts must be read
_SWH = "swh:1:cnt:"  # Software Heritage's name of a file, which is git's
_HEX_CHARS = {"doc_id": 32, "content_hash": 32, "sha256": 64, "sha1": 40, "blob": 40}
_MAX_BYTES = 1 << 30  # some ten million entries; as objects they take far more
_BARE = {64: ("sha256",), 40: ("sha1", "blob"), 32: ("doc_id", "content_hash")}


@dataclass(frozen=True)
class Listed:
    """One line: it names the documents of which all of one of its `choices` holds; each is pairs of kind and value."""

    line: int
    text: str
    choices: tuple[tuple[tuple[str, str], ...], ...]
    is_guessed: bool = False  # several choices of which one alone may match

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def read_list(path: Path) -> list[Listed]:
    """The entries of a list in a file. ConfigError for a pipe or a device, of which there may be no end, and for a file
    larger than any list."""
    where = str(path)
    try:
        if said := no_file(path) or ("is a folder and no file; name the list in it" if path.is_dir() else None):
            raise ConfigError(f"{where}: {said}")
        if (n_bytes := path.stat().st_size) > _MAX_BYTES:
            raise ConfigError(f"{where}: has {n_bytes:,} bytes, expected a list of at most {_MAX_BYTES:,}; divide it")
        with path.open(encoding="utf-8", errors="replace") as lines:
            return read_entries(lines, where=where)
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {why(error)}; give this user access to it") from error


def read_entries(lines: Iterable[str], *, where: str) -> list[Listed]:
    """The entries of a list. ConfigError, with the line, for one that cannot be read, and for a list without any."""
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("\ufeff")
        if text and not text.startswith("#"):
            try:
                found.append(_entry(number, text))
            except ConfigError as error:
                raise ConfigError(f"{where}, line {number}: {error}") from error
    if not found:
        raise ConfigError(f"{where}: lists nothing; expected one document, path, repository or hash a line")
    return found


def _entry(number: int, text: str) -> Listed:
    if text.startswith("{"):
        return Listed(number, text, (_conditions(text),))
    if text.startswith(_SWH):
        text = "blob:" + text.removeprefix(_SWH)
    kind, colon, value = text.partition(":")
    if colon and kind in KINDS:
        return Listed(number, text, ((_condition(kind, value.strip()),),))
    if re.fullmatch(r"[0-9a-fA-F]+", text) and len(text) in _BARE:
        return Listed(number, text, tuple(((kind, text.lower()),) for kind in _BARE[len(text)]))
    return Listed(number, text, ((("path", text),), (("repo", text),)), is_guessed=True)


def _conditions(text: str) -> tuple[tuple[str, str], ...]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(unfit(error)) from error
    if not said or not all(isinstance(value, str) for value in said.values()):
        raise ConfigError(f"expected keys among {', '.join(KINDS)} with texts as values, found {text[:100]}")
    if unknown := [key for key in said if key not in KINDS]:
        raise ConfigError(f"unknown key {unknown[0]!r}; expected one of {', '.join(KINDS)}")
    return tuple(_condition(key, value) for key, value in said.items())


def _condition(kind: str, value: str) -> tuple[str, str]:
    if not value:
        raise ConfigError(f"{kind}: has no value")
    if not is_text(value):
        raise ConfigError(f"{kind}: half a pair of surrogates, as in {value!a:.80}, is no text")
    n_chars = _HEX_CHARS.get(kind)
    if n_chars is None:
        return kind, value
    if not re.fullmatch(f"[0-9a-fA-F]{{{n_chars}}}", value):
        raise ConfigError(f"{kind}: expected {n_chars} hex characters, found {value!r}")
    return kind, value.lower()
