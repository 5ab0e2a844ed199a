"""Licence expressions: the class that decides between copies, and whether a document may enter.

The library `license-expression` parses (AND, OR, WITH, brackets); here names are told from operators first, because it
takes only SPDX's and data sets write more: `MIT/Apache-2.0`, `GPL-2+ or Artistic, and Expat`, `Apache License, Version
2.0`. A choice (OR) is as free as its freest part, a conjunction (AND) as strict as its strictest.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

import license_expression

from pipeline.select.license_names import CLASSES, COPYLEFT, OTHER, PERMISSIVE, RESTRICTS, UNKNOWN, class_of, find

__all__ = ["CLASSES", "COPYLEFT", "OTHER", "PERMISSIVE", "UNKNOWN", "dropped_class", "license_class"]

# Longer or deeper text is no expression but a licence's wording or rubbish, and parsing it would recurse as deep.
_MAX_CHARS, _MAX_DEPTH = 4_096, 100
_LATER = re.compile(r"[\s_,]+(?:or|and)[\s_]+(?:any[\s_]+|\(?at your option\)?[\s_]+any[\s_]+)?(?:later|newer|above)\b"
                    r"(?:[\s_]+versions?)?", re.IGNORECASE)  # fmt: skip
# What stands around names in the papers of packages, and says no more: License: MIT; CRAN's `MIT + file LICENSE`; the
# Linux kernel's `Dual BSD/GPL`; a list that was written out as text.
_AROUND = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), instead) for pattern, instead in (
    (r"\A(?:spdx-licen[sc]e-identifier|licen[sc]e)\s*:\s*(?!:)", ""),
    (r"\A(?:licen[sc]ed|released|distributed)\s+under\s+", ""),
    (r"\s*[+|]\s*file\s+licen[cs]e\b", ""),
    (r"\A\[(.*)\]\Z", r"\1"),
    (r"\Adual[\s-]+(?=[^\s/]+\s*/)", ""),
    (r"[\s,(]*\bat your option\)?\Z", ""),
    (r"[\u2010-\u2015\u2212]", "-"),
    (r"\bexceptions\b", "exception"),
))  # fmt: skip
_COMMA_OF_NAME = re.compile(r",\s*(?=v(?:ersion|\.)?\s*\d)", re.IGNORECASE)  # Apache License, Version 2.0
_TOKEN = re.compile(r"https?://[^\s(),;|&]+|and/or|[(),;/|&]|[^\s(),;/|&]+", re.IGNORECASE)
_UNDERSCORE = re.compile(r"(https?://[^\s(),;|&]+)|_")  # a space between names, but not in an address
_OPERATORS = {"and": "AND", "&": "AND", ";": "AND", "or": "OR", "/": "OR", "|": "OR", "and/or": "OR", "with": "WITH"}
# `other` was all that is neither permissive nor unknown before copyleft had a class of its own; who wrote it down to
# keep such code out must not let it in by an update.
_DROPPED_BY = {name: frozenset({number}) for name, number in CLASSES.items()} | {"other": frozenset({COPYLEFT, OTHER})}

_LIBRARY = license_expression.Licensing()  # without names of its own: ours stand for classes

Tree = int | tuple[str, tuple[Any, ...]]  # a class, or an operator (AND, OR) and its parts


def license_class(license_id: str | None) -> int:
    """PERMISSIVE, UNKNOWN, COPYLEFT or OTHER (commercial, source-available, a licence that nobody knows)."""
    return _strictness(_parse(license_id))


def dropped_class(license_id: str | None, names: Collection[str]) -> str | None:
    """The first of the class names in `drop_licenses` for which a document of this licence may not enter; else None.

    It may enter if one choice that can be taken has no part of such a class: `MIT OR GPL-2.0` passes [copyleft],
    `GPL-2.0 AND LicenseRef-x` and `GPL-2.0 OR Commercial` do not.
    """
    tree = _parse(license_id)
    if not names or _may_enter(tree, frozenset().union(*(_DROPPED_BY[name] for name in names))):
        return None
    return next((name for name in names if not _may_enter(tree, _DROPPED_BY[name])), next(iter(names)))


def _strictness(tree: Tree) -> int:
    if isinstance(tree, int):
        return tree
    operator, parts = tree
    classes = [_strictness(part) for part in parts]
    return max(classes) if operator == "AND" else min(_offers(classes))


def _offers(classes: list[int]) -> list[int]:
    """Of the parts of a choice those that say something: nobody can choose what is not said."""
    return [c for c in classes if c != UNKNOWN] or [UNKNOWN]


def _may_enter(tree: Tree, dropped: frozenset[int]) -> bool:
    if isinstance(tree, int):
        return tree not in dropped
    operator, parts = tree
    if operator == "AND":
        return all(_may_enter(part, dropped) for part in parts)
    return any(_may_enter(part, dropped) for part in _takeable(parts))


def _takeable(parts: tuple[Tree, ...]) -> list[Tree]:
    """Of the parts of a choice those that someone can take: a commercial licence, or one that nobody knows, frees
    nothing of copyleft beside it."""
    classes = [_strictness(part) for part in parts]
    wanted = [c for c in classes if c in (PERMISSIVE, COPYLEFT)] or _offers(classes)
    return [part for part, found in zip(parts, classes, strict=True) if found in wanted]


@lru_cache(maxsize=65_536)  # a corpus has some thousand spellings
def _parse(license_id: str | None) -> Tree:
    text = _without_surroundings((license_id or "").strip())
    whole = find(text)  # names hold commas and operators too: Apache License, Version 2.0; GPL 2 or later
    if whole is not None:
        return whole
    tokens = list(_tokens(_COMMA_OF_NAME.sub(" ", _LATER.sub("+", text)))) if len(text) <= _MAX_CHARS else []
    names: list[str] = []
    words = _grouped(iter(tokens), names) if _brackets_close(tokens) else []
    if not _is_expression(words):
        return _all_of(tokens)
    return _tree(_LIBRARY.parse(" ".join(words), simple=True), names)


def _without_surroundings(text: str) -> str:
    if len(text) > _MAX_CHARS:
        return text
    text = unicodedata.normalize("NFKC", text)
    for pattern, instead in _AROUND:
        text = pattern.sub(instead, text)
    return text.strip()


def _all_of(tokens: list[str]) -> Tree:
    """What is no expression is a licence that nobody can read, and every name in it holds."""
    known = [class_of(t) for t in tokens if t not in "()," and t not in _OPERATORS]
    return ("AND", (OTHER, *known))


def _tree(parsed: Any, names: list[str]) -> Tree:
    """The library's tree with a class for each name."""
    if isinstance(parsed, license_expression.LicenseWithExceptionSymbol):
        license_name, exception = (names[int(s.key[1:])] for s in parsed.decompose())
        taken = find(exception)
        if taken is None and class_of(exception) == COPYLEFT:  # MIT with GPL parts
            taken = COPYLEFT
        return _with_exception(class_of(license_name), taken)
    if isinstance(parsed, license_expression.LicenseSymbol):
        return class_of(names[int(parsed.key[1:])])
    parts = tuple(_tree(part, names) for part in parsed.args)
    return (parsed.operator.strip().upper(), parts)


def _with_exception(license_class: int, exception: int | None) -> Tree:
    """An exception gives permissions beyond its licence, so the licence decides.

    But for those that take some away (Commons Clause), and for one that nobody knows behind a free licence, which had
    nothing to be excepted from.
    """
    if exception in (COPYLEFT, OTHER):  # MIT with GPL-2.0 asks for both
        return ("AND", (license_class, exception))
    return OTHER if exception is None and license_class == PERMISSIVE else license_class


def _tokens(text: str) -> Iterator[str]:
    """Names as they are written, of one word or more, operators and brackets in small letters.

    A bracket behind a name that no operator precedes explains it: GNU General Public License v3 (GPLv3). What it names
    holds too.
    """
    name: list[str] = []
    explained: list[str] = []
    depth = 0  # inside such an explanation
    for word in [*_TOKEN.findall(_UNDERSCORE.sub(lambda found: found[1] or " ", text)), ""]:
        lowered = word.lower()
        if word and (depth or (word == "(" and name)):  # the end of the text ends a bracket that nothing closed
            depth += {"(": 1, ")": -1}.get(word, 0)
            explained.append(word)
            continue
        if name and (not word or lowered in _OPERATORS or word in "(),"):
            yield " ".join(name)
            for more in _named_in(explained):
                yield from ("and", more)
            name, explained = [], []
        if not word:
            return
        if lowered in _OPERATORS or word in "(),":
            yield lowered
        else:
            name.append(word)


def _named_in(words: list[str]) -> list[str]:
    """Of an explanation what is known and not free: as one name, or its words; and all of one that restricts."""
    inner = [word for word in words if word not in "()"]
    if RESTRICTS.search(" ".join(inner)):
        return [f"restricted {' '.join(inner)}"]  # a name that nobody knows
    found = [" ".join(inner)] if find(" ".join(inner)) is not None else inner
    return [name for name in found if find(name) in (COPYLEFT, OTHER)]


def _brackets_close(tokens: list[str]) -> bool:
    """Whether there is a word at all, and every bracket has its other half, not too deep inside others."""
    depth = 0
    for word in tokens:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if not 0 <= depth <= _MAX_DEPTH:
            return False
    return bool(tokens) and depth == 0


def _is_expression(words: list[str]) -> bool:
    """Whether names and operators alternate. The library's own errors on what does not are of many kinds."""
    shape = "".join({"AND": "o", "OR": "o", "WITH": "w"}.get(word, word[0]) for word in words)
    shape, before = re.sub("LwL(?!w)", "L", shape), ""  # an exception belongs to a name, not to a bracket
    while shape != before:
        shape, before = re.sub(r"LoL|\(L\)", "L", shape), shape
    return shape == "L"


def _grouped(tokens: Iterator[str], names: list[str]) -> list[str]:
    """The words up to the bracket that closes, as the library takes them; name i becomes `Li` and goes into `names`.

    A comma divides more than an operator does, as Debian has it: `A or B, and C` is `(A or B) and C`.
    """
    parts: list[list[str]] = [[]]
    for word in tokens:
        if word == ")":
            break
        if word == "(":
            inner = _grouped(tokens, names)
            if not inner:  # what an empty bracket says, which the library does not take
                names.append("")
                inner = [f"L{len(names) - 1}"]
            parts[-1] += ["(", *inner, ")"]
        elif word == ",":
            parts.append([])
        elif word in _OPERATORS:
            parts[-1].append(_OPERATORS[word])
        else:
            parts[-1].append(f"L{len(names)}")
            names.append(word)
    words = parts[0]
    for part in filter(None, parts[1:]):
        operator, rest = (part[0], part[1:]) if part[0] in ("AND", "OR") else ("AND", part)
        words = ["(", *words, ")", operator, "(", *rest, ")"] if words and rest else words or rest
    return words
