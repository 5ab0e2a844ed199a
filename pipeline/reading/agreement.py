"""How far two texts agree, by a definition that shares nothing with dedup's: plain Python on characters.

Dedup hashes runs of words; what its words leave out it cannot see, and a check that used the same words would not see
it either. Here a text is the sequence of its visible characters in NFC and small letters, a leading comment that speaks
of rights aside, and two texts agree as far as their sets of overlapping pieces of that sequence do.
"""

import re
import unicodedata

# Eight visible characters are a word or two: an edit of one word spoils some dozen pieces, which is less of a text than
# the five shingles of five words that it spoils. So near duplicates agree here about as far as their shingles or more.
N_CHARS = 8
_INVISIBLE = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp", "Cs", "Cn"))
_TATWEEL = "\u0640"  # stretches an Arabic word and says nothing
_RIGHTS = re.compile(r"copyright|\(c\)|©|licen[cs]|spdx|all rights reserved|public domain", re.IGNORECASE)
# The longest licences that stand in files; a longer comment is what the file says, as in a commented configuration.
_MAX_RIGHTS_CHARS = 8_000
_LINE_COMMENT = re.compile(r"\s*(?:#|//|--|;|%|'|\"|!|\*|rem\b|dnl\b|\.\\\"|\\|c\s)", re.IGNORECASE)
_BLOCKS = (
    ("/*", "*/"), ("<!--", "-->"), ("<%--", "--%>"), ("(*", "*)"), ("{-", "-}"), ("--[[", "]]"), ('"""', '"""'),
    ("'''", "'''"), ("<#", "#>"), ("=begin", "=end"), ("=pod", "=cut"), ("%{", "%}"),
)  # fmt: skip
_FIRST = re.compile(r"\s*(?:#!|<\?|<!doctype|# -\*-)", re.IGNORECASE)  # a shebang, an XML head: no part of the comment


def agreement(one: bytes, two: bytes) -> float:
    """From 0, no piece in common, to 1: all of them. Texts too short for a piece agree if they are equal."""
    a, b = _pieces(visible(one)), _pieces(visible(two))
    return len(a & b) / max(1, len(a | b))


def visible(content: bytes) -> str:
    """The visible characters of a text in small letters, without its leading rights comment."""
    text = unicodedata.normalize("NFC", content.decode("utf-8", errors="replace").removeprefix("\ufeff"))
    text = _without_rights(text).casefold()
    return "".join(c for c in text if c != _TATWEEL and unicodedata.category(c) not in _INVISIBLE)


def _pieces(text: str) -> set[str]:
    return {text[i : i + N_CHARS] for i in range(max(1, len(text) - N_CHARS + 1))}


def _without_rights(text: str) -> str:
    """The text behind its first comment, if that speaks of rights; else the whole text."""
    lines = text.splitlines(keepends=True)
    head = 0
    while head < len(lines) and (not lines[head].strip() or _FIRST.match(lines[head])):
        head += 1
    end = _comment_end(lines, head)
    comment = "".join(lines[head:end])
    return "".join(lines[end:]) if len(comment) <= _MAX_RIGHTS_CHARS and _RIGHTS.search(comment) else text


def _comment_end(lines: list[str], start: int) -> int:
    """The first line behind the comments and blank lines at `start`."""
    closing = None
    for number in range(start, len(lines)):
        line = lines[number].strip()
        if closing:
            closing = None if closing in line else closing
            continue
        opened = next(((o, c) for o, c in _BLOCKS if line.lower().startswith(o)), None)
        if opened:
            closing = None if opened[1] in line[len(opened[0]) :] else opened[1]
        elif line and not _LINE_COMMENT.match(line):
            return number
    return len(lines) if closing is None else start
