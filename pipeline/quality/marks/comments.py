"""The comments at the head of a file, in the syntax of its own language, as plain text.

The head ends at the first line of code; what a file may begin with before its comments (`#!`, `<?php`, a package line,
imports, an include guard) is passed over. A string that holds the words of a comment is no comment, nor is prose.
"""

import re
from dataclasses import dataclass
from functools import cache

from pipeline.quality.marks.tables import read_table

HEAD_BYTES = 4_096  # a licence of some forty lines fits before the notice of a generator
_ANY, _TEXT = "any", "Text"
# Lines before which or between which a head comment may stand, in any language that has them.
_PRELUDE = re.compile(
    r"\s*(?:$|#!|<\?|\?>|<!doctype|<html|<head|<meta|<svg|<[a-z!?]|\(\s*function|;\s*\(function|define\(|\{\s*$|\[\s*$"
    r"|package\b|import\b|from\s|using\b|namespace\b|module\b|open\b|use\b|require|include\b|library\b|part\s|with\b"
    r"|@?charset|option\b|syntax\b|edition\b|version\s*[:=]|declare\s*\(|set\s|extern\s+crate|pub\s+mod|mod\s"
    r"|#\s*(?:pragma|ifndef|ifdef|if|define|undef|include|import|endif|nullable|nowarn|region|lang|light)"
    r"|['\"]use strict|--?\*?-|---|%yaml|\{-#|@echo|#!?\[|@file|@?export\s*\{\s*\};|\.file|\.text|\.section"
    r"|@(?:generated|auto|suppress|javax))",
    re.I,
)
# What frames the words of a comment; a full stop or a colon at the end of a line is no frame.
_DECORATION = " \t\r*/#;%!-=+|\"'~_`\\"


@dataclass(frozen=True)
class CommentMarks:
    lines: tuple[str, ...]  # longest first
    blocks: tuple[tuple[str, str], ...]


@cache
def _by_language() -> dict[str, CommentMarks]:
    table = read_table("comments.yaml")
    families = {
        name: CommentMarks(
            tuple(sorted(some["lines"], key=len, reverse=True)),
            tuple((a, b) for a, b in sorted(some["blocks"], key=lambda pair: len(pair[0]), reverse=True)),
        )
        for name, some in table["families"].items()
    }
    return {name: families[family] for family, names in table["languages"].items() for name in names} | {
        _ANY: families[_ANY]
    }


def syntax_of(language: str) -> CommentMarks:
    """The comments of a language; of one that is not listed, marks that many have."""
    known = _by_language()
    return known.get(language) or known[_ANY]


def head_comments(head: str, language: str) -> list[str]:
    """The comments before the first code of `head`, each a line for each of its own, without marks and decoration."""
    syntax = syntax_of(language)
    if not syntax.lines and not syntax.blocks:
        return []
    found: list[list[str]] = []
    end, last = "", -2  # what closes the block that is open; the line of the last comment
    for number, line in enumerate(head.split("\n")):
        stripped = line.strip()
        if end:
            before, closed, _ = stripped.partition(end)
            found[-1].append(before)
            end, last = ("" if closed else end), number
            continue
        mark, close = _opens(stripped, line, syntax)
        if mark is None:
            inner = _trailing_block(stripped, syntax)
            if inner is not None:
                mark, close, stripped = inner
            elif _PRELUDE.match(stripped):
                continue
            else:
                break
        rest = stripped[len(mark) :]
        if last != number - 1 or close:
            found.append([])
        if close:
            before, closed, _ = rest.partition(close)
            end, rest = ("" if closed else close), before
        found[-1].append(rest)
        last = number
    return ["\n".join(part.strip(_DECORATION) for part in parts) for parts in found]


def _opens(stripped: str, line: str, syntax: CommentMarks) -> tuple[str | None, str]:
    """The mark of a comment that the line begins with, and what closes it ("": the end of the line)."""
    for opening, close in syntax.blocks:
        if stripped.startswith(opening):
            return opening, close
    for mark in syntax.lines:
        if stripped.startswith(mark) and not (mark == "#" and _is_directive(stripped)):
            return mark, ""
        if stripped == mark.strip() or line.startswith(mark):
            return mark.strip(), ""
    return None, ""


def _is_directive(stripped: str) -> bool:
    return stripped.startswith(("#!", "#include", "#define", "#if", "#pragma"))


def _trailing_block(stripped: str, syntax: CommentMarks) -> tuple[str, str, str] | None:
    """A block that opens behind a prelude in the same line: `<?php /* ...`, `package x; // ...`."""
    if not _PRELUDE.match(stripped):
        return None
    for opening, close in syntax.blocks:
        at = stripped.find(opening)
        if at > 0 and len(opening) > 1:
            return opening, close, stripped[at:]
    for mark in syntax.lines:
        at = stripped.find(mark + " ") if len(mark) > 1 else -1
        if at > 0:
            return mark, "", stripped[at:]
    return None
