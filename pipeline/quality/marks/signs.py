"""What the first and the last bytes of a document say it is: the rows of the tables in `signs/`.

One compiled walk over heads and tails finds which of the rows' literals stand where; only documents that hold one of a
row's literals, in its languages and under its paths, are looked at further. So a corpus of sources costs the walk.

A row has `id`, `mark` and `why`, and of these what it needs:
has: literals in small letters, four bytes at least, one of which stands in the head (4,096 bytes) or tail (1,024)
languages: linguist's names; path, unless_path: an expression (RE2) over the path with a slash before it; max_bytes
where: `comments` (those at the head, in the syntax of the file's own language, without their marks), `head` or `tail`
match, unless: expressions (Python's, without case, ^ and $ at lines) that must fit there, and must not; of a list one
and_head: an expression that the head must fit too
check: the name of a function in checks.py that must hold
linguist: true where the row is a predicate of linguist's, whose marks set `starcoder2` asks for

The sources: linguist's predicates, StarCoder2's phrases (arXiv 2402.19173, section 2.1), the notices that tools print.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays.compiled import compiled
from pipeline.quality.marks.checks import CHECKS, MAX_CHARS
from pipeline.quality.marks.comments import HEAD_BYTES, head_comments
from pipeline.quality.marks.paths import path_matches
from pipeline.quality.marks.tables import pattern_of, read_table
from pipeline.quality.marks.wordings import folded, is_said

TAIL_BYTES = 1_024  # signatures of compilers, references to source maps, the last tags of a page
_HEAD, _TAIL = 1, 2
LINGUIST = "linguist_generated"
_TABLES = ("signs/generated.yaml", "signs/build.yaml", "signs/data.yaml", "signs/records.yaml")
_KEY_BYTES = 4  # of a literal: that many select it
_TABLE_BITS = 16
_HASH = 2_654_435_761  # Knuth's multiplier: 2^32 over the golden ratio


@dataclass(frozen=True)
class Sign:
    """A row of signs.yaml, compiled."""

    id: str
    mark: str
    where: str
    has: tuple[int, ...]  # numbers of literals
    languages: frozenset[str]
    path: str
    unless_path: str
    max_bytes: int
    match: tuple[str, ...]  # expressions, of which one must fit
    unless: tuple[str, ...]
    and_head: tuple[str, ...]
    check: Callable[[str, str], bool] | None
    is_linguist: bool


@dataclass(frozen=True)
class Contents:
    """Documents data[offsets[k]:offsets[k + 1]], each with its language and its path, a slash before it."""

    data: np.ndarray
    offsets: np.ndarray
    languages: np.ndarray
    paths: pa.Array

    def head(self, row: int, n_bytes: int = HEAD_BYTES) -> str:
        start = int(self.offsets[row])
        return self._text(start, min(int(self.offsets[row + 1]), start + n_bytes))

    def tail(self, row: int) -> str:
        stop = int(self.offsets[row + 1])
        return self._text(max(int(self.offsets[row]), stop - TAIL_BYTES), stop)

    def _text(self, start: int, stop: int) -> str:
        text = self.data[start:stop].tobytes().decode("utf-8", "replace")
        return text.removeprefix("\ufeff").replace("\r\n", "\n")


@cache
def _signs() -> tuple[tuple[Sign, ...], tuple[bytes, ...]]:
    """All rows, and the literals that they number."""
    literals: dict[bytes, int] = {}
    rows = []
    for row in (row for name in _TABLES for row in read_table(name)):
        has = tuple(literals.setdefault(text.encode(), len(literals)) for text in row.get("has", ()))
        rows.append(
            Sign(
                id=row["id"],
                mark=row["mark"],
                where=row.get("where", "head"),
                has=has,
                languages=frozenset(row.get("languages", ())),
                path=pattern_of(row.get("path", "")),
                unless_path=pattern_of(row.get("unless_path", "")),
                max_bytes=row.get("max_bytes", 0),
                match=_expressions(row, "match"),
                unless=_expressions(row, "unless"),
                and_head=_expressions(row, "and_head"),
                check=CHECKS[row["check"]] if "check" in row else None,
                is_linguist=row.get("linguist", False),
            )
        )
    short = [text for text in literals if len(text) < _KEY_BYTES]
    assert not short, f"a literal selects by its first {_KEY_BYTES} bytes: {short}"
    return tuple(rows), tuple(literals)


def _expressions(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    written = row.get(key, [])
    return tuple(map(pattern_of, [written] if isinstance(written, str) else written))


def sign_ids() -> dict[str, str]:
    """Every row's id, and its mark."""
    return {sign.id: sign.mark for sign in _signs()[0]}


def signs_of(paths: pa.Array, data: np.ndarray, offsets: np.ndarray, *, languages: np.ndarray) -> set[str]:
    """The ids of all rows that fire on any of the documents; paths with a slash before them."""
    contents = Contents(data, offsets, languages, paths)
    signs, literals = _signs()
    places, comments = _places(data, offsets, literals), _Comments(contents)
    return {
        sign.id
        for sign in signs
        for row in np.flatnonzero(_asked(sign, contents, places)).tolist()
        if (not sign.languages or str(languages[row]) in sign.languages) and _fires(sign, contents, row, comments)
    }


def find_by_sign(contents: Contents) -> dict[str, np.ndarray]:
    """For each mark of the tables which documents have it, as booleans."""
    signs, literals = _signs()
    n = len(contents.paths)
    found = {mark: np.zeros(n, bool) for mark in (LINGUIST, *(sign.mark for sign in signs))}
    places = _places(contents.data, contents.offsets, literals)
    names, codes = np.unique(contents.languages, return_inverse=True)
    comments = _Comments(contents)
    for sign in signs:
        asked = _asked(sign, contents, places) & ~found[sign.mark if not sign.is_linguist else LINGUIST]
        if sign.languages:
            asked &= np.array([name in sign.languages for name in names], bool)[codes]
        for row in np.flatnonzero(asked).tolist():
            if _fires(sign, contents, row, comments):
                found[sign.mark][row] = True
                found[LINGUIST][row] |= sign.is_linguist
    return found


def _asked(sign: Sign, contents: Contents, places: np.ndarray) -> np.ndarray:
    """The documents that a sign's literals, paths and size allow."""
    asked = np.ones(len(contents.paths), bool)
    if sign.has:
        asked &= (places[:, sign.has] & (_TAIL if sign.where == "tail" else _HEAD)).any(axis=1)
    if sign.max_bytes:
        asked &= np.diff(contents.offsets) <= sign.max_bytes
    if sign.path:
        _keep_paths(asked, contents.paths, sign.path, fits=True)
    if sign.unless_path:
        _keep_paths(asked, contents.paths, sign.unless_path, fits=False)
    return asked


@dataclass(frozen=True)
class Wording:
    """A text to search: as it is, and folded."""

    text: str
    small: str


def _keep_paths(asked: np.ndarray, paths: pa.Array, expression: str, *, fits: bool) -> None:
    """Take those from `asked` whose path the expression does not fit, or does; only those asked so far are searched."""
    rows = np.flatnonzero(asked)
    asked[rows] = path_matches(paths.take(pa.array(rows)), expression) == fits


class _Comments:
    """The first comments of documents, each read once."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._read: dict[int, list[Wording]] = {}

    def of(self, row: int) -> list[Wording]:
        if row not in self._read:
            found = head_comments(self._contents.head(row), str(self._contents.languages[row]))
            self._read[row] = [Wording(text, folded(text)) for text in found]
        return self._read[row]


def _fires(sign: Sign, contents: Contents, row: int, comments: _Comments) -> bool:
    """Whether a document that may be asked has the sign."""
    if sign.check and not sign.check(contents.head(row, MAX_CHARS), str(contents.languages[row])):
        return False
    if not sign.match:
        return True
    if sign.where == "comments":
        texts = comments.of(row)
    else:
        text = contents.tail(row) if sign.where == "tail" else contents.head(row)
        texts = [Wording(text, folded(text))]
    if not any(_says(sign, some) for some in texts):
        return False
    head = contents.head(row) if sign.and_head else ""
    return not sign.and_head or is_said(sign.and_head, head, folded(head))


def _says(sign: Sign, some: Wording) -> bool:
    return is_said(sign.match, some.text, some.small) and not is_said(sign.unless, some.text, some.small)


def _places(data: np.ndarray, offsets: np.ndarray, literals: tuple[bytes, ...]) -> np.ndarray:
    """uint8 [documents, literals]: 1 where a literal stands in the head, 2 in the tail, 3 in both."""
    found = np.zeros((len(offsets) - 1, len(literals)), np.uint8)
    first, following, joined, starts, small = _tables(literals)
    _walk(data, offsets, first, following, joined, starts, small, found)
    return found


@cache
def _tables(literals: tuple[bytes, ...]) -> tuple[np.ndarray, ...]:
    """The first literal of each hash of four bytes (-1: none), the next of the same; the literals one after another and
    where each begins; every byte in small letters."""
    first, following = np.full(1 << _TABLE_BITS, -1, np.int16), np.full(len(literals), -1, np.int16)
    for number, text in enumerate(literals):
        slot = int(
            np.uint32(int.from_bytes(text[:_KEY_BYTES], "big") * _HASH & 0xFFFFFFFF) >> np.uint32(32 - _TABLE_BITS)
        )
        following[number], first[slot] = first[slot], number
    starts = np.cumsum([0, *map(len, literals)]).astype(np.int64)
    small = np.arange(256, dtype=np.uint8)
    small[65:91] += 32
    return first, following, np.frombuffer(b"".join(literals), np.uint8), starts, small


@compiled
def _walk(
    data: np.ndarray,
    offsets: np.ndarray,
    first: np.ndarray,
    following: np.ndarray,
    literals: np.ndarray,
    starts: np.ndarray,
    small: np.ndarray,
    found: np.ndarray,
) -> None:
    for d in range(offsets.size - 1):
        begin, end = offsets[d], offsets[d + 1]
        head_end = min(end, begin + HEAD_BYTES)
        tail = max(begin, end - TAIL_BYTES)
        _walk_part(data, begin, head_end, first, following, literals, starts, small, 1, found[d])
        _walk_part(data, tail, end, first, following, literals, starts, small, 2, found[d])


@compiled
def _walk_part(
    data: np.ndarray,
    begin: int,
    end: int,
    first: np.ndarray,
    following: np.ndarray,
    literals: np.ndarray,
    starts: np.ndarray,
    small: np.ndarray,
    bit: int,
    found: np.ndarray,
) -> None:
    key = np.uint32(0)
    for i in range(begin, end):
        key = np.uint32((key << np.uint32(8)) | np.uint32(small[data[i]]))
        if i - begin < _KEY_BYTES - 1:
            continue
        number = first[np.uint32(key * np.uint32(_HASH)) >> np.uint32(32 - _TABLE_BITS)]
        while number >= 0:
            place = i - (_KEY_BYTES - 1)
            length = starts[number + 1] - starts[number]
            if place + length <= end:
                k = 0
                while k < length and small[data[place + k]] == literals[starts[number] + k]:
                    k += 1
                if k == length:
                    found[number] |= bit
            number = following[number]
