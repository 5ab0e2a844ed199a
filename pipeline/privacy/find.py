"""Find secrets and personal data: where they stand and of which kind. Values are never returned, logged or stored.

Two steps, both linear in the bytes. A fast pass reports places where something may start (see `places.py`); regular
expressions with bounded repeats then confirm it within a bounded window. A find is a hint, not proof. Formats are those
that the issuers document; examples from manuals, place holders and reserved names are not found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.arrays.columns import read_only
from pipeline.privacy import armour, assigned, personal
from pipeline.privacy.by_hyperscan import Places, hyperscan_places
from pipeline.privacy.kinds import MAX_BYTES, Token, kinds, tokens
from pipeline.privacy.looks import entropy, is_example
from pipeline.privacy.places import (
    ARGUMENT,
    ASSIGNMENT,
    COMPARISON,
    EMAIL,
    IPV4,
    IPV6,
    URL,
    literal_places,
    literals,
    sign_places,
)

MAX_LEAD = 128  # bytes before a literal that belong to the secret or to the line that opens an armour
Span = tuple[int, int, str]
Reader = Callable[..., Span | None]
_READERS: dict[int, Reader] = {
    COMPARISON: assigned.compared,
    ARGUMENT: assigned.argument,
    URL: personal.url_password,
    EMAIL: personal.email,
    IPV4: personal.ipv4,
    IPV6: personal.ipv6,
}


@dataclass(frozen=True)
class Finds:
    """One entry for each find, in the order of the bytes; finds of one document do not overlap.

    `document` is its number (int64), `start` and `end` count bytes from the beginning of that document (int64), `kind`
    is the kind's name.
    """

    document: np.ndarray
    start: np.ndarray
    end: np.ndarray
    kind: list[str]


def find(data: np.ndarray, offsets: np.ndarray, *, unquoted: np.ndarray, places: Places | None = None) -> Finds:
    """Secrets and personal data in the documents data[offsets[k]:offsets[k + 1]]; data uint8, offsets int64.

    `unquoted` says of each document whether values stand without quotes in its language. `places` finds the literals:
    hyperscan where it is installed, else the compiled pass; the finds are equal.
    """
    first, last = int(offsets[0]), int(offsets[-1])
    text = read_only(np.ascontiguousarray(data[first:last]))
    bounds = offsets.astype(np.int64) - first
    spans: dict[int, list[Span]] = {}
    for document, span in _spans(text, bounds, unquoted, places or hyperscan_places() or literal_places):
        spans.setdefault(document, []).append(span)
    rows = [(k, *span) for k in sorted(spans) for span in _apart(spans[k])]
    numbers = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    low = bounds[numbers[:, 0]]
    return Finds(numbers[:, 0], numbers[:, 1] - low, numbers[:, 2] - low, [row[3] for row in rows])


def _spans(text: np.ndarray, bounds: np.ndarray, unquoted: np.ndarray, places: Places) -> Iterator[tuple[int, Span]]:
    view, table = text.data, literals()
    lengths, kind_of, every = np.diff(table.starts).tolist(), table.kind.tolist(), tokens()
    for at, number, document, low, high in _within(*places(text), bounds):
        span = _token(view, at, every[kind_of[number]], lengths[number], low, high)
        if span:
            yield document, span
    bare = unquoted.tolist()
    for at, sort, document, low, high in _within(*sign_places(text), bounds):
        if sort == ASSIGNMENT:
            span = assigned.assigned(view, at, low, high, unquoted=bare[document])
        else:
            span = _READERS[sort](view, at, low, high)
        if span:
            yield document, span


def _within(places: np.ndarray, what: np.ndarray, bounds: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Each place, what stands there, and the number, start and end of its document."""
    owner = np.searchsorted(bounds, places, side="right") - 1
    lists = (array.tolist() for array in (places, what, owner, bounds[owner], bounds[owner + 1]))
    return zip(*lists, strict=True)


def _token(view: memoryview, at: int, token: Token, length: int, low: int, high: int) -> Span | None:
    """The secret whose literal of `length` bytes is at `at`, if the document view[low:high] holds one there."""
    begin, high = at + length, min(high, at + MAX_BYTES) if not token.is_armour else high
    if begin > high:
        return None
    before = bytes(view[max(low, at - MAX_LEAD) : at])
    if token.is_armour:
        return _armour(view, begin, before, token, high=high)
    start = at
    if token.lead is not None:
        lead = token.lead.match(before[::-1])
        if lead is None:
            return None
        start -= lead.end()
    elif before[-1:].isalnum() and chr(view[at]).isalnum():
        return None  # the literal is the tail of a longer word
    match = token.then.match(view, begin, high)
    if match is None:
        return None
    text = bytes(view[start : match.end()])
    if is_example(text, repeats=token.repeats) or entropy(text) < token.min_entropy:
        return None
    return start, match.end(), token.name


def _armour(view: memoryview, begin: int, before: bytes, token: Token, *, high: int) -> Span | None:
    if token.name == "putty_private_key":
        start, end = armour.putty_body(view, begin, high)
    else:
        start, end = armour.body(view, begin, high) if armour.is_begin(before) else (0, 0)
    return (start, end, token.name) if end and not is_example(bytes(view[start:end])) else None


def _apart(spans: list[Span]) -> Iterator[Span]:
    """Spans apart: those that overlapped are one, of the kind that says most, so that none of their bytes stays."""
    known = kinds()
    held: Span | None = None
    for start, end, kind in sorted(spans, key=lambda s: (s[0], -s[1], -known[s[2]].specific, s[2])):
        if held is None or start >= held[1]:
            if held:
                yield held
            held = (start, end, kind)
        else:
            says_more = known[kind].specific > known[held[2]].specific
            held = (held[0], max(held[1], end), kind if says_more else held[2])
    if held:
        yield held
