r"""File names as text.

A file name is bytes; a column of text is UTF-8. Bytes that are no UTF-8 are written as \xNN, and a backslash that
would read as such an escape becomes \x5c, so every name has exactly one spelling and `to_bytes` gives it back.
"""

import re

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


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
