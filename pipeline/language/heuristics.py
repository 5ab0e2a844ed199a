"""linguist's content patterns for extensions that several languages share.

They come as data: see `data/README.md` for how the Ruby patterns were rewritten. A document may be hostile, so every
search stops after SECONDS. No pattern comes near it on the bytes that `max_scan_bytes` allows (a test tries), because
where time decides, equal input would no longer give equal output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import regex

from pipeline.language.table import read_json

SECONDS = 10.0  # a guard against a hang, not a budget

MAX_LINE_BYTES = 400
MAX_BLANKS = 40
_LONG = re.compile(rb"(\s{%d})\s+|([^\n]{%d})[^\n]+" % (MAX_BLANKS, MAX_LINE_BYTES))


class Rule(NamedTuple):
    """Languages of a document in which all of `match` and none of `absent` is found. No pattern: always."""

    languages: tuple[str, ...]
    match: tuple[str, ...]
    absent: tuple[str, ...]


@lru_cache(maxsize=1)
def rules() -> Mapping[str, tuple[Rule, ...]]:
    """Rules of each extension in the order in which they are tried."""
    table: dict[str, tuple[Rule, ...]] = {}
    for block in read_json("heuristics.json")["blocks"]:
        found = tuple(
            Rule(tuple(r["languages"]), tuple(r.get("match", ())), tuple(r.get("absent", ()))) for r in block["rules"]
        )
        table |= dict.fromkeys(block["extensions"], found)
    # Additions: the two upper-case spellings that mean C++, tried on nothing but Objective-C.
    objective_c = next(rule for rule in table[".h"] if rule.languages == ("Objective-C",))
    always = Rule(("C++",), (), ())
    return table | {".C": (always,), ".H": (objective_c, always)}


@lru_cache(maxsize=1)
def generic_extensions() -> frozenset[str]:
    """Extensions too common to believe without a pattern that agrees: linguist's list and those with one language."""
    listed = frozenset(read_json("heuristics.json")["generic"])
    return listed | {extension for extension, found in rules().items() if len({r.languages for r in found}) == 1}


def calm(head: bytes) -> bytes:
    """`head` as the patterns see it: Unix line ends, lines cut, long runs of blanks shortened.

    That is enough for linguist's patterns, whose `$` does not match before a carriage return, and takes from hostile
    input what makes a search slow.
    """
    if b"\r" in head:
        head = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _LONG.sub(rb"\1\2", head)


@lru_cache(maxsize=None)
def _compile(pattern: str) -> regex.Pattern[bytes]:
    return regex.compile(pattern.encode(), regex.MULTILINE)


def _finds(pattern: str, head: bytes) -> bool:
    try:
        return _compile(pattern).search(head, timeout=SECONDS) is not None
    except TimeoutError:
        return False


def by_heuristics(extension: str, head: bytes) -> tuple[str, ...]:
    """Languages of the first rule that holds; empty if none does or the extension has no rules."""
    found = rules().get(extension, ())
    if any(rule.match or rule.absent for rule in found):
        head = calm(head)
    for rule in found:
        if all(_finds(p, head) for p in rule.match) and not any(_finds(p, head) for p in rule.absent):
            return rule.languages
    return ()
