"""linguist's content patterns for extensions that several languages share.

They come as data: see `data/README.md` for how the Ruby patterns were rewritten. A document may be hostile, so every
search stops after SECONDS. No pattern comes near it on the bytes that `max_scan_bytes` allows (a test tries), because
where time decides, equal input would no longer give equal output.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import regex

from pipeline.language.own_rules import OWN_RULES
from pipeline.language.table import read_json

SECONDS = 10.0  # a guard against a hang, not a budget

# A pattern that repeats over a line may take time with the square of its length; lines that people write are shorter.
MAX_LINE_BYTES = 400
# Additions to linguist's list of its kind: words so common that a file of that name is often something else.
GENERIC = frozenset(
    (".action", ".alg", ".app", ".ent", ".msg", ".network", ".rc", ".resource", ".srv", ".tag", ".target")
)


class Heuristic(NamedTuple):
    """Languages of a document in which all of `match` and none of `absent` is found. No pattern: always."""

    languages: tuple[str, ...]
    match: tuple[str, ...]
    absent: tuple[str, ...]


@lru_cache(maxsize=1)
def rules() -> Mapping[str, tuple[Heuristic, ...]]:
    """Rules of each extension in the order in which they are tried."""
    table: dict[str, tuple[Heuristic, ...]] = {}
    for block in read_json("heuristics.json")["blocks"]:
        parts = ((r["languages"], r.get("match", ()), r.get("absent", ())) for r in block["rules"])
        found = tuple(Heuristic._make(map(tuple, part)) for part in parts)
        table |= dict.fromkeys(block["extensions"], found)
    return table | _additions(table)


def _additions(table: Mapping[str, tuple[Heuristic, ...]]) -> dict[str, tuple[Heuristic, ...]]:
    """Our own rules before linguist's, and those for the upper-case spellings of C's extensions."""
    found: dict[str, tuple[Heuristic, ...]] = {}
    for extension, name, match, absent in OWN_RULES:
        found[extension] = (*found.get(extension, ()), Heuristic((name,), (match,), (absent,) if absent else ()))
    found = {extension: own + table.get(extension, ()) for extension, own in found.items()}
    objective_c = next(rule for rule in table[".h"] if rule.languages == ("Objective-C",))
    always = Heuristic(("C++",), (), ())
    return found | {".C": (always,), ".H": (objective_c, always)}


@lru_cache(maxsize=1)
def generic_extensions() -> frozenset[str]:
    """Extensions too common to believe without a pattern that agrees: linguist's list and our additions."""
    return frozenset(read_json("heuristics.json")["generic"]) | GENERIC


def without_rule(candidates: tuple[str, ...], extension: str) -> tuple[str, ...]:
    """Candidates that no pattern could have confirmed. Where all patterns failed, these are the likelier ones."""
    ruled = {name for rule in rules().get(extension, ()) for name in rule.languages}
    return tuple(name for name in candidates if name not in ruled)


def calm(head: bytes) -> bytes:
    """`head` as the patterns see it: Unix line ends, lines cut, one blank line where there were more.

    linguist's `$` does not match before a carriage return, and the rest takes from hostile input what makes a search
    slow: a pattern then repeats over a line, not over the document.
    """
    if b"\r" in head:
        head = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = [line[:MAX_LINE_BYTES] for line in head.split(b"\n")]
    return b"\n".join([line for line, last in zip(lines, [b"", *lines], strict=False) if last.strip() or line.strip()])


@cache
def _compile(pattern: str) -> regex.Pattern[bytes]:
    return regex.compile(pattern.encode(), regex.MULTILINE)


def _finds(pattern: str, head: bytes) -> bool:
    try:
        return _compile(pattern).search(head, timeout=SECONDS) is not None
    except TimeoutError:
        return False


def by_heuristics(extension: str, head: bytes) -> tuple[tuple[str, ...], bool]:
    """Languages of the first rule that holds, and whether a pattern confirmed it. Empty if none does.

    The last rule of many extensions has no pattern: it is what the extension means by itself.
    """
    found = rules().get(extension, ())
    if any(rule.match or rule.absent for rule in found):
        head = calm(head)
    for rule in found:
        if all(_finds(p, head) for p in rule.match) and not any(_finds(p, head) for p in rule.absent):
            return rule.languages, bool(rule.match or rule.absent)
    return (), False
