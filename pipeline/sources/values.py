"""From whatever a column or key holds to what `documents` wants. A value of another kind counts as absent.

Only content decides whether a row can be read; a licence that is a number or a date that no one can parse must not
cost a document.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any, NamedTuple

from pipeline.config import Columns, Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 2**63
_CHOICE = re.compile(r"\bor\b|[,/|]", re.IGNORECASE)  # what may bind less than AND in the spelling of one licence
_NATURAL = re.compile(r"[a-z]{2,3}(?:[-_]\w+)*")


class Metadata(NamedTuple):
    """What a source says of a document besides its content."""

    path: str | None = None
    repo: str | None = None
    revision: str | None = None
    revision_micros: int | None = None  # microseconds since 1970, UTC
    license: str | None = None
    stars: int | None = None
    language: str | None = None
    lost: tuple[str, ...] = ()  # fields that hold something which could not be read as what the field wants


def mapped(source: Source) -> Columns:
    """The columns of a source with those that are taken by their own name where the mixture says nothing.

    `language` means the language of prose as often as that of code, so not of a source of text.
    """
    columns = source.columns
    path = "path" if columns.path is None else columns.path or None
    language = columns.language or None
    if columns.language is None and source.pool != "text":
        language = "language"
    return columns.model_copy(update={"path": path, "language": language})


def is_natural(language: str | None) -> bool:
    """Whether a value reads as a code of a natural language: `en`, `deu`, `pt-BR`, `zho_Hans`."""
    return language is not None and _NATURAL.fullmatch(language) is not None


def metadata_of(row: Any, *, columns: Columns) -> Metadata:
    """Read the mapped keys of one row; nothing of a row that is no mapping."""
    found = [find(row, key=getattr(columns, field)) for field in READERS]
    values = [read(value) for value, read in zip(found, READERS.values(), strict=True)]
    return Metadata._make((*values, lost_of(found, values)))


def lost_of(found: Sequence[Any], values: Sequence[Any]) -> tuple[str, ...]:
    """The fields whose values were there and gave nothing. Empty text and empty lists say nothing, so nothing is lost.

    Both in the order of READERS.
    """
    if list(found).count(None) == list(values).count(None):  # the usual case, and the fastest to see
        return ()
    return tuple(
        field
        for field, before, after in zip(READERS, found, values, strict=True)
        if after is None and before is not None and before not in ("", b"", [])
    )


def find(row: Any, *, key: str | None) -> Any:
    """The value of `key`; dots step into nested mappings unless a key with that very spelling exists."""
    if key is None or not isinstance(row, dict):
        return None
    if key in row or "." not in key:
        return row.get(key)
    head, _, rest = key.partition(".")
    return find(row.get(head), key=rest)


def text_of(value: Any) -> str | None:
    """Text, or a whole number written out; empty text is none. Unpaired surrogates are written as escapes."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="backslashreplace")
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode("utf-8", errors="backslashreplace").decode("utf-8")


def license_of(value: Any) -> str | None:
    """A licence, or several joined with AND: data sets list what a detector found in a file or repository, in no set
    order, and what was found holds, all of it. So no copyleft passes beside an MIT.

    A choice is one text (`MIT OR GPL-2.0`) and stays one, in brackets among others. Doubles and blanks go, in order.
    """
    if not isinstance(value, list | tuple):
        return text_of(value)
    names = list(dict.fromkeys(name for name in map(text_of, value) if name is not None and name.strip()))
    if len(names) < 2:
        return names[0] if names else None
    return " AND ".join(map(_as_one, names))


def _as_one(name: str) -> str:
    """What AND takes whole: brackets that do not match would open a choice with its neighbours."""
    depth = list(accumulate((char == "(") - (char == ")") for char in name))
    if depth and (min(depth) < 0 or depth[-1]):
        name = name.replace("(", " ").replace(")", " ").strip()
    return f"({name})" if _CHOICE.search(name) else name


def count_of(value: Any) -> int | None:
    """A whole number that fits 64 bits; data sets with gaps store counts as floats, some as text."""
    if isinstance(value, bytes):
        value = text_of(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float | Decimal) and _is_whole(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT64 <= value < _INT64:
        return None
    return value


def _is_whole(value: float | Decimal) -> bool:
    """Neither fraction nor infinity nor no number."""
    return math.isfinite(value) and value == int(value)


def micros_of(value: Any) -> int | None:
    """Microseconds since 1970 of a time or of ISO 8601 text. Without a time zone it is UTC.

    Bare numbers are refused: seconds, milliseconds and years look alike.
    """
    if isinstance(value, bytes):
        value = text_of(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


# What reads each field of `columns`, in the order of Metadata.
READERS: dict[str, Callable[[Any], Any]] = {
    "path": text_of,
    "repo": text_of,
    "revision": text_of,
    "revision_time": micros_of,
    "license": license_of,
    "stars": count_of,
    "language": text_of,
}
