r"""File names as text, and the glob patterns that choose among them.

A file name is bytes; a column of text is UTF-8. Bytes that are no UTF-8 are written as \xNN, and a backslash that
would read as such an escape becomes \x5c, so every name has exactly one spelling and `to_bytes` gives it back.

Patterns: `*` and `?` stay inside one path part, `[abc]` and `[!abc]` are classes, `**` spans any number of parts. A
pattern without a slash is held against the file's name alone, any other against the whole path from the source's
root; one that ends in a slash stands for everything below. Upper and lower case differ on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pipeline.errors import ConfigError

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_MAGIC = re.compile(r"[*?[]")


def to_text(name: bytes) -> str:
    """A file name as valid UTF-8 text; reversible."""
    text = name.decode("utf-8", errors="surrogateescape")
    if name.isascii() and b"\\" not in name:
        return text
    text = _ESCAPE.sub(r"\\x5cx\1", text)
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)


def to_bytes(name: str) -> bytes:
    """The file name that `to_text` has written as `name`."""
    if "\\" not in name:
        return name.encode("utf-8")
    return b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode("utf-8") for i, part in enumerate(_ESCAPE.split(name))
    )


def is_safe(path: str) -> bool:
    """Whether `path` is relative and stays below its root, also once its escapes are undone."""
    raw = to_bytes(path)
    return b"\0" not in raw and all(part not in (b"", b".", b"..") for part in raw.split(b"/"))


def has_magic(path: str) -> bool:
    """Whether a path is a glob."""
    return _MAGIC.search(path) is not None


def split_glob(path: str) -> tuple[str, str]:
    """The folder above the first part with a wildcard, and the pattern below it."""
    parts = path.split("/")
    first = next(i for i, part in enumerate(parts) if has_magic(part))
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else ""), "/".join(parts[first:])


def matcher(include: tuple[str, ...], exclude: tuple[str, ...] = ()) -> Callable[[str], bool]:
    """A test for paths: matched by one of `include` and by none of `exclude`."""
    wanted = [_compiled(p) for p in include]
    unwanted = [_compiled(p) for p in exclude]

    def matches(path: str) -> bool:
        return any(p.match(path) for p in wanted) and not any(p.match(path) for p in unwanted)

    return matches


def pruner(exclude: tuple[str, ...]) -> Callable[[str], bool]:
    """A test for folders: whether a pattern such as `vendor/**` excludes all that is below."""
    patterns = [_compiled("/" + p.removesuffix("**").rstrip("/")) for p in exclude if p.endswith(("/", "/**"))]

    def prunes(path: str) -> bool:
        return any(p.match(path) for p in patterns)

    return prunes


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_expression(pattern), re.DOTALL)
    except re.error as error:
        raise ConfigError(f"include, exclude or path: {pattern!r} is no glob pattern: {error}") from None


def _expression(pattern: str) -> str:
    if "/" not in pattern:
        return rf"(?:.*/)?{_part(pattern)}\Z"
    *folders, last = pattern.removeprefix("/").split("/")
    above = "".join("(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in folders)
    return above + (".+" if last in ("", "**") else _part(last)) + r"\Z"


def _part(glob: str) -> str:
    """One path part as a regular expression. A bracket that never closes stands for itself."""
    out, i = "", 0
    while i < len(glob):
        char, i = glob[i], i + 1
        negated = glob.startswith("!", i)
        end = glob.find("]", i + negated + 1) if char == "[" else -1
        if end >= 0:
            body = "".join(c if c == "-" else re.escape(c) for c in glob[i + negated : end])
            out += f"(?!/)[{'^' * negated}{re.sub('--+', '-', body)}]"
            i = end + 1
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
    return out
