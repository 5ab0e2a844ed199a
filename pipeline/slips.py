"""What the libraries find wrong in a YAML file, said in words that name the remedy, and the place drawn.

PyYAML says where its parser gave up, which is often a line below the slip; pydantic says which type it wanted, and not
why what was written is none. Both are answered here from what stands there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Number = int | float

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
    ("tag", "write plain values, and text that begins with ! in quotes: tags are not read"),
    ("whitespace or line break", "put text that begins with ! in quotes"),
    ("undefined alias", "put text that begins with * in quotes, or define the anchor above"),
    ("cannot start any token", "put text that begins with this sign in quotes"),
    ("unknown escape", "write \\\\ for \\ between double quotes, or use single quotes"),
    ("another document", "keep one document: take the line --- out"),
)
_TIGHT = re.compile(r"\s*(?:- )?(\w+):([^\s/]\S*)$")
# Text with brackets in it, as a glob that begins with one or stands in a flow mapping: up to the bracket it is a list.
_BRACKETED = re.compile(r"[^\s,\[\]{}]*(?:\[[^\[\]{}]*\]|\{[^\[\]{}]*\})[^\s,\[\]{}]+")
_PLAIN = re.compile(r"[A-Za-z/][\w./ -]*")  # what YAML takes for text without quotes
_COMMENT = re.compile(r"[\[{,:]\s*#\S")  # where a value belongs, so that a text is meant
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
    line = lines[min(mark.line, len(lines) - 1)]
    for text_of in _BRACKETED.finditer(line):
        if text_of.start() <= mark.column <= text_of.end():
            return f"put text that holds brackets in quotes: '{text_of[0]}'"
    above = min(mark.line, len(lines))  # its number, from 1
    if any(part in said for part in _IN_FLOW) and _COMMENT.search(lines[max(0, above - 1)]):
        return f"put text that begins with # in quotes: the rest of line {above} is a comment"
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


class Answers(NamedTuple):
    """What the file itself answers about one place."""

    written: str | None  # as it stands there, before YAML makes a number of it
    refusal: Callable[[Number], str | None]  # what would be wrong with another value, in pydantic's words


def located(found: ErrorDetails, top: Collection[str], asked: Answers) -> tuple[tuple[str | int, ...], str]:
    """The place and words of an error of our own checks: those of a whole file begin with the key that they mean."""
    loc, message = found["loc"], in_words(found, asked)
    key, _, rest = message.partition(": ")
    if loc or found["type"] != "value_error" or key.partition(".")[0] not in top or " " in key:
        return loc, message
    return tuple(int(part) if part.isdecimal() else part for part in key.split(".")), rest


def in_words(found: ErrorDetails, asked: Answers) -> str:
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
    if given is None:
        return f"{message} (got nothing); write a value there, or take the key out"
    return f"{message} (got {given!r:.80}){_hint(found, asked)}"


def _hint(found: ErrorDetails, asked: Answers) -> str:
    """What to write instead, where what is meant can be seen."""
    kind, given, context = found["type"], found["input"], found.get("ctx", {})
    if kind.startswith(("int_", "float_")):
        is_whole, of_bytes = kind.startswith("int_"), "bytes" in str(found["loc"][-1:])
        hint, number = _number_hint(given, asked, is_whole=is_whole, of_bytes=of_bytes)
        why = None if number is None else asked.refusal(number)
        return hint if why is None else f"; that is {number}, which {why.removeprefix('Input ')}"
    if kind in ("string_type", "literal_error") and isinstance(given, bool):
        return f"; YAML reads {_SWITCHES[given]} so: put the word in quotes"
    if kind == "string_type":
        return _text_hint(given)
    if kind in ("tuple_type", "list_type"):
        if isinstance(given, str):
            return f"; write [{', '.join(_entry(part.strip()) for part in given.split(','))}]"
        return "; begin each entry with a dash, as in - name: NAME"
    is_share = (context.get("le"), context.get("lt")) in ((1, None), (None, 1))
    if kind in ("less_than", "less_than_equal") and is_share and 1 < given <= 100 and not asked.refusal(given / 100):
        return f"; for {given:g} % write {given / 100:g}"
    return "; write true or false" if kind == "bool_type" else ""


def _entry(text: str) -> str:
    """As it stands in a list in brackets, in quotes where YAML would take it for something else."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def _text_hint(given: Any) -> str:
    """How to write as text what YAML reads as something else."""
    if isinstance(given, int | float):
        return "; put it in quotes, as it is written"
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        return f"; one text is expected: if it holds brackets, put it in quotes: '[{given[0]}]'"
    if isinstance(given, dict) and given and not any(given.values()):
        return f"; one text is expected: if it holds brackets, put it in quotes: '{{{','.join(given)}}}'"
    return "; one text is expected" + ", and this is a list" * isinstance(given, list)


# --- numbers ------------------------------------------------------------------------------------------------------

_TIMES = {"": "1", "%": "0.01", "x": "1", "k": "1e3", "m": "1e6", "g": "1e9", "b": "1e9", "t": "1e12"}
_TIMES |= {
    "bn": "1e9",
    "thousand": "1e3",
    "million": "1e6",
    "billion": "1e9",
    "trillion": "1e12",
    "tokens": "1",
    "bytes": "1",
}
_TIMES |= {"kb": "1e3", "mb": "1e6", "gb": "1e9", "tb": "1e12", "ki": "1024", "mi": "1048576", "gi": "1073741824"}
_TIMES |= {f"{unit}b": _TIMES[unit] for unit in ("ki", "mi", "gi")}
_MEASURED = re.compile(r"[~<>=]*\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{1,2})?)\s*([a-z]*|%)(?: tokens| bytes)?", re.I)
_POWER = re.compile(r"(\d{1,3})\s*(?:\^|\*\*)\s*(\d{1,2})")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}")
_FRACTION = re.compile(r"(\d{1,9})\s*/\s*([1-9]\d{0,8})")


def _number_hint(given: Any, asked: Answers, *, is_whole: bool, of_bytes: bool) -> tuple[str, Number | None]:
    """The number that was meant, in plain digits, in words and as it is."""
    if isinstance(given, bool):
        return f"; YAML reads {_SWITCHES[given]} so: write a number", None
    if isinstance(given, float):
        return _whole_hint(given, asked)
    number = _number(given, of_bytes=of_bytes) if isinstance(given, str) else None
    if number is None:
        return "; write a number in digits", None
    if number == number.to_integral_value():
        other = (
            f", or {number / 1000 * 1024:.0f} where k is 1024" if re.fullmatch(r"\d+\s*k", given.strip(), re.I) else ""
        )
        return f"; YAML reads this as text: write {number:.0f}{other}", int(number)
    if is_whole:
        return "; write a whole number", None
    short = float(f"{float(number):.6g}")
    return f"; YAML reads this as text: write {short:g}", short


def _whole_hint(given: float, asked: Answers) -> tuple[str, Number | None]:
    """The same of a number with a point where a whole one belongs; three digits behind it are most likely thousands."""
    if asked.written is not None and _THOUSANDS.fullmatch(asked.written):
        meant = int(asked.written.replace(".", ""))
        return f"; a point begins a fraction and parts no thousands: write {meant}", meant
    if math.isfinite(given) and given.is_integer():
        return f"; write {given:.0f}", int(given)
    return "; write a whole number", None


def _number(text: str, *, of_bytes: bool) -> Decimal | None:
    """The number that a text is written to be, or None. With `of_bytes` B is a byte, else a billion."""
    plain = re.sub(r"^([-+]?0),(?=\d+$)|^([-+]?\d+),(?=\d{1,2}$)", r"\1\2.", text.strip())  # a comma for the point
    plain = re.sub(r"(?<=\d)[,_' \u00a0\u202f](?=\d{3}(?!\d))", "", plain)
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", plain):  # points between thousands
        plain = plain.replace(".", "")
    if power := _POWER.fullmatch(plain):
        return Decimal(int(power[1]) ** int(power[2]))
    if fraction := _FRACTION.fullmatch(plain):
        return Decimal(fraction[1]) / Decimal(fraction[2])
    measured = _MEASURED.fullmatch(plain)
    unit = measured[2].lower() if measured else ""
    if measured is None or unit not in _TIMES:
        return None
    return Decimal(measured[1]) * Decimal("1" if of_bytes and unit == "b" else _TIMES[unit])
