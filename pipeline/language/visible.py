"""Prose inside markup and data: what a reader would see of an XML, HTML, JSON, YAML, CSV or subtitle file.

A novel in TEI is XML by every rule and prose by every word. Where the visible text makes up most of such a file and
reads as prose, `content_kind` says so, and a mixture may keep, bound, drop or move those documents.
"""

import html
import json
import re
from collections.abc import Callable
from functools import lru_cache

from pipeline.language.prose import is_prose
from pipeline.language.table import group_of

# Bytes read from the start and from the middle: a novel begins with its metadata, a page with its scripts.
MAX_PIECE_BYTES = 4_096
MIN_VISIBLE_FRAC = 0.5  # of all bytes that are not blank: below, the file is about its tags
MIN_STRING_BYTES = 40  # shorter strings and values of data are names, dates and labels
MIN_PAUSE_FRAC = 1 / 60  # blanks, commas and full stops among characters: tables of signs have none
MAX_JUDGED_BYTES = 4_096  # of the visible text; more would not tell more

_BLANKS = b" \t\r\n\f\v"
_HIDDEN = (b"script", b"style", b"teiheader", b"head>", b"head ")  # elements whose text nobody sees
_STRING = re.compile(rb'"([^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"')
_PAUSE = re.compile(r"[ \t.,!?\u2026\u3001\u3002\uff0c\uff01\uff1f\u060c\u061f\u0964]")
_KEY = re.compile(rb"(?m)^[ \t]*#.*$|^[ \t]*(?:- )?(?:[\w.-]+:(?:[ \t]+|$))?[|>\"']?")
_TIMES = re.compile(rb"(?m)^(?:\d+|\d\d:\d\d[\d:.,]* --> .*|WEBVTT.*)[ \t]*\r?$")


@lru_cache(maxsize=4_096)
def format_of(language: str) -> str:
    """The format that prose in `language` counts under: XML for a Maven POM; empty for all that is no such format."""
    group = group_of(language)
    return group if group in _VISIBLE else ""


def holds_prose(language: str, content: bytes | memoryview) -> bool:
    """True for a document of such a format whose visible text is most of it and reads as prose. `content` is
    UTF-8; a few kilobytes of it are read."""
    kind = format_of(language)
    if not kind:
        return False
    middle = max(MAX_PIECE_BYTES, len(content) // 2)
    pieces = [bytes(content[:MAX_PIECE_BYTES])]
    if len(content) > middle:  # from a whole line or tag on
        pieces.append(_from_boundary(bytes(content[middle : middle + MAX_PIECE_BYTES])))
    n_solid = n_visible = 0
    seen = []
    for piece in pieces:
        text = _VISIBLE[kind](piece)
        n_solid += len(piece.translate(None, _BLANKS))
        n_visible += len(text.translate(None, _BLANKS))
        seen.append(text)
    if n_visible < MIN_VISIBLE_FRAC * n_solid:
        return False
    return any(_is_running(_unescaped(kind, text)[:MAX_JUDGED_BYTES]) for text in reversed(seen) if text.strip())


def _is_running(head: bytes) -> bool:
    text = head.decode("utf-8", "ignore").strip()
    return len(_PAUSE.findall(text)) >= MIN_PAUSE_FRAC * len(text) and is_prose(head)


def _from_boundary(piece: bytes) -> bytes:
    return piece[min(at for at in (piece.find(b"\n"), piece.find(b"<"), len(piece)) if at >= 0) :]


def _between_tags(piece: bytes) -> bytes:
    """Text outside tags, comments, scripts and styles. One walk over the tags: nothing here grows with their square."""
    first, *tags = piece.split(b"<")
    seen, closing = [first], b""
    for tag in tags:
        name, _, text = tag.partition(b">")
        folded = tag[:12].lower()
        if closing:
            if not (folded.startswith(closing) or (closing == b"--" and b"-->" in tag)):
                continue
            closing, text = b"", tag.rpartition(b"-->")[2] if closing == b"--" else text
        elif folded.startswith(b"!--"):
            closing, text = (b"", tag.partition(b"-->")[2]) if b"-->" in tag else (b"--", b"")
        elif folded.startswith(_HIDDEN) and not name.endswith(b"/"):
            closing = b"/" + re.split(rb"[\s>]", folded)[0]
            continue
        seen.append(text)
    return b" ".join(seen)


def _strings(piece: bytes) -> bytes:
    return b"\n".join(found for found in _STRING.findall(piece) if len(found) >= MIN_STRING_BYTES)


def _values(piece: bytes) -> bytes:
    return _long(_KEY.sub(b"", piece))


def _cells(piece: bytes) -> bytes:
    return _long(piece.replace(b"\t", b"\n").replace(b'"', b""))


def _long(lines: bytes) -> bytes:
    return b"\n".join(line for line in lines.split(b"\n") if len(line) >= MIN_STRING_BYTES)


def _lines(piece: bytes) -> bytes:
    return _TIMES.sub(b"", piece)


def _unescaped(kind: str, text: bytes) -> bytes:
    if kind in ("XML", "HTML"):
        return html.unescape(text.decode("utf-8", "ignore")).encode("utf-8", "ignore") if b"&" in text else text
    if kind == "JSON" and b"\\" in text:
        return b"\n".join(_string(line) for line in text.split(b"\n"))
    return text


def _string(escaped: bytes) -> bytes:
    try:
        return str(json.loads(b'"' + escaped + b'"')).encode("utf-8", "ignore")
    except ValueError:  # no JSON after all: taken as it stands
        return escaped


# By format; a mixture knows the same ones (`config.PROSE_FORMATS`).
_VISIBLE: dict[str, Callable[[bytes], bytes]] = {
    "XML": _between_tags, "HTML": _between_tags, "JSON": _strings, "YAML": _values, "CSV": _cells, "TSV": _cells,
    "SubRip Text": _lines, "WebVTT": _lines,
}  # fmt: skip
