"""What the libraries find wrong in a YAML file, said in words that name the remedy, and the place drawn.

PyYAML says where its parser gave up, which is often a line below the slip; pydantic says which type it wanted, and not
why what was written is none. Both are answered here from what stands there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WIDTH = 76  # of a line that is drawn: with the two columns before it, it fits a terminal of 80
_BEFORE = 50  # of it before the caret, where a line is longer

# --- syntax -------------------------------------------------------------------------------------------------------

# What the parser says, by a part of it in small letters, and what is nearly always meant. The first that fits.
_REMEDIES = (
    ("alphabetic or numeric", "put text that begins with * or & in quotes"),
    ("unexpected end of stream", "close the quote that begins in line {begun}"),
    ("mapping values are not allowed", "put text that holds a colon in quotes; else one space more or less begins it"),
    ("expected ',' or", "close the bracket that opens in line {begun}, or put a comma between its parts"),
    ("expected ':'", "write `key: value`, with a space behind the colon"),
    ("expected key", "keys of one mapping begin in one column; this one does not"),
    ("expected '-' indicator", "items of one list begin in one column; this one does not"),
    ("<document start>", "keys of one mapping begin in one column; this one does not"),
    ("expected node content", "put a value there, or take the sign away"),
    ("<block end>", "keys of one mapping begin in one column; this one does not"),
    ("tag", "write plain values: tags are not read"),
    ("undefined alias", "put text that begins with * in quotes, or define the anchor above"),
    ("cannot start any token", "put text that begins with this sign in quotes"),
    ("unknown escape", "write \\\\ for \\ between double quotes, or use single quotes"),
    ("another document", "keep one document: take the line --- out"),
)
_TIGHT = re.compile(r"\s*(?:- )?(\w+):([^\s/]\S*)$")
_IN_FLOW = ("expected the node content", "expected node content", "expected ',' or")


def no_yaml(text: str, error: Exception) -> tuple[str, str, list[str]]:
    """Place (":line:column", or nothing), words with a remedy, and the lines to draw, of a file that is no YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        line = text.count("\n", 0, position) + 1
        sign = chr(error.character) if isinstance(error.character, int) else error.character  # libyaml gives its number
        return f":{line}", f"holds the character {sign!r}, which YAML forbids; take it out", []
    if mark is None:
        return "", "too many brackets inside one another", []
    begun = getattr(error, "context_mark", None) or mark
    said = str(getattr(error, "problem", None) or error)
    where, shown = marked(text, mark)
    return f":{where}", f"{said}; {_remedy(text, said, mark, begun)}", shown


def _remedy(text: str, said: str, mark: Any, begun: Any) -> str:
    lines = text.splitlines() or [""]
    # Where a tab indents, the parser gives up there or at the next line.
    for number in (mark.line, mark.line - 1):
        if 0 <= number < len(lines) and "\t" in lines[number][: len(lines[number]) - len(lines[number].lstrip())]:
            return f"indent line {number + 1} with spaces: YAML takes no tabs there"
        if 0 <= number < len(lines) and (tight := _TIGHT.match(lines[number])):
            return f"write `{tight[1]}: {tight[2]}` in line {number + 1}, with a space behind the colon"
    if any(part in said for part in _IN_FLOW) and begun.line != mark.line:
        return f"close the bracket that opens in line {begun.line + 1}"
    found = (remedy for part, remedy in _REMEDIES if part in said.lower())
    return next(found, "look at this line and the one above").format(begun=begun.line + 1)


def marked(text: str, mark: Any) -> tuple[str, list[str]]:
    """`line:column` of a mark, from 1, and its line with a caret below, both cut to a terminal's width."""
    lines = text.splitlines() or [""]
    number, column = mark.line, mark.column
    if number >= len(lines):  # the end of the file
        number, column = len(lines) - 1, len(lines[-1])
    line = lines[number].replace("\t", "\N{RIGHTWARDS ARROW}")  # one column each, and seen
    first = max(0, column - _BEFORE) if len(line) > _WIDTH else 0
    drawn = [f"  {line[first : first + _WIDTH].rstrip()}", f"  {' ' * (column - first)}^"]
    return f"{number + 1}:{column + 1}", drawn


# --- values -------------------------------------------------------------------------------------------------------

_SWITCHES = {True: "yes, on or true", False: "no, off or false"}


def choices_of(found: ErrorDetails) -> list[str]:
    """The words that a choice allows."""
    return [one.strip("'") for one in str(found["ctx"]["expected"]).replace(" or ", ", ").split(", ")]


def located(found: ErrorDetails, top: Collection[str]) -> tuple[tuple[str | int, ...], str]:
    """The place and words of an error of our own checks: those of a whole file begin with the key that they mean."""
    loc, message = found["loc"], in_words(found)
    key, _, rest = message.partition(": ")
    if loc or found["type"] != "value_error" or key.partition(".")[0] not in top or " " in key:
        return loc, message
    return tuple(int(part) if part.isdecimal() else part for part in key.split(".")), rest


def in_words(found: ErrorDetails) -> str:
    """What pydantic found, what was given, and what to write."""
    kind, given, message = found["type"], found["input"], found["msg"]
    if kind == "value_error":  # our own words, which say what they saw
        return message.removeprefix("Value error, ")
    if kind == "missing":
        return "is missing"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        message = "Input should be a mapping, as in {key: value}"
    elif kind in ("tuple_type", "list_type"):
        message = "Input should be a list, as in [a, b]"
    elif kind == "string_pattern_mismatch":
        message = "Input should be small letters, digits, dots, dashes and _, with a letter or digit first"
    return f"{message} (got {given!r:.80}){_hint(kind, given, found.get('ctx', {}))}"


def _hint(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    """What to write instead, where what is meant can be seen."""
    if kind.startswith(("int_", "float_")) and isinstance(given, str):
        number = _number(given)
        is_whole = kind.startswith("int_")
        if number is None or (is_whole and not number.is_integer()):
            return ""
        return f"; YAML reads this as text: write {f'{number:.0f}' if is_whole or number.is_integer() else f'{number}'}"
    if kind == "string_type" and isinstance(given, bool):
        return f"; YAML reads {_SWITCHES[given]} so: put the word in quotes"
    if kind == "string_type" and isinstance(given, int | float):
        return f"; put it in quotes: '{given}'"
    if kind == "less_than_equal" and context.get("le") == 1 and isinstance(given, int | float) and 1 < given <= 100:
        return f"; for {given:g} % write {given / 100:g}"
    if kind == "bool_type":
        return "; write true or false"
    return ""


def _number(text: str) -> float | None:
    """The number that a text is written to be, or None."""
    try:
        number = float(re.sub(r"(?<=\d)[,_' ](?=\d{3}\b)", "", text.strip()))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
