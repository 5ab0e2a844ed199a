"""Where in a text its rules fired, for those that ask about a place: a line, a run, a word; most ask about the whole.

Rules keep numbers, not places, so places are looked for again, in the text that is shown. What is marked is what the
number counts, or for a share the first of what it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from pipeline.config import Mixture
from pipeline.errors import LoopmixError
from pipeline.rules.resolve import resolve

MAX_PLACES = 24  # of each reason: more is a wall


class MarkedPlace(NamedTuple):
    """Bytes start:end of the text, and why they are marked."""

    start: int
    end: int
    reason: str


_Span = tuple[int, int]
_LINE = re.compile(rb"[^\r\n]+")
# As `quality/scan_encoded.py` counts: runs of 32 and more, over line ends and indentation, 64 and more in all, with
# letters, digits and few signs; or eight escapes of one length.
_RUN = re.compile(rb"[A-Za-z0-9+/=]{32,}(?:[ \t]*[\r\n][ \t\r\n]*[A-Za-z0-9+/=]{32,})*")
_ESCAPES = re.compile(
    rb"(?:(?:\\x[0-9A-Fa-f]{2}|0x[0-9A-Fa-f]{2}(?![A-Za-z0-9+/=]))[\t\r\n \"',]*){8,}|(?:\\u[0-9A-Fa-f]{4}){8,}"
)
_MIN_RUN = 64
_CONFLICT = re.compile(rb"^(?:<{7}(?: [^\n]*)?|={7}|>{7}(?: [^\n]*)?)\r?$", re.MULTILINE)
_TURNS = re.compile(b"\xe2(?:\x80[\xab\xae]|\x81\xa7)")
_BULLET = re.compile("^\\s*[-*\u2022\u2023\u25b6\u25c0\u25e6\u25a0\u25a1\u25aa\u25ab\u2013]".encode(), re.MULTILINE)


def places_of(mixture: Mixture, document: dict[str, Any], text: bytes) -> list[MarkedPlace]:
    """The places of a document's reasons and of the rules that fired, in the order of the text.

    `document` is a row of the ledger with `generated_line` among its `features` and the `matches` of its row of
    `overlaps`, as `lookup.why` makes it.
    """
    found = list(_of_rules(mixture, document, text))
    for reason, spans in _OF_REASONS.items():
        if reason in document["reasons"]:
            found += [MarkedPlace(*span, reason) for span in islice(spans(text), MAX_PLACES)]
    found += _of_matches(document, text)
    return sorted(set(found))


def _of_rules(mixture: Mixture, document: dict[str, Any], text: bytes) -> Iterator[MarkedPlace]:
    fired = {one["rule"] for one in document["fired"]}
    asked: dict[str, list[str]] = {}
    for one in resolve(mixture.quality):
        rule = one.rule
        fits = rule.pool in (None, document["pool"]) and document["language"] not in rule.exempt
        if rule.reason in fired and fits and (not rule.languages or document["language"] in rule.languages):
            asked.setdefault(rule.reason, []).extend([rule.feature, *(c.feature for c in rule.when)])
    for reason, features in asked.items():
        spans: list[_Span] = []
        for feature in features:  # the first that has a place; a condition beside it is told by it
            if feature in _OF_FEATURES:
                spans = list(islice(_OF_FEATURES[feature](text), MAX_PLACES))
            elif feature in ("generated_line", "mark.generated_content", "opencoder_generated"):
                spans = _numbered(text, document["features"].get("generated_line") or 0)
            if spans:
                break
        yield from (MarkedPlace(*span, reason) for span in spans)


def _of_matches(document: dict[str, Any], text: bytes) -> Iterator[MarkedPlace]:
    """Words that a document shares with items of benchmarks."""
    if "contaminated" not in document["reasons"]:
        return
    from pipeline.dedup.passages import find_words  # kernels, which a document that shares nothing does not need

    for match in document.get("matches", ()):
        yield MarkedPlace(*find_words(text, match["first_word"], match["last_word"]), "contaminated")


# --- of features ------------------------------------------------------------------------------------------------------


def _longest_line(text: bytes) -> Iterator[_Span]:
    lines = [line.span() for line in _LINE.finditer(text)]
    if lines:
        yield max(lines, key=lambda line: (len(text[slice(*line)].decode("utf-8", errors="replace")), -line[0]))


def _encoded(text: bytes) -> Iterator[_Span]:
    """Encoded runs, the longest first."""
    escapes = [(one.start(), one.start() + len(one[0].rstrip(b"\t\r\n \"',"))) for one in _ESCAPES.finditer(text)]
    rest = bytearray(text)  # escapes cut base64-like runs
    for start, end in escapes:
        rest[start:end] = bytes(end - start)
    runs = [run.span() for run in _RUN.finditer(rest) if _is_encoded(run[0])]
    yield from sorted([*escapes, *runs], key=lambda span: (span[0] - span[1], span[0]))


def _is_encoded(run: bytes | bytearray) -> bool:
    signs = sum(run.count(sign) for sign in b"+/=")
    is_mixed = re.search(rb"[A-Za-z]", run) is not None and re.search(rb"[0-9]", run) is not None
    return len(run) >= _MIN_RUN and is_mixed and 8 * signs <= len(run)


def _seen_before(text: bytes) -> Iterator[_Span]:
    """Lines that stood there before, white space around them aside."""
    seen: set[bytes] = set()
    for line in _LINE.finditer(text):
        said = line[0].strip()
        if said and said in seen:
            yield line.span()
        seen.add(said)


def _with(*words: bytes) -> Callable[[bytes], Iterator[_Span]]:
    """Each place of a word, in any case of ASCII letters."""
    pattern = re.compile(b"|".join(map(re.escape, words)), re.IGNORECASE)
    return lambda text: (one.span() for one in pattern.finditer(text))


def _lines_like(pattern: bytes) -> Callable[[bytes], Iterator[_Span]]:
    like = re.compile(pattern, re.IGNORECASE)
    return lambda text: (line.span() for line in _LINE.finditer(text) if like.search(line[0]))


def _bullets(text: bytes) -> Iterator[_Span]:
    return (one.span() for one in _BULLET.finditer(text))


def _numbered(text: bytes, number: int) -> list[_Span]:
    """Line `number`, from 1; ended by LF, CR LF or CR."""
    start = 0
    for n, line in enumerate(text.splitlines(keepends=True) if number else (), 1):
        if n == number:
            return [(start, start + len(line.rstrip(b"\r\n")))]
        start += len(line)
    return []


_OF_FEATURES: dict[str, Callable[[bytes], Iterable[_Span]]] = {
    **dict.fromkeys(("max_line_chars", "long_line_frac", "mean_line_chars", "mean_ended_line_chars"), _longest_line),
    **dict.fromkeys(("encoded_frac", "max_encoded_run_chars"), _encoded),
    **dict.fromkeys(("pattern_encoded_frac", "max_pattern_encoded_chars"), _encoded),
    **dict.fromkeys(("duplicate_line_frac", "repeated_line_frac", "repeated_line_char_frac"), _seen_before),
    "repeated_prose_frac": _seen_before,
    "opencoder_repeated_line_frac": _seen_before,
    "replacement_frac": _with("\ufffd".encode()),
    "c4_lorem_lines": _with(b"lorem ipsum"),
    "c4_curly_lines": _with(b"{"),
    "todo_line_frac": _lines_like(rb"todo|fixme|your code here"),
    "link_line_frac": _lines_like(rb"^\s*https?://\S+\s*$"),
    "ellipsis_line_frac": _lines_like(rb"(?:\.\.\.|\xe2\x80\xa6)\s*$"),
    **dict.fromkeys(("bullet_line_frac", "dash_line_frac"), _bullets),
    "has_xml_head": lambda text: _with(b"<?xml version=")(text[:100]),
}
_OF_REASONS: dict[str, Callable[[bytes], Iterable[_Span]]] = {
    "merge_conflict": lambda text: (one.span() for one in _CONFLICT.finditer(text)),
    "bidi_controls": lambda text: (one.span() for one in _TURNS.finditer(text)),
    "lfs_pointer": lambda text: _numbered(text, 1),
}


# --- what is shown ----------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A piece of shown text: plain (`names` is empty), marked by what it names, or a hidden value's name."""

    text: str
    names: tuple[str, ...] = ()
    is_hidden: bool = False


def parts_of(
    text: bytes, places: Sequence[MarkedPlace], hidden: Sequence[MarkedPlace], *, start: int, end: int
) -> list[Part]:
    """Bytes start:end of a text, cut where marks begin and end; of what is hidden stands the name alone."""
    if any(place.start > place.end for place in (*places, *hidden)):
        raise LoopmixError("a mark ends before it begins")
    edges = {start, end}
    for place in (*places, *hidden):
        edges |= {min(max(edge, start), end) for edge in place[:2]}
    cuts, parts, last = sorted(edges), list[Part](), None
    for first, stop in pairwise(cuts):
        cover = next((h for h in hidden if h.start <= first and stop <= h.end), None)
        if cover is not None:
            if cover != last:
                parts.append(Part(cover.reason, (cover.reason,), is_hidden=True))
            last = cover
            continue
        names = tuple(dict.fromkeys(p.reason for p in places if p.start <= first and stop <= p.end))
        parts.append(Part(text[first:stop].decode("utf-8", errors="replace"), names))
    return parts


def laid_out(parts: Sequence[Part]) -> tuple[str, list[dict[str, Any]]]:
    """The text of the parts, and where in it each mark begins: reason, line, column and characters, lines and columns
    from 1."""
    text, places, before = "", list[dict[str, Any]](), tuple[str, ...]()
    for part in parts:
        shown = f"[{part.text} hidden]" if part.is_hidden else part.text
        for name in part.names:
            if name in before:
                next(one for one in reversed(places) if one["reason"] == name)["n_chars"] += len(shown)
            else:
                line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
                places.append({"reason": name, "line": line, "column": column, "n_chars": len(shown)})
        text, before = text + shown, part.names
    return text, places


def windows(text: bytes, places: Sequence[MarkedPlace], *, n_bytes: int, around: int = 200) -> list[_Span]:
    """Which bytes to show: the first `n_bytes`, and as much around the first place of each reason behind them; together
    no more than thrice that. Ends lie between characters."""
    spans = [(0, min(n_bytes, len(text)))]
    for reason in dict.fromkeys(place.reason for place in places):
        first = min((p for p in places if p.reason == reason), default=None)
        if first is not None and first.start >= spans[-1][1] and len(spans) < 3:
            spans.append((first.start - around, min(len(text), first.start + n_bytes - around)))
    return [(_character(text, start), _character(text, end)) for start, end in _apart(spans)]


def _apart(spans: Sequence[_Span]) -> list[_Span]:
    out: list[_Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _character(text: bytes, at: int) -> int:
    """The last place up to `at` where a character begins."""
    while 0 < at < len(text) and text[at] & 0xC0 == 0x80:
        at -= 1
    return max(at, 0)
