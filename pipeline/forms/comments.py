"""Programs without their comments, so that no import is read in one.

One expression finds strings and comments alike: a string may hold what looks like a comment, and the other way round.
Each of its branches takes whatever it has begun, up to the end of the line or the file, so that it never looks at a
byte twice however a file breaks off.
"""

import re

_QUOTED = rb'"(?:[^"\\\n]|\\.)*"?'
_SINGLE = rb"'(?:[^'\\\n]|\\.)*'?"
_LETTER = rb"'(?:[^'\\\n]|\\.)'"  # a sign of C, not the quote of a lifetime, a digit group or a name with a prime
_BLOCK = rb"(?P<no>/\*(?:.*?\*/|.*)|//[^\n]*)"
_FLAGS = re.DOTALL

_KINDS = {
    "c": re.compile(rb"|".join((_QUOTED, _LETTER, _BLOCK)), _FLAGS),
    "script": re.compile(rb"|".join((_QUOTED, _SINGLE, rb"(?P<long>`(?:[^`\\]|\\.)*`?)", _BLOCK)), _FLAGS),
    "python": re.compile(
        rb'(?P<long>"""(?:.*?"""|.*)|' + rb"'''(?:.*?'''|.*))|" + _QUOTED + rb"|" + _SINGLE + rb"|(?P<no>#[^\n]*)",
        _FLAGS,
    ),
    "go": re.compile(rb"|".join((_QUOTED, _LETTER, rb"(?P<long>`[^`]*`?)", _BLOCK)), _FLAGS),
    "jvm": re.compile(rb"|".join((rb'(?P<long>"""(?:.*?"""|.*))', _QUOTED, _LETTER, _BLOCK)), _FLAGS),
    "php": re.compile(rb"|".join((_QUOTED, _SINGLE, _BLOCK, rb"(?P<hash>#[^\n\[][^\n]*)")), _FLAGS),
    "hash": re.compile(_QUOTED + rb"|" + _SINGLE + rb"|(?P<no>#[^\n]*)", _FLAGS),
    "haskell": re.compile(_QUOTED + rb"|(?P<no>\{-(?:.*?-\}|.*)|--[^\n]*)", _FLAGS),
    "lua": re.compile(_QUOTED + rb"|" + _SINGLE + rb"|(?P<no>--\[\[(?:.*?\]\]|.*)|--[^\n]*)", _FLAGS),
    "ml": re.compile(_QUOTED + rb"|(?P<no>\(\*(?:.*?\*\)|.*))", _FLAGS),
    "ruby": re.compile(
        rb"(?P<no>^=begin\b(?:.*?^=end\b|.*)|#[^\n]*)|" + _QUOTED + rb"|" + _SINGLE, _FLAGS | re.MULTILINE
    ),
    "perl": re.compile(
        rb"(?P<no>^=[a-z](?:.*?^=cut\b|.*)|^__(?:END|DATA)__\b.*|^[ \t]*#[^\n]*)", _FLAGS | re.MULTILINE
    ),
    "line": re.compile(rb"(?P<no>^[ \t]*(?:#|--|;|%|!)[^\n]*)", re.MULTILINE),
}


def without_comments(content: bytes, *, kind: str) -> bytes:
    """`content` with its comments, and strings over several lines, as single spaces; "" of `kind`: as it is."""
    return _KINDS[kind].sub(_blank, content) if kind else content


def _blank(found: "re.Match[bytes]") -> bytes:
    return b" " if found.lastgroup else found.group()
