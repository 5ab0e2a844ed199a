"""Expressions of the tables, each searched only where the literals stand that whatever it fits must hold.

Most texts that are asked hold none of them, and an expression of alternatives without case, tried at every character,
takes hundreds of times as long as a look for a literal.
"""

import re
from functools import cache
from importlib import import_module
from typing import Any

# Python's own reader of expressions, which has no public name since 3.11: what it returns is only looked at.
_parser, _parts = import_module("re._parser"), import_module("re._constants")
FLAGS = re.IGNORECASE | re.MULTILINE
_MIN_CHARS = 3  # of a literal: shorter ones stand in most texts
# Beside their capitals, what an expression without case takes for a Latin letter, and `str.lower` does not.
_LIKE_LETTERS = str.maketrans("\u0130\u0131\u017f", "iis")

Literals = tuple[tuple[str, ...], ...]


def folded(text: str) -> str:
    """As many characters in small letters: an expression of small letters fits if it fitted the text without case."""
    return (text if text.isascii() else text.translate(_LIKE_LETTERS)).lower()


def is_said(expressions: tuple[str, ...], text: str, small: str) -> bool:
    """Whether one of the expressions (Python's, without case, ^ and $ at lines) fits somewhere; `small` is the text,
    folded."""
    for expression in expressions:
        if _may_fit(small, literals_of(expression)) and compiled_once(expression).search(text):
            return True
    return False


def _may_fit(small: str, literals: Literals) -> bool:
    for some in literals:
        for literal in some:  # a loop: for so few literals `any` and a generator take longer than the looks
            if literal in small:
                break
        else:
            return False
    return True


@cache
def compiled_once(expression: str) -> re.Pattern[str]:
    return re.compile(expression, FLAGS)


@cache
def literals_of(expression: str) -> Literals:
    """Sets of literals, folded: of each set one stands in whatever the expression fits. No set: nothing is known.

    Small sets come first: they are missed soonest.
    """
    return tuple(sorted((tuple(sorted(some)) for some in _literals_of(_parser.parse(expression, FLAGS))), key=len))


def _literals_of(sequence: Any) -> list[frozenset[str]]:
    found, run = [], ""
    for kind, value in (*sequence, (_parts.ANY, None)):  # the last one ends the run
        if kind is _parts.LITERAL and _is_certain(chr(value)):
            run += chr(value).lower()
            continue
        if len(run) >= _MIN_CHARS:
            found.append(frozenset((run,)))
        run = ""
        if kind is _parts.BRANCH:
            found += _one_of([_literals_of(branch) for branch in value[1]])
        elif kind is _parts.SUBPATTERN:
            found += _literals_of(value[3])
        elif kind in (_parts.MAX_REPEAT, _parts.MIN_REPEAT) and value[0] > 0:
            found += _literals_of(value[2])
    return found


def _is_certain(character: str) -> bool:
    """Whether `folded` knows all that the character stands for: letters with case beyond ASCII have more forms."""
    return character.isascii() or character.lower() == character.upper()


def _one_of(branches: list[list[frozenset[str]]]) -> list[frozenset[str]]:
    """Of alternatives one fits, so one of the literals of any; of each the set whose shortest literal is longest."""
    if not all(branches):
        return []
    return [frozenset[str]().union(*(max(sets, key=lambda some: min(map(len, some))) for sets in branches))]
