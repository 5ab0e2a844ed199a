"""Whether a machine reads a content: brackets, quoted values, keys, records. Holds in any script.

Running text and program text are told apart by the form of their lines, never by their letters: a table of Russian
strings has a key, a quote or a bracket in nearly every line, a Russian letter has none. Only forms that hardly ever
stand in running text are listed, so that few of them weigh much; a line that has none of them may still be code.
"""

import re
from typing import NamedTuple

# Share of lines that makes a content under a name of code no running text. Of 719 pieces of books and laws in twelve
# languages, 8 kB each, the one with most such lines has .03.
MIN_NAMED_FRAC = 0.1
# The same where no name speaks for code: an essay or a manual may show commands and listings.
MIN_FRAC = 0.35
MIN_RECORDS = 4  # lines that must have the same number of separators to be records: three may be chance
CHARS_PER_LINE = 60  # a joint weighs as much as a line of this length: so a bundle in one line is structured too

_QUOTED = r"(?:\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`)"
_KEY = rf"(?:[A-Za-z_$@.][\w$.\-\[\]/]*|{_QUOTED})"
_PROGRAM_FORMS = (
    r"[{}\[\]()<>,;:|]+",  # nothing but brackets and separators
    # opens a bracket and ends; ends behind a quote; ends behind a bracket: one form, since each walks through the line
    r"[^\n]*(?:[{\[(]|[\"'`][)\]}]*[,;)\]}]|[)\]}]+[ \t]*[;,{])",
    r"[\])}]+[^\n]{0,3}",  # closes one
    rf"(?:- )?{_KEY}[ \t]*(?:=>|:=|\+=|->|=(?!=))[ \t]*\S[^\n]*",  # assigns: key = value
    rf"(?:- )?{_QUOTED}[ \t]*:[ \t]*\S[^\n]*",  # "key": value
    rf"(?:- )?{_KEY}[ \t]*:[ \t]*{_QUOTED}?[,;)\]}}]*",  # key: "value", or a key whose value stands below
    r"(?:- )?[a-z_][\w.\-]*:[ \t]+[^\n]*[^\x00-\u024f\u2010-\u2027][^\n]*",  # key: value in another script
    rf"(?:[\w.]*[ \t(\[{{]*{_QUOTED}[ \t]*[,;)\]}}+]+)+",  # quoted values in a list
    r"(?=[^;]*;[ \t]*\r?\Z)[^\n;]*(?:=|\w[(\[]|\{|\")[^\n;]*;",  # a statement; whether it ends is seen first
    r"(?://|/\*|\*/|#include|#define|#if|#endif|#!|<!--|--\[\[|'''|\"\"\")[^\n]*",  # a comment, a preprocessor's line
    r"\.[A-Za-z]\w*(?:[ \t][^\n]*)?",  # a directive, of assemblers, simulators and man pages
    r"msg(?:id|str|ctxt|id_plural|str\[\d+\])\b[^\n]*|#[:,.~|][ \t][^\n]*",  # gettext
    r"(?:import|from|package|module|namespace|using|require|include|use)[ \t]+[\w.*:/\\{}\"',<>@-]+"
    r"(?:[ \t]+(?:import|as|from)\b[^\n]*)?;?",
    r"(?:def|class|func|fn|function|fun|sub|let|var|val|const|type|struct|enum|interface)[ \t]+[\w$.]+[ \t]*"
    r"[({:=<][^\n]*",
    r"(?:public|private|protected|internal|static|final|abstract|export|override)[ \t]+"
    r"(?:[\w$.\[\]<>]+[ \t]+)*[\w$.\[\]<>/]+[ \t]*[({;:=][^\n]*",
    r"(?:return|throw|raise|yield|assert)\b[^\n]*[\"')\]};]",
    r"(?:INSERT INTO|CREATE (?:TABLE|INDEX|VIEW)|ALTER TABLE|DROP TABLE)\b[^\n]*",
    r"<[/?!]?[A-Za-z][^\n]*>",  # a tag
)
_RECORD_FORMS = (
    r"[^\n]*<[^<>@\s]+@[^<>\s]+>(?:[ \t][^\n]*)?",  # a name and an address, as in .mailmap
    r"[^\n]*\b[0-9a-f]{32,}\b[^\n]*",  # a hash
    r"\[?\d{4}-\d\d-\d\d[T \]][^\n]*|\[?\d\d:\d\d:\d\d[^\n]*|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d[^\n]*",  # a log
    r"(?:[\w.-]+@[\w.-]+:[^\s$#]*|)[$#] [a-z.][^\n]*|>>>(?: [^\n]*)?",  # typed behind a prompt
    r"\[[\w .:\"-]+\]",  # a section
    r"(?:- )?[a-z_][\w.\-]*:(?:[ \t][^\n]*)?",  # key: value
)


def _lines_of(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"[ \t]*(?:" + "|".join(forms) + r")[ \t]*\r?\Z")


_PROGRAM, _RECORD = _lines_of(_PROGRAM_FORMS), _lines_of(_RECORD_FORMS)
# Where two parts of a program meet inside a line: a quote, a separator and another quote or bracket.
_JOINT = re.compile(
    r"[\"'`]\s*(?:=>|[:,=+])\s*[\"'`\[{(]|[{\[(]\s*[\"'`]?[\w$-]+[\"'`]?\s*(?:=>|=|:(?!//))|[)\]}\"'`]\s*[;}]"
)
_SEPARATORS = "\t;|,"
_CELL = re.compile(r"\"[^\"]*\"")  # in quotes: a separator in it separates nothing


class Structure(NamedTuple):
    """Shares of lines, 0 to 1. `program`: in a form that only program text has. `machine`: that, or a record of a
    table, a log, a list of addresses."""

    program: float
    machine: float


def structure_of(head: bytes) -> Structure:
    """Measure UTF-8 text; a character cut at the end is left out. Joints of program text count as lines where the lines
    are long."""
    lines, formed, program = _measured(head)
    if _are_records(lines):
        return Structure(program, 1.0)
    n_machine = sum(known or _RECORD.match(line) is not None for known, line in zip(formed, lines, strict=True))
    return Structure(program, max(program, _share(n_machine, len(lines))))


def program_frac(head: bytes) -> float:
    """`structure_of(head).program`, without the rest."""
    return _measured(head)[2]


def _measured(head: bytes) -> tuple[list[str], list[bool], float]:
    """The lines that are not blank, whether each has a form of program text, and the share of such lines."""
    text = head.decode("utf-8", "ignore")
    lines = [line for line in text.split("\n") if line.strip()]
    formed = [_PROGRAM.match(line) is not None for line in lines]
    joints = _share(sum(1 for _ in _JOINT.finditer(text)), max(1, len(text) // CHARS_PER_LINE))
    return lines, formed, max(_share(sum(formed), len(lines)), min(1.0, joints))


def _share(n: int, n_lines: int) -> float:
    """One line among several may be chance, the more so where a paragraph is one line."""
    return n / n_lines if n > 1 or 0 < n_lines <= 2 else 0.0


def _are_records(lines: list[str]) -> bool:
    """Lines with one number of tabs, semicolons, bars or (two or more) commas: a table, a dump, a list of words with
    glosses. Running text has commas too, but not the same number in every line."""
    whole = lines[:-1] if len(lines) > MIN_RECORDS else lines  # the last one may be cut
    if len(whole) < MIN_RECORDS:
        return False
    first, *rest = (_CELL.sub("", line.strip()) if '"' in line else line.strip() for line in whole)
    for separator in _SEPARATORS:
        n = first.count(separator)
        if n >= (2 if separator == "," else 1) and all(line.count(separator) == n for line in rest):
            return True
    return False
